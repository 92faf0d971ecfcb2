"""Functions of a string: search terms, exact strings, secrets, token counts."""
