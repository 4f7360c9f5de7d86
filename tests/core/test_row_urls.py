"""The URL of a row: parts in braces, the model's place, settings from the environment, a base_url below it."""

from dataclasses import replace
from typing import Any

import pytest

from hosted_rerank import Dialect, Provider, Reranker
from tests.byhand import ACME, body_of, planned, request_of

PARTS = Provider(
    name="parts",
    url="https://{region}.h.example/v1/{account}/run/{model}",
    dialect=Dialect(model=None, options={"project": str}),
    default_model="m/x.1",
    settings_env={"region": ("PARTS_REGION", "REGION"), "project": ("PARTS_PROJECT",)},
    params={"version": "3"},
)


def url_of(provider: str | Provider, **settings: Any) -> str:
    url: str = request_of(planned(provider, **settings)).url
    return url


def test_parts_of_the_address_are_filled_in() -> None:
    """Names in braces come from `params`, the model's from `model`; other params are query parameters."""
    url = url_of(PARTS, params={"region": "eu-1", "account": "a b", "trace": "t/1"})
    assert url == "https://eu-1.h.example/v1/a%20b/run/m/x.1?version=3&trace=t%2F1"


def test_model_with_underscores() -> None:
    """`{model_}` has no dots, as NVIDIA's addresses have it."""
    row = replace(PARTS, url="https://h.example/{model_}/reranking", params={})
    assert url_of(row, model="nv/llama-3.2-rerank") == "https://h.example/nv/llama-3_2-rerank/reranking"


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first variable that is set counts, and what the caller says counts more."""
    monkeypatch.setenv("REGION", "us-2")
    monkeypatch.setenv("PARTS_PROJECT", "p-1")
    todo = planned(PARTS, params={"account": "a"})
    assert request_of(todo).url.startswith("https://us-2.h.example/v1/a/")
    assert body_of(todo)["project"] == "p-1"
    monkeypatch.setenv("PARTS_REGION", "us-3")
    todo = planned(PARTS, params={"account": "a"}, options={"project": "p-2"})
    assert "//us-3." in request_of(todo).url
    assert body_of(todo)["project"] == "p-2"
    assert "//eu-9." in url_of(PARTS, params={"account": "a", "region": "eu-9"})


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"account": "a"}, r"region.*PARTS_REGION or REGION"),
        ({"region": "eu-1"}, "account"),
        ({"region": "eu.1/x", "account": "a"}, "region.*host"),
        ({"region": "eu-1", "account": "../x"}, "account"),
        ({"region": "eu-1", "account": ""}, "account"),
    ],
)
def test_parts_that_cannot_be_right_are_refused(params: dict[str, str], named: str) -> None:
    """A part that is missing, or would lead elsewhere, is named, with where it can come from."""
    with pytest.raises(ValueError, match=named):
        Reranker(PARTS, params=params)


def test_address_with_a_model_needs_one() -> None:
    """Without a model there is no address."""
    with pytest.raises(ValueError, match="model"):
        Reranker(replace(PARTS, default_model=None), params={"region": "r", "account": "a"})


def test_default_model_may_have_parts() -> None:
    """A row's model is filled in as its address is; the caller's own passes verbatim."""
    row = replace(ACME, url="https://{region}.example/r", default_model="arn:{region}:m")
    assert body_of(planned(row, params={"region": "eu-1"}))["model"] == "arn:eu-1:m"
    assert body_of(planned(row, model="{x}", params={"region": "eu-1"}))["model"] == "{x}"
    with pytest.raises(ValueError, match="region"):
        Reranker(row, base_url="https://h.example")


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://g.example", "https://g.example/v1/acc/run/m/x.1?version=3"),
        ("https://g.example/v1", "https://g.example/v1/acc/run/m/x.1?version=3"),
        ("https://g.example/v1/other/run", "https://g.example/v1/other/run/m/x.1?version=3"),
        ("https://g.example/v1/acc/run/m/x.1", "https://g.example/v1/acc/run/m/x.1?version=3"),
        ("https://g.example/m", "https://g.example/m/v1/acc/run/m/x.1?version=3"),
    ],
)
def test_base_url_below_parts(base: str, url: str) -> None:
    """A base may end anywhere in the path, but not in the middle of a part."""
    assert url_of(PARTS, base_url=base, params={"account": "acc"}) == url


@pytest.mark.parametrize(
    "base",
    ["https://g.example/api/v1/services/rerank", "https://g.example/api/v1/services/rerank/text-rerank/text-rerank"],
)
def test_base_url_where_a_segment_comes_twice(base: str) -> None:
    """Of several places for a base's end, the one that agrees with most of it is meant."""
    url = "https://g.example/api/v1/services/rerank/text-rerank/text-rerank"
    assert url_of("dashscope-native", base_url=base) == url
