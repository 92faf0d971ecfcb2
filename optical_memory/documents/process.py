"""A process that has one PDF open, and can be killed at any time: see `worker`, which runs in it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from ..errors import DocumentError, DocumentLimit, DocumentLocked, MissingExtra
from ..text.excerpts import excerpt, said
from .limits import Limits
from .worker import HEAD

__all__ = ["PdfProcess"]

LONGEST_HEAD = 64 * 2**20  # bytes of JSON in an answer: an outline, or a page's text
CPU_SECONDS = 900  # of one process over its life; the clock of each answer is shorter, but its parent may be gone
BYTES_A_PIXEL = 3


class PdfProcess:
    """Opens a PDF in a process of its own. Not thread-safe.

    Args:
        data: the file.
        name: what errors call it.

    Raises `MissingExtra`, `DocumentLocked`, `DocumentLimit`, `DocumentError`.

    Attributes:
        about: what the process said of the file: `pages`, `title`, `outline`.
    """

    def __init__(self, data: bytes, name: str, password: str | None, limits: Limits) -> None:
        self._name, self._limits, self._is_late = name, limits, False
        self._has_password = password is not None
        command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("worker.py")), _library()]
        kept = {key: os.environ[key] for key in ("SYSTEMROOT", "WINDIR") if key in os.environ}  # Windows starts nothing without
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=kept, close_fds=True
        )
        memory = limits.megabytes * 2**20
        try:
            self._send({"password": password, "cpu_seconds": CPU_SECONDS, "memory": memory}, data)
            self.about: dict[str, Any] = self._answer(0)[0]
        except BaseException:
            self.close()
            raise

    def read(self, first: int, stop: int) -> list[dict[str, Any]]:
        """Return what the process says of pages first <= index < stop, from 0. Raises like the constructor."""
        self._send({"ask": "read", "first": first, "stop": stop, "characters": self._limits.characters})
        return [self._answer(0)[0] for _ in range(first, stop)]

    def draw(self, page: int, side: int) -> tuple[tuple[int, int], bytes]:
        """Return the size of a page drawn with its longer side at `side` pixels, and blue, green, red of each pixel, row by row."""
        self._send({"ask": "draw", "page": page, "side": side})
        fields, pixels = self._answer(self._limits.pixels * BYTES_A_PIXEL)
        width, height = (int(each) for each in fields["size"])
        if width * height * BYTES_A_PIXEL != len(pixels):
            raise self._broken("it gave a picture of another size than it said")
        return (width, height), pixels

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with suppress(OSError):
                    stream.close()
        self._process.wait()

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    # -- frames --------------------------------------------------------------------------------------------------------------------

    def _send(self, fields: dict[str, Any], payload: bytes = b"") -> None:
        head = json.dumps(fields).encode("ascii")
        sink = self._process.stdin
        assert sink is not None
        with suppress(BrokenPipeError, OSError):  # the answer tells why
            sink.write(HEAD.pack(len(head), len(payload)))
            sink.write(head)
            sink.write(payload)
            sink.flush()

    def _answer(self, most: int) -> tuple[dict[str, Any], bytes]:
        """Return an answer, with at most `most` bytes beside it; kill the process if it takes too long."""
        clock = threading.Timer(self._limits.seconds, self._stop)
        clock.start()
        try:
            source = self._process.stdout
            assert source is not None
            length, more = HEAD.unpack(self._bytes(source, HEAD.size))
            if length > LONGEST_HEAD or more > most:
                raise self._broken("it answered with more than was asked for")
            head, payload = self._bytes(source, length), self._bytes(source, more)
        finally:
            clock.cancel()
        try:
            fields = json.loads(head)
        except ValueError:
            raise self._broken("its answer is no JSON") from None
        if "failed" in fields:
            raise self._failure(fields)
        return fields, payload

    def _stop(self) -> None:
        self._is_late = True
        self._process.kill()

    def _bytes(self, source: IO[bytes], count: int) -> bytes:
        found = source.read(count)
        if len(found) < count:
            raise self._ended()
        return found

    # -- errors --------------------------------------------------------------------------------------------------------------------

    def _broken(self, why: str) -> DocumentError:
        self.close()
        return DocumentError(f"{excerpt(self._name)} cannot be read: the process that opened it is not to be trusted any more: {why}")

    def _ended(self) -> DocumentError:
        code = self._process.wait()
        if self._is_late:
            seconds = self._limits.seconds
            what = f"{excerpt(self._name)} took more than {seconds:g} seconds for one page, and was given up"
            return DocumentLimit(f"{what}. Pass limits=Limits(seconds=...) for more", "seconds")
        megabytes = self._limits.megabytes
        what = f"the process that read {excerpt(self._name)} ended with {code}: the file is broken, or needs more than {megabytes} MB"
        return DocumentLimit(f"{what}. Pass limits=Limits(megabytes=...) for more, or print it to a new PDF", "megabytes")

    def _failure(self, fields: dict[str, Any]) -> DocumentError:
        name, why = excerpt(self._name), said(fields.get("why", ""))
        match fields["failed"]:
            case "password" if self._has_password:
                return DocumentLocked(f"the password for {name} is wrong: pass the right one as password=")
            case "password":
                return DocumentLocked(f"{name} is encrypted: pass its password as password=")
            case "security":
                return DocumentLocked(
                    f"{name} is encrypted in a way that pdfium does not know: save it without encryption, and attach that"
                )
            case "memory":
                most = self._limits.megabytes
                return DocumentLimit(f"{name} needs more than {most} MB. Pass limits=Limits(megabytes=...) for more", "megabytes")
            case "page":
                return DocumentError(f"a page of {name} cannot be read: {why}")
        return DocumentError(f"{name} is no PDF that can be opened ({why}): open it in a viewer, and print it to a new PDF")


def _library() -> str:
    """Return the folder that pypdfium2 is in. Raises `MissingExtra`."""
    found = importlib.util.find_spec("pypdfium2")
    if found is None or found.origin is None:
        raise MissingExtra("opening a PDF", "documents")
    return str(Path(found.origin).parent.parent)
