"""The memory itself: a session over a log, or a view of messages that others keep."""

from .optical_memory import ErasureProof, ErasureReport, MemoryStats, OpticalMemory

__all__ = ["ErasureProof", "ErasureReport", "MemoryStats", "OpticalMemory"]
