"""The parameters: the same names and checks in both frameworks; the fields are what counts, whenever they change."""

import inspect
from types import ModuleType
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from hosted_rerank import Provider
from tests.adapters.fixtures import Asking, Do, Rank
from tests.conftest import KEY
from tests.hostile import HostileServer

NAMES = (
    *("provider", "model", "api_key", "base_url", "top_n", "score_threshold", "instruction", "timeout", "deadline"),
    *("max_retries", "on_error", "headers", "params", "client", "async_client"),
)


def test_parameters_of_the_agreement(host: ModuleType) -> None:
    """Every parameter that both classes have in common is there under its name, and can be left out."""
    parameters = inspect.signature(host.HostedRerank).parameters
    assert set(NAMES) <= parameters.keys()
    assert all(parameters[name].default is not inspect.Parameter.empty for name in NAMES)


@pytest.mark.parametrize("kind", ["HostedRerank", "FireworksRerank", "NebiusRerank"])
def test_unknown_parameter(host: ModuleType, kind: str) -> None:
    """A parameter that does not exist, such as a mistyped one, is refused by its name."""
    with pytest.raises((ValueError, TypeError), match="topn"):
        getattr(host, kind)(topn=3)


def test_unknown_argument_of_a_call(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A call refuses what it does not know, and what only the constructor takes, and sends nothing."""
    for argument in ({"topn": 1}, {"timeout": 1.0}):
        for items in (host.candidates("swift"), []):
            with pytest.raises(TypeError, match=next(iter(argument))):
                rank(asking(host.FireworksRerank), items, **argument)
    assert server.requests == []


@pytest.mark.parametrize(("kind", "provider"), [("FireworksRerank", "nebius"), ("NebiusRerank", "fireworks")])
def test_another_vendor(host: ModuleType, kind: str, provider: str) -> None:
    """A class that bears a vendor's name refuses another provider, and says what to take."""
    with pytest.raises(ValueError, match="HostedRerank"):
        getattr(host, kind)(provider=provider)
    with pytest.raises(ValueError, match="HostedRerank"):
        getattr(host, kind)(provider=Provider(name=provider, url="https://rerank.example"))


def test_vendors_own_row(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A class that bears a vendor's name takes a row of that name: the vendor's API somewhere else."""
    row = Provider(name="fireworks", url=f"{server.url}/moved/rerank")
    rank(asking(host.FireworksRerank, provider=row, base_url=None), host.candidates("swift"))
    assert server.requests[0].target == "/moved/rerank"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("on_error", "ignore"),
        ("top_n", 0),
        ("provider", "nebius"),
        ("base_url", "ftp://example.com"),
        ("api_key", f"{KEY}\n"),
        ("timeout", 0),
        ("deadline", -1),
        ("max_retries", -1),
        ("headers", {"x-team": "a\nb"}),
        ("options", {"no_such": 1}),
        ("client", 3),
    ],
)
def test_refused_assignment(host: ModuleType, asking: Asking, field: str, value: Any) -> None:
    """An assignment refuses the values that the constructor refuses, and leaves the object as it was."""
    with pytest.raises((ValueError, TypeError), match=field):
        host.FireworksRerank(**{field: value})
    reranker = asking(host.FireworksRerank)
    before = getattr(reranker, field)
    with pytest.raises((ValueError, TypeError)):
        setattr(reranker, field, value)
    assert getattr(reranker, field) == before
    assert len(host.rank(reranker, host.candidates("swift"))) == 1


def test_unknown_assignment(host: ModuleType, asking: Asking) -> None:
    """A field that does not exist cannot be assigned."""
    with pytest.raises(ValueError, match="topn"):
        asking(host.FireworksRerank).topn = 3


def test_assignment_takes_effect(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A field that is assigned counts from the next call on."""
    reranker, items = asking(host.HostedRerank), host.candidates("swift", "salmon")
    rank(reranker, items)
    reranker.model, reranker.instruction = "accounts/me/deployments/d1", "Find fish."
    reranker.api_key, reranker.headers = "sk-other", {"x-team": "birds"}
    reranker.base_url = f"{server.url}/proxy"
    rank(reranker, items)
    reranker.instruction = None
    reranker.provider = "nebius"
    rank(reranker, items)
    first, second, third = server.requests
    assert first.target == "/inference/v1/rerank"
    assert second.target == "/proxy/inference/v1/rerank"
    assert third.target == "/proxy/v1/rerank"
    assert (second.body["model"], second.body["task"]) == ("accounts/me/deployments/d1", "Find fish.")
    assert "task" not in third.body
    assert (second.headers["authorization"], second.headers["x-team"]) == ("Bearer sk-other", "birds")


def test_fields_that_exclude_each_other(host: ModuleType) -> None:
    """Fields that do not go together are refused, whichever comes last."""
    with pytest.raises(ValueError, match="instruction"):
        host.NebiusRerank(instruction="Find fish.")
    with pytest.raises(ValueError, match="instruction"):
        host.NebiusRerank().instruction = "Find fish."
    with pytest.raises(ValueError, match="instruction"):
        host.HostedRerank(instruction="Find fish.").provider = "nebius"


def test_values_changed_in_place(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A change inside a field, such as one header, counts from the next call on."""
    reranker = asking(host.FireworksRerank, headers={"x-team": "birds"})
    rank(reranker, host.candidates("swift"))
    reranker.headers["x-team"] = "fish"
    rank(reranker, host.candidates("swift"))
    assert [seen.headers["x-team"] for seen in server.requests] == ["birds", "fish"]


def test_key_as_text_and_as_secret(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A key is taken as a str and as a `SecretStr`, and kept as one that does not show itself."""
    for key in (KEY, SecretStr(KEY)):
        reranker = asking(host.FireworksRerank, api_key=key)
        assert isinstance(reranker.api_key, SecretStr)
        rank(reranker, host.candidates("swift"))
    assert [seen.headers["authorization"] for seen in server.requests] == [f"Bearer {KEY}"] * 2


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_lent_clients(host: ModuleType, asking: Asking, rank: Rank, do: Do, way: str, library: str) -> None:
    """Clients of httpx and of httpx2 that are custom_client are the ones used, and stay open."""
    custom_client = pytest.importorskip(library)
    heard: list[str] = []

    async def ahear(request: httpx.Request) -> None:
        heard.append(str(request.url.path))

    hear = {"blocking": lambda request: heard.append(request.url.path), "awaiting": ahear}[way]
    name, kind = {"blocking": ("client", "Client"), "awaiting": ("async_client", "AsyncClient")}[way]
    client = getattr(custom_client, kind)(event_hooks={"request": [hear]})
    reranker = asking(host.FireworksRerank, **{name: client})
    rank(reranker, host.candidates("swift"))
    reranker.close()
    assert heard == ["/inference/v1/rerank"]
    assert not client.is_closed
    do(client, "close")


@pytest.mark.parametrize("kind", ["HostedRerank", "FireworksRerank", "NebiusRerank", "RerankRetriever", "end event"])
def test_every_field_has_a_description(host: ModuleType, kind: str) -> None:
    """`model_fields` describes each field that the classes add to those of the framework."""
    public = getattr(host.package, "HostedReRankEndEvent" if kind == "end event" else kind, None)
    fields = getattr(public, "model_fields", None)
    if public is None or fields is None:  # LangChain has no end event; LlamaIndex' retriever is no model
        pytest.skip("not a pydantic model of this framework")
    theirs = {
        name
        for base in public.__mro__
        if base.__module__.startswith(("langchain_core.", "llama_index"))
        for name in getattr(base, "model_fields", ())
    }
    own = {name: field.description for name, field in fields.items() if name not in theirs}
    assert own
    assert not [name for name, description in own.items() if not description]
