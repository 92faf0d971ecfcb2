"""Turns as values: how they are made from messages, and what belongs together."""
