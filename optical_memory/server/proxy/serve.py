"""Start the proxy: put its parts together, listen, print the address, end well."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...errors import MissingExtra, StoreError
from ...stores.base import Store, open_store
from ..access import Access
from ..listening import Server, address_of, bound
from ..mcp.mounting import with_mcp
from .settings import ProxySettings

try:
    import httpx  # noqa: F401
    import starlette  # noqa: F401
except ImportError as exc:
    raise MissingExtra("the proxy", "server") from exc

from ..inspector.app import Inspector
from ..inspector.proxy_window import ProxyWindow
from .accounting import Correction
from .accounts import Accounts
from .api import SWITCHES, Api
from .app import ProxyApp
from .calls import Calls
from .forwarding import Upstreams
from .origins import Origins
from .planner import Planner
from .probe import Probe
from .records import Records
from .rewriting import Rewriter
from .routes import Router
from .spans import Spans
from .switches import Switches
from .turn_log import ProxyLog

__all__ = ["Proxy", "bound", "serve"]

DAY = 86_400.0
GRACE_SECONDS = 10  # for answers under way when the proxy is asked to end
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proxy:
    """The parts of a proxy."""

    app: ProxyApp
    rewriter: Rewriter
    accounts: Accounts
    records: Records
    planner: Planner
    upstreams: Upstreams
    store: Store
    settings: ProxySettings
    spans: Spans | None = None

    @classmethod
    def of(cls, settings: ProxySettings) -> Proxy:
        """Put a proxy together. Raises `ValueError`, `StoreError`, `MissingExtra`."""
        store = open_store(settings.store)
        records, planner, calls = Records(store), Planner(settings, store), Calls()
        corrections: dict[str, Correction] = {}
        rewriter = Rewriter(settings, records, planner, Switches(), corrections)
        upstreams = Upstreams()
        turns = ProxyLog(store) if settings.keep_turns else None
        accounts = Accounts(records, planner, corrections, Probe(upstreams, on=settings.probe), turns)
        api = Api(rewriter, records, calls, accounts, settings.models)
        window = ProxyWindow(store, live=rewriter.conversations.records, calls=calls, switches=rewriter.switches)
        inspector = Inspector(store, Access(), window)
        spans = Spans() if settings.otel else None
        app = ProxyApp(Router(settings.upstreams), upstreams, rewriter, accounts, calls, api, inspector, spans, Origins(settings.origins))
        return cls(app, rewriter, accounts, records, planner, upstreams, store, settings, spans)

    def load(self) -> None:
        """Read what is stored about the proxy itself, and remove conversations not used for long. A store that fails is logged."""
        try:
            self.rewriter.switches.load(self.records.get(SWITCHES))
            self.accounts.load()
            self.records.expire(self.settings.keep_days * DAY)
            self.rewriter.switches.keep({record.conversation for record in self.records.all()})
        except StoreError as exc:
            log.warning("the store does not answer: %s", type(exc).__name__)
        if not self.settings.on:
            self.rewriter.switches.on = False

    def toggle(self) -> None:
        """Switch all off, or on again."""
        switches = self.rewriter.switches
        switches.set(not switches.on)
        log.warning("switched %s", "on" if switches.on else "off")

    async def close(self) -> None:
        """End plans under way, store what has changed, and close connections and the store."""
        self.planner.close()
        await self.rewriter.close()
        with contextlib.suppress(StoreError):
            await self.accounts.write()
        await self.upstreams.close()
        if self.spans is not None:
            await asyncio.to_thread(self.spans.close)
        self.store.close()


def serve(settings: ProxySettings, *, ready: Callable[[str], None]) -> None:
    """Serve until the process is asked to end.

    Args:
        ready: called with the address once it listens.
    """
    proxy = Proxy.of(settings)
    proxy.load()
    listener = bound(settings.host, settings.port)
    address = address_of(listener, settings.host)
    server = Server(
        with_mcp(proxy.store, proxy.app, Access().refusal),
        lambda: ready(address),
        log_level="critical",  # a cut answer is no fault of the application; calls are logged by the proxy itself
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    asyncio.run(_serving(server, proxy, listener))


async def _serving(server: Server, proxy: Proxy, listener: socket.socket) -> None:
    with _toggling(proxy.toggle):
        try:
            await server.serve([listener])
        finally:
            await proxy.close()


@contextlib.contextmanager
def _toggling(toggle: Callable[[], None]) -> Iterator[None]:
    """Call `toggle` on SIGUSR1, where there is such a signal."""
    if sys.platform == "win32":
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, toggle)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)
