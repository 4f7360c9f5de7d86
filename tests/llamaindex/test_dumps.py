"""`to_dict`, `to_json`, pickles: a reranker can be written down and read back, and nothing is lost without a word."""

import json
import pickle
from typing import Any

import httpx
import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.core.workflow import JsonPickleSerializer, JsonSerializer
from pydantic import BaseModel

from hosted_rerank import Provider
from llamaindex_hosted_rerank import FireworksRerank, HostedRerank, NebiusRerank
from tests.adapters.fixtures import Asking, Do
from tests.conftest import KEY, QUERY
from tests.llamaindex.shelf import nodes, texts

OWN = {"metadata_mode": MetadataMode.LLM, "keep_retrieval_score": True}
KINDS = [HostedRerank, FireworksRerank, NebiusRerank]


@pytest.mark.parametrize("kind", KINDS)
def test_json_schema(kind: type[HostedRerank]) -> None:
    """`model_json_schema()` describes the fields, as servers and forms that are made from it need."""
    properties = kind.model_json_schema()["properties"]
    assert properties["top_n"]["anyOf"][0] == {"minimum": 1, "type": "integer"}
    assert "id of the model" in properties["model"]["description"]


@pytest.mark.parametrize("kind", KINDS)
def test_dict_and_json(kind: type[HostedRerank]) -> None:
    """A dump is plain JSON with the class's name, takes every field with it but the key, and makes an equal one."""
    reranker = kind(api_key=KEY, top_n=None, model="m-1", **OWN)
    data = reranker.to_dict()
    assert data["class_name"] == kind.class_name() == kind.__name__
    assert json.loads(reranker.to_json()) == json.loads(json.dumps(data))
    for loaded in (kind.from_dict(dict(data)), kind.from_json(reranker.to_json())):
        assert type(loaded) is kind
        assert loaded.to_dict() == data
        assert {name: getattr(loaded, name) for name in OWN} == OWN
        assert loaded.api_key is None


def test_dump_is_complete() -> None:
    """Every field is in a dump, except those that are not to be or cannot be written down."""
    missing = FireworksRerank.model_fields.keys() - FireworksRerank().to_dict().keys()
    objects = {"client", "async_client", "cache", "rate_limiter", "callback_manager", "text_fn", "on_response"}
    assert missing == {"api_key"} | objects


@pytest.mark.parametrize("serializer", [JsonSerializer(), JsonPickleSerializer()], ids=lambda s: type(s).__name__)
def test_workflow_serializers(serializer: Any, asking: Asking, do: Do) -> None:
    """Both serializers of workflows take a reranker, without its key, and give one back that works."""
    row = Provider(name="acme", url="https://rerank.example/rank")
    written = serializer.serialize([asking(NebiusRerank, top_n=1), HostedRerank(provider=row, api_key=KEY)])
    assert KEY not in written
    first, second = serializer.deserialize(written)
    assert second.provider == row
    first.api_key = "sk-given-again"
    assert texts(do(first, "postprocess_nodes", nodes(), query_str=QUERY)) == ["heron"]


class State(BaseModel):
    """The state of a workflow, or the settings of a program, with a reranker in it."""

    reranker: FireworksRerank


def test_field_of_a_model() -> None:
    """A model of the caller's that has a reranker in it can be written down and read back with it."""
    state = State(reranker=FireworksRerank(top_n=7, api_key=KEY))
    written = state.model_dump_json()
    assert KEY not in written
    assert State.model_validate_json(written).reranker.top_n == 7
    assert JsonSerializer().deserialize(JsonSerializer().serialize(state)).reranker.top_n == 7


def test_name_of_the_class() -> None:
    """A workflow's checkpoint names the module of the class, which a later version must keep."""
    names = [json.loads(JsonSerializer().serialize(kind()))["qualified_name"] for kind in KINDS]
    home = "llamaindex_hosted_rerank"
    assert names == [
        f"{home}.postprocessor.HostedRerank",
        f"{home}.vendors.FireworksRerank",
        f"{home}.vendors.NebiusRerank",
    ]


def heading(node: BaseNode) -> str:
    return node.get_content().upper()


def test_pickle_with_a_function() -> None:
    """A function that can be pickled goes along in a pickle; one that cannot is an error, and is not lost."""
    assert pickle.loads(pickle.dumps(FireworksRerank(text_fn=heading))).text_fn is heading
    reranker = FireworksRerank(text_fn=lambda node: node.get_content())
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(reranker)
    assert reranker.text_fn is not None
    assert reranker.text_fn(TextNode(text="a")) == "a"


def test_pickle_says_nothing(asking: Asking, do: Do, caplog: pytest.LogCaptureFixture) -> None:
    """Of a reranker that was used, with its callbacks and a custom client, LlamaIndex finds nothing to leave out."""
    with httpx.Client() as client:
        clients = {
            "client": client,
            "async_client": httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0)),
        }
        reranker = asking(FireworksRerank, callback_manager=CallbackManager([]), **clients)
        do(reranker, "postprocess_nodes", nodes(), query_str=QUERY)
        pickle.loads(pickle.dumps(reranker))
    assert not [record for record in caplog.records if "npickleable" in record.getMessage()]


def test_constructor_takes_a_callback_manager() -> None:
    """LlamaIndex' callbacks can be passed in, as `__setstate__` and `from_dict` of LlamaIndex do."""
    callbacks = CallbackManager([LlamaDebugHandler(print_trace_on_end=False)])
    assert FireworksRerank(callback_manager=callbacks).callback_manager is callbacks
