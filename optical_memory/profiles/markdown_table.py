"""The reader profiles as a table in Markdown, for docs/readers.md."""

from __future__ import annotations

from ..pages.tiers import Tier
from .profile import ReaderProfile
from .registry import shipped_profiles

__all__ = ["markdown_tables"]


def markdown_tables() -> str:
    """What a full page costs each shipped reader at each rung, then its limits and the prices of its cache."""
    profiles = shipped_profiles().values()
    return "\n".join([*_prices(*profiles), "", *_limits(*profiles)]) + "\n"


def _prices(*profiles: ReaderProfile) -> list[str]:
    heads = [tier.label for tier in Tier]
    lines = [f"| reader | as of | page, font | {' | '.join(heads)} |", "|---|---|---|" + "--:|" * len(heads)]
    for profile in profiles:
        style = profile.page_style(pixels=True)
        letters = (
            f"{profile.page.cell[0]} x {profile.page.cell[1]} px cells" if profile.page and profile.page.cell else f"{style.font_size:g} px"
        )
        page = f"{style.width} x {style.height}, {letters}"
        lines.append(f"| `{profile.name}` | {profile.as_of} | {page} | {' | '.join(_price(profile, tier) for tier in Tier)} |")
    return lines


def _price(profile: ReaderProfile, tier: Tier) -> str:
    """Tokens, and behind them the side in pixels, the legible cell in square pixels, and the setting asked for."""
    if tier not in profile.rungs:
        return ""
    rung = profile.rungs[tier]
    details = [f"{rung.side or tier.side} px"]
    details += [f"{rung.cell_area} px²"] if rung.cell_area else []
    details += [asked] if (asked := rung.media_resolution or rung.detail) else []
    tokens = profile.page_tokens(*profile.page_style(pixels=True).pixel_size, tier)
    return f"**{tokens:,}** {', '.join(details)}" if tier in profile.ladder else f"({tokens:,} {', '.join(details)})"


def _limits(*profiles: ReaderProfile) -> list[str]:
    lines = [
        "| reader | pictures | MB of pictures | unshrunk square | cache: write | long | read | seconds | long | shortest prefix "
        "| dearer above |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for profile in profiles:
        limits, cache = profile.limits, profile.cache
        fields = [
            f"{limits.max_pictures:,}",
            f"{limits.max_bytes / 1e6:.1f}" if limits.max_bytes else "",
            f"{limits.no_resize:,} px" if limits.no_resize else "",
            *(f"{value:g}x" if value is not None else "" for value in (cache.write, cache.write_long, cache.read)),
            *(f"{value:,.0f}" if value else "" for value in (cache.seconds, cache.long_seconds, cache.minimum)),
            f"{cache.cliff.above:,}: {cache.cliff.factor:g}x" if cache.cliff else "",
        ]
        lines.append(f"| `{profile.name}` | {' | '.join(fields)} |")
    return lines
