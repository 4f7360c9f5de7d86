"""The body that a call sends: each vendor's own fields under its own names, and nothing that it does not have."""

from importlib.util import find_spec
from types import ModuleType

import pytest

from hosted_rerank import AuthenticationError, Dialect, InvalidRequestError, Provider, ServerError
from tests.adapters.fixtures import Asking, Rank
from tests.conftest import KEY, QUERY
from tests.hostile import HostileServer, ranking, reply

TEXTS = ("swift", "salmon")


def test_fireworks(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Fireworks is sent exactly the fields of its schema, without an echo of the documents, and no nulls."""
    rank(asking(host.FireworksRerank, top_n=1), host.candidates(*TEXTS))
    (seen,) = server.requests
    assert (seen.method, seen.target) == ("POST", "/inference/v1/rerank")
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.body == {
        "model": "accounts/fireworks/models/qwen3-reranker-8b",
        "query": QUERY,
        "documents": list(TEXTS),
        "top_n": 1,
        "return_documents": False,
    }


def test_nebius(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Nebius is sent exactly the fields of its schema; the project goes into the query string, next to others."""
    settings = {"ai_project_id": "project-1", "service_tier": "flex", "user": "u-7", "params": {"trace": "on"}}
    rank(asking(host.NebiusRerank, **settings), host.candidates(*TEXTS))
    (seen,) = server.requests
    path, _, parameters = seen.target.partition("?")
    assert (path, set(parameters.split("&"))) == ("/v1/rerank", {"trace=on", "ai_project_id=project-1"})
    assert seen.body == {
        "model": "Qwen/Qwen3-Reranker-8B",
        "query": QUERY,
        "documents": list(TEXTS),
        "service_tier": "flex",
        "user": "u-7",
    }


def test_nebius_without_its_own(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Of Nebius' own parameters none is sent that is not set; set later, they count from the next call on."""
    reranker = asking(host.NebiusRerank)
    rank(reranker, host.candidates(*TEXTS))
    reranker.ai_project_id, reranker.user = "project-2", "u-8"
    rank(reranker, host.candidates(*TEXTS))
    first, second = server.requests
    assert (first.target, first.body.keys()) == ("/v1/rerank", {"model", "query", "documents"})
    assert (second.target, second.body["user"]) == ("/v1/rerank?ai_project_id=project-2", "u-8")


def test_nebius_by_name(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """The general class sends a vendor's own fields too, given as `params` and `options`; unknown ones are refused."""
    settings = {"params": {"ai_project_id": "project-1"}, "options": {"service_tier": "flex", "user": "u-7"}}
    rank(asking(host.HostedRerank, provider="nebius", **settings), host.candidates(*TEXTS))
    assert server.requests[0].target == "/v1/rerank?ai_project_id=project-1"
    assert server.requests[0].body.items() >= {"service_tier": "flex", "user": "u-7"}.items()
    with pytest.raises(ValueError, match="truncate"):
        host.HostedRerank(provider="nebius", options={"truncate": True})


def test_nebius_service_tier_is_checked(host: ModuleType) -> None:
    """A service tier that does not exist is refused before anything is sent."""
    with pytest.raises(ValueError, match="over-limit"):
        host.NebiusRerank(service_tier="gold")


@pytest.mark.parametrize("top_n", [1, None])
def test_instruction(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, top_n: int | None) -> None:
    """The instruction goes as Fireworks' `task`: the field's, or the call's instead; `None` in a call is none."""
    reranker, items = asking(host.FireworksRerank, instruction="Find birds.", top_n=top_n), host.candidates(*TEXTS)
    rank(reranker, items)
    rank(reranker, items, instruction="Find fish.")
    rank(reranker, items, instruction=None)
    rank(reranker, items)
    assert [seen.body.get("task") for seen in server.requests] == ["Find birds.", "Find fish.", None, "Find birds."]


def test_instruction_that_nebius_cannot_take(
    host: ModuleType, asking: Asking, rank: Rank, server: HostileServer
) -> None:
    """Nebius has no field for an instruction: one is refused, also in a call, and not lost silently."""
    with pytest.raises(InvalidRequestError, match="instruction"):
        rank(asking(host.NebiusRerank), host.candidates(*TEXTS), instruction="Find fish.")
    assert server.requests == []


@pytest.mark.parametrize(
    "model", ["accounts/me/deployments/d1", "accounts/fireworks/models/x#accounts/me/deployments/y", "a model/é"]
)
def test_model_goes_verbatim(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, model: str) -> None:
    """A model's id is passed on as it is."""
    rank(asking(host.FireworksRerank, model=model), host.candidates(*TEXTS))
    assert server.requests[0].body["model"] == model


@pytest.mark.parametrize("tail", ["", "/", "/inference/v1", "/inference/v1/", "/inference/v1/rerank"])
def test_base_url(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, tail: str) -> None:
    """An address is taken with or without the endpoint's path and a slash at the end."""
    rank(asking(host.FireworksRerank, base_url=server.url + tail), host.candidates(*TEXTS))
    assert server.requests[0].target == "/inference/v1/rerank"


def test_key_of_the_environment(
    host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `api_key` the provider's variable is read at each call; where none is set, nothing is sent as a key."""
    reranker = asking(host.FireworksRerank, api_key=None)
    rank(reranker, host.candidates(*TEXTS))
    monkeypatch.setenv("FIREWORKS_API_KEY", KEY)
    rank(reranker, host.candidates(*TEXTS))
    assert [seen.headers.get("authorization") for seen in server.requests] == [None, f"Bearer {KEY}"]


@pytest.mark.parametrize(
    ("kind", "name"), [("FireworksRerank", "FIREWORKS_API_KEY"), ("NebiusRerank", "NEBIUS_API_KEY")]
)
def test_missing_key(host: ModuleType, rank: Rank, kind: str, name: str) -> None:
    """A class can be made without a key; a call to the vendor says which variable is missing."""
    with pytest.raises(AuthenticationError, match=name):
        rank(getattr(host, kind)(), host.candidates(*TEXTS))


def test_own_provider(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A caller's own endpoint is a `Provider` in the place of a name, spoken as its dialect says."""
    dialect = Dialect(
        query="input.query", documents="input.texts", top_n=None, results="output.hits", index="i", score="s",
        instruction="input.instruct", options={"truncate": bool},
    )  # fmt: skip
    row = Provider(name="acme", url=f"{server.url}/rank", dialect=dialect, api_key_env=("ACME_API_KEY",))
    server.play(reply(200, {"output": {"hits": [{"i": 1, "s": 0.75}, {"i": 0, "s": 0.5}]}}))
    settings = {"provider": row, "base_url": None, "options": {"truncate": True}, "instruction": "Find fish."}
    best = rank(asking(host.HostedRerank, **settings), host.candidates(*TEXTS))
    assert [(host.text(item), host.score(item)) for item in best] == [("salmon", 0.75), ("swift", 0.5)]
    (seen,) = server.requests
    assert seen.target == "/rank"
    assert seen.body == {
        "input": {"query": QUERY, "texts": list(TEXTS), "instruct": "Find fish."},
        "truncate": True,
    }


def test_retries(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A failure that may pass is retried `max_retries` times, and no layer above retries it again."""
    server.play(reply(503, retry_after="0"), reply(429, retry_after="0"), ranking())
    assert len(rank(asking(host.FireworksRerank, max_retries=2), host.candidates(*TEXTS))) == 2
    assert len(server.requests) == 3
    server.play(reply(503, retry_after="0"))
    with pytest.raises(ServerError):
        rank(asking(host.FireworksRerank, max_retries=1), host.candidates(*TEXTS))
    assert len(server.requests) == 5


@pytest.mark.skipif(not find_spec("onnxruntime"), reason="needs the extra local")
def test_embedded_model(host: ModuleType, rank: Rank) -> None:
    """`provider="local"` ranks in this process, with neither key nor server."""
    items = host.candidates("Cats purr.", "", "Python is a programming language.", "The Nile is a river.")
    best = rank(host.HostedRerank(provider="local", top_n=None), items, "What is Python?")
    assert host.text(best[0]) == "Python is a programming language."
    assert [type(host.score(item)) for item in best] == [float, float, float, type(host.UNSCORED)]
