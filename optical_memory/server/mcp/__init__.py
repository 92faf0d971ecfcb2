"""Sessions of a store as an MCP server: over standard input and output, or mounted in front of an ASGI application."""
