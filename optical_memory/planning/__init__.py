"""Planning: decide which turns are text, which are on pages, and the tier of each page."""
