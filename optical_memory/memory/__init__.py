"""The two memories: a session over a turn log, and contexts for a list of messages that the caller keeps."""

from .optical_memory import ErasureProof, ErasureReport, MemoryStats, OpticalMemory

__all__ = ["ErasureProof", "ErasureReport", "MemoryStats", "OpticalMemory"]
