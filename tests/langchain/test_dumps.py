"""`dumps` and `loads`: a reranker can be written down and read back, and its key stays a reference."""

import json
import pickle
from typing import Any

import pytest

pytest.importorskip("langchain_core")

from langchain_core.documents import Document
from langchain_core.load import dumpd, dumps
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnablePassthrough
from pydantic import BaseModel, PrivateAttr

from hosted_rerank import Provider
from langchain_hosted_rerank import FireworksRerank, HostedRerank, NebiusRerank, RerankRetriever
from tests.adapters import with_langchain as host
from tests.adapters.fixtures import Asking, Do
from tests.conftest import KEY, QUERY
from tests.langchain.shelf import Shelf, documents, texts

pytestmark = pytest.mark.filterwarnings("ignore:The function `loads` is in beta")

ROW = Provider(name="acme", url="https://rerank.example", api_key_env=("ACME_API_KEY",))


@pytest.mark.parametrize(
    ("kind", "settings", "variable"),
    [
        (FireworksRerank, {}, "FIREWORKS_API_KEY"),
        (NebiusRerank, {}, "NEBIUS_API_KEY"),
        (HostedRerank, {"provider": "nebius"}, "NEBIUS_API_KEY"),
        (HostedRerank, {"provider": ROW}, "ACME_API_KEY"),
    ],
    ids=["fireworks", "nebius", "by name", "own row"],
)
def test_key_is_a_reference(kind: type[HostedRerank], settings: dict[str, Any], variable: str) -> None:
    """In place of the key a dump has the name of the variable that the provider's key is in."""
    dumped = dumpd(kind(api_key=KEY, **settings))
    assert dumped["type"] == "constructor"
    assert dumped["kwargs"]["api_key"] == {"lc": 1, "type": "secret", "id": [variable]}
    assert KEY not in json.dumps(dumped)


def test_no_key_no_reference() -> None:
    """Where no key was passed in, a dump has none, and what is loaded reads the environment like the original."""
    loaded = host.load(dumps(FireworksRerank(top_n=7)))
    assert (loaded.top_n, loaded.api_key) == (7, None)


def test_name_of_the_class() -> None:
    """A dump names the class where it is defined, which a later version must keep."""
    for kind in (FireworksRerank, NebiusRerank):
        assert dumpd(kind())["id"] == ["langchain_hosted_rerank", "vendors", kind.__name__]
    assert dumpd(HostedRerank())["id"] == ["langchain_hosted_rerank", "compressor", "HostedRerank"]


def test_own_fields() -> None:
    """The fields that only this adapter has are in a dump, but for the function, which cannot be."""
    settings = {"metadata_fields": ["title"], "score_key": "rerank", "trace_documents": True}
    loaded = host.load(dumps(FireworksRerank(document_to_text=str, **settings)))
    assert {name: getattr(loaded, name) for name in settings} == settings
    assert loaded.document_to_text is None


def test_chain(asking: Asking, do: Do) -> None:
    """A chain that holds a reranker can be written down with it."""
    chain = RunnablePassthrough() | asking(FireworksRerank, top_n=1)
    dumped = dumps(chain)
    assert KEY not in dumped
    loaded = host.load(dumped, KEY, RunnablePassthrough, type(chain))
    assert texts(do(loaded, "invoke", {"query": QUERY, "documents": documents()})) == ["heron"]


class Settings(BaseModel):
    """The settings of a program, with a reranker in it."""

    reranker: FireworksRerank


class WritableShelf(Shelf):
    """A retriever that can be written down."""

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return True


def test_retriever(asking: Asking, do: Do) -> None:
    """A `RerankRetriever` over a retriever that can be dumped can be dumped, and ranks again when it is loaded."""
    retriever = RerankRetriever(
        base_retriever=WritableShelf(documents=documents()), reranker=asking(FireworksRerank), top_n=2
    )
    dumped = dumps(retriever)
    assert KEY not in dumped
    loaded = host.load(dumped, KEY, RerankRetriever, WritableShelf, Document)
    assert isinstance(loaded, BaseRetriever)
    assert texts(do(loaded, "invoke", QUERY)) == ["heron", "dormouse"]


def test_field_of_a_model() -> None:
    """A model of the caller's that has a reranker in it can be written down and read back with it, without the key."""
    written = Settings(reranker=FireworksRerank(top_n=7, api_key=KEY)).model_dump_json()
    assert KEY not in written
    assert Settings.model_validate_json(written).reranker.top_n == 7


def title(document: Any) -> str:
    return str(document.metadata["title"])


def test_pickle_with_a_function() -> None:
    """A function that can be pickled goes along in a pickle; one that cannot is an error, and is not lost."""
    assert pickle.loads(pickle.dumps(FireworksRerank(document_to_text=title))).document_to_text is title
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(FireworksRerank(document_to_text=lambda document: document.page_content))


@pytest.mark.parametrize("kind", [FireworksRerank, HostedRerank, NebiusRerank, Settings])
def test_json_schema(kind: type[BaseModel]) -> None:
    """`model_json_schema()` describes the fields, as servers and forms that are made from it need."""
    properties = kind.model_json_schema()["properties"]
    if kind is not Settings:
        assert properties["top_n"]["anyOf"][0] == {"minimum": 1, "type": "integer"}
        assert "id of the model" in properties["model"]["description"]


def test_json_schema_of_the_retriever() -> None:
    """So does that of the retriever, whose parts are objects."""
    properties = RerankRetriever.model_json_schema()["properties"]
    assert properties["reranker"]["type"] == properties["base_retriever"]["type"] == "object"
    assert properties["top_n"]["anyOf"][0] == {"minimum": 1, "type": "integer"}


def test_equal_after_a_pickle() -> None:
    """What comes out of a pickle equals what went in, but for the key."""
    assert pickle.loads(pickle.dumps(FireworksRerank(top_n=7, api_key=KEY))) == FireworksRerank(top_n=7)


class Noting(FireworksRerank):
    """A caller's own class, with something private in it."""

    _note: str = PrivateAttr(default="")

    def model_post_init(self, context: Any, /) -> None:
        self._note = f"for {self.model}"


def test_pickle_of_a_subclass() -> None:
    """The private attributes of a caller's own class go along in a pickle."""
    assert pickle.loads(pickle.dumps(Noting(model="m-1", api_key=KEY)))._note == "for m-1"


@pytest.mark.parametrize("where", ["headers", "params"])
def test_nothing_but_secrets(where: str) -> None:
    """Headers and parameters that are all secret leave nothing of themselves in a dump or a pickle."""
    reranker = FireworksRerank(**{where: {"x-api-key": KEY}})
    assert KEY not in dumps(reranker)
    assert KEY not in repr(reranker)
    assert KEY.encode() not in pickle.dumps(reranker)
