"""A report: one self-contained HTML file, with images and style inside, and without scripts or requests.

It shows what the memory would send to a model: every page at its tier, and the cost. All text of a conversation is escaped, and a content
security policy blocks everything else.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

from ..line_chart import Line, line_chart
from ..pages.page import Page
from ..pages.tiers import Tier
from .ladder import Ladders, ladders_section

__all__ = ["Growth", "Recalled", "Report", "ReportPage", "to_html"]

GREYS = 8  # of the timeline's pictures
SCALE = 5  # page pixels per CSS pixel in the timeline; a popover shows the full size


@dataclass(frozen=True, slots=True)
class Growth:
    """Cost of a context when the conversation had `turns` turns. The other counts are tokens."""

    turns: int
    text_tokens: int
    sent_tokens: int
    vision_tokens: int
    pages_by_tier: dict[Tier, int]
    turns_left_out: int = 0


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A page of the past.

    Attributes:
        index: index among the pages, from 1.
        first_turn, last_turn: numbers of its first and last turn.
        tier: its tier; None if it is left out of the context.
        size: width and height of the image sent, in pixels.
        tokens: its cost in the reader's tokens.
        text_tokens: cost of its turns as text.
        shown: the PNG sent to the model; empty if it is left out.
        sealed: PNG of the page as it was drawn; empty to leave it out of the report.
        sidecar: its exact strings.
    """

    index: int
    first_turn: int
    last_turn: int
    tier: Tier | None
    size: tuple[int, int]
    tokens: int
    text_tokens: int
    shown: bytes
    sealed: bytes
    sidecar: tuple[str, ...] = ()

    @classmethod
    def of(cls, page: Page, tier: Tier | None, *, sealed: bool) -> ReportPage:
        """Return what a report shows of a page. Raises `RenderError` if its image was lost and cannot be redrawn.

        Args:
            tier: its tier in the context; None if it is left out.
            sealed: also the page as it was drawn.
        """
        return cls(
            index=page.index,
            first_turn=page.first_turn,
            last_turn=page.last_turn,
            tier=tier,
            size=page.size(tier or Tier.TINY),
            tokens=page.tokens(tier) if tier else 0,
            text_tokens=page.text_tokens,
            shown=page.image(tier) if tier else b"",
            sealed=page.image(Tier.GUNDAM) if sealed else b"",
            sidecar=page.sidecar,
        )


@dataclass(frozen=True, slots=True)
class Recalled:
    """A question to `recall`, and the turns that came back: (number, role, text)."""

    question: str
    turns: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The report's data. `fading` is one page at every tier, sharpest first; `facts` are pairs of name and value for the footer.

    `ladders`: what policies show within a budget; None to leave that out.
    """

    title: str
    source: str
    growth: tuple[Growth, ...]
    pages: tuple[ReportPage, ...]
    recent_turns: tuple[int, int] | None
    recalls: tuple[Recalled, ...] = ()
    fading: tuple[tuple[Tier, bytes], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    ladders: Ladders | None = None


def to_html(report: Report) -> str:
    """Return the whole HTML file. Raises `ValueError` if the report has no growth data."""
    if not report.growth:
        raise ValueError("a report needs at least one point of growth")
    style = resources.files("optical_memory").joinpath("demo/report.css").read_text("utf-8")
    sections = [_header(report), _growth(report.growth), _timeline(report), _fading(report.fading), _tiers(report.pages)]
    sections += [ladders_section(report.ladders) if report.ladders else ""]
    sections += [_recalls(report.recalls), _foot(report.facts)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(report.title)}</title><style>{style}</style></head>\n<body><main>"
        + "\n".join(section for section in sections if section)
        + "</main></body></html>\n"
    )


def _header(report: Report) -> str:
    last = report.growth[-1]
    in_context = sum(1 for page in report.pages if page.tier is not None)
    tiles = [
        (f"{last.turns:,}", "turns, every one kept word for word"),
        (f"{last.text_tokens:,}", "tokens as text"),
        (f"{last.sent_tokens:,}", "tokens as sent"),
        (_ratio(last.text_tokens, last.sent_tokens), "times fewer"),
        (
            f"{in_context:,}",
            "pages in the context" + (f", {len(report.pages) - in_context} faded out" if in_context < len(report.pages) else ""),
        ),
    ]
    items = "".join(f"<li><strong>{escape(value)}</strong> {escape(label)}</li>" for value, label in tiles)
    return f'<header><h1>{escape(report.title)}</h1><p>{escape(report.source)}</p><ul class="tiles">{items}</ul></header>'


def _growth(growth: Sequence[Growth]) -> str:
    if len(growth) < 2:
        return ""
    lines = [
        Line("as text", "as-text", tuple((point.turns, point.text_tokens) for point in growth)),
        Line("as sent", "as-sent", tuple((point.turns, point.sent_tokens) for point in growth)),
    ]
    chart = line_chart(
        "Tokens as text and as sent while the conversation grows", lines, x_label="turns of the conversation", y_label="tokens"
    )
    rows = "".join(_growth_row(point) for point in growth)
    heads = "".join(
        f'<th scope="col">{head}</th>' for head in ("turns", "as text", "as sent", "of it pictures", "times fewer", "left out", "pages")
    )
    return (
        f"<section><h2>While it grows</h2>{chart}<details><summary>The same as a table</summary>"
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></details></section>'
    )


def _growth_row(point: Growth) -> str:
    pages = ", ".join(f"{count} {tier.label}" for tier, count in sorted(point.pages_by_tier.items(), reverse=True) if count)
    numbers = [f"{number:,}" for number in (point.turns, point.text_tokens, point.sent_tokens, point.vision_tokens)]
    numbers += [_ratio(point.text_tokens, point.sent_tokens), f"{point.turns_left_out:,}", pages or "none"]
    return _row("td", numbers)


def _timeline(report: Report) -> str:
    items = "".join(_page_item(page) for page in report.pages)
    if report.recent_turns:
        first, last = report.recent_turns
        items += f'<li class="recent"><p>#{first} to #{last}</p><p>the newest turns, handed over as text</p></li>'
    beside = ", next to the page as it was sealed" if any(page.sealed for page in report.pages) else ""
    return (
        "<section><h2>The past, oldest first</h2><p>Each page as the model is given it now, a fifth of its real size. "
        f'Press one to read it{beside}.</p><ol class="timeline">{items}</ol></section>'
    )


def _page_item(page: ReportPage) -> str:
    tier = page.tier.label if page.tier else "out"
    width, height = (round(side / SCALE) for side in page.size)
    name = f"Page {page.index}, turns #{page.first_turn} to #{page.last_turn}"
    face = (
        f'<img src="{_data_url(_small(page))}" width="{width}" height="{height}" alt="" loading="lazy">'
        if page.shown
        else "<span>out</span>"
    )
    cost = f"{page.tokens:,} for {page.text_tokens:,}" if page.tier else f"{page.text_tokens:,} left out"
    return (
        f'<li class="{tier}"><button type="button" popovertarget="page-{page.index}" aria-label="{name}, {tier}: open">{face}</button>'
        f"<p><b>#{page.first_turn}–{page.last_turn}</b> {tier}<br>{cost}</p>{_popover(page, name)}</li>"
    )


def _small(page: ReportPage) -> bytes:
    """Return the picture of the timeline: twice its size there, for dense screens."""
    from ..renderers.png import resize

    width, height = (max(1, 2 * round(side / SCALE)) for side in page.size)
    return resize(page.shown, (width, height), GREYS)


def _popover(page: ReportPage, name: str) -> str:
    sealed = _figure(page.sealed, f"{name}, as it was sealed", "as it was sealed") if page.sealed else ""
    shown = ""
    if page.tier and page.shown:
        caption = f"as the model is given it: {page.tier.label}, {page.size[0]} × {page.size[1]} px, {page.tokens:,} tokens"
        shown = _figure(page.shown, f"{name}, {page.tier.label}", caption)
    strings = "".join(f"<li><code>{escape(string)}</code></li>" for string in page.sidecar)
    sidecar = f'<h4>Beside it as text: its exact strings</h4><ul class="sidecar">{strings}</ul>' if strings else ""
    close = f'<button type="button" class="close" popovertarget="page-{page.index}" popovertargetaction="hide">Close</button>'
    return (
        f'<div id="page-{page.index}" class="opened" popover role="dialog" aria-label="{name}">{close}<h3>{name}</h3>'
        f'<div class="pair">{shown}{sealed}</div>{sidecar}</div>'
    )


def _figure(png: bytes, alt: str, caption: str) -> str:
    return f'<figure><img src="{_data_url(png)}" alt="{escape(alt)}" loading="lazy"><figcaption>{escape(caption)}</figcaption></figure>'


def _fading(fading: Sequence[tuple[Tier, bytes]]) -> str:
    if not fading:
        return ""
    items = "".join(
        f'<figure><div class="crop"><img src="{_data_url(png)}" alt="The upper left corner of a page at {tier.label}"></div>'
        f"<figcaption><b>{tier.label}</b> {tier.side} px, {tier.sequence_length} tokens</figcaption></figure>"
        for tier, png in fading
    )
    return (
        "<section><h2>How a page fades</h2><p>The same corner of one page at every tier, drawn to the same size.</p>"
        f'<div class="fading">{items}</div></section>'
    )


def _tiers(pages: Sequence[ReportPage]) -> str:
    rows = "".join(_tier_row(tier, [page for page in pages if page.tier is tier]) for tier in sorted(Tier, reverse=True))
    out = [page for page in pages if page.tier is None]
    rows += _tier_row(None, out) if out else ""
    table = _table(("tier", "pages", "tokens as text", "tokens as pictures", "times fewer"), rows)
    return f"<section><h2>Tier by tier</h2>{table}</section>"


def _tier_row(tier: Tier | None, pages: Sequence[ReportPage]) -> str:
    text, sent = sum(page.text_tokens for page in pages), sum(page.tokens for page in pages)
    label = tier.label if tier else "out"
    name = f"{label} <small>{tier.side} px</small>" if tier else "out of the context, found by recall"
    return (
        f'<tr><th scope="row"><i class="swatch {label}"></i>{name}</th><td>{len(pages)}</td><td>{text:,}</td><td>{sent:,}</td>'
        f"<td>{_ratio(text, sent)}</td></tr>"
    )


def _recalls(recalls: Sequence[Recalled]) -> str:
    if not recalls:
        return ""
    cards = "".join(f"<article><h3><code>{escape(item.question)}</code></h3>{_recalled_turns(item)}</article>" for item in recalls)
    return f'<section><h2>Nothing is lost: recall</h2><div class="recalls">{cards}</div></section>'


def _recalled_turns(recalled: Recalled) -> str:
    return "".join(f"<h4>#{number} {escape(role)}</h4><blockquote>{escape(text)}</blockquote>" for number, role, text in recalled.turns)


def _foot(facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    return f"<footer><dl>{rows}</dl></footer>" if rows else ""


def _table(heads: Sequence[str], rows: str) -> str:
    return f'<div class="scroll"><table><thead>{_row("th", heads)}</thead><tbody>{rows}</tbody></table></div>'


def _row(cell: str, texts: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{cell}>{text}</{cell}>" for text in texts) + "</tr>"


def _ratio(text: int, sent: int) -> str:
    return f"{text / sent:.1f}" if sent else "–"


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
