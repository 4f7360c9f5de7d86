"""Every row of the provider table, and what goes with it, in the classes of both frameworks."""

from dataclasses import replace
from datetime import date
from types import ModuleType
from typing import Any

import pytest

from hosted_rerank import PROVIDERS, Dialect, ModelFacts, PaymentRequiredError, Provider
from hosted_rerank.providers.auth import AwsSignature, KeyHeader
from hosted_rerank.providers.prompt import Prompt
from tests.adapters.fixtures import Asking, Rank
from tests.hostile import HostileServer, reply

pytestmark = pytest.mark.filterwarnings("ignore:The function `loads` is in beta")

PARTS = {"region": "eu-1", "resource": "r", "account": "a", "project": "p", "model_id": "m1", "endpoint": "e1"}
each = pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.name)


def settings(row: Provider) -> dict[str, Any]:
    """The settings that a row requires."""
    return {
        "provider": row.name,
        "model": None if row.default_model else "m",
        "params": {name: part for name, part in PARTS.items() if f"{{{name}}}" in row.url},
    }


@each
def test_every_row_is_taken_and_comes_back_from_a_dump(host: ModuleType, row: Provider) -> None:
    """A provider's name is all that a class needs, and a dump has the name and the parts."""
    loaded = host.load(host.dump(host.HostedRerank(**settings(row))))
    assert loaded.reranker.provider is row
    assert loaded.reranker.model == host.HostedRerank(**settings(row)).reranker.model
    assert loaded.params == settings(row)["params"]


@pytest.mark.parametrize(
    "row",
    [
        replace(PROVIDERS["bedrock"], name="mine"),
        replace(PROVIDERS["vertex"], name="mine"),
        replace(PROVIDERS["watsonx"], name="mine"),
        replace(PROVIDERS["pinecone"], name="mine"),
        replace(PROVIDERS["fireworks-logits"], name="mine"),
        Provider(
            name="mine",
            url="https://{region}.h.example/r",
            auth=AwsSignature("sagemaker"),
            settings_env={"region": ("A", "B")},
            errors={418: PaymentRequiredError, "no credit": PaymentRequiredError},
            usage_headers={"x-t": "total_tokens"},
            models=(ModelFacts(pattern="^m-", providers=("mine",), listwise=True, read=date(2026, 1, 2)),),
            default_model="m-1",
            default_model_seen=date(2026, 11, 1),
            other_models=("m-2",),
            base_url_env=("MINE_BASE_URL",),
            dialect=Dialect(prompt=Prompt("{query} {document}", "i"), usage=("a.b", "c"), options={"k": ("x", "y")}),
        ),
    ],
    ids=["bedrock", "vertex", "watsonx", "pinecone", "prompt", "own"],
)
def test_rows_of_ones_own_come_back_from_a_dump(host: ModuleType, row: Provider) -> None:
    """A dump of a row that is not the table's has all of it."""
    params = {name: part for name, part in PARTS.items() if f"{{{name}}}" in row.url}
    loaded = host.load(host.dump(host.HostedRerank(provider=row, model="m", params=params)))
    assert loaded.reranker.provider == row


def test_credentials_of_an_unknown_kind_are_not_dumped(host: ModuleType) -> None:
    """A reranker that could not be loaded again is refused when it is dumped."""

    class Header(KeyHeader):
        pass

    row = Provider(name="mine", url="https://h.example/r", auth=Header("x-key"))
    with pytest.raises(ValueError, match="Header"):
        host.dump(host.HostedRerank(provider=row))


def test_logits_become_scores(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """`score_transform` decides what documents are marked with, and the threshold is about that."""
    answer = {"rankings": [{"index": 0, "logit": -1.0}, {"index": 1, "logit": 0.0}, {"index": 2, "logit": 90.0}]}
    for chosen, expected in (({}, [1.0, 0.5]), ({"score_transform": "none"}, [90.0])):
        server.play(reply(200, answer))
        reranker = asking(host.HostedRerank, provider="nvidia-nim", score_threshold=0.5, **chosen)
        assert [host.score(item) for item in rank(reranker, host.candidates("a", "b", "c"))] == expected


def test_instruction_in_the_query(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Where the API has no field for it, an instruction goes before the query if that is asked for."""
    reranker = asking(host.HostedRerank, provider="cohere", instruction="be brief", instruction_in_query=True)
    rank(reranker, host.candidates("a", "b"))
    assert server.requests[0].body["query"].startswith("be brief\n")
    reranker.instruction_in_query = True
    with pytest.raises(ValueError, match="instruction"):
        reranker.instruction_in_query = False


def test_extra_body(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """Fields that only the caller knows of go along where the API ignores others, and are refused elsewhere."""
    rank(asking(host.HostedRerank, provider="vllm", model="m", extra_body={"colour": "red"}), host.candidates("a", "b"))
    assert server.requests[0].body["colour"] == "red"
    with pytest.raises(ValueError, match="extra_body"):
        host.HostedRerank(provider="nebius", extra_body={"colour": "red"})


def test_key_in_the_rows_own_header(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A key goes where the API looks for it."""
    server.play(reply(200, {"data": [{"index": 0, "score": 0.5}, {"index": 1, "score": 0.4}]}))
    rank(asking(host.HostedRerank, provider="pinecone", api_key="pc-key"), host.candidates("a", "b"))
    (seen,) = server.requests
    assert (seen.headers["api-key"], "authorization" in seen.headers) == ("pc-key", False)
