"""No error, warning or log line quotes a secret, however bad the message that holds it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from optical_memory.turns.from_messages import turn_of
from optical_memory.turns.redaction import Secrets
from tests.planted import TOKENS
from tests.sampling import mostly_slow
from tests.secrets_in_errors.misuse import MESSAGES, memory_with, message, raised

OWN = "ACME-7391-8264-5502"  # of no known format: the memory's own pattern alone knows it

# Shapes in which it stands: at a cut, among other words, beside quotes.
AROUND: dict[str, Callable[[str], str]] = {
    "alone": lambda secret: secret,
    "at the cut": lambda secret: "x" * 40 + " " + secret + " and more",
    "at a later cut": lambda secret: "words " * 18 + secret,
    "among words": lambda secret: f"my key is '{secret}'\nkeep it",
    "in a long text": lambda secret: f"{secret} " + "more words " * 4_000,
}


KNOWN = {name: TOKENS[name](random.Random(5)) for name in ("github", "openai", "anthropic", "pypi", "jwt")}
SECRETS = {**KNOWN, "own": OWN}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("around", mostly_slow(AROUND, quick=("alone", "at the cut"), daily=("at a later cut", "among words")))
def test_messages_that_are_refused(tmp_path: Path, secret: str, around: str, watched: Callable[..., None]) -> None:
    memory = memory_with(tmp_path, Secrets(patterns=[r"ACME-[\d-]{14}"]))
    refused = []
    for kind, make in MESSAGES.items():
        given = make(AROUND[around](secret))
        for batch in ([given], [message(), given]):
            error = raised(lambda batch=batch: memory.extend(batch))  # type: ignore[misc]
            if error is not None:
                refused.append(kind)
                watched(secret, error)
    taken = {"pinned", "a lone object", "arguments that JSON lacks", "an id", "thinking"}
    taken |= {"a part of no type", "a part of an unknown type", "a part whose type it is", "a picture of an unknown source"}
    assert set(MESSAGES) - set(refused) <= taken, "they are misuse"
    assert len(memory) == sum(kind not in refused for kind in MESSAGES) * 3


@pytest.mark.parametrize("secret", KNOWN.values(), ids=KNOWN)
def test_messages_without_redaction_show_no_known_format_either(secret: str, watched: Callable[..., None]) -> None:
    for around in AROUND.values():
        for make in MESSAGES.values():
            if error := raised(lambda make=make, around=around: turn_of(make(around(secret)))):  # type: ignore[misc]
                watched(secret, error)
