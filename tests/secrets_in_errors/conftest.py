"""Looks for secrets in all that a failure tells: tracebacks with everything that hangs on them, logs, warnings."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Callable, Iterator

import pytest

from optical_memory.errors import UnknownName


@pytest.fixture
def watched(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[str, BaseException | str], None]]:
    """Looks for a secret, or a part of it that would help, in an exception's traceback, in what was logged and in warnings."""
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")

        def look(secret: str, error: BaseException | str) -> None:
            told = error if isinstance(error, str) else "".join(traceback.format_exception(error)) + repr(error) + causes(error)
            seen = "\n".join([told, caplog.text, *(str(each.message) for each in warned)])
            for start in range(0, len(secret) - 12):  # the first characters name the format
                part = secret[start + 4 : start + 12]
                assert part not in seen, f"{part} is in: {told[-600:]}"
            assert len(str(error)) < 1_000 or isinstance(error, str)

        yield look


def causes(error: BaseException | None, seen: frozenset[int] = frozenset()) -> str:
    """Everything that hangs on an exception, shown by `traceback` or not: causes, contexts, groups, arguments, fields."""
    if error is None or id(error) in seen:
        return ""
    seen |= {id(error)}
    fields = {} if isinstance(error, UnknownName) else vars(error)  # its `name` is there for the caller, and no message
    told = f"{error!s} {error.args!r} {getattr(error, '__notes__', '')} {fields!r}"
    beside = [error.__cause__, error.__context__, *(error.exceptions if isinstance(error, BaseExceptionGroup) else ())]
    return told + "".join(causes(each, seen) for each in beside)
