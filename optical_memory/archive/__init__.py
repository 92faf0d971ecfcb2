"""The sealed pages of a session: drawn once, stored, and scaled to every tier."""
