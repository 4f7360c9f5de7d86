"""The notebooks run as they are, and are stored with what they show."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from IPython.lib.pretty import pretty

from hosted_rerank import RerankResponse, RerankResult, Usage

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# Jupyter's own: it warns of unencrypted loopback, and of a loop that it makes itself.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
def test_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a fresh kernel, with no key, each cell runs; the last stored outputs are of the same kinds."""
    for name in ("RERANK_PROVIDER", "RERANK_PROVIDERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    stored, notebook = read(path), read(path)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    kinds = [
        [
            {
                kind
                for output in cell.get("outputs", ())
                if output.get("name") != "stderr"
                for kind in output.get("data", ["text"])
            }
            for cell in each.cells
        ]
        for each in (stored, notebook)
    ]
    assert kinds[0] == kinds[1]
    measured = [re.findall(r"\d+ better, \d+ worse", str(each)) for each in (stored, notebook)]
    assert measured[0] == measured[1]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs(path: Path) -> None:
    """A reader on a code host sees results; nothing failed, and no path of the machine that made them is there."""
    outputs = [output for cell in read(path).cells for output in cell.get("outputs", ())]
    assert len(outputs) >= 3
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    text = path.read_text(encoding="utf-8")
    assert not [part for part in ("/tmp/", "/home/", "/root/", os.fspath(Path.cwd())) if part in text]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_more_text_than_is_shown(path: Path) -> None:
    """A stored notebook holds no text behind what a reader sees: no output is longer than a screen of text."""
    texts = [
        text
        for cell in read(path).cells
        for output in cell.get("outputs", ())
        for text in (output.get("text", ""), output.get("data", {}).get("text/plain", ""))
    ]
    assert max(map(len, texts)) <= 2_000


@pytest.mark.parametrize("name", ["langchain_quickstart", "llamaindex_quickstart"])
def test_first_example_gets_better(name: str) -> None:
    """The first comparison of a quickstart brings an answer up to place 1, and the page says how often that fails."""
    notebook = read(NOTEBOOKS[0].with_name(f"{name}.ipynb"))
    tables = [
        o["data"]["text/plain"]
        for cell in notebook.cells
        for o in cell.get("outputs", ())
        if "text/html" in o.get("data", {})
    ]
    assert re.search(r"^ +1 +\d+ +▲ \d+", tables[0], flags=re.MULTILINE)
    assert "lower for\n14" in "\n".join(cell.source for cell in notebook.cells)


def test_response_in_ipython() -> None:
    """A shell of IPython, and an editor's view of a notebook as text, have the table."""
    results = (RerankResult(1, 0.75), RerankResult(0, 0.5))
    shown = RerankResponse(results, Usage(None, 1234, {}), "m-1", "acme", ("r-1",), 2, 0.25)
    assert pretty(shown) == str(shown)
