"""Pydantic AI: a capability that shows the past of a run as pages."""

from .capability import OpticalMemoryCapability

__all__ = ["OpticalMemoryCapability"]
