"""Full-text search: what counts as a term, alike for every store, and ranking for stores that have no index of their own."""
