"""A headless Chromium for all tests of pages, and what one sees and hears of a page in it."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser():
    """The browser; without one, or without playwright, its tests are skipped."""
    if BROWSER is None:
        pytest.skip("there is no Chromium on this machine: apt install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make .venv/.tools")
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium refuses to be root's otherwise
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=[*QUIET, *sandbox])
        yield browser
        browser.close()


@pytest.fixture
def tab(browser):
    """Open an empty page; what it says on the console and what it asks for is collected."""
    with ExitStack() as contexts:

        def open_tab(*, width=1000, scheme="light"):
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            contexts.callback(context.close)
            page = context.new_page()
            page.said, page.asked = [], []
            page.on("console", lambda message: page.said.append(message.text))
            page.on("pageerror", lambda error: page.said.append(str(error)))
            page.on("request", lambda request: page.asked.append(request.url))
            return page

        yield open_tab
