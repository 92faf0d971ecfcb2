"""A context in a provider's message format."""
