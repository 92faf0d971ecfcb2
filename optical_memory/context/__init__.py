"""The context sent to a model: pages and text in order, with their plan."""
