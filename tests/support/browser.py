"""A headless Chromium for the tests of the report, and what to do where there is none."""

import os
import shutil
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}


def chromium():
    """The path of the browser. Without one, tests are skipped; where REQUIRE_BROWSER is set, they fail."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        reason = "no Chromium on the PATH: apt-get install chromium"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def browser():
    """A browser that is closed at the end."""
    executable = chromium()
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield opened
        finally:
            opened.close()


class Watched:
    """A page, and everything that it said or fetched."""

    def __init__(self, opened, url, viewport=None, **options):
        self.context = opened.new_context(viewport=viewport or DESKTOP, **options)
        self.page = self.context.new_page()
        self.said, self.fetched = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.on("request", lambda request: self.fetched.append(request.url))
        self.page.goto(url)

    def _dialog(self, dialog):
        self.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()
        assert not self.said

    def names(self):
        """The names of the images that are to be seen, in order."""
        return self.page.evaluate(
            "[...document.querySelectorAll('.card')].map(c => c.dataset.name)"
        )
