"""Pydantic AI: a capability that replaces a run's past with pages."""

from .capability import OpticalMemoryCapability

__all__ = ["OpticalMemoryCapability"]
