"""The inspector: what a memory holds, in a browser."""
