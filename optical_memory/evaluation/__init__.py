"""Evaluate how much of a conversation a memory still offers, on questions with known evidence, without a model."""
