"""Adapters for agent frameworks and APIs."""
