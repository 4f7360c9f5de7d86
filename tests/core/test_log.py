"""The lines of the logger `hosted_rerank`; warnings are seen without a logging setup."""

import logging
import re
import subprocess
import sys

import pytest

from hosted_rerank import RerankConnectionError
from tests.bounded import patience
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer, ranking, raw, reply


def lines(caplog: pytest.LogCaptureFixture, level: str) -> list[str]:
    return [each.getMessage() for each in caplog.records if (each.name, each.levelname) == ("hosted_rerank", level)]


def test_each_request_is_a_line(
    server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG each HTTP request is one line: who was asked, for how many documents, its status, and its seconds."""
    server.play(reply(503, "", retry_after_ms="1"), ranking())
    with caplog.at_level(logging.DEBUG, "hosted_rerank"):
        rerank(acme(max_retries=1, batch_size=2, max_concurrency=1), documents=["a", "b", "c", "d"])
    told = sorted(lines(caplog, "DEBUG"))
    assert [re.sub(r"\d+\.\d{3} s$", "_", line) for line in told] == [
        "acme: 2 documents, status 200, _",
        "acme: 2 documents, status 200, _",
        "acme: 2 documents, status 503, _",
    ]
    assert len(server.requests) == 3


def test_request_without_a_response_is_a_line(
    server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture
) -> None:
    """So is a request without a response."""
    server.play(raw(end="hang_up"))
    with caplog.at_level(logging.DEBUG, "hosted_rerank"), pytest.raises(RerankConnectionError):
        rerank(acme())
    (line,) = lines(caplog, "DEBUG")
    assert line.startswith("acme: 3 documents, status no response, ")


def test_usual_level_says_nothing_of_what_goes_well(
    server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture
) -> None:
    """At INFO a call that goes well says nothing."""
    with caplog.at_level(logging.INFO, "hosted_rerank"):
        rerank(acme())
    assert [each for each in caplog.records if each.name == "hosted_rerank"] == []


def test_fallback_is_a_warning(
    server: HostileServer, acme: Acme, rerank: Rerank, caplog: pytest.LogCaptureFixture
) -> None:
    """At WARNING a fallback is one line, which names the next provider and the reason."""
    server.play(reply(500, "no"), ranking())
    rerank(acme(fallbacks=[acme(row={"name": "spare"}, api_key="sk-spare")]))
    (line,) = lines(caplog, "WARNING")
    assert line.startswith("Falling back to spare: ServerError: ")


def test_warning_is_seen_where_nobody_set_up_logging(way: str, server: HostileServer) -> None:
    """In a program or notebook without logging a warning is on stderr: we put no handler before Python's own."""
    server.play(reply(500, "no"), ranking())
    call = "reranker.rerank('q', ['a'])" if way == "blocking" else "asyncio.run(reranker.arerank('q', ['a']))"
    code = (
        "import asyncio, logging, sys\n"
        "from hosted_rerank import Provider, Reranker\n"
        "first, second = (Provider(name=name, url=sys.argv[1]) for name in ('first', 'second'))\n"
        "reranker = Reranker(first, max_retries=0, fallbacks=[second])\n"
        f"{call}\n"
        "print(logging.getLogger('hosted_rerank').handlers, logging.getLogger().handlers)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"{server.url}/v1/rerank"],
        capture_output=True,
        text=True,
        timeout=patience(60),
        check=True,
    )
    assert done.stdout == "[] []\n"
    assert done.stderr.startswith("Falling back to second: ServerError: ")
    assert done.stderr.count("\n") == 1
