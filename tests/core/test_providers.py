"""The peculiarities of providers, and rows of one's own."""

import pytest

from hosted_rerank import Dialect, InvalidRequestError, PermissionDeniedError, Provider, Reranker
from tests.byhand import ACME, answered, body_of, planned, walk
from tests.conftest import KEY, Rerank
from tests.hostile import HostileServer


@pytest.mark.parametrize("instruction", ["Prefer physics.", "x"])
def test_nebius_refuses_an_instruction(instruction: str, server: HostileServer, rerank: Rerank) -> None:
    """An API without a field for an instruction is not asked with one, and the error says why."""
    with pytest.raises(InvalidRequestError, match="no field for an instruction") as caught:
        rerank(Reranker("nebius", api_key=KEY, base_url=server.url), instruction=instruction)
    assert caught.value.provider == "nebius"
    with pytest.raises(InvalidRequestError, match="no field for an instruction"):
        Reranker("nebius", api_key=KEY, instruction=instruction)
    assert server.requests == []


@pytest.mark.parametrize("tier", ["Auto", "priority", "", "over_limit"])
def test_nebius_refuses_a_service_tier_that_is_none(tier: str) -> None:
    """A wrong service tier is refused before anything is sent, with the right ones."""
    with pytest.raises(ValueError, match="auto, default, over-limit, flex, no-limit"):
        Reranker("nebius", options={"service_tier": tier})


@pytest.mark.parametrize(
    ("provider", "options"),
    [
        ("fireworks", {"user": "u-1"}),
        ("fireworks", {"service_tier": "auto"}),
        ("fireworks", {"truncate": True}),
        ("nebius", {"top_n": 3}),
        ("nebius", {"return_documents": False}),
        (ACME, {"anything": 1}),
    ],
)
def test_fields_that_an_api_has_not_are_refused(provider: str | Provider, options: dict[str, object]) -> None:
    """Only fields that the API has can be set."""
    with pytest.raises(ValueError, match=next(iter(options))):
        Reranker(provider, options=options)


@pytest.mark.parametrize("options", [{"user": 5}, {"user": None}, {"user": True}])
def test_options_of_the_wrong_kind_are_refused(options: dict[str, object]) -> None:
    """A field's value has to be of the kind that the API takes."""
    with pytest.raises(TypeError, match="user"):
        Reranker("nebius", options=options)


def test_default_models() -> None:
    """Without a model the provider's own is asked for, with its letter case."""
    assert Reranker("fireworks").model == "accounts/fireworks/models/qwen3-reranker-8b"
    assert Reranker("nebius").model == "Qwen/Qwen3-Reranker-8B"


@pytest.mark.parametrize("name", ["Fireworks", "openai", "", "fireworks "])
def test_unknown_provider_is_refused(name: str) -> None:
    """A name that is no row is refused, with the names that are."""
    with pytest.raises(ValueError, match=r"fireworks, .*nebius"):
        Reranker(name)


@pytest.mark.parametrize("thing", [None, 5, b"fireworks", Provider])
def test_provider_of_the_wrong_type_is_refused(thing: object) -> None:
    """A provider is a name or a row."""
    with pytest.raises(TypeError, match="provider"):
        Reranker(thing)


def test_nested_dialect_of_ones_own() -> None:
    """Dotted paths nest the request and the reply; a field that the API has not is not sent."""
    nested = Dialect(
        model=None,
        query="input.query.text",
        documents="input.passages",
        top_n="parameters.top",
        instruction="parameters.instruct",
        static_fields={"parameters.echo": False, "version": 2},
        results="output.rankings",
        index="i",
        score="logit",
        usage=("output.cost",),
        id="meta.id",
    )
    todo = planned(Provider(name="mine", url="https://h.example", dialect=nested), top_n=2, instruction="be brief")
    assert body_of(todo) == {
        "input": {"query": {"text": "which?"}, "passages": ["one", "two", "three"]},
        "parameters": {"top": 2, "instruct": "be brief", "echo": False},
        "version": 2,
    }
    body = {
        "output": {"rankings": [{"i": 2, "logit": -3.5}, {"i": 0, "logit": 9}], "cost": {"units": 4}},
        "meta": {"id": "n-1"},
    }
    _, answer = walk(todo, answered(200, body))
    assert list(answer.scores.items()) == [(2, -3.5), (0, 9.0)]
    assert answer.request_id == "n-1"
    assert answer.usage.units == {"units": 4}


def test_bare_array_of_ones_own() -> None:
    """An API may answer with the list alone."""
    todo = planned(Provider(name="mine", url="https://h.example", dialect=Dialect(results="", score="score")))
    _, answer = walk(todo, answered(200, [{"index": place, "score": place} for place in (2, 0, 1)]))
    assert list(answer.scores.items()) == [(2, 2.0), (0, 0.0), (1, 1.0)]


def test_statuses_of_ones_own() -> None:
    """A row may say what a status means there."""
    todo = planned(Provider(name="mine", url="https://h.example", errors={418: PermissionDeniedError}))
    _, error = walk(todo, answered(418))
    assert type(error) is PermissionDeniedError


@pytest.mark.parametrize("wrong", [{"name": " "}, {"url": ""}, {"name": "", "url": "https://h.example"}])
def test_row_without_name_or_address_is_refused(wrong: dict[str, str]) -> None:
    """A row needs a name for its errors and an address."""
    with pytest.raises(ValueError, match="blank"):
        Provider(**{"name": "mine", "url": "https://h.example"} | wrong)
