from __future__ import annotations

import base64
import io
import wave
import zlib

import pytest

from optical_memory.profiles.opaque_costs import NAMED_FILE, opaque_tokens
from optical_memory.profiles.pricing import Pricing
from optical_memory.readers import profile_of
from optical_memory.turns.block_words import Opaque
from optical_memory.turns.from_messages import turn_of

PROFILE = profile_of("gpt-4o")


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def recording(seconds: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(bytes(32_000 * seconds))
    return file.getvalue()


def test_a_pdf_costs_its_pages_also_if_they_are_compressed() -> None:
    one = opaque_tokens(Opaque("application/pdf", encoded(b"%PDF /Type /Pages /Type /Page ")), PROFILE)
    plain = encoded(b"%PDF" + b"/Type/Page " * 7)
    packed = encoded(b"%PDF /Type /ObjStm /N 7 >>\nstream\n" + zlib.compress(b"/Type /Page " * 7) + b"\nendstream")
    assert opaque_tokens(Opaque("application/pdf", plain), PROFILE) == opaque_tokens(Opaque("application/pdf", packed), PROFILE) == 7 * one
    assert 3_000 < one < 6_000
    assert opaque_tokens(Opaque("application/pdf", "not base64!"), PROFILE) == one, "at least one page"


def test_sounds_cost_by_their_length() -> None:
    minute = opaque_tokens(Opaque("audio/wav", encoded(recording(60))), PROFILE)
    assert 60 * 32 <= minute <= 62 * 32


@pytest.mark.parametrize(
    ("data", "tokens"),
    [(Opaque("", "A" * 4_000), 1_000), (Opaque("application/zip", "A" * 4_000), 1_000), (Opaque("application/pdf", ""), NAMED_FILE)],
)
def test_sealed_data_and_named_files(data: Opaque, tokens: int) -> None:
    assert opaque_tokens(data, PROFILE) == tokens


def test_a_turn_costs_what_its_blocks_hold() -> None:
    def cost(*blocks: object, **extra: object) -> int:
        return Pricing(PROFILE).cost(turn_of({"role": "assistant", "content": list(blocks), **extra}))

    bare = cost({"type": "text", "text": "ok"})
    assert cost({"type": "text", "text": "ok"}, {"type": "redacted_thinking", "data": "A" * 4_000}) == bare + 1_000
    assert cost({"type": "thinking", "thinking": "", "signature": "A" * 4_000}, {"type": "text", "text": "ok"}) == bare + 1_000
    assert cost({"type": "text", "text": "ok"}, extra_content={"x": "A" * 4_000}) == bare, "not sent"
    named = cost({"type": "text", "text": "ok"}, {"type": "input_image", "file_id": "file-1"})
    assert named > bare + 85, "a picture"
