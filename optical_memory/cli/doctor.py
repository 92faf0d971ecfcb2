"""What this machine has for the library, and what to install. Findings only; printing is the command line's business."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..renderers.typography.fonts import FontBook

__all__ = ["SCRIPTS", "Finding", "Script", "can_render", "examine"]

Status = Literal["ok", "warning", "missing"]
REDIS_SECONDS = 2.0  # a server that answers later is as good as none for an agent's turn


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: what it is: `browser`, `font: Arabic`, `redis`.
        status: `ok`; `warning` if the library works, but worse or not with that part; `missing` if a part of it cannot work.
        detail: what was found.
        advice: what to do; empty if nothing.
    """

    topic: str
    status: Status
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """A script, a sample of it, the Debian package with a font for it, and whether its letters join or reorder."""

    name: str
    sample: str
    package: str
    is_complex: bool = False


SCRIPTS = (
    Script("Latin", "Aaéßğ", "fonts-dejavu-core"),
    Script("Greek", "Ωαβγ", "fonts-dejavu-core"),
    Script("Cyrillic", "Жяї", "fonts-dejavu-core"),
    Script("Arabic", "العربية", "fonts-noto-core", is_complex=True),
    Script("Hebrew", "עברית", "fonts-noto-core"),
    Script("Devanagari", "हिन्दी", "fonts-noto-core", is_complex=True),
    Script("Bengali", "বাংলা", "fonts-noto-core", is_complex=True),
    Script("Tamil", "தமிழ்", "fonts-noto-core", is_complex=True),
    Script("Thai", "ภาษาไทย", "fonts-noto-core", is_complex=True),
    Script("Chinese", "汉字漢", "fonts-noto-cjk"),
    Script("Japanese", "かなカナ漢", "fonts-noto-cjk"),
    Script("Korean", "한국어", "fonts-noto-cjk"),
    Script("emoji", "😀🚀🇫", "fonts-noto-color-emoji"),
    Script("maths", "∑∫√≤𝔄ℝ", "fonts-noto-core"),
)


def examine(redis_url: str | None = None, renderer: str = "auto") -> list[Finding]:
    """Look at everything: seconds at most, unless Playwright's driver, which is started and ended, or the browser does not answer.

    Args:
        redis_url: a server to be tried; None tries none.
        renderer: one of your own, `package.module:factory`, is opened.

    Raises `UnknownName`.
    """
    return [*_own_renderer(renderer), *_browser(), _pillow(), *_fonts(), *_redis(redis_url), _tokens(), _redaction(), _torch()]


def can_render(findings: Sequence[Finding], renderer: str = "auto") -> bool:
    """Whether the renderer that `examine` was given can draw a page. For `auto` it is enough that Chromium or Pillow can."""
    status = {finding.topic: finding.status for finding in findings}
    chromium = status.get("playwright") == status.get("driver") == status.get("browser") == "ok"
    pillow = status.get("pillow", "missing") != "missing"
    own = status.get("renderer") == "ok"
    return {"chromium": chromium, "pillow": pillow, "bitmap": pillow, "auto": chromium or pillow}.get(renderer, own)


def _version(package: str, distribution: str = "") -> str | None:
    """The version of an installed package, without importing it."""
    try:
        return metadata.version(distribution or package) if importlib.util.find_spec(package) else None
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _own_renderer(name: str) -> Iterator[Finding]:
    from ..renderers.base import open_renderer, renderer_path

    if renderer_path(name) != name:
        return
    try:
        opened = open_renderer(name)
        yield Finding("renderer", "ok", f"{name} opens, as {opened.name}")
        opened.close()
    except Exception as exc:  # it is somebody's own code
        yield Finding("renderer", "missing", f"{name} cannot be opened: {exc!r}", "see to that error, or choose another renderer")


def _browser() -> Iterator[Finding]:
    from ..errors import OpticalMemoryError
    from ..renderers.chromium.finding import browser_version, find_browser, named_in_vain

    playwright = _version("playwright")
    if playwright is None:
        yield Finding("playwright", "warning", "not installed: pages are drawn by Pillow", "pip install 'optical-memory[chromium]'")
    else:
        yield Finding("playwright", "ok", f"version {playwright}")
        yield _driver()
    try:
        found = find_browser()
        if found is None:
            raise OpticalMemoryError(f"{named_in_vain() or 'none found'}: pages are drawn by Pillow")
        yield Finding("browser", "ok", f"{browser_version(found.path)} at {found.path} ({found.source})")
    except OpticalMemoryError as exc:
        yield Finding("browser", "missing", str(exc), "apt install chromium-headless-shell, or: playwright install chromium-headless-shell")


def _driver() -> Finding:
    from ..errors import DriverNotStarted
    from ..renderers.chromium.driver import try_driver

    try:
        return Finding("driver", "ok", f"Playwright's driver starts, on Node.js {try_driver()}")
    except DriverNotStarted as exc:
        return Finding("driver", "missing", f"{exc.node} does not start: {exc.why}: pages are drawn by Pillow", exc.advice)


def _pillow() -> Finding:
    try:
        from PIL import __version__, features
    except ImportError as exc:
        return Finding("pillow", "missing", f"cannot be imported: {exc}", "pip install pillow")
    if not features.check("raqm"):
        missing, advice = _shaping()
        return Finding("pillow", "warning", f"version {__version__} without {missing}: Arabic and Indic scripts are spelled", advice)
    return Finding("pillow", "ok", f"version {__version__}, libraqm {features.version('raqm')}")


def _shaping() -> tuple[str, str]:
    """What Pillow lacks for libraqm, and what to do. Its wheels carry libraqm and HarfBuzz, and load FriBidi of the system at run time."""
    with suppress(ImportError, OSError):
        from PIL import _imagingft

        if b"libfribidi.so" in Path(_imagingft.__file__).read_bytes():
            return "FriBidi, which its libraqm loads at run time", _apt("libfribidi0")
    return "libraqm", "pip install --force-reinstall --only-binary pillow pillow: its wheels for Linux and macOS have libraqm"


def _fonts() -> Iterator[Finding]:
    from ..renderers.typography.fonts import FontBook

    book = FontBook()
    yield Finding(
        "fonts",
        "ok" if book.extra else "warning",
        f"4 bundled, {len(book.extra)} of the system",
        "" if book.extra else _apt("fonts-noto-core"),
    )
    for script in SCRIPTS:
        yield _script(script, book)


def _apt(*packages: str) -> str:
    return f"apt install {' '.join(packages)}"


def _script(script: Script, book: FontBook) -> Finding:
    """Which fonts write a script: what the Pillow renderer takes; Chromium chooses among the same files."""
    from ..renderers.typography.unifont import bitmap_covers

    codes = [ord(char) for char in script.sample]
    faces = [book.face_for([code], "sans") for code in codes]
    topic = f"font: {script.name}"
    if all(faces):
        names = dict.fromkeys(face.path.stem for face in faces if face is not None)
        return Finding(topic, "ok", f"{script.sample} in {', '.join(names)}")
    if all(face is not None or bitmap_covers(code) for face, code in zip(faces, codes, strict=True)):
        spelled = ", its letters unjoined" if script.is_complex else ""
        return Finding(topic, "warning", f"no font: Pillow draws bitmaps{spelled}; Chromium draws boxes", _apt(script.package))
    return Finding(topic, "missing", "no font: drawn as boxes with code points", _apt(script.package))


def _redis(url: str | None) -> Iterator[Finding]:
    version = _version("redis")
    if version is None:
        yield Finding(
            "redis", "missing" if url else "warning", "the Python package is not installed", "pip install 'optical-memory[redis]'"
        )
        return
    yield Finding("redis", "ok", f"Python package {version}")
    if url is not None:
        yield _redis_server(url)


def _redis_server(url: str) -> Finding:
    from ..errors import OpticalMemoryError
    from ..stores.redis import RedisStore
    from ..stores.redis.server import information

    limits = f"socket_timeout={REDIS_SECONDS}&socket_connect_timeout={REDIS_SECONDS}"
    named = "socket_timeout" in url  # the user's own limit counts
    try:
        store = RedisStore(url if named else f"{url}{'&' if '?' in url else '?'}{limits}")
        version = information(store.wire, "server").get("redis_version", "unknown")
        store.close()
        return Finding("redis server", "ok", f"version {version} answers")
    except (OpticalMemoryError, ValueError) as exc:
        advice = "apt install redis-server, or check the URL, the password and the network"
        return Finding("redis server", "missing", f"does not answer: {exc}", advice)


def _tokens() -> Finding:
    from ..text.token_count import open_counter

    name = open_counter().name
    if name == "estimate":
        detail = "no tokenizer with its vocabulary here: text tokens are estimated, a little high"
        return Finding("tokens", "warning", detail, "pip install 'optical-memory[tokens]'")
    return Finding("tokens", "ok", f"counted exactly, with {name}")


def _redaction() -> Finding:
    version = _version("detect_secrets", "detect-secrets")
    if version is None:
        detail = "detect-secrets is not installed: redaction knows the formats built in and no others"
        return Finding("redaction", "warning", detail, "pip install 'optical-memory[redaction]'")
    return Finding("redaction", "ok", f"detect-secrets {version}")


def _torch() -> Finding:
    version = _version("torch")
    if version is None:
        return Finding("torch", "warning", "not installed: DeepSeek-OCR itself cannot run here", "pip install 'optical-memory[deepseek]'")
    return Finding("torch", "ok", f"version {version}")
