"""The notebooks run as they are, and are stored with what they show."""

import os
from pathlib import Path
from typing import Any

import pytest

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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs(path: Path) -> None:
    """A reader on a code host sees results; nothing failed, and no path of the machine that made them is there."""
    outputs = [output for cell in read(path).cells for output in cell.get("outputs", ())]
    assert len(outputs) >= 3
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    text = path.read_text(encoding="utf-8")
    assert not [part for part in ("/tmp/", "/home/", "/root/", os.fspath(Path.cwd())) if part in text]
