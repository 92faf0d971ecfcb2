"""The memory of one session: append turns, build a context within a budget, recall any turn word for word."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Self, Unpack

from ..archive.drawn_ahead import DrawnAhead
from ..context.context import Context
from ..documents.limits import Limits
from ..errors import StoreError, StoreUnavailable, UnknownToolCall
from ..messages import to_format
from ..pages.page import Page
from ..planning.settings import ViewOptions, ViewSettings
from ..profiles.profile import ReaderProfile
from ..profiles.registry import profile_of
from ..stores.base import SessionId, Store, open_store
from ..text.excerpts import excerpt, masking
from ..turns.from_messages import TurnLike
from ..turns.redaction import redacted_turns
from ..turns.turn import Turn
from ..verification.base import Verification
from ..worker_threads import in_thread
from .ahead import Ahead, somebody_waits
from .attaching import Attachable, content_of_document, with_documents
from .batches import batch_of, place_of
from .context_builder import ContextBuilder
from .embedding import Embedder, Meanings
from .erasure import Erasure, ErasureProof, ErasureReport
from .library import Library
from .library_shelf import Shelf
from .question import NEWEST, asked_in, context_for
from .recall import Period, Recall
from .recall_everywhere import Recalled, recall_everywhere
from .recall_pages import MOST_DOCUMENTS, RecalledPage, pages_saying
from .rehearsal import rehearse
from .with_libraries import with_libraries

__all__ = ["ErasureProof", "ErasureReport", "MemoryStats", "OpticalMemory"]


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """A session's size, and counters since this object was opened (`replans` and the fields after it)."""

    turns: int
    pages: int
    pinned: int
    missing_glyphs: int
    replans: int
    pages_sealed: int
    pages_redrawn: int
    render_failures: int
    pages_verified: int
    verify_failures: int
    renderer: str
    store: str
    counted_with: str


class OpticalMemory:
    """Sends past turns as page images that shrink with age, recent turns as text; stores every turn word for word.

    Args:
        session: the session's name; any characters.
        store: a store's URL, or a store; the SQLite file in the user's data folder by default.
        reader: the model that reads the pages, by name, or a profile: it sets what tokens mean.
        tenant: sessions of different tenants never meet.
        keep_secrets_in_log: with `redact`, turns are stored, recalled and sent as text word for word, including secrets. False masks
            secrets before a turn is stored.
        embedder: finds turns by meaning as well, where `recall` and `context(question=...)` search by words; see `Embedder`.
        view: `renderer`, `forgetting`, `marks`, `style`, `sidecar_tokens`, `redact`, `verify`, `shape`; see
            `planning.settings.ViewOptions`.

    Raises `UnknownName` for an unknown reader, renderer, verifier or tier; `TypeError` for an unknown option.

    Thread-safe. Every method has an async version (`aappend`, ...) that runs it in a worker thread.
    """

    def __init__(
        self,
        session: str = "default",
        *,
        store: str | Store | None = None,
        reader: str | ReaderProfile = "deepseek-ocr",
        tenant: str | None = None,
        keep_secrets_in_log: bool = False,
        embedder: Embedder | None = None,
        ahead: bool | None = None,
        **view: Unpack[ViewOptions],
    ) -> None:
        if not isinstance(session, str) or not session:
            raise ValueError(f"a session's name is a non-empty string; got {excerpt(session)}")
        self.session = SessionId(session, tenant or "")
        self.profile = profile_of(reader)
        settings = ViewSettings.of(self.profile, **view)
        self._before_storing = None if keep_secrets_in_log else settings.redactor
        self._owns_store = store is None or isinstance(store, str)
        self._store = open_store(store) if store is None or isinstance(store, str) else store
        self._builder = ContextBuilder(self._store, self.session, settings, ahead=DrawnAhead())
        self._draws_ahead, self._ahead = ahead, Ahead()
        self._meanings = Meanings(embedder, self._store, self.session) if embedder else None
        self._recall = Recall(self._store, self.session, self._meanings)
        self._erasure = Erasure(self._store, self.session)
        self._lock = threading.RLock()

    # -- the log -------------------------------------------------------------------------------------------------------------------

    def append(self, turn: TurnLike, *, expected_length: int | None = None) -> Turn:
        """Store one turn, durably, and return it with its number.

        Takes a `Turn`, a chat message mapping in OpenAI's or Anthropic's shape, or `(role, content)`. A turn whose `id` is already stored
        changes nothing; the stored turn is returned. Renders nothing and calls no model. A PDF in a user's message is opened for its text,
        and becomes pages as if it were attached (`attach`); while its turn is text it is sent as it came.

        Args:
            expected_length: store only if the session has exactly this many turns; of concurrent writers that pass the same length, one
                succeeds.

        Raises `InvalidTurn` (`UnsupportedContent`, `UnknownToolCall`), `TypeError`, or `LengthConflict`, and stores nothing.
        After `StoreUnavailable`, append again with the same `id`. If the redactor fails: `OpticalMemoryError`, and nothing is stored.
        """
        return self.extend([turn], expected_length=expected_length)[0]

    def extend(self, turns: Iterable[TurnLike], *, expected_length: int | None = None) -> list[Turn]:
        """Store many turns atomically: all, or none if one is invalid; the error names it."""
        redactor = self._builder.settings.redactor
        with masking(redactor.redact if redactor else None):  # errors quote by its rules as well
            batch = [with_documents(turn) for turn in batch_of(list(turns))]
            if before := self._before_storing:
                batch = redacted_turns(batch, before)
            if not batch:
                return []
            self._refuse_unknown_calls(batch)
            stored = self._store.append(self.session, batch, expected_length=expected_length)
        self._draw_ahead(stored[-1])
        return stored

    def attach(
        self,
        source: Attachable,
        *,
        name: str | None = None,
        password: str | None = None,
        limits: Limits | None = None,
        **fields: Any,
    ) -> Turn:
        """Store a document as one turn whose pages are the document's own, and return the turn with its number.

        A PDF is opened in a process of its own, within limits, and its text layer stored beside the file: it is counted, searched, and sent
        as text where that is cheaper. Its pages are drawn when a context shows them, fade like all others, and are cited `#42 p. 7`. A
        picture becomes a turn with a picture; Markdown, HTML and text become a turn with their words. Nothing is fetched, no script runs.

        Args:
            source: a path, bytes, or a file opened for reading bytes.
            name: the document's name; by default that of the file.
            password: opens an encrypted PDF; stored with it, since its pages are drawn later.
            limits: what the PDF may take of time, pages, pixels and memory.
            fields: of the turn: `id`, `role` (`user` by default), `importance`, `pinned`, `created_at`, `metadata`.

        Raises `DocumentLocked` for a missing or wrong password, `DocumentLimit`, `DocumentError` for what is no document known here,
        `MissingExtra` without pypdfium2, `OSError`, and what `append` raises. Nothing is stored then.
        """
        content = content_of_document(source, name=name, password=password, limits=limits)
        return self.append({"role": "user", **fields, "content": list(content)})

    def _draw_ahead(self, newest: Turn) -> None:
        """Have drawn what the next context needs, once the assistant has answered: until the user's next turn nobody waits."""
        if self._draws_ahead and newest.role == "assistant" and not newest.tool_calls:
            self._ahead.ask(partial(rehearse, self._builder, self._store, self.session))

    def _refuse_unknown_calls(self, batch: Sequence[Turn]) -> None:
        made: set[str] = set()
        strangers: dict[str, int] = {}
        for place, turn in enumerate(batch):
            strangers.update({call_id: place for call_id in turn.answered_calls if call_id not in made})
            made.update(call.id for call in turn.tool_calls)
        known = self._store.known_calls(self.session, list(strangers)) if strangers else set()
        for call_id, place in strangers.items():
            if call_id not in known:
                raise UnknownToolCall(
                    f"{place_of(place, len(batch))}the tool result of {len(batch[place].text)} characters answers call {excerpt(call_id)}, "
                    f"which session {excerpt(self.session.name)} never saw; append the assistant turn that makes the call first"
                )

    def turns(self, start: int | None = None, stop: int | None = None) -> list[Turn]:
        """Return turns with start <= number < stop, word for word; all by default. Numbers begin at 1; erased turns are absent."""
        return self._store.read(self.session, max(1, start or 1), stop)

    def __len__(self) -> int:
        """Return the number of the newest turn."""
        return self._store.length(self.session)

    def pin(self, number: int) -> None:
        """Keep a turn's page at or above the reader's floor tier, and never leave it out. Raises `TurnNotFound`."""
        self._store.pin(self.session, number, True)

    def unpin(self, number: int) -> None:
        """Demote a turn's page by age again. Raises `TurnNotFound`."""
        self._store.pin(self.session, number, False)

    # -- contexts ------------------------------------------------------------------------------------------------------------------

    def context(
        self,
        budget: int | None = None,
        *,
        question: str | bool | None = None,
        libraries: Sequence[Library | str] = (),
        progress: Callable[[int], None] | None = None,
    ) -> Context:
        """Return pages of the past and recent turns as text, oldest first, in at most `budget` of the reader's tokens.

        Args:
            question: what the model is to answer; True for what the user said last. The turns that `recall` finds for it are added as
                text, word for word, before the newest exchange. A quarter of the budget, 400 tokens at most, is kept for them; they
                take up to 1,000 of what is left.
            libraries: documents to have beside the conversation, as `Library` objects, or by the names of libraries in this memory's store.
                Half of the budget, 8,000 tokens without one, holds an overview of them, and the pages that answer the question (what the
                user said last, if none is given); `context.plan.library` says which and why.
            progress: called with the number of pages whenever some were drawn; the first context of a long session draws many.

        Raises `BudgetTooSmall` if the turns that must stay text exceed the budget, `StoreUnavailable`.
        """
        self._ahead.stop()
        with somebody_waits(), self._builder.telling(progress):
            build = partial(context_for, question, builder=self._builder, find=self.recall, newest=self._newest)
            if not libraries:
                return build(budget)
            asked = asked_in(question if question is not None else True, self._newest)
            return with_libraries(self._shelves(libraries), asked, budget, self._builder.pricing, build)

    def _newest(self) -> list[Turn]:
        return self.turns(len(self) - NEWEST)

    def _shelves(self, libraries: Sequence[Library | str]) -> list[Shelf]:
        if isinstance(libraries, str | Library):
            libraries = [libraries]
        opened = [Library(each, store=self._store, tenant=self.session.tenant) if isinstance(each, str) else each for each in libraries]
        return [Shelf(library, self._builder.settings, self._builder.pricing) for library in opened]

    def messages(
        self,
        budget: int | None = None,
        *,
        question: str | bool | None = None,
        libraries: Sequence[Library | str] = (),
        dialect: str = "openai",
        **options: Any,
    ) -> list[dict[str, Any]]:
        """Return the context as messages for a provider's client.

        Args:
            question, libraries: see `context`.
            dialect: `openai` (chat completions), `anthropic` or `gemini`.
            options: passed on to `messages.to_openai` (`detail`), `to_anthropic` (`cache`).

        Raises what `context` raises; `UnknownName` for another dialect; `RenderError` if a page image was lost and cannot be redrawn.
        """
        return to_format(self.context(budget, question=question, libraries=libraries), dialect, **options)

    def pages(self, *, draw: bool = False) -> list[Page]:
        """Return all sealed pages, oldest first, also those outside the context. Raises `RenderError` without the renderer's browser.

        Args:
            draw: draw the turns first that contexts have left out without drawing them. All of them, however many.
        """
        return self._builder.pages(draw=draw)

    def verifications(self) -> list[Verification]:
        """Return the verifiers' results for all pages (by `key`), in every layout. Stored, and erased with the pages."""
        return self._builder.verifications()

    # -- recall and erasure --------------------------------------------------------------------------------------------------------

    def recall(
        self,
        query: str | int | Sequence[int] | None = None,
        limit: int = 5,
        *,
        exchange: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Turn]:
        """Find turns, word for word.

        Args:
            query: words to search for, best match first; or numbers, returned in that order; None for all turns of a period.
            limit: the most matches to return; does not apply to numbers.
            exchange: return the whole exchange around each match, in log order.
            since, until: only turns with since <= `created_at` < until.

        Raises `TurnNotFound` for a number that the session does not have.
        """
        period = Period(since, until)
        if query is None:
            found = self._recall.said(limit, period)
        elif isinstance(query, str):
            found = self._recall.saying(query, limit, period)
        elif isinstance(query, Iterable):
            found = self._recall.numbered(query, period)
        else:
            found = self._recall.numbered([query], period)
        return self._recall.with_exchanges(found) if exchange else found

    def recall_pages(self, query: str, limit: int = 5) -> list[RecalledPage]:
        """Find pages of attached documents by words, best first: each with its turn, its number, its text, and its picture on demand.

        Looks in the 50 turns with documents that answer best as a whole.
        """
        found = (turn for turn in self._recall.saying(query, len(self), Period()) if turn.documents)
        return pages_saying(islice(found, MOST_DOCUMENTS), query, limit, self._builder.document_page)

    def recall_everywhere(
        self,
        query: str,
        limit: int = 5,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Recalled]:
        """Find turns by words in all sessions of this memory's tenant, best first. Each says which session it is of.

        Looks in the 1,000 sessions that were appended to last. Other tenants are never looked at. The first search of sessions that were
        imported into SQLite indexes them, which can take minutes.

        Args:
            query: words to search for.
            limit: the most turns to return.
            since, until: only turns with since <= `created_at` < until.
            progress: called after each session with the sessions searched so far, and their number.
        """
        return recall_everywhere(self._store, self.session.tenant, query, limit, Period(since, until), progress=progress)

    def erase(self, numbers: int | Sequence[int] | None = None) -> ErasureReport:
        """Delete turns, or the whole session: text, index entries, and every page that holds them, with its images.

        Other turns keep their numbers. A turn whose record is damaged, sealed with a lost key, or of a newer release can be erased as well.
        Raises `TurnNotFound` before anything is deleted; `SessionCorrupted` if damage keeps something from being erased, after all the rest
        was.
        """
        self._ahead.stop()
        with self._lock:
            try:
                if numbers is None:
                    return self._erasure.erase_session()
                wanted = [numbers] if isinstance(numbers, int) else numbers
                for number in wanted:
                    self._check_is_there(number)
                return self._erasure.erase_turns(wanted)
            finally:
                self._builder.forget()
                if self._meanings:
                    self._meanings.forget()

    def _check_is_there(self, number: int) -> None:
        """Raises `TurnNotFound`, `StoreUnavailable`. A turn that cannot be read can still be erased."""
        try:
            self._recall.turn(number)
        except StoreUnavailable:
            raise
        except StoreError:
            return

    def prove_erased(self, numbers: int | Sequence[int] | None = None) -> ErasureProof:
        """Search for erased turns, or the erased session, in the log, the pages, and the store's files where it can read them.

        A Redis server is asked to rewrite its files first, if permitted. This may take as long as a snapshot of all its data.
        """
        return self._erasure.prove([numbers] if isinstance(numbers, int) else numbers)

    # -- the object itself ---------------------------------------------------------------------------------------------------------

    def stats(self) -> MemoryStats:
        """Return counters, for dashboards and tests."""
        pages = self._builder.pages(strict=False)
        counts, verification = self._builder.counts, self._builder.verification
        return MemoryStats(
            turns=len(self),
            pages=len(pages),
            pinned=len(self._store.pinned(self.session)),
            missing_glyphs=sum(page.missing_glyphs for page in pages),
            replans=self._builder.replans,
            pages_sealed=counts.pages_sealed,
            pages_redrawn=counts.pages_redrawn,
            render_failures=counts.render_failures,
            pages_verified=verification.asked - verification.failures if verification else 0,
            verify_failures=verification.failures if verification else 0,
            renderer=self._builder.settings.renderer_name,
            store=self._store.url,
            counted_with=self._builder.pricing.counted_with,
        )

    def close(self) -> None:
        """Close the store if this object opened it. The process's shared browser stays open. Does not wait for what is drawn ahead."""
        self._ahead.stop()
        if self._owns_store:
            self._store.close()

    def __enter__(self) -> Self:
        self._draws_ahead = True if self._draws_ahead is None else self._draws_ahead
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"OpticalMemory({self.session.name!r}, store={self._store.url!r}, reader={self.profile.name!r})"

    # -- async versions: the same in a worker thread -----------------------------------------------------------------------------------

    async def aappend(self, turn: TurnLike, *, expected_length: int | None = None) -> Turn:
        return await in_thread(self.append, turn, expected_length=expected_length)

    async def aattach(
        self,
        source: Attachable,
        *,
        name: str | None = None,
        password: str | None = None,
        limits: Limits | None = None,
        **fields: Any,
    ) -> Turn:
        return await in_thread(self.attach, source, name=name, password=password, limits=limits, **fields)

    async def aextend(self, turns: Iterable[TurnLike], *, expected_length: int | None = None) -> list[Turn]:
        return await in_thread(self.extend, turns, expected_length=expected_length)

    async def aturns(self, start: int | None = None, stop: int | None = None) -> list[Turn]:
        return await in_thread(self.turns, start, stop)

    async def acontext(
        self,
        budget: int | None = None,
        *,
        question: str | bool | None = None,
        libraries: Sequence[Library | str] = (),
        progress: Callable[[int], None] | None = None,
    ) -> Context:
        return await in_thread(self.context, budget, question=question, libraries=libraries, progress=progress)

    async def amessages(
        self,
        budget: int | None = None,
        *,
        question: str | bool | None = None,
        libraries: Sequence[Library | str] = (),
        dialect: str = "openai",
        **options: Any,
    ) -> list[dict[str, Any]]:
        return await in_thread(self.messages, budget, question=question, libraries=libraries, dialect=dialect, **options)

    async def apages(self, *, draw: bool = False) -> list[Page]:
        return await in_thread(self.pages, draw=draw)

    async def averifications(self) -> list[Verification]:
        return await in_thread(self.verifications)

    async def arecall(
        self,
        query: str | int | Sequence[int] | None = None,
        limit: int = 5,
        *,
        exchange: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Turn]:
        return await in_thread(self.recall, query, limit, exchange=exchange, since=since, until=until)

    async def arecall_pages(self, query: str, limit: int = 5) -> list[RecalledPage]:
        return await in_thread(self.recall_pages, query, limit)

    async def arecall_everywhere(
        self,
        query: str,
        limit: int = 5,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Recalled]:
        return await in_thread(self.recall_everywhere, query, limit, since=since, until=until, progress=progress)

    async def apin(self, number: int) -> None:
        await in_thread(self.pin, number)

    async def aunpin(self, number: int) -> None:
        await in_thread(self.unpin, number)

    async def aerase(self, numbers: int | Sequence[int] | None = None) -> ErasureReport:
        return await in_thread(self.erase, numbers)

    async def aprove_erased(self, numbers: int | Sequence[int] | None = None) -> ErasureProof:
        return await in_thread(self.prove_erased, numbers)

    async def astats(self) -> MemoryStats:
        return await in_thread(self.stats)
