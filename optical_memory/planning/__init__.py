"""Planning: which turns are text, which stand on pages, and the tier of each page."""
