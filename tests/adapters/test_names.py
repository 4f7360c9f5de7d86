"""Names: what other rerankers call a parameter, typos, and what a reader and an editor learn of the parameters."""

import copy
import inspect
import pydoc
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pytest

from hosted_rerank import PROVIDERS, Reranker
from hosted_rerank.providers import ProviderName
from tests.adapters.fixtures import Asking, Rank
from tests.conftest import KEY
from tests.hostile import HostileServer


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("cohere_api_key", "did you mean `api_key`?"),
        ("voyage_api_key", "did you mean `api_key`?"),
        ("top_k", "did you mean `top_n`?"),
        ("topn", "did you mean `top_n`?"),
        ("TOP_N", "did you mean `top_n`?"),
        ("model_name", "did you mean `model`?"),
        ("truncation", "did you mean `max_document_chars`?"),
        ("http_client", "did you mean `client`?"),
        ("aclient", "did you mean `async_client`?"),
        ("max_batch_size", "did you mean `batch_size`?"),
        ("default_headers", "did you mean `headers`?"),
        ("max_retry", "did you mean `max_retries`?"),
    ],
)
def test_name_of_another_reranker(host: ModuleType, name: str, remedy: str) -> None:
    """The refusal of another reranker's name, or of a typo, says what it is called here, and shows no value."""
    with pytest.raises(ValueError, match=name) as caught:
        host.HostedRerank(**{name: KEY})
    assert remedy in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("return_documents", "results always come with your own documents"),
        ("device", "the server has the model"),
        ("llm", "no language model is asked"),
    ],
)
def test_name_that_nothing_has_here(host: ModuleType, name: str, remedy: str) -> None:
    """A parameter of another reranker that has no counterpart is refused with the reason, and with no other name."""
    with pytest.raises(ValueError, match=f"HostedRerank takes no {name}: {remedy}"):
        host.HostedRerank("cohere", **{name: True})


def test_callbacks(host: ModuleType) -> None:
    """The refusal of `callbacks` says where they go."""
    where = "callback_manager" if "callback_manager" in host.HostedRerank.model_fields else "config of a call"
    with pytest.raises(ValueError, match=where):
        host.HostedRerank(callbacks=[])


def test_name_of_an_option(host: ModuleType) -> None:
    """A field of the provider's own API is one of `options`."""
    with pytest.raises(ValueError, match=r"options=\{'truncation': \.\.\.\}"):
        host.HostedRerank(provider="voyage", truncation=True)


def test_name_of_another_reranker_in_a_call(host: ModuleType, asking: Asking, rank: Rank) -> None:
    """The refusal of an argument of a call says what it is called here too."""
    reranker = asking(host.FireworksRerank)
    for name, ours in {
        "top_k": "top_n",
        "task": "instruction",
        "model_name": "model",
        "threshold": "score_threshold",
    }.items():
        with pytest.raises(TypeError, match=f"{name} .did you mean `{ours}`"):
            rank(reranker, host.candidates("swift"), **{name: 1})


@pytest.mark.parametrize(("name", "meant"), [("coherre", "cohere"), ("Cohere", "cohere"), ("NEBUIS", "nebius")])
def test_typo_of_a_provider(host: ModuleType, name: str, meant: str) -> None:
    """A name that is no provider's is refused with the one that it is close to, whatever its case, everywhere."""
    for make in (host.HostedRerank, Reranker):
        with pytest.raises(ValueError, match=f"did you mean `{meant}`"):
            make(provider=name)
    with pytest.raises(ValueError, match="unknown: pass one of"):
        host.HostedRerank(provider="quux")


def test_type_of_a_name() -> None:
    """The type that editors complete a provider's name from has all names, in the order of the table."""
    assert get_args(ProviderName) == tuple(PROVIDERS)


def test_provider_by_position(host: ModuleType, asking: Asking) -> None:
    """Provider and model are taken by position, as `Reranker` takes them, and no more."""
    reranker = host.HostedRerank("cohere", "m-1", api_key=KEY)
    assert (reranker.provider, reranker.model) == ("cohere", "m-1")
    with pytest.raises(TypeError, match="by position"):
        host.HostedRerank("cohere", "m-1", KEY)
    with pytest.raises(TypeError, match="provider"):
        host.HostedRerank("cohere", provider="jina")


@pytest.mark.parametrize("kind", ["HostedRerank", "FireworksRerank", "NebiusRerank"])
def test_help(host: ModuleType, kind: str) -> None:
    """`help()` explains every field that has a description, and the signature has plain types, and no validator."""
    public = getattr(host.package, kind)
    shown = pydoc.plain(pydoc.render_doc(public))
    described = [name for name, field in public.model_fields.items() if field.description]
    assert len(described) > 20
    assert not [name for name in described if f"\n    {name}: " not in (inspect.getdoc(public) or "")]
    assert "Seconds for one attempt." in shown
    signature = inspect.signature(public)
    assert list(signature.parameters)[:2] == ["provider", "model"]
    assert " at 0x" not in str(signature)
    assert "Annotated" not in str(signature)
    assert "timeout: float = 30.0" in str(signature)


def test_documented_subclass(host: ModuleType) -> None:
    """A caller's own class is documented likewise; without a docstring it keeps its parent's."""

    class Mine(host.HostedRerank):  # type: ignore[misc, name-defined]
        """Mine."""

        depth: int = 3

    class Bare(host.HostedRerank):  # type: ignore[misc, name-defined]
        pass

    assert (inspect.getdoc(Mine) or "").startswith("Mine.\n\nArgs:\n")
    assert "depth: int = 3" in str(inspect.signature(Mine))
    assert inspect.getdoc(Bare) == inspect.getdoc(host.HostedRerank)


@pytest.mark.parametrize("value", [2, 2.0, "2", np.int64(2), np.float32(2)], ids=repr)
@pytest.mark.parametrize("field", ["top_n", "max_retries", "batch_size", "max_concurrency", "max_document_chars"])
def test_whole_numbers(host: ModuleType, field: str, value: Any) -> None:
    """All fields take whole numbers by one policy: as int, float and text, such as the environment's, and numpy's."""
    assert repr(getattr(host.HostedRerank(**{field: value}), field)) == "2"
    for wrong in (True, 2.5, "two", [2]):
        with pytest.raises(ValueError, match=field):
            host.HostedRerank(**{field: wrong})


@pytest.mark.parametrize("value", [2, 2.0, "2", np.int64(2), np.float32(2)], ids=repr)
@pytest.mark.parametrize("field", ["score_threshold", "timeout", "deadline"])
def test_numbers(host: ModuleType, field: str, value: Any) -> None:
    """All fields take other numbers by the same policy."""
    assert repr(getattr(host.HostedRerank(**{field: value}), field)) == "2.0"
    for wrong in (True, "two", [2], float("nan")):
        with pytest.raises(ValueError, match=field):
            host.HostedRerank(**{field: wrong})


def test_numbers_of_a_call(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A call takes numbers as the fields do."""
    reranker = asking(host.FireworksRerank)
    for top_n in (2.0, "2", np.int64(2)):
        assert len(rank(reranker, host.candidates("a", "b", "c"), top_n=top_n, score_threshold="0.1")) == 2
    assert [seen.body["top_n"] for seen in server.requests] == [2, 2, 2]
    for wrong in (
        {"top_n": True},
        {"top_n": 1.5},
        {"top_n": "two"},
        {"score_threshold": False},
        {"score_threshold": "x"},
    ):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            rank(reranker, host.candidates("a"), **wrong)
    with pytest.raises(ValueError, match="score_threshold"):
        rank(reranker, host.candidates("a"), score_threshold="inf")


def test_model_of_a_call(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A call's model stands for the field's."""
    reranker = asking(host.FireworksRerank, model="m-1")
    for given in ({"model": "m-2"}, {"model": None}, {}):
        rank(reranker, host.candidates("swift"), **given)
    assert [seen.body["model"] for seen in server.requests] == ["m-2", "m-1", "m-1"]


def test_equal_settings(host: ModuleType, asking: Asking) -> None:
    """A copy equals its original as long as the fields do, whatever was asked for in between."""
    original = asking(host.FireworksRerank)
    host.rank(original, host.candidates("swift"))
    copies = [copy.copy(original), copy.deepcopy(original), original.model_copy()]
    assert copies == [original] * 3
    copies[0].top_n = 9
    assert copies[0] != original


@pytest.mark.parametrize("given", ["generator", "keys", "iterator"])
def test_candidates_that_are_no_list(host: ModuleType, asking: Asking, rank: Rank, given: str) -> None:
    """What has no order, or can be read only once, is refused with the remedy."""
    items = host.candidates("swift")
    wrong = {"generator": (item for item in items), "keys": dict.fromkeys("ab").keys(), "iterator": iter(items)}[given]
    with pytest.raises(TypeError, match=r"must be a list, not \w+: pass list\(\.\.\.\)"):
        rank(asking(host.FireworksRerank), wrong)
