"""`on_error="passthrough"`: an outage of the reranker does not take the pipeline down, and does not go unseen."""

import asyncio
import copy
import logging
from types import ModuleType
from typing import Any

import pytest

from hosted_rerank import AuthenticationError, InvalidRequestError, PermissionDeniedError
from tests.adapters.fixtures import Asking, Rank
from tests.conftest import KEY, QUERY
from tests.hostile import Act, HostileServer, eventually, ranking, raw, reply, silence

TEXTS = ("swift", "salmon", "", "dormouse")
OUTAGES: dict[str, tuple[Act, str]] = {
    "402": (reply(402), "PaymentRequiredError"),
    "404": (reply(404), "NotFoundError"),
    "429": (reply(429, retry_after="7"), "RateLimitError"),
    "500": (reply(500), "ServerError"),
    "503": (reply(503), "ServerError"),
    "reset": (raw(end="reset"), "RerankConnectionError"),
    "silence": (silence(), "RerankTimeoutError"),
    "malformed": (reply(200, {"results": None}), "MalformedResponseError"),
}


@pytest.fixture
def passing(asking: Asking, host: ModuleType) -> Asking:
    """Makes rerankers that pass an outage on."""
    return lambda **settings: asking(host.FireworksRerank, on_error="passthrough", **settings)


@pytest.mark.parametrize(("act", "error"), OUTAGES.values(), ids=OUTAGES)
def test_outage(
    host: ModuleType,
    passing: Asking,
    rank: Rank,
    server: HostileServer,
    caplog: pytest.LogCaptureFixture,
    act: Act,
    error: str,
) -> None:
    """The input order comes back, cut to `top_n`, without scores of the retrieval, marked, and warned of once."""
    server.play(act)
    items = host.candidates(*TEXTS)
    before = copy.deepcopy(items)
    best = rank(passing(timeout=0.2 if error == "RerankTimeoutError" else 20.0), items)
    assert [host.text(item) for item in best] == ["swift", "salmon", ""]
    assert [host.score(item) for item in best] == [host.UNSCORED] * 3
    assert [host.error(item) for item in best] == [error] * 3
    assert [host.metadata(item)["place"] for item in best] == [0, 1, 2]
    assert items == before
    (warned,) = [record for record in caplog.records if record.name.startswith("hosted_rerank")]
    assert warned.levelno == logging.WARNING
    assert error in warned.getMessage()
    assert not [text for text in (KEY, QUERY, "swift", "salmon") if text in caplog.text]


@pytest.mark.parametrize(("top_n", "count"), [(None, 4), (1, 1), (99, 4)])
@pytest.mark.parametrize("place", ["constructor", "call"])
def test_cut(
    host: ModuleType, passing: Asking, rank: Rank, server: HostileServer, place: str, top_n: int | None, count: int
) -> None:
    """The candidates passed on are cut to `top_n`, the field's or the call's, and no threshold drops unscored ones."""
    server.play(reply(503))
    here = {"top_n": top_n, "score_threshold": 0.95}
    settings, call = (here, {}) if place == "constructor" else ({}, here)
    best = rank(passing(**settings), host.candidates(*TEXTS), **call)
    assert [host.text(item) for item in best] == list(TEXTS[:count])


def test_mark_goes_with_the_outage(host: ModuleType, passing: Asking, rank: Rank, server: HostileServer) -> None:
    """When the API is back, what it ranks bears no mark."""
    server.play(reply(503), ranking())
    reranker = passing()
    rank(reranker, host.candidates(*TEXTS))
    best = rank(reranker, host.candidates(*TEXTS))
    assert [host.score(item) is None for item in best] == [False] * 3
    assert not any(host.error(item) for item in best)


def test_mark_of_an_earlier_stage(host: ModuleType, passing: Asking, rank: Rank, server: HostileServer) -> None:
    """A candidate that an earlier stage passed on loses its mark when this one scores it."""
    server.play(reply(503), ranking())
    marked = rank(passing(), host.candidates(*TEXTS, other=1))
    assert [host.error(item) for item in marked] == ["ServerError"] * 3
    before = copy.deepcopy(marked)
    best = rank(passing(top_n=2), marked)
    assert [host.text(item) for item in best] == ["salmon", "swift"]
    assert not any(host.error(item) for item in best)
    assert {host.metadata(item)["other"] for item in best} == {1}
    assert marked == before


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        *((status, InvalidRequestError) for status in (400, 405, 413, 415, 422)),
    ],
)
def test_wrong_key_or_request(
    host: ModuleType, passing: Asking, rank: Rank, server: HostileServer, status: int, kind: type[Exception]
) -> None:
    """A key that is refused and a request that is wrong raise: they would fail for ever, in silence."""
    server.play(reply(status))
    with pytest.raises(kind):
        rank(passing(), host.candidates(*TEXTS))


def test_missing_key(host: ModuleType, rank: Rank) -> None:
    """A missing key raises."""
    with pytest.raises(AuthenticationError, match="FIREWORKS_API_KEY"):
        rank(host.FireworksRerank(on_error="passthrough"), host.candidates(*TEXTS))


@pytest.mark.parametrize("wrong", [{"top_n": 0}, {"score_threshold": "high"}, {"topn": 3}, {"instruction": 5}])
def test_wrong_call(
    host: ModuleType, passing: Asking, rank: Rank, server: HostileServer, wrong: dict[str, Any]
) -> None:
    """A call that is wrong in itself raises before anything is sent."""
    with pytest.raises((ValueError, TypeError)):
        rank(passing(), host.candidates(*TEXTS), **wrong)
    assert server.requests == []


async def test_cancellation(host: ModuleType, passing: Asking, server: HostileServer) -> None:
    """A cancelled call is cancelled, on the wire too, and passes nothing on."""
    server.play(silence())
    task = asyncio.create_task(host.arank(passing(), host.candidates(*TEXTS)))
    assert await asyncio.to_thread(eventually, lambda: len(server.requests) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(eventually, lambda: server.left == 1)


def test_errors_raise_unless_asked_otherwise(
    host: ModuleType, asking: Asking, rank: Rank, server: HostileServer
) -> None:
    """By default an outage raises."""
    server.play(reply(503))
    with pytest.raises(Exception, match="503"):
        rank(asking(host.FireworksRerank), host.candidates(*TEXTS))
