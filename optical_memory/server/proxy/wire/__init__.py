"""The wire formats of providers: what a request holds, and how pages are written into it."""
