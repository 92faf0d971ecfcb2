from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from optical_memory.renderers.png import decode_grey, encode_grey, resize

GRADIENT = Image.frombytes("L", (256, 8), bytes(range(256)) * 8)


def header(png: bytes) -> tuple[int, ...]:
    """Width, height, bit depth, colour type."""
    return struct.unpack(">IIBB", png[16:26])


@pytest.mark.parametrize(("levels", "depth"), [(2, 1), (3, 2), (4, 2), (8, 4), (16, 4), (17, 8), (256, 8)])
def test_bits_are_as_few_as_the_greys_need(levels: int, depth: int) -> None:
    png = encode_grey(GRADIENT, levels)
    assert header(png) == (256, 8, depth, 0)
    greys = sorted(set(decode_grey(png).tobytes()))
    assert len(greys) == levels
    assert (greys[0], greys[-1]) == (0, 255)


@given(width=st.integers(1, 40), height=st.integers(1, 9), levels=st.integers(2, 256), seed=st.binary(min_size=1, max_size=50))
def test_each_pixel_comes_back_as_the_nearest_grey(width: int, height: int, levels: int, seed: bytes) -> None:
    pixels = (seed * (width * height))[: width * height]
    back = decode_grey(encode_grey(Image.frombytes("L", (width, height), pixels), levels))
    assert back.size == (width, height)
    step = 255 / (levels - 1)
    depth = next(bits for bits in (1, 2, 4, 8) if 2**bits >= levels)
    slack = step / 2 + (255 / (2**depth - 1)) / 2
    assert all(abs(was - now) <= slack for was, now in zip(pixels, back.tobytes(), strict=True))


def test_every_chunk_is_well_formed() -> None:
    png = encode_grey(GRADIENT, 16)
    at, kinds = 8, []
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        assert zlib.crc32(png[at + 4 : at + 8 + length]) == struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0]
        kinds.append(kind)
        at += 12 + length
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]


def test_transparency_is_white_paper() -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert set(decode_grey(encode_grey(clear, 16)).tobytes()) == {255}


def test_the_same_bytes_in_another_process() -> None:
    program = (
        "import sys; from PIL import Image; from optical_memory.renderers.png import encode_grey, resize\n"
        "image = Image.frombytes('L', (256, 8), bytes(range(256)) * 8)\n"
        "sys.stdout.buffer.write(encode_grey(image, 16) + resize(encode_grey(image, 16), 100, 16))"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    here = encode_grey(GRADIENT, 16)
    assert other == here + resize(here, 100, 16)


@pytest.mark.parametrize(("side", "size"), [(128, (128, 4)), (64, (64, 2)), ((50, 60), (50, 60)), (256, (256, 8)), (1, (1, 1))])
def test_resize_keeps_the_shape_unless_told_both_sides(side: int | tuple[int, int], size: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(resize(encode_grey(GRADIENT, 16), side, 16))) as image:
        assert image.size == size


def test_resize_blurs_less_than_box_and_more_than_nearest() -> None:
    """A fine line pattern: nearest leaves extremes only, bicubic averages to mid grey."""
    lines = Image.frombytes("L", (64, 64), bytes([0, 255] * 32) * 64)
    small = decode_grey(resize(encode_grey(lines, 256), 32, 256)).tobytes()
    assert all(90 < value < 165 for value in small[33:-33])


@pytest.mark.parametrize("levels", [0, 1, 257])
def test_a_wrong_number_of_greys_is_named(levels: int) -> None:
    with pytest.raises(ValueError, match=f"levels={levels} "):
        encode_grey(GRADIENT, levels)


@pytest.mark.parametrize("side", [0, -3, (0, 5)])
def test_a_size_without_pixels_is_refused(side: int | tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        resize(encode_grey(GRADIENT, 16), side, 16)
