"""The reader profiles as a table in Markdown, for docs/readers.md."""

from __future__ import annotations

from ..tiers import Tier
from .profile import ReaderProfile, Rung
from .profiles import shipped_profiles

__all__ = ["markdown_tables"]

PAGE = 1024  # px; the side of a full page as it is sealed


def markdown_tables() -> str:
    """What a full page costs each shipped reader at each rung, then its limits and the prices of its cache."""
    profiles = shipped_profiles().values()
    return "\n".join([*_prices(*profiles), "", *_limits(*profiles)]) + "\n"


def _prices(*profiles: ReaderProfile) -> list[str]:
    heads = [f"{tier.label} {tier.side}" for tier in Tier]
    lines = [f"| reader | as of | {' | '.join(heads)} | legible cell |", "|---|---|" + "--:|" * len(heads) + "---|"]
    for profile in profiles:
        prices = [_price(profile, tier) for tier in Tier]
        cells = {_cell(rung) for rung in profile.rungs.values()} - {""}
        lines.append(f"| `{profile.name}` | {profile.as_of} | {' | '.join(prices)} | {', '.join(sorted(cells)) or 'not known'} |")
    return lines


def _price(profile: ReaderProfile, tier: Tier) -> str:
    if tier not in profile.rungs:
        return ""
    rung = profile.rungs[tier]
    asked = rung.media_resolution or rung.detail or ""
    price = f"{profile.page_tokens(PAGE, PAGE, tier):,}" + (f" {asked}" if asked else "")
    return price if tier in profile.ladder else f"({price})"


def _cell(rung: Rung) -> str:
    if rung.cell is None:
        return ""
    return f"{rung.cell} px²" if isinstance(rung.cell, int) else f"{rung.cell[0]}x{rung.cell[1]} px"


def _limits(*profiles: ReaderProfile) -> list[str]:
    lines = [
        "| reader | pictures | MB of pictures | unshrunk square | cache: write | long | read | seconds | long | shortest prefix |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for profile in profiles:
        limits, cache = profile.limits, profile.cache
        fields = [
            f"{limits.max_pictures:,}",
            f"{limits.max_bytes / 1e6:.1f}" if limits.max_bytes else "",
            f"{limits.no_resize:,} px" if limits.no_resize else "",
            *(f"{value:g}x" if value is not None else "" for value in (cache.write, cache.write_long, cache.read)),
            *(f"{value:,.0f}" if value else "" for value in (cache.seconds, cache.long_seconds, cache.minimum)),
        ]
        lines.append(f"| `{profile.name}` | {' | '.join(fields)} |")
    return lines
