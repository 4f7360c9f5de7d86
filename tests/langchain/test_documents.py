"""Documents: what of them is sent, and what comes back of them."""

import copy
import json
import threading
from typing import Any

import pytest

pytest.importorskip("langchain_core")

from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import Runnable

from langchain_hosted_rerank import FireworksRerank, HostedRerank
from tests.adapters.fixtures import Asking, Do
from tests.conftest import QUERY
from tests.hostile import HostileServer, ranking
from tests.langchain.shelf import documents, texts


class Page(Document):
    """A caller's own kind of document."""

    number: int
    handle: Any = None


def test_is_what_langchain_takes() -> None:
    """The class is LangChain's own document compressor, and a `Runnable`."""
    assert issubclass(HostedRerank, BaseDocumentCompressor)
    assert issubclass(HostedRerank, Runnable)


def test_subclass_and_id_are_kept(asking: Asking, do: Do) -> None:
    """A document of a caller's own class comes back as one, with its id and its own fields."""
    pages = [Page(page_content=text, id=f"p{n}", number=n, metadata={"n": n}) for n, text in enumerate("abc")]
    best = do(asking(FireworksRerank, top_n=2), "compress_documents", pages, QUERY)
    assert [(type(page), page.id, page.number, page.metadata["n"]) for page in best] == [
        (Page, "p2", 2, 2),
        (Page, "p1", 1, 1),
    ]


def test_nested_metadata(asking: Asking, do: Do) -> None:
    """A change inside the metadata of a result, at any depth, does not show in the input."""
    (given,) = documents("swift", loc={"lines": [1, {"to": 2}]}, tags={"a"}, pair=(1, [2]))
    before = copy.deepcopy(given)
    (best,) = do(asking(FireworksRerank), "compress_documents", [given], QUERY)
    assert {name: best.metadata[name] for name in before.metadata} == before.metadata
    best.metadata["loc"]["lines"][1]["to"] = 3
    best.metadata["loc"]["lines"].append(4)
    best.metadata["tags"].add("b")
    best.metadata["pair"][1].append(3)
    assert given == before


def test_values_that_are_not_copied(asking: Asking, do: Do) -> None:
    """A value that cannot be copied, or is large, is handed on as the same object, in metadata and in fields."""
    lock = threading.Lock()
    page = Page(page_content="a", number=1, handle=lock, metadata={"lock": lock, "deep": {"lock": lock}})
    (best,) = do(asking(FireworksRerank), "compress_documents", [page], QUERY)
    assert best.handle is lock
    assert best.metadata["lock"] is best.metadata["deep"]["lock"] is lock


def test_metadata_is_a_new_mapping(asking: Asking, do: Do) -> None:
    """A change to the metadata of a result does not show in the input."""
    (given,) = documents("swift")
    before = copy.deepcopy(given)
    (best,) = do(asking(FireworksRerank), "compress_documents", [given], QUERY)
    assert best.metadata == {"place": 0, "relevance_score": 0.0}
    best.metadata["more"] = 1
    assert given == before


def test_score_key(asking: Asking, do: Do) -> None:
    """The score is written under `score_key`, and under no other."""
    best = do(asking(FireworksRerank, score_key="rerank"), "compress_documents", documents(), QUERY)
    assert [document.metadata for document in best] == [
        {"place": place, "rerank": score} for place, score in ((3, 0.75), (2, 0.5), (1, 0.25))
    ]


def test_score_of_an_earlier_stage(asking: Asking, do: Do, server: HostileServer) -> None:
    """A score that an earlier stage left under the key gives way to ours, also where a document gets none."""
    server.play(ranking(0.5))
    items = documents("swift", " ", relevance_score=0.875)
    best = do(asking(FireworksRerank), "compress_documents", items, QUERY)
    assert [document.metadata for document in best] == [{"place": 0, "relevance_score": 0.5}, {"place": 1}]


def test_sequences_other_than_lists(asking: Asking, do: Do) -> None:
    """The candidates may be any sequence; a list comes back."""
    best = do(asking(FireworksRerank), "compress_documents", tuple(documents("swift", "salmon")), QUERY)
    assert type(best) is list
    assert texts(best) == ["salmon", "swift"]


def test_documents_that_can_be_read_only_once(asking: Asking, do: Do, server: HostileServer) -> None:
    """A generator in the place of a list is refused, and not taken for no documents."""
    with pytest.raises(TypeError):
        do(asking(FireworksRerank), "compress_documents", iter(documents()), QUERY)
    assert server.requests == []


def test_metadata_is_not_sent(asking: Asking, do: Do, server: HostileServer) -> None:
    """Unless it is asked for, nothing of a document but its content leaves the process."""
    do(asking(FireworksRerank), "compress_documents", documents("swift", owner="Alma"), QUERY)
    assert server.requests[0].body["documents"] == ["swift"]
    assert b"Alma" not in server.requests[0].content


def test_metadata_fields(asking: Asking, do: Do, server: HostileServer) -> None:
    """The metadata that is named is sent before the content, in the order of the names, where a document has it."""
    items = [Document("Flies.", metadata={"year": 0, "title": "Swift", "owner": "Alma"}), Document("Swims.")]
    reranker = asking(FireworksRerank, metadata_fields=["title", "year"])
    best = do(reranker, "compress_documents", items, QUERY)
    assert server.requests[0].body["documents"] == ["title: Swift\nyear: 0\nFlies.", "Swims."]
    assert texts(best) == ["Swims.", "Flies."]


def test_document_to_text(asking: Asking, do: Do, server: HostileServer) -> None:
    """A function of the caller's says what is sent; what it finds no text in comes last; documents stay whole."""
    reranker = asking(FireworksRerank, document_to_text=lambda document: document.metadata.get("summary", ""))
    items = [Document("a", metadata={"summary": "first"}), Document("b"), Document("c", metadata={"summary": "third"})]
    best = do(reranker, "compress_documents", items, QUERY)
    assert server.requests[0].body["documents"] == ["first", "third"]
    assert texts(best) == ["c", "a", "b"]


def test_document_to_text_that_fails(asking: Asking, do: Do, server: HostileServer) -> None:
    """An error of the caller's function is the caller's, also where outages are passed over; nothing is sent."""
    reranker = asking(
        FireworksRerank, document_to_text=lambda document: document.metadata["gone"], on_error="passthrough"
    )
    with pytest.raises(KeyError, match="gone"):
        do(reranker, "compress_documents", documents(), QUERY)
    reranker.document_to_text = lambda document: 5
    with pytest.raises(TypeError, match="str"):
        do(reranker, "compress_documents", documents(), QUERY)
    assert server.requests == []


MIXED = ["swift", Document("salmon", metadata={"x": 1}), {"text": "dormouse", "year": 1999, "owner": "Alma"}, " "]


def test_rerank_of_anything(asking: Asking, do: Do, server: HostileServer) -> None:
    """`rerank` takes texts, documents and mappings, and answers with positions and plain scores as Cohere's does."""
    found = do(asking(FireworksRerank, top_n=None), "rerank", MIXED, QUERY)
    first, second, third = server.requests[0].body["documents"]
    assert (first, second) == ("swift", "salmon")
    assert json.loads(third) == MIXED[2]
    assert [item["index"] for item in found] == [2, 1, 0, 3]
    assert [item["relevance_score"] for item in found] == [pytest.approx(score) for score in (2 / 3, 1 / 3, 0)] + [None]
    assert {type(item["index"]) for item in found} == {int}
    assert all(item.keys() == {"index", "relevance_score"} for item in found)


def test_rerank_with_rank_fields(asking: Asking, do: Do, server: HostileServer) -> None:
    """Of a mapping only the fields that are named are sent, in that order."""
    do(asking(FireworksRerank), "rerank", MIXED, QUERY, rank_fields=["year", "text", "none"])
    assert list(json.loads(server.requests[0].body["documents"][2]).items()) == [("year", 1999), ("text", "dormouse")]
    assert b"Alma" not in server.requests[0].content


def test_rerank_with_overrides(asking: Asking, do: Do, server: HostileServer) -> None:
    """`rerank` takes the same wishes for a call as `compress_documents`, and refuses what it does not know."""
    reranker = asking(FireworksRerank)
    found = do(reranker, "rerank", ["a", "b", "c"], QUERY, top_n=2, score_threshold=0.5, instruction="Find birds.")
    assert found == [{"index": 2, "relevance_score": pytest.approx(2 / 3)}]
    assert (server.requests[0].body["top_n"], server.requests[0].body["task"]) == (2, "Find birds.")
    with pytest.raises(TypeError, match="topn"):
        do(reranker, "rerank", ["a"], QUERY, topn=1)


@pytest.mark.parametrize(
    "given",
    [
        "swift",
        {"text": "swift"},
        b"swift",
        None,
        [5],
        [None],
    ],
    ids=repr,
)
def test_rerank_of_what_it_does_not_take(asking: Asking, do: Do, server: HostileServer, given: Any) -> None:
    """A value other than a list of texts, documents or mappings is a `TypeError`, and is not iterated."""
    with pytest.raises(TypeError):
        do(asking(FireworksRerank), "rerank", given, QUERY)
    assert server.requests == []


def test_texts_in_the_place_of_documents(asking: Asking, do: Do, server: HostileServer) -> None:
    """The refusal of texts says how to pass them."""
    with pytest.raises(TypeError, match=r"wrap them in Document\(page_content=...\), or call .rerank\(texts, query\)"):
        do(asking(FireworksRerank), "compress_documents", ["swift"], QUERY)
    with pytest.raises(TypeError, match=r"must be a list, not str: pass \[text\]"):
        do(asking(FireworksRerank), "rerank", "swift", QUERY)
    with pytest.raises(TypeError, match=r"must be a list, not Document: pass a list with it"):
        do(asking(FireworksRerank), "compress_documents", documents()[0], QUERY)
    with pytest.raises(TypeError, match=r"not dict: pass Document\(page_content=...\)"):
        do(asking(FireworksRerank), "compress_documents", [{"page_content": "swift"}], QUERY)
    with pytest.raises(
        TypeError, match=r"documents\[1\] must be a text, a Document, a mapping or content blocks, not float"
    ):
        do(asking(FireworksRerank), "rerank", ["swift", float("nan")], QUERY)
    assert server.requests == []


def test_no_query(asking: Asking, do: Do, server: HostileServer) -> None:
    """`None` as the query is refused with the remedy."""
    for method in ("compress_documents", "rerank"):
        with pytest.raises(TypeError, match="query is None: pass the question as a str"):
            do(asking(FireworksRerank), method, documents(), None)
    assert server.requests == []
