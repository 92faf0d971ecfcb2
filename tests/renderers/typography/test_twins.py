"""I, l and 0 look like no other sign, in every face and as every renderer draws them."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image, ImageChops, ImageFont

from optical_memory.pages.page import PageStyle
from optical_memory.renderers.base import Renderer
from optical_memory.renderers.geometry import Canvas
from optical_memory.renderers.typography.fonts import BUNDLED
from optical_memory.turns.exchanges import exchanges_of
from optical_memory.turns.turn import Turn

STYLE = PageStyle(width=600, height=400, columns=1, font_size=28, code_size=28)
LOOKS = {"plain": "{}", "bold": "**{}**", "code": "`{}`"}


def ink_of(renderer: Renderer, sign: str, look: str) -> list[int]:
    """How black each pixel row of a line full of `sign` is, from its first row with ink to its last."""
    turn = Turn(number=1, role="user", content=LOOKS[look].format(sign * 200))
    page = renderer.render(exchanges_of([turn]), STYLE)[0]
    line, top = Canvas(STYLE).line, Canvas(STYLE).margin + 3
    whole = ImageChops.invert(Image.open(BytesIO(page.png)).convert("L")).crop((0, top + 2 * line, STYLE.width, top + 3 * line))
    box = whole.getbbox()
    assert box is not None
    inked = whole.crop(box)
    return list(inked.resize((1, inked.height), Image.Resampling.BOX).tobytes())


@pytest.mark.parametrize("look", LOOKS)
def test_i_has_bars_at_its_head_and_foot(renderer: Renderer, look: str) -> None:
    ink = ink_of(renderer, "I", look)
    middle = ink[len(ink) // 2]
    assert max(ink[:3]) > 1.4 * middle and max(ink[-3:]) > 1.4 * middle


@pytest.mark.parametrize("look", LOOKS)
def test_l_has_a_tail_and_no_bar_on_both_sides_of_its_head(renderer: Renderer, look: str) -> None:
    ink = ink_of(renderer, "l", look)
    assert max(ink[-3:]) > 1.3 * ink[len(ink) // 2]
    if look != "code":
        assert max(ink[:3]) < 1.2 * ink[len(ink) // 2]


@pytest.mark.parametrize("look", LOOKS)
def test_zero_has_a_mark_inside_and_o_has_none(renderer: Renderer, look: str) -> None:
    """A dot, or a stroke in letters of whole pixels."""
    if renderer.name == "bitmap":
        zero, plain = (ink_of(renderer, sign, look) for sign in ("0", "O"))
        for share in (2, 3, 4):
            assert zero[len(zero) // share] > 1.2 * plain[len(plain) // share]
        return
    for sign, marked in (("0", True), ("O", False)):
        ink = ink_of(renderer, sign, look)
        middle, above = ink[len(ink) // 2], ink[len(ink) // 4 + 1]
        assert (middle > 1.08 * above) == marked, (sign, middle, above)


@pytest.mark.parametrize("style", BUNDLED)
@pytest.mark.parametrize(("one", "other"), ["Il", "I1", "l1", "I|", "l|", "1|"])
def test_twins_differ_in_a_third_of_their_ink(style: str, one: str, other: str) -> None:
    """On the default page, laid over each other with their left edges together. I and l of DejaVu Sans differ in a quarter."""
    font = ImageFont.truetype(BUNDLED[style], 14)
    masks = [Image.new("L", (16, 24)) for _ in range(2)]
    for mask, sign in zip(masks, (one, other), strict=True):
        glyph, (_, top) = font.getmask2(sign, anchor="ls")
        drawn = Image.frombytes("L", glyph.size, bytes(glyph))
        mask.paste(drawn, (1, 16 + top))
    apart = sum(ImageChops.difference(*masks).tobytes())
    assert apart > 0.33 * sum(sum(mask.tobytes()) for mask in masks) / 2


def test_accents_stand_over_the_middle_of_their_letter() -> None:
    """An accented I is as wide as I, and its accent is where the bars' middle is."""
    for style in ("sans", "bold"):
        font = ImageFont.truetype(BUNDLED[style], 200)
        left, _, right, _ = font.getbbox("I")
        assert font.getlength("I") == font.getlength("Í") == font.getlength("Ï")
        dots = font.getmask("Ï")
        head = Image.frombytes("L", dots.size, bytes(dots)).crop((0, 0, dots.size[0], 20)).getbbox()
        assert head is not None and abs((head[0] + head[2]) / 2 - dots.size[0] / 2) <= 4 and right > left
