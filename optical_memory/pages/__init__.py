"""Pages as values: their style, segments and tiers, and the distribution of turns over pages."""
