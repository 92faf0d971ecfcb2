"""Pages as values: their style, segments and tiers, and the turns that go on each."""
