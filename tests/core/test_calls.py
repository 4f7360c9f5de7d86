"""The arguments of a call: those that would fail later, or rank wrongly, are refused before anything is sent."""

from collections import UserList
from typing import Any

import pytest

from hosted_rerank import (
    AuthenticationError,
    Dialect,
    InvalidRequestError,
    Provider,
    RerankConnectionError,
    Reranker,
    RerankError,
)
from tests.byhand import body_of, planned
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer, ranked, reply


class IndexLike:
    """A whole number that is no int, as numpy's are."""

    def __index__(self) -> int:
        return 2

    def __repr__(self) -> str:
        return "index-like"


@pytest.mark.parametrize("top_n", [0, -1, -(10**30)])
def test_top_n_below_one_is_refused(top_n: int, server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Neither "none" nor "all but" can be meant: None means all."""
    for documents in (["a", "b"], [], [""]):
        with pytest.raises(InvalidRequestError, match="top_n must be at least 1"):
            rerank(acme(), documents=documents, top_n=top_n)
    assert server.requests == []


@pytest.mark.parametrize("top_n", [True, False, 2.0, "2", IndexLike(), [2]], ids=repr)
def test_top_n_of_the_wrong_type_is_refused(top_n: Any) -> None:
    """`top_n` is an int, and True is none."""
    with pytest.raises(TypeError, match="top_n"):
        planned(top_n=top_n)


@pytest.mark.parametrize("query", ["", " ", "\n\t", "\u3000"])
def test_blank_query_is_refused(query: str) -> None:
    """There is nothing to compare documents with."""
    with pytest.raises(InvalidRequestError, match="query is blank"):
        planned(query=query)


@pytest.mark.parametrize("query", [None, b"q", 5, ["q"]], ids=repr)
def test_query_of_the_wrong_type_is_refused(query: Any) -> None:
    """A query is a str."""
    with pytest.raises(TypeError, match="query"):
        planned(query=query)


@pytest.mark.parametrize(
    "documents",
    ["a text", b"bytes", None, 5, {"a"}, {"a": 1}, (text for text in "ab")],
    ids=lambda given: type(given).__name__,
)
def test_documents_of_the_wrong_type_are_refused(documents: Any) -> None:
    """One text is not a list of its letters, and what has no order cannot be ranked by index."""
    with pytest.raises(TypeError, match="documents"):
        planned(documents=documents)


@pytest.mark.parametrize("wrong", [None, 5, b"s3cr3t", ["s3cr3t"]], ids=repr)
def test_document_of_the_wrong_type_is_named_by_its_place(wrong: Any) -> None:
    """An error tells which document is neither a text nor a mapping, and does not show it."""
    with pytest.raises(TypeError, match=r"documents\[2\]") as caught:
        planned(documents=["a", "", wrong])
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "documents", [("a", "b"), UserList(["a", "b"]), ["a", "b"]], ids=lambda given: type(given).__name__
)
def test_any_sequence_will_do(documents: Any) -> None:
    """Documents are any sequence of str."""
    assert body_of(planned(documents=documents))["documents"] == ["a", "b"]


@pytest.mark.parametrize("instruction", ["", "  "])
def test_blank_instruction_is_refused(instruction: str) -> None:
    """An instruction says something, or is None."""
    with pytest.raises(InvalidRequestError, match="instruction is blank"):
        planned("fireworks", instruction=instruction)


def test_instruction_of_a_call_replaces_the_rerankers(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A call's instruction stands for the reranker's, None for none, and without one the reranker's holds."""
    reranker = acme(instruction="in general")
    rerank(reranker)
    rerank(reranker, instruction="here")
    rerank(reranker, instruction=None)
    assert [seen.body.get("task", "none") for seen in server.requests] == ["in general", "here", "none"]


def test_model_of_a_call(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A call's model stands for the reranker's, over the same connection, and is told; without one its own holds."""
    server.play(*(reply(200, ranked(0.5, 0.25, 0.75)) for _ in range(3)))
    reranker = acme(model="m-1")
    told = [rerank(reranker, **given).model for given in ({}, {"model": "m-2"}, {"model": None})]
    assert [seen.body["model"] for seen in server.requests] == told == ["m-1", "m-2", "m-1"]
    assert (reranker.model, server.connections) == ("m-1", 1)
    with pytest.raises(TypeError, match="model"):
        rerank(reranker, model=5)


def test_model_of_a_call_in_the_url(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Where the URL names the model, it names the model of the call."""
    rerank(acme(row={"url": f"{server.url}/models/{{model}}/rerank"}, model="m-1"), model="m-2")
    assert server.requests[0].target == "/models/m-2/rerank"


def test_model_of_a_call_and_fallbacks(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A fallback keeps its own model: the models of one API are not those of another."""
    server.play(reply(503), reply(200, ranked(0.5, 0.25, 0.75)))
    assert rerank(acme(model="m-1", fallbacks=[acme(model="other")]), model="m-2").model == "other"
    assert [seen.body["model"] for seen in server.requests] == ["m-2", "other"]


def test_cached_scores_of_another_model(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """The scores of one model are not taken for those of another."""
    reranker = acme(model="m-1", cache={})
    for model in ("m-1", "m-2", None):
        rerank(reranker, model=model)
    assert [seen.body["model"] for seen in server.requests] == ["m-1", "m-2"]


@pytest.mark.parametrize("documents", [[], (), [""], ["", " \n", "\u3000"]], ids=repr)
def test_nothing_is_sent_for_nothing(documents: Any, server: HostileServer, rerank: Rerank) -> None:
    """Without a text there is no request and no key is needed."""
    response = rerank(Reranker("fireworks", base_url=server.url), documents=documents)
    assert [(result.index, result.relevance_score) for result in response.results] == [
        (place, None) for place in range(len(documents))
    ]
    assert (response.attempts, response.request_ids, response.provider) == (0, (), "fireworks")
    assert (response.usage.prompt_tokens, response.usage.total_tokens, response.usage.units) == (None, None, {})
    assert response.model == "accounts/fireworks/models/qwen3-reranker-8b"
    assert response.elapsed >= 0
    assert rerank(Reranker("fireworks"), documents=documents, top_n=1).results == response.results[:1]
    assert server.connections == 0


def test_something_to_send_needs_a_key(rerank: Rerank) -> None:
    """As soon as there is a text, the key is missed."""
    with pytest.raises(AuthenticationError, match="FIREWORKS_API_KEY"):
        rerank(Reranker("fireworks"), documents=["", "a"])


def test_wrong_arguments_are_no_rerank_errors_of_the_server(rerank: Rerank, acme: Acme, server: HostileServer) -> None:
    """An error found before sending has no status, and nothing was sent."""
    with pytest.raises(RerankError) as caught:
        rerank(acme(), query=" ")
    assert caught.value.status is None
    assert server.connections == 0


def test_options_of_one_call_do_not_stay_in_the_row() -> None:
    """Where a row's own fields and an option share an object, one caller's option is not sent with another's call."""
    dialect = Dialect(static_fields={"parameters": {"echo": False}}, options={"parameters.user": str})
    row = Provider(name="acme", url="https://rerank.example", dialect=dialect)
    assert body_of(planned(row, options={"parameters.user": "ann"}))["parameters"] == {"echo": False, "user": "ann"}
    assert body_of(planned(row))["parameters"] == {"echo": False}


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "xn--"])
def test_host_that_is_none(host: str, rerank: Rerank) -> None:
    """A host name that no resolver takes is an error of the family, like one that does not exist."""
    with pytest.raises(RerankConnectionError):
        rerank(Reranker(base_url=f"https://{host}/", max_retries=0))
