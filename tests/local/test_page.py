"""The page to try rerankers on, over plain HTTP: what it shows, and whom it refuses."""

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from hosted_rerank.local.server import running

SECRET = "sk-page-5f0e9a7712d3"
FORM = {"query": "What is Python?", "source": "pasted", "documents": "Cats <b>purr</b>.\n\nPython is a language.\n"}


def serving(*options: str, **variables: str) -> Iterator[str]:
    """The URL of a `serve` process."""
    command = [sys.executable, "-m", "hosted_rerank.cli", "serve", "--port", "0", "--quiet", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | variables) as process:
        assert process.stdout is not None
        try:
            yield re.findall(r"http://\S+", process.stdout.readline())[0]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The page of a server with two keys, of which one is refused."""
    with running() as cohere, running(api_key="another") as together:
        variables = {"CO_API_URL": f"{cohere}/cohere", "TOGETHER_BASE_URL": f"{together}/together"}
        yield from serving(**variables, COHERE_API_KEY=SECRET, TOGETHER_API_KEY=SECRET)


def ranked(page: str, form: Mapping[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(page, data={**FORM, **form}, headers=headers, timeout=60)


def test_page_shows_what_is_there(page: str) -> None:
    """It names each API's base URL, and the providers that have a key; no key is in it, and no script."""
    response = httpx.get(page)
    assert response.status_code == 200
    assert f"<code>{page}/nebius</code>" in response.text
    assert re.findall('name="provider" value="([^"]+)"', response.text) == ["local", "cohere", "together"]
    assert SECRET not in response.text
    assert "<script" not in response.text
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert httpx.get(f"{page}/page.css").headers["content-type"].startswith("text/css")


def test_rankings_stand_side_by_side(page: str) -> None:
    """Each provider's column has places before and after, score, latency, tokens and code; a failure is in its own."""
    response = ranked(page, {"provider": ["local", "cohere", "together"], "model-cohere": "m-7"})
    assert response.status_code == 200
    local, cohere, together = re.findall("<article.*?</article>", response.text, re.DOTALL)
    for column in (local, cohere):
        cells = [html.unescape(cell) for cell in re.findall("<td>(.*?)</td>", column)]
        assert [cells[0], cells[1], cells[3]] == ["1", "2", "Python is a language."]
        assert [cells[4], cells[5], cells[7]] == ["2", "1", "Cats <b>purr</b>."]
        assert float(cells[2]) > float(cells[6])
        assert re.search(r"<dt>Latency</dt><dd>[\d,]+ ms</dd>", column)
        assert "<dt>Scores</dt><dd>0 to 1</dd>" in column
    assert re.search(r"<dt>Tokens</dt><dd>\d+</dd>", local)
    for program in ("langchain_hosted_rerank", "llamaindex_hosted_rerank", "hosted_rerank import Reranker"):
        assert program in cohere
    assert 'provider="cohere", model="m-7"' in html.unescape(cohere)
    assert "AuthenticationError" in together or "401" in together
    assert "<table" not in together
    assert SECRET not in response.text


def test_faq(page: str) -> None:
    """Answers of the built-in FAQ that share words with the query are ranked, and the best are shown."""
    response = ranked(page, {"source": "faq", "provider": "local", "query": "Why are Python strings immutable?"})
    assert "The best 10 of 20 documents" in response.text
    assert "immutable" in re.findall("<td>(.*?)</td>", response.text.partition("<article")[2], re.DOTALL)[3]


def test_texts_of_the_form_are_not_markup(page: str) -> None:
    """What is typed comes back as text."""
    response = ranked(page, {"query": '"><script>alert(1)</script>', "provider": "local"})
    assert "<script" not in response.text
    assert "&lt;script&gt;" in response.text


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"query": " ", "provider": "local"}, "Write a query."),
        ({"documents": "\n \n", "provider": "local"}, "Paste at least one document"),
        ({}, "Choose at least one provider."),
        ({"provider": "jina"}, "Choose at least one provider."),
    ],
)
def test_incomplete_form(page: str, form: dict[str, str], problem: str) -> None:
    """It says what is missing, and keeps what was typed. A provider without a key cannot be chosen."""
    response = ranked(page, form)
    assert response.status_code == 422
    assert re.search(f'role="alert" id="problem">{problem}', response.text)
    assert "Python is a language." in response.text or "documents" in form


def test_form_that_is_too_large(page: str) -> None:
    """It is refused."""
    assert ranked(page, {"documents": "x" * 2**20, "provider": "local"}).status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_foreign_requests(page: str, headers: dict[str, str]) -> None:
    """No other page can have it spend keys: not one elsewhere, and not one of another port of this machine."""
    assert ranked(page, {"provider": "local"}, **headers).status_code == 403


def test_own_page_may(page: str) -> None:
    """The page's own form is answered."""
    assert ranked(page, {"provider": "local"}, **{"origin": page, "sec-fetch-site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("options", [("--host", "0.0.0.0"), ("--api-key", "k")])
def test_no_page_for_others(options: tuple[str, ...]) -> None:
    """A server that others reach, or that asks for a key, has no page."""
    for url in serving("--instant", *options):
        assert httpx.get(url.replace("0.0.0.0", "127.0.0.1")).status_code == 404
