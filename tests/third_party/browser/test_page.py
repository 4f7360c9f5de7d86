"""The page to try rerankers on, in a real Chromium: by keyboard, narrow and wide, light and dark."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.third_party.conftest import imported

SECRET = "sk-page-5f0e9a7712d3"


@pytest.fixture(scope="module")
def url(base_url: str) -> Iterator[str]:
    """The page of a `serve` process that has a key of Cohere, whose API is the local server."""
    command = [sys.executable, "-m", "hosted_rerank.cli", "serve", "--port", "0", "--quiet"]
    variables = {"COHERE_API_KEY": SECRET, "CO_API_URL": f"{base_url}/cohere"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | variables) as process:
        assert process.stdout is not None
        yield re.findall(r"http://\S+", process.stdout.readline())[0]
        process.terminate()


@pytest.fixture(params=[(1280, "light"), (360, "dark")], ids=["wide-light", "narrow-dark"])
def page(chromium: Any, url: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page, and what the browser complains of."""
    width, scheme = request.param
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda each: asked.append(each.url))
    page.goto(url)
    yield page
    assert [each for each in complaints if "422" not in each] == []  # the status of a form with a problem
    assert [each for each in asked if not each.startswith((url, "data:"))] == []
    context.close()


def test_by_keyboard(page: Any) -> None:
    """Without a mouse, a query is written, documents are pasted, two providers are chosen, and the rankings compare."""
    page.get_by_label("Query", exact=True).focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("What is Python?")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("Cats purr.\nPython is a language.")
    for key in ("Tab", "Tab", "Space", "Tab", "Tab", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector("#results")
    for provider in ("local", "cohere"):
        column = page.get_by_role("article", name=provider)
        rows = column.get_by_role("row").all_inner_texts()
        assert [re.split(r"\s*[\t\n]\s*", row)[:2] for row in rows[1:]] == [["1", "2"], ["2", "1"]]
        assert column.get_by_role("columnheader").all_inner_texts() == ["Place", "Before", "Score", "Document"]
    code = page.get_by_text("Code: LlamaIndex with cohere")
    code.focus()
    page.keyboard.press("Enter")
    assert page.get_by_text('HostedRerank(provider="cohere", top_n=3)').nth(1).is_visible()
    assert SECRET not in page.content()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_accessibility(page: Any) -> None:
    """Axe finds nothing that a screen reader or weak eyes could not use, in the form, the results and a problem."""
    axe = imported("axe_playwright_python.sync_playwright").Axe()
    for fill in ("What is Python?", " "):
        assert axe.run(page).response["violations"] == []
        page.get_by_label("Query", exact=True).fill(fill)
        page.get_by_role("button", name="Rank").click()
        page.wait_for_selector("#results" if fill.strip() else "#problem")
    assert axe.run(page).response["violations"] == []
