"""Take the picture of the inspector in docs/inspector.png: the demo's conversation, as GPT-5 gets it within 20,000 tokens."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from optical_memory import OpticalMemory
from optical_memory.demo import conversation
from optical_memory.renderers.chromium.finding import require_browser
from optical_memory.server.access import Access
from optical_memory.server.inspector.app import Inspector
from optical_memory.server.inspector.proxy_window import ProxyWindow
from optical_memory.server.local_upstream.serving import Serving
from optical_memory.stores.base import open_store

PICTURE = Path(__file__).parent.parent / "docs" / "inspector.png"
COLOURS = 48
STEP = 130  # turns from one context to the next


def main() -> None:
    """Fill a store, open it in a browser, and photograph a session."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder) / 'store.db'}"
        messages = list(conversation().messages)
        with OpticalMemory("airline agent", store=store, reader="deepseek-ocr", renderer="pillow") as memory:
            for start in range(0, len(messages), STEP):
                memory.extend(messages[start : start + STEP])
                memory.context(7_000)
        opened = open_store(store)
        with Serving(Inspector(opened, Access(), ProxyWindow(opened))) as serving, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=require_browser().path, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1_300, "height": 900}, color_scheme="light")
            page.goto(f"{serving.address}/inspect/session?name=airline+agent&tenant=")
            page.wait_for_function("[...document.images].every((image) => image.complete || image.loading === 'lazy')")
            page.wait_for_timeout(1_000)
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            picture.quantize(COLOURS).save(PICTURE, optimize=True)
            browser.close()
        opened.close()


if __name__ == "__main__":
    main()
