"""DeepSeek-OCR in torch: DeepEncoder, which turns pages into vision tokens, and the mixture-of-experts decoder that reads them.

Nothing is imported here, so that using one part does not load the others.
"""
