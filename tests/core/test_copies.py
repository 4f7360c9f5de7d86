"""Pickles and copies of rerankers, rows and responses: they work elsewhere and hold no secret."""

import copy
import pickle
from collections.abc import Callable

import pytest

from hosted_rerank import Provider, Reranker, RerankResponse, RerankResult, Usage
from tests.conftest import KEY, Acme, Rerank
from tests.hostile import HostileServer


def test_pickle_works_elsewhere(
    server: HostileServer, acme: Acme, rerank: Rerank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pickle works elsewhere with all settings but the key, which it reads from the environment."""
    row = {"api_key_env": ("ACME_API_KEY",), "query_params": ("p",)}
    settings = {"instruction": "be brief", "deadline": 9.0, "params": {"p": "1"}, "model": "m-1"}
    reranker = acme(row=row, headers={"x-title": "birds"}, **settings)
    rerank(reranker)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(reranker, protocol)
        assert KEY.encode() not in pickled
    arrived = pickle.loads(pickled)
    assert KEY not in repr(vars(arrived))
    rerank(arrived)  # on loopback a key is optional
    monkeypatch.setenv("ACME_API_KEY", KEY)
    assert rerank(arrived).attempts == 1
    first, bare, last = server.requests
    assert "authorization" not in bare.headers
    assert (last.body, last.target) == (first.body, first.target)
    assert (last.headers["x-title"], last.headers["authorization"]) == ("birds", f"Bearer {KEY}")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_copies_work(copied: Callable[[Reranker], Reranker], server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A copy asks the same API with the same key, and closing it does no harm to the original."""
    original = acme(instruction="be brief", headers={"x-tenant": "5"})
    rerank(original)
    twin = copied(original)
    assert twin is not original
    rerank(twin)
    twin.close()
    rerank(original)
    asked = {
        (seen.content, seen.target, seen.headers["x-tenant"], seen.headers["authorization"]) for seen in server.requests
    }
    assert len(asked) == 1
    assert len(server.requests) == 3


def test_rows_and_answers_travel() -> None:
    """A row of one's own and an answer are pickled and copied by value."""
    row = Provider(name="mine", url="https://h.example", api_key_env=("A", "B"), max_response_bytes=5)
    answer = RerankResponse(
        (RerankResult(0, 0.5), RerankResult(1, None)), Usage(1, 2, {"u": 3}), "m", "p", ("r",), 1, 0.5
    )
    for thing in (row, answer):
        for arrived in (pickle.loads(pickle.dumps(thing)), copy.deepcopy(thing), copy.copy(thing)):
            assert arrived == thing
