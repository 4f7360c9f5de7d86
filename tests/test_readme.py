"""The README's code runs as it is written."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("llama_index.core")
from hosted_rerank.catalogue import markdown

server = pytest.importorskip("hosted_rerank.local.server", exc_type=ImportError)

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The local server that some examples talk to."""
    with server.running() as url:
        yield url


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda code: code.splitlines()[0])
def test_example_runs(example: str, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each Python block of the README runs on its own, against a free port in place of 8787."""
    exec(compile(example.replace("http://127.0.0.1:8787", address), README.name, "exec"), {})
    assert ("print(" in example and "except" not in example) == bool(capsys.readouterr().out)


def test_table_of_providers_is_the_codes_own() -> None:
    """The README's table says what the rows say; `hosted-rerank providers --markdown` writes it anew."""
    assert markdown() in README.read_text(encoding="utf-8")


def test_there_are_examples_for_both_frameworks() -> None:
    """The blocks are found at all."""
    code = "\n".join(EXAMPLES)
    assert "from langchain_hosted_rerank" in code
    assert "from llamaindex_hosted_rerank" in code
