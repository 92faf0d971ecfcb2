"""Optical memory for LLM agents: the past as page images that fade with age, the present as text, every turn kept word for word."""

from .context import Context, PagePart, TextPart, Usage
from .forgetting import ByAge, Forgetting, PageAge
from .memory import ErasureProof, ErasureReport, MemoryStats, OpticalMemory
from .pages import Box, Page, PageStyle, Segment
from .planning import Plan, WaterMarks
from .readers import ReaderProfile
from .tiers import Tier
from .turns import ImageContent, ReasoningContent, TextContent, ToolCall, ToolResultContent, Turn

__all__ = [
    "Box",
    "ByAge",
    "Context",
    "ErasureProof",
    "ErasureReport",
    "Forgetting",
    "ImageContent",
    "MemoryStats",
    "OpticalMemory",
    "Page",
    "PageAge",
    "PagePart",
    "PageStyle",
    "Plan",
    "ReaderProfile",
    "ReasoningContent",
    "Segment",
    "TextContent",
    "TextPart",
    "Tier",
    "ToolCall",
    "ToolResultContent",
    "Turn",
    "Usage",
    "WaterMarks",
]
