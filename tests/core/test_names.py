"""A name that `Reranker` does not know: another reranker's, or a typo."""

from typing import Any

import pytest

from hosted_rerank import Reranker
from tests.conftest import KEY


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("topn", "pass top_n to rerank"),
        ("top_k", "pass top_n to rerank"),
        ("modle", "did you mean `model`[?]"),
        ("cohere_api_key", "did you mean `api_key`[?]"),
        ("endpoint", "did you mean `base_url`[?]"),
        ("threshold", "compare the scores of the response"),
    ],
)
def test_unknown_name(name: str, remedy: str) -> None:
    """The error says what it is called here, and shows no value."""
    settings: dict[str, Any] = {name: KEY}
    with pytest.raises(TypeError, match=f"^Reranker takes no {name}: {remedy}$"):
        Reranker("cohere", **settings)


def test_name_like_no_other() -> None:
    """A name like none of ours is Python's own error."""
    settings: dict[str, Any] = {"zzz": 1}
    with pytest.raises(TypeError, match="unexpected keyword argument 'zzz'"):
        Reranker("cohere", **settings)
