"""A proxy between a client and its provider: old turns of a request become pages, everything else passes byte for byte."""
