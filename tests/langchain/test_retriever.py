"""`RerankRetriever`: a retriever that takes the wishes of each call, and passes LangChain's own suite."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

pytest.importorskip("langchain_core")

from langchain_core.retrievers import BaseRetriever

from langchain_hosted_rerank import FireworksRerank, HostedRerank, NebiusRerank, RerankRetriever
from tests.adapters.fixtures import Asking, Do
from tests.conftest import KEY, QUERY
from tests.hostile import HostileServer, reply
from tests.langchain.shelf import Shelf, documents, texts


@pytest.fixture
def retriever(asking: Asking) -> RerankRetriever:
    return RerankRetriever(base_retriever=Shelf(documents=documents()), reranker=asking(FireworksRerank))


def test_order_and_scores(retriever: RerankRetriever, do: Do, way: str) -> None:
    """It returns the best of what its base retriever, asked the same way, finds, with their scores."""
    best = do(retriever, "invoke", QUERY)
    assert [(document.page_content, document.metadata["relevance_score"]) for document in best] == [
        ("heron", 0.75),
        ("dormouse", 0.5),
        ("salmon", 0.25),
    ]
    assert retriever.base_retriever._asked == [way]


def test_wishes_of_a_call(retriever: RerankRetriever, do: Do, server: HostileServer) -> None:
    """A call may set `top_n`, `score_threshold` and `instruction`, which no pipeline of LangChain's own allows."""
    assert texts(do(retriever, "invoke", QUERY, top_n=1)) == ["heron"]
    assert len(do(retriever, "invoke", QUERY, top_n=None)) == 4
    assert texts(do(retriever, "invoke", QUERY, score_threshold=0.5)) == ["heron", "dormouse"]
    do(retriever, "invoke", QUERY, instruction="Find birds.")
    assert [seen.body.get("task") for seen in server.requests] == [None, None, None, "Find birds."]


def test_own_top_n(retriever: RerankRetriever, do: Do) -> None:
    """Its own `top_n` counts more than the reranker's and less than a call's."""
    retriever.top_n = 2
    assert len(do(retriever, "invoke", QUERY)) == 2
    assert len(do(retriever, "invoke", QUERY, top_n=1)) == 1
    assert len(do(retriever, "invoke", QUERY, top_n=None)) == 4


def test_wrong_call(retriever: RerankRetriever, do: Do, server: HostileServer) -> None:
    """A call with an unknown argument, or one that cannot be right, is refused."""
    with pytest.raises(TypeError, match="topn"):
        do(retriever, "invoke", QUERY, topn=1)
    for top_n in (0, -1, True):
        with pytest.raises((TypeError, ValueError), match="top_n"):
            do(retriever, "invoke", QUERY, top_n=top_n)
    assert server.requests == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"topn": 1},
        {"top_n": 0},
        {"top_n": -1},
        {"top_n": True},
    ],
    ids=repr,
)
def test_wrong_parameter(asking: Asking, wrong: dict[str, Any]) -> None:
    """The constructor refuses what it does not know, and a `top_n` that is no count."""
    with pytest.raises(ValueError, match="top"):
        RerankRetriever(base_retriever=Shelf(documents=documents()), reranker=asking(FireworksRerank), **wrong)


@pytest.mark.parametrize(
    ("name", "ours"), [("base_compressor", "reranker"), ("retriever", "base_retriever"), ("topn", "top_n")]
)
def test_name_of_another_retriever(name: str, ours: str) -> None:
    """The refusal of what `ContextualCompressionRetriever` calls a field, or of a typo, says what it is called here."""
    with pytest.raises(ValueError, match=f"RerankRetriever takes no {name}: did you mean `{ours}`"):
        RerankRetriever(**{name: None})  # type: ignore[arg-type]


@pytest.mark.parametrize("top_n", [0, -1, True])
def test_wrong_assignment(retriever: RerankRetriever, top_n: Any) -> None:
    """An assignment of what is no count is refused."""
    with pytest.raises(ValueError, match="top_n"):
        retriever.top_n = top_n


@pytest.mark.parametrize(
    "wrong",
    [
        {"reranker": {"provider": "no such", "api_key": KEY}},
        {"base_retriever": documents("the patient in room twelve")},
        {"topn": f"{KEY}, the patient in room twelve"},
    ],
    ids="-".join,
)
def test_refusal_shows_no_secret(asking: Asking, wrong: dict[str, Any]) -> None:
    """A refusal names the parameter, and shows neither a key nor a document."""
    given = {"base_retriever": Shelf(documents=[]), "reranker": asking(FireworksRerank)} | wrong
    with pytest.raises(ValueError, match=next(iter(wrong))) as caught:
        RerankRetriever(**given)
    assert KEY[-8:] not in str(caught.value)
    assert "twelve" not in str(caught.value)


def test_passthrough(retriever: RerankRetriever, do: Do, server: HostileServer) -> None:
    """An outage that is passed over gives the first stage's order, cut to what was asked for."""
    server.play(reply(503))
    retriever.reranker.on_error = "passthrough"
    best = do(retriever, "invoke", QUERY, top_n=2)
    assert [document.metadata for document in best] == [{"place": n, "rerank_error": "ServerError"} for n in (0, 1)]


@pytest.mark.parametrize("kind", [FireworksRerank, NebiusRerank, HostedRerank])
def test_takes_any_of_our_classes(asking: Asking, do: Do, kind: type[HostedRerank]) -> None:
    """Each of our classes can rank for it, and makes one by `as_retriever`."""
    reranker = asking(kind)
    made = reranker.as_retriever(Shelf(documents=documents()), top_n=1)
    assert isinstance(made, RerankRetriever)
    assert isinstance(made, BaseRetriever)
    assert texts(do(made, "invoke", QUERY)) == ["heron"]


if find_spec("langchain_tests"):
    from langchain_tests.integration_tests import RetrieversIntegrationTests

    class Suite(RetrieversIntegrationTests):
        """LangChain's own tests of a retriever; collected through the classes below."""

        reranker: HostedRerank

        @property
        def retriever_constructor(self) -> type[RerankRetriever]:
            return RerankRetriever

        @property
        def retriever_constructor_params(self) -> dict[str, Any]:
            return {"base_retriever": Shelf(documents=documents()), "reranker": self.reranker}

        @property
        def retriever_query_example(self) -> str:
            return QUERY

        @property
        def num_results_arg_name(self) -> str:
            return "top_n"

    class TestSuiteOnAHostedApi(Suite):
        """The suite, with Fireworks' API on the loopback."""

        @pytest.fixture(autouse=True)
        def _reranker(self, asking: Asking) -> None:
            self.reranker = asking(FireworksRerank)

    @pytest.mark.skipif(not find_spec("onnxruntime"), reason="needs the extra local")
    class TestSuiteOnTheEmbeddedModel(Suite):
        """The suite, with the embedded model."""

        @pytest.fixture(autouse=True)
        def _reranker(self) -> Iterator[None]:
            self.reranker = HostedRerank(provider="local")
            yield
            self.reranker.close()
