"""Turns as values, made from messages, and grouped into units and exchanges."""
