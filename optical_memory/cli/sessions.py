"""`optical-memory append`, `import`, `context`, `show`, `recall`, `pages`, `erase` and `sessions`: one session of a store, or all."""

from __future__ import annotations

import sys
from contextlib import nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..text.excerpts import excerpt
from .importing import first_line, import_conversations, opened, spooled
from .options import FAILED, NOT_FOUND, AsJson, Reader, Redact, Renderer, Session, StoreUrl, Tenant, given, print_json, stop
from .transfer import is_export, restore

if TYPE_CHECKING:
    from ..memory.optical_memory import OpticalMemory
    from ..pages.page import Page

__all__ = ["append", "context", "erase", "import_", "need_turns", "open_memory", "pages", "recall", "sessions", "show"]

DIGITS = 18  # of a number that is typed: no session has as many turns
LONGEST_RANGE = 1_000_000  # turns; a range is written out before the session is asked

Verify = Annotated[str | None, typer.Option(envvar="OPTICAL_MEMORY_VERIFY", help="ocr or density: show no page that cannot be read.")]


def append(
    text: Annotated[str, typer.Argument(help="What was said; - reads it from standard input.")],
    role: Annotated[str, typer.Option(help="user, assistant, system or developer.")] = "user",
    id: Annotated[str | None, typer.Option(help="Appending the same id again changes nothing.")] = None,
    name: Annotated[str | None, typer.Option(help="The speaker's name.")] = None,
    pin: Annotated[bool, typer.Option("--pin", help="Hold its page up.")] = False,
    session: Session = "default",
    store: StoreUrl = None,
    tenant: Tenant = "",
    redact: Redact = False,
    as_json: AsJson = False,
) -> None:
    """Append one turn and print its number."""
    from .output import turn_line

    content = sys.stdin.read() if text == "-" else text
    message = {"role": role, "content": content, "id": id, "name": name, "pinned": pin}
    with open_memory(session, store, tenant, redact=redact) as memory:
        turn = memory.append({key: value for key, value in message.items() if value is not None})
    print(turn_line(turn) if as_json else f"#{turn.number}")


def import_(
    command: typer.Context,
    file: Annotated[
        str, typer.Argument(help="A chat, an export of chats (file, zip, folder), or what `export` wrote; - is standard input.")
    ],
    session: Session = "default",
    store: StoreUrl = None,
    tenant: Tenant = "",
    redact: Redact = False,
    as_json: AsJson = False,
) -> None:
    """Append whole conversations: all of them or, if one message is wrong, none. The same file again adds nothing.

    Formats are recognised: chat messages of OpenAI and Anthropic, and the exports that docs/import.md lists. Several conversations become
    several sessions. A file that `export` wrote is restored exactly, under its own session and tenant unless others are given.
    """
    with spooled(sys.stdin.buffer) if file == "-" else nullcontext(_path(file)) as source:
        if (first := first_line(source)) and is_export(first):
            if redact:
                raise ValueError("an export is restored word for word, secrets too; pass --no-redact to do that")
            asked = {name: given(command, name) for name in ("session", "tenant")}
            with opened(source) as stream:
                return restore(stream, **asked, store=store, as_json=as_json)
        label = "standard input" if file == "-" else file
        import_conversations(source, label, given(command, "session"), store=store, tenant=tenant, redact=redact, as_json=as_json)


def context(
    budget: Annotated[int | None, typer.Option(help="Most tokens that the context may cost the reader.", min=1)] = None,
    question: Annotated[str | None, typer.Option(help="Add the turns that answer it best, as text.")] = None,
    format: Annotated[str, typer.Option(help="text, openai, anthropic, gemini, or json (plan and usage).")] = "text",
    save_pages: Annotated[Path | None, typer.Option(help="Write the pages as PNG files into this folder.", file_okay=False)] = None,
    session: Session = "default",
    store: StoreUrl = None,
    tenant: Tenant = "",
    redact: Redact = False,
    renderer: Renderer = "auto",
    reader: Reader = "deepseek-ocr",
    verify: Verify = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Print what a model would be given: pages of the past and recent turns; the cost goes to standard error."""
    from .output import context_as, note, progress, save_pictures

    with open_memory(session, store, tenant, renderer=renderer, reader=reader, redact=redact, verify=verify) as memory:
        need_turns(memory, session)
        with progress("drawing pages", None) as drawn:
            built = memory.context(budget=budget, question=question, progress=drawn)
        print(context_as(built, "json" if as_json else format))
        if save_pages:
            save_pictures(save_pages, ((part.page.index, part.tier, part.image()) for part in built.pages))
    note(str(built.usage))


def show(
    what: Annotated[str, typer.Argument(help="A page (3 or p3), or a turn ('#42' or t42).")],
    save: Annotated[Path | None, typer.Option(help="Write the page's picture to this file.", dir_okay=False)] = None,
    tier: Annotated[str, typer.Option(help="The tier of the saved picture.")] = "gundam",
    session: Session = "default",
    store: StoreUrl = None,
    tenant: Tenant = "",
    redact: Redact = False,
    renderer: Renderer = "auto",
    as_json: AsJson = False,
) -> None:
    """Print one turn word for word, or what stands on one page."""
    from ..pages.tiers import Tier
    from .output import page_as_dict, page_as_text, turn_line, turns_as_text

    with open_memory(session, store, tenant, renderer=renderer, redact=redact) as memory:
        need_turns(memory, session)
        if what[:1] in "#t":
            turns = memory.recall([_number(what[1:], what)])
            print(turn_line(turns[0]) if as_json else turns_as_text(turns))
            return
        page = _page(memory, _number(what.removeprefix("p"), what))
        if save:
            save.write_bytes(page.image(Tier.parse(tier)))
        turns = memory.turns(page.first_turn, page.last_turn + 1)
        print_json(page_as_dict(page, memory.verifications())) if as_json else print(page_as_text(page, turns))


def recall(
    query: Annotated[list[str], typer.Argument(help="Words to look for, or turn numbers only (7 '#12').")],
    limit: Annotated[int, typer.Option(help="Most turns to give back.", min=1)] = 5,
    words: Annotated[bool, typer.Option("--words", help="Take numbers as words too.")] = False,
    exchange: Annotated[bool, typer.Option("--exchange", help="Give the whole exchange around each match.")] = False,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="Look for words in all sessions of the tenant.")] = False,
    since: Annotated[datetime | None, typer.Option(help="Only turns said from this time on (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only turns said before this time (UTC).")] = None,
    session: Session = "default",
    store: StoreUrl = None,
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Give turns back word for word, by what they say or by their numbers."""
    from .output import progress, turns_as_text

    if everywhere:
        _recall_everywhere(" ".join(query), limit, since, until, store=store, tenant=tenant, as_json=as_json)
        return
    numbers = [int(word.removeprefix("#")) for word in query if word.removeprefix("#").isdecimal()]
    with open_memory(session, store, tenant) as memory:
        need_turns(memory, session)
        asked = numbers if len(numbers) == len(query) and not words else " ".join(query)
        with progress("searching", None):  # the first search of an imported session indexes it
            turns = memory.recall(asked, limit, exchange=exchange, since=since, until=until)
    print_json([turn.model_dump(mode="json") for turn in turns]) if as_json else print(turns_as_text(turns), end="")
    if not turns:
        stop(f"nothing in session {session!r} matches {excerpt(' '.join(query))}", NOT_FOUND)


def _recall_everywhere(
    query: str, limit: int, since: datetime | None, until: datetime | None, *, store: str | None, tenant: str, as_json: bool
) -> None:
    from .output import printable, progress_of, turns_as_text

    with open_memory("default", store, tenant) as memory, progress_of("searching sessions") as advance:
        found = memory.recall_everywhere(query, limit, since=since, until=until, progress=advance)
    if as_json:
        print_json([{"session": one.session, **one.turn.model_dump(mode="json")} for one in found])
    for one in () if as_json else found:
        print(f"== {printable(one.session)}\n{turns_as_text([one.turn])}", end="")
    if not found:
        stop(f"nothing in any session{f' of tenant {tenant!r}' if tenant else ''} matches {excerpt(query)}", NOT_FOUND)


def pages(
    save: Annotated[Path | None, typer.Option(help="Write every page as a PNG file into this folder.", file_okay=False)] = None,
    tier: Annotated[str, typer.Option(help="The tier of the saved pictures.")] = "gundam",
    draw: Annotated[bool, typer.Option("--all", help="Draw first what contexts have left out undrawn, however much it is.")] = False,
    session: Session = "default",
    store: StoreUrl = None,
    tenant: Tenant = "",
    redact: Redact = False,
    renderer: Renderer = "auto",
    as_json: AsJson = False,
) -> None:
    """List the pages of a session."""
    from ..pages.tiers import Tier
    from .output import page_as_dict, progress, save_pictures
    from .tables import pages_table

    with open_memory(session, store, tenant, renderer=renderer, redact=redact) as memory:
        need_turns(memory, session)
        found, at, verified = memory.pages(draw=draw), Tier.parse(tier), memory.verifications()
        if save:
            with progress("drawing", len(found)) as advance:
                save_pictures(save, ((page.index, at, page.image(at)) for page in found), advance)
        print_json([page_as_dict(page, verified) for page in found]) if as_json else pages_table(found, verified)


def erase(
    turns: Annotated[str | None, typer.Option(help="Numbers and ranges: 3,7-9.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole session.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    proof: Annotated[bool, typer.Option("--proof", help="Look for it everywhere afterwards; exit code 1 unless all is clean.")] = False,
    session: Session = "default",
    store: StoreUrl = None,
    tenant: Tenant = "",
    as_json: AsJson = False,
) -> None:
    """Delete turns for ever: their text, their pages, and what was made from them."""
    from ..errors import SessionCorrupted
    from .output import as_plain
    from .tables import proof_table

    if everything == (turns is not None):
        raise ValueError("pass either --turns 3,7-9 or --all")
    numbers = _numbers(turns) if turns else None
    with open_memory(session, store, tenant) as memory:
        with suppress(SessionCorrupted):  # a damaged session can be erased
            need_turns(memory, session)
        what = (
            f"{'turn' if len(numbers or ()) == 1 else 'turns'} {turns} of session {session!r}"
            if turns
            else f"the whole session {session!r}"
        )
        if not yes and not typer.confirm(f"Erase {what} for ever?", err=True):
            raise typer.Exit(FAILED)
        report = memory.erase(numbers)
        proven = memory.prove_erased(numbers) if proof else None
    if as_json:
        print_json(as_plain(report) | ({"proof": as_plain(proven) | {"is_complete": proven.is_complete}} if proven else {}))
    else:
        print(f"erased {what}")
        if proven:
            proof_table(proven)
    if proven and not proven.is_complete:
        raise typer.Exit(FAILED)


def sessions(store: StoreUrl = None, tenant: Tenant = "", as_json: AsJson = False) -> None:
    """List the sessions of a store."""
    from ..stores import open_store
    from .output import as_plain
    from .tables import sessions_table

    opened = open_store(store)
    try:
        found = opened.sessions(tenant)
    finally:
        opened.close()
    print_json([as_plain(info) for info in found]) if as_json else sessions_table(found)


def open_memory(
    session: str, store: str | None, tenant: str, *, renderer: str = "auto", reader: str = "deepseek-ocr", **options: Any
) -> OpticalMemory:
    """Open a session as the options say."""
    from ..memory.optical_memory import OpticalMemory

    return OpticalMemory(session, store=store, tenant=tenant or None, renderer=renderer, reader=reader, **options)


def need_turns(memory: OpticalMemory, session: str) -> None:
    """Stop the program if a session is empty."""
    if not len(memory):
        stop(f"no session {session!r} in {memory.stats().store}; `optical-memory sessions` lists those there are", NOT_FOUND)


def _page(memory: OpticalMemory, index: int) -> Page:
    found = memory.pages()
    for page in found:
        if page.index == index:
            return page
    stop(f"no page {index}; the session has {len(found)}" + ("" if found else ". Pages are drawn when a context asks for them"), NOT_FOUND)


def _path(name: str) -> Path:
    path = Path(name)
    if not path.exists():
        stop(f"no file {name!r}", NOT_FOUND)
    return path


def _number(digits: str, given: str) -> int:
    if not digits.isdecimal():
        raise ValueError(f"{excerpt(given)} is neither a page (3 or p3) nor a turn ('#42' or t42)")
    if len(digits) > DIGITS:
        raise ValueError(f"{excerpt(given)} is no number of a page or turn; numbers have {DIGITS} digits at most")
    return int(digits)


def _numbers(ranges: str) -> list[int]:
    numbers: list[int] = []
    for item in ranges.replace("#", "").split(","):
        first, _, last = (edge.strip() for edge in item.partition("-"))
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise ValueError(f"{excerpt(item)} in --turns is neither a number nor a range; write them like 3,7-9")
        if max(len(first), len(last)) > DIGITS:
            raise ValueError(f"{excerpt(item)} in --turns is no number of a turn; numbers have {DIGITS} digits at most")
        if last and int(last) < int(first):
            raise ValueError(f"the range {excerpt(item)} in --turns ends before it begins")
        if int(last or first) - int(first) >= LONGEST_RANGE:
            raise ValueError(f"the range {excerpt(item)} in --turns holds more than {LONGEST_RANGE:,} turns; --all erases a whole session")
        numbers += range(int(first), int(last or first) + 1)
    return numbers
