"""Optical memory for LLM agents: the past as page images that fade with age, the present as text, every turn kept word for word."""

from .context.context import Context, PagePart, TextPart, Usage
from .context.plan import Plan
from .memory.embedding import Embedder
from .memory.optical_memory import ErasureProof, ErasureReport, MemoryStats, OpticalMemory
from .messages import to_anthropic, to_gemini, to_openai
from .pages.page import Box, Page, PageStyle, Segment
from .pages.tiers import Tier
from .planning.forgetting import BestUse, ByAge, Forgetting, PageAge
from .planning.triggers import WaterMarks
from .readers import ReaderProfile
from .turns.turn import ImageContent, ReasoningContent, TextContent, ToolCall, ToolResultContent, Turn

__all__ = [
    "BestUse",
    "Box",
    "ByAge",
    "Context",
    "Embedder",
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
    "to_anthropic",
    "to_gemini",
    "to_openai",
]
