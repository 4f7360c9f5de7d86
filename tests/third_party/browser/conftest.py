"""A headless browser."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.third_party.conftest import imported


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless browser."""
    playwright = imported("playwright.sync_api").sync_playwright
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "install chromium"
    with playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
