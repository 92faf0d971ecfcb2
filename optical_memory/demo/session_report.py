"""The report of any session: what a context of it holds now, page by page."""

from __future__ import annotations

from ..context.context import Context
from ..memory.optical_memory import OpticalMemory
from .report import Growth, Report, ReportPage

__all__ = ["session_report"]


def session_report(memory: OpticalMemory, given: Context, *, sealed: bool = False) -> Report:
    """Return the report of a session.

    Args:
        given: the context to report.
        sealed: also embed every page as it was drawn, and pages left out of the context: files of megabytes.

    Raises `RenderError` if a page's image was lost and cannot be redrawn.
    """
    usage = given.usage
    tiers = {part.page.index: part.tier for part in given.pages}
    pages = [part.page for part in given.pages] if not sealed else memory.pages()
    recent = [turn.number for turn in given.turns]
    return Report(
        title=f"The session {memory.session.name}",
        source=f"What {memory.profile.name} would be given now.",
        growth=(
            Growth(
                len(memory),
                usage.text_tokens,
                usage.prompt_tokens,
                usage.vision_tokens,
                dict(usage.pages_by_tier),
                usage.turns_left_out,
            ),
        ),
        pages=tuple(ReportPage.of(page, tiers.get(page.index), sealed=sealed) for page in pages),
        recent_turns=(recent[0], recent[-1]) if recent else None,
        facts=(
            ("reader", memory.profile.name),
            ("renderer", memory.stats().renderer),
            ("text counted with", usage.counted_with),
            ("stable prefix", f"{usage.stable_prefix_tokens:,} tokens stay the same from call to call"),
        ),
    )
