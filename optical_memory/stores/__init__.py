"""Stores: where the turn log lives."""

from .base import DerivedCache, SessionId, SessionInfo, Store, TurnLog, default_url, open_store

__all__ = ["DerivedCache", "SessionId", "SessionInfo", "Store", "TurnLog", "default_url", "open_store"]
