"""Recall through the proxy: the model gets the tool `recall_memory`, the proxy answers its calls, and the client sees one answer."""
