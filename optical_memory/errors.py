"""Every error of the library, in one tree.

Misuse: the caller passed something wrong; nothing was stored or changed.

    ValueError
    ├── InvalidTurn             a message that cannot be a turn
    │   ├── UnsupportedContent  content that is neither text nor picture
    │   └── UnknownToolCall     a tool result whose call the session never saw
    ├── UnknownName             no renderer, store or reader of that name
    ├── BudgetTooSmall          what must be kept as text is larger than the budget
    └── ContextTooLong          a context has more positions than the reader's model

    LookupError
    └── TurnNotFound            no turn of that number in the session

Failure: the world did not cooperate; the caller did nothing wrong.

    OpticalMemoryError
    ├── MissingExtra            an optional package is not installed (also an ImportError)
    ├── StoreError
    │   ├── StoreUnavailable    the store does not answer
    │   ├── SessionCorrupted    entries of a session are missing or unreadable
    │   ├── LengthConflict      the session is not as long as the caller expected
    │   └── WrongKey            no key at hand opens what the store holds
    ├── RenderError             a page could not be drawn
    │   ├── BrowserNotFound     no Chromium to draw with
    │   └── DriverNotStarted    Playwright's driver, which speaks to the browser, does not start
    ├── DocumentError           a document could not be opened or read
    │   ├── DocumentLocked      it is encrypted, and the password is missing or wrong
    │   └── DocumentLimit       it takes more time, pages, pixels or memory than it is given
    └── ReaderError             a reader could not do its work
        ├── ReaderUnavailable   the server behind a reader does not answer, or refuses
        ├── ProgramNotFound     a program that a reader runs, or its language data, is not on this machine
        ├── WeightsNotFound     a model's weights are not on this machine
        └── WeightsMismatch     weights that do not fit the model
"""

from __future__ import annotations

from .text.excerpts import excerpt

__all__ = [
    "BrowserNotFound",
    "BudgetTooSmall",
    "ContextTooLong",
    "DocumentError",
    "DocumentLimit",
    "DocumentLocked",
    "DriverNotStarted",
    "InvalidTurn",
    "LengthConflict",
    "MissingExtra",
    "OpticalMemoryError",
    "ProgramNotFound",
    "ReaderError",
    "ReaderUnavailable",
    "RenderError",
    "SessionCorrupted",
    "StoreError",
    "StoreUnavailable",
    "TurnNotFound",
    "UnknownName",
    "UnknownToolCall",
    "UnsupportedContent",
    "WeightsMismatch",
    "WeightsNotFound",
    "WrongKey",
]


class OpticalMemoryError(Exception):
    """Something outside the caller's control failed."""


class MissingExtra(OpticalMemoryError, ImportError):
    """An optional package is missing; the message says what to install."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional package. Install it with: pip install 'optical-memory[{extra}]'")
        self.extra = extra


class StoreError(OpticalMemoryError):
    """A store failed."""


class StoreUnavailable(StoreError):
    """The store does not answer. Nothing is known about the session: it is not empty."""


class SessionCorrupted(StoreError):
    """Entries of a session are missing or unreadable.

    Attributes:
        session: the session's name, where it is known.
        missing: numbers of the turns that are lost or cannot be read, as far as that can be told.
    """

    def __init__(self, message: str, *, session: str | None = None, missing: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.session, self.missing = session, missing


class LengthConflict(StoreError):
    """Turns were to be appended to a session of an expected length, and another writer was faster. Nothing was stored.

    Attributes:
        expected: the length asked for.
        length: the session's length now.
    """

    def __init__(self, session: str, expected: int, length: int) -> None:
        super().__init__(f"session {excerpt(session)} has {length} turns, not {expected} as expected: read what is new, then append again")
        self.expected, self.length = expected, length


class WrongKey(StoreError):
    """No key at hand opens what the store holds, or it was changed."""


class RenderError(OpticalMemoryError):
    """A page could not be drawn. Its turns are untouched in the log."""


class BrowserNotFound(RenderError):
    """No Chromium was found; the message says where it was looked for and what to install."""


class DriverNotStarted(RenderError):
    """Playwright's driver, the Node.js that speaks to the browser, does not start; the message says why and what to do.

    Attributes:
        node: the path of its Node.js.
        why: what is missing.
        advice: what to do, such as `apt install libatomic1`.
    """

    def __init__(self, node: str, why: str, advice: str) -> None:
        super().__init__(f"Playwright's driver {node!r} does not start: {why}. What helps: {advice}; or renderer='pillow'.")
        self.node, self.why, self.advice = node, why, advice


class DocumentError(OpticalMemoryError):
    """A document could not be opened or read. Nothing of it was stored."""


class DocumentLocked(DocumentError):
    """A document is encrypted, and the password is missing or wrong; the message says what to do."""


class DocumentLimit(DocumentError):
    """A document takes more than it is given; the message says what of, and how to give it more.

    Attributes:
        limit: the field of `documents.limits.Limits`.
    """

    def __init__(self, message: str, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class ReaderError(OpticalMemoryError):
    """A reader could not do its work."""


class ReaderUnavailable(ReaderError):
    """The server behind a reader does not answer, or refuses. Nothing is known about the page: it is not blank."""


class ProgramNotFound(ReaderError):
    """A program that a reader runs, or a part of it, is not on this machine; the message says what to install."""

    def __init__(self, what: str, package: str) -> None:
        super().__init__(f"{what}. Install it with: apt install {package}")
        self.package = package


class WeightsNotFound(ReaderError):
    """A model's weights are not on this machine; the message says which command brings them."""


class WeightsMismatch(ReaderError):
    """Weights that do not fit the model; the message names every missing, unexpected and misshapen key."""


class InvalidTurn(ValueError):
    """A message that cannot become a turn. Nothing of its batch was stored."""


class UnsupportedContent(InvalidTurn):
    """Content that is neither text nor a picture."""


class UnknownToolCall(InvalidTurn):
    """A tool result that answers a call which the session never saw."""


class UnknownName(ValueError):
    """No back end of that name; the message lists the known ones."""

    def __init__(self, kind: str, name: str, known: list[str], hint: str = "") -> None:
        super().__init__(f"unknown {kind} {excerpt(name)}; known: {', '.join(sorted(known))}{hint}")
        self.name = name


class BudgetTooSmall(ValueError):
    """What must be kept as text does not fit the budget.

    Attributes:
        budget: the budget asked for, in the reader's tokens.
        needed: the smallest budget that would do now.
        unshown: how many pages pinned turns have that are text because a request cannot hold so many images; 0 if it can.
    """

    def __init__(self, budget: int, needed: int, unshown: int = 0) -> None:
        why = f" Pinned turns have {unshown} pages, more images than the reader takes in a request, so they are text." if unshown else ""
        super().__init__(
            f"a budget of {budget} tokens is too small: the newest turns and the pinned pages need {needed}.{why} "
            f"Pass budget={needed} or more, or unpin turns{': recall returns their words' if unshown else ''}."
        )
        self.budget = budget
        self.needed = needed
        self.unshown = unshown


class ContextTooLong(ValueError):
    """A context that does not fit a model's positions. The decoder has computed nothing.

    Attributes:
        needed: positions of the context, the question and the answer's room.
        available: positions of the model.
    """

    def __init__(self, needed: int, available: int, advice: str) -> None:
        super().__init__(f"{needed} positions are needed and the model has {available}. {advice}")
        self.needed = needed
        self.available = available


class TurnNotFound(LookupError):
    """No turn of that number in the session."""

    def __init__(self, number: int, length: int) -> None:
        where = f"this session has turns #1 to #{length}, less what was erased" if length else "this session is empty"
        super().__init__(f"no turn #{number}: {where}")
        self.number = number
