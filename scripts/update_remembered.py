"""Draw docs/remembered.png: the same lines of one page at each tier, enlarged; `make docs` runs it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from optical_memory import OpticalMemory
from optical_memory.demo import conversation
from optical_memory.pages.tiers import Tier
from optical_memory.renderers.png import decode_grey, resize

PICTURE = Path(__file__).parent.parent / "docs" / "remembered.png"
FONT = Path(__file__).parent.parent / "optical_memory" / "renderers" / "fonts" / "OpticalMemorySans.ttf"
LINES = (0.0, 0.044, 0.5, 0.1435)  # left, top, right, bottom of the part that is shown, as shares of a page's sides
SCALE = 2  # pixels of the picture for one of a Base page
GAP = 34
ABRIDGED = 16.0  # pixels of the letters of an abridged page, on the sealed canvas


def part_of(png: bytes) -> Image.Image:
    """The lines as the model gets them, each of its pixels enlarged to a square."""
    image = decode_grey(png)
    left, top, right, bottom = (round(share * image.size[place % 2]) for place, share in enumerate(LINES))
    size = (round((LINES[2] - LINES[0]) * 1024 * SCALE), round((LINES[3] - LINES[1]) * 1024 * SCALE))
    return image.crop((left, top, right, bottom)).resize(size, Image.Resampling.NEAREST)


def parts() -> dict[str, Image.Image]:
    """The same lines of a page of the demo's conversation, by what they cost and how large their letters are."""
    with OpticalMemory("remembered", store="memory://", renderer="chromium", shape=("tiny",)) as memory:
        memory.extend(list(conversation().messages)[:80])
        memory.context()
        page, style = memory.pages(draw=True)[0], memory.profile.page_style()
        sealed = page.image(Tier.BASE)
        found = {}
        for tier in (Tier.BASE, Tier.SMALL, Tier.TINY):
            side = max(page.size(tier))
            cost = f"{tier.label}: {memory.profile.page_tokens(*page.size(tier), tier)} tokens a page"
            shrunk = sealed if side == page.width else resize(sealed, side, style.faint_levels)
            found[f"{cost}, letters of {style.font_size * side / page.width:.1f} px"] = part_of(shrunk)
            if page.is_shaped(tier):
                found[f"{cost}, abridged, letters of {ABRIDGED * side / page.width:.1f} px"] = part_of(page.image(tier))
    return found


def main() -> None:
    """Put the parts below each other."""
    drawn = parts()
    width, height = next(iter(drawn.values())).size
    sheet = Image.new("L", (width + 20, (height + GAP) * len(drawn) + 10), 255)
    pen, font = ImageDraw.Draw(sheet), ImageFont.truetype(str(FONT), 20)
    for place, (label, part) in enumerate(drawn.items()):
        top = place * (height + GAP)
        pen.text((10, top + 6), label, fill=0, font=font)
        sheet.paste(part, (10, top + GAP))
    sheet.quantize(16).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
