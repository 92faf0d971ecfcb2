"""Stores: where the turn log lives."""
