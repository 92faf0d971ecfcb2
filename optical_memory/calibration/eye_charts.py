"""Charts: pages of random text in numbered turns, some of which the reader is asked for. They cannot be guessed.

Words are random syllables, digits and letters are uniformly random, and each chart is drawn by the library's own renderer from turns, so
that it has the layout of a memory's pages: heads, two columns, gaps between exchanges. Random numbers depend on the seed and the chart's
name only: the same name gives the same chart on every machine, and no two names share a text.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..pages.page import Page, PageStyle
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile
from ..renderers.base import Renderer
from ..renderers.geometry import Canvas
from ..renderers.png import resize
from ..turns.exchanges import exchanges_of
from ..turns.turn import Turn

__all__ = ["BROKEN_ANYWHERE", "FILLS", "KINDS", "Chart", "ChartName", "Probe", "draw", "style_of", "text_of"]

FILLS = (0.95, 0.45, 0.7)  # filled share of the page, by round
ADVANCE = 0.57  # em; mean width of a letter of DejaVu Sans, including the larger digits of heads
HEAD = 10  # letters of a turn's head
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنهوي"
GB_ROWS, GB_CELLS = range(0xB0, 0xD7), range(0xA1, 0xFA)  # level 1 of GB 2312 in EUC-CN, less its last row: the 3,755 common characters
BROKEN_ANYWHERE = frozenset({"code", "paths", "hex", "chinese"})  # a line may end inside a word: spaces are not scored
Make = Callable[[random.Random], str]


@dataclass(frozen=True, slots=True)
class ChartName:
    """Identifies a chart: its kind of text, its tier and font size, and its round."""

    kind: str
    tier: Tier
    font_size: float
    round: int

    def __str__(self) -> str:
        return f"{self.kind}/{self.tier.label}/{self.font_size:g}/{self.round}"


@dataclass(frozen=True, slots=True)
class Probe:
    """A turn that the reader is asked for, identified by its number."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart.

    Attributes:
        page: the page as a memory would seal it; `page.image(tier)` is sent to the reader.
        fill: share of the page with content.
    """

    name: ChartName
    page: Page
    probes: tuple[Probe, ...]
    fill: float


def _word(rng: random.Random, least: int = 2, most: int = 3) -> str:
    syllables = (rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.randint(least, most)))
    return "".join(syllables) + rng.choice(["", "n", "s", "r", "k"])


def _prose(rng: random.Random) -> str:
    words = [_word(rng) for _ in range(rng.randint(5, 9))]
    words[rng.randrange(1, 4)] += ","
    return " ".join(words).capitalize() + "."


def _code(rng: random.Random) -> str:
    names = [f"{_word(rng)}_{_word(rng, 1, 2)}" for _ in range(3)]
    forms = ("{0}[{3}] = {1}.{2}(0x{4:02x})", "if {0} >= {3}: {1}({2})", "{0} = {1} * {3} - {2}", "{0}.{1}({2}, {3}, *{5})")
    return rng.choice(forms).format(*names, rng.randrange(1000), rng.randrange(256), _word(rng, 1, 1))


def _numbers(rng: random.Random) -> str:
    forms = ("{:,}.{:02}", "{:,} {:02}", "-{:,}.{:02}", "{:,}:{:02}")
    return rng.choice(forms).format(rng.randrange(10_000, 100_000_000), rng.randrange(100))


def _hex(rng: random.Random) -> str:
    return f"{rng.getrandbits(48):012x}"


def _names(rng: random.Random) -> str:
    return f"{_word(rng).capitalize()} {rng.choice('BDGKLMPRSTV')}. {_word(rng, 2, 4).capitalize()}"


def _paths(rng: random.Random) -> str:
    folders = "/".join(_word(rng, 1, 3) for _ in range(rng.randint(2, 4)))
    return f"/{folders}/{_word(rng)}{rng.choice('-.')}{rng.randrange(100)}.{rng.choice(['py', 'rs', 'log', 'json', 'tar'])}"


def _chinese(rng: random.Random) -> str:
    return "".join(bytes((rng.choice(GB_ROWS), rng.choice(GB_CELLS))).decode("gb2312") for _ in range(rng.randint(8, 16)))


def _arabic(rng: random.Random) -> str:
    return " ".join("".join(rng.choice(ARABIC) for _ in range(rng.randint(3, 6))) for _ in range(rng.randint(3, 6)))


KINDS: dict[str, Make] = {
    "prose": _prose,
    "code": _code,
    "numbers": _numbers,
    "hex": _hex,
    "names": _names,
    "paths": _paths,
    "chinese": _chinese,
    "arabic": _arabic,
}


def text_of(kind: str, rng: random.Random) -> str:
    """Return a random text of a kind."""
    return KINDS[kind](rng)


def style_of(font_size: float, profile: ReaderProfile) -> PageStyle:
    """Return the reader's page style with another font size; numbers keep their ratio to the text."""
    style = profile.page_style()
    number_size = font_size * style.number_size / style.font_size
    return replace(style, font_size=font_size, code_size=font_size, number_size=number_size, crop=False)


def draw(name: ChartName, renderer: Renderer, profile: ReaderProfile, *, seed: int, probes: int) -> Chart:
    """Draw a chart for a reader with `probes` probes, or as many as its page holds.

    Raises `RenderError`; `ValueError` if no available font has the characters of its kind.
    """
    rng = random.Random(f"{seed}/{name}")
    style = style_of(name.font_size, profile)
    turns = _turns(name, rng, style, probes)
    rendered = renderer.render(exchanges_of([turn for turn, _ in turns]), style)[0]
    if rendered.missing_glyphs:
        raise ValueError(f"no font here draws {name.kind}: {rendered.missing_glyphs} characters would be boxes")
    whole = {segment.turn for segment in rendered.segments if not segment.continued and not segment.continues}
    shown = [Probe(turn.number, text) for turn, text in turns if turn.number in whole]
    asked = sorted(rng.sample(shown, min(probes, len(shown))), key=lambda probe: probe.number)
    page = Page(
        key=f"{seed}/{name}/{renderer.fingerprint}",
        index=name.round + 1,
        segments=rendered.segments,
        text_tokens=sum(len(turn.text) for turn, _ in turns if turn.number in whole) // 2,  # random letters take more tokens than words
        sidecar=(),
        width=rendered.width,
        height=rendered.height,
        picture_of=lambda page, tier: _shown(rendered.png, page, tier, style),
        size_of=lambda page, tier: profile.shown_size(page.width, page.height, tier),
    )
    return Chart(name, page, tuple(asked), rendered.fill)


def _turns(name: ChartName, rng: random.Random, style: PageStyle, probes: int) -> list[tuple[Turn, str]]:
    """Make turns until the page is about as full as its round requires; numbers rise in random steps, so that they cannot be guessed."""
    canvas = Canvas(style)
    wanted = FILLS[name.round % len(FILLS)] * style.columns * canvas.height
    number, used, found = rng.randrange(20, 90), 0.0, list[tuple[Turn, str]]()
    while used < wanted or len(found) < probes:
        text = text_of(name.kind, rng)
        content = f"```\n{text}\n```" if name.kind == "code" else text
        found.append((Turn(number=number, role="assistant" if len(found) % 2 else "user", content=content), text))
        number += rng.randint(1, 4)
        wide = 1.0 if name.kind == "chinese" else ADVANCE
        letters = HEAD * ADVANCE + len(text) * wide
        used += canvas.line * (1.3 + letters * style.font_size // canvas.text_width + (name.kind == "code"))
    return found


def _shown(png: bytes, page: Page, tier: Tier, style: PageStyle) -> bytes:
    """Scale the page to a tier, as a memory does."""
    size = page.size(tier)
    if size == (page.width, page.height):
        return png
    return resize(png, size, style.faint_levels if size[0] < page.width else style.grey_levels)
