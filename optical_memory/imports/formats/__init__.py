"""One module a format. Each says after which description it was built."""
