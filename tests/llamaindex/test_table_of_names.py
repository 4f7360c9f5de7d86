"""The table of the other rerankers' arguments in docs/."""

import re
from pathlib import Path

import pytest

pytest.importorskip("llama_index.core")

from hosted_rerank import PROVIDERS
from llamaindex_hosted_rerank import HostedRerank

PAGE = Path(__file__).parents[2] / "docs" / "other_rerankers_llamaindex.md"


def rows() -> list[tuple[str, str, str]]:
    """The provider, each name of the other class, and what the table says of it."""
    found: list[tuple[str, str, str]] = []
    provider = ""
    for line in PAGE.read_text().splitlines() if PAGE.exists() else []:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 3 or not line.startswith("| "):
            continue
        if cells[1] == "the class":
            provider = "".join(re.findall(r'HostedRerank\("([a-z]+)"', cells[2])[:1]) or "fireworks"
        else:
            found += [(provider, name, cells[2]) for name in re.findall(r"`(\w+)`", cells[1])]
    return found


pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the wheel's tests have no docs/ beside them")


def test_same_names() -> None:
    """A name that the table calls the same is one of our fields, and the others are none."""
    same = {name: ours == "the same" for _, name, ours in rows() if name.islower()}
    assert len(same) > 30
    assert {name for name, is_same in same.items() if is_same} == same.keys() & HostedRerank.model_fields.keys()


def test_same_variables() -> None:
    """A variable that the table calls the same is one that the provider reads."""
    same = [(provider, name) for provider, name, ours in rows() if name.isupper() and ours == "the same"]
    assert ("jina", "JINAAI_API_KEY") in same
    for provider, name in same:
        assert name in PROVIDERS[provider].api_key_env, provider


RENAMED = [row for row in rows() if row[1].islower() and row[2].startswith("`")]


@pytest.mark.parametrize(("provider", "name", "ours"), RENAMED, ids=[f"{row[0]}-{row[1]}" for row in RENAMED])
def test_other_names(provider: str, name: str, ours: str) -> None:
    """Each other name is refused, and what the table says instead is one of our fields."""
    field = re.findall(r"`([a-z_]+)[`=]", ours)[0]
    assert field in HostedRerank.model_fields
    with pytest.raises(ValueError, match=name) as refused:
        HostedRerank(provider=provider, **{name: "x"})
    if ours == f"`{field}`":
        assert f"did you mean `{field}`?" in str(refused.value)
