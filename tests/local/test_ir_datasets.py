"""Datasets by their name in ir_datasets, the real package, with files that are there."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from zipfile import ZipFile

import pytest
from typer.testing import CliRunner, Result

from hosted_rerank.cli.commands import commands
from tests.local.evaluation_data import DOCUMENTS, QUERIES

pytest.importorskip("hosted_rerank.evaluation", exc_type=ImportError)


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which the package keeps its files, which it knows from its import on. It reaches no network."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IR_DATASETS_HOME", str(folder))
        for name in ("http_proxy", "https_proxy"):
            patch.setenv(name, "http://127.0.0.1:9")
        yield folder


def evaluate(name: str) -> Result:
    pytest.importorskip("ir_datasets")
    return CliRunner().invoke(commands, ["evaluate", "--data", f"ir_datasets:{name}", "--json"])


def test_files_that_are_there(home: Path) -> None:
    """A dataset is read by its name, and what has no match is counted."""
    folder = home / "beir" / "scifact"
    folder.mkdir(parents=True)
    with ZipFile(folder / "source.zip", "w") as file:
        for name, texts in (("corpus", DOCUMENTS), ("queries", QUERIES)):
            rows = [{"_id": each, "title": "", "text": text, "metadata": {}} for each, text in texts.items()]
            file.writestr(f"scifact/{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        file.writestr("scifact/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td3\t2\nq2\tgone\t1\n")
    done = evaluate("beir/scifact/test")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["dataset"], report["queries"], report["documents"]) == ("beir/scifact/test", 2, 4)
    assert report["rows"][0]["measures"]["MRR@10"] == 1
    assert list(report["dropped"].values()) == [1]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("vaswani", "ir_datasets has not all files of 'vaswani' in HOME, and cannot download them"),
        ("beir/arguana", "ir_datasets has not all files of 'beir/arguana' in HOME"),
        ("beir/scifact", "lacks documents, queries or judgements: pass a split"),
        ("no/such", "ir_datasets has no dataset 'no/such'"),
    ],
)
def test_what_is_not_there(name: str, says: str, home: Path) -> None:
    """Files that are not there and cannot be got, and names that are none, are told in one line."""
    done = evaluate(name)
    assert done.exit_code == 1
    assert says.replace("HOME", str(home)) in done.stderr.splitlines()[-1]


def test_without_the_package(run_python: Callable[..., "CompletedProcess[str]"]) -> None:
    """Without the package, the command says what to install."""
    missing = {"ir_datasets": "raise ModuleNotFoundError('No module named ir_datasets', name='ir_datasets')"}
    done = run_python("-m", "hosted_rerank.cli", "evaluate", "--data", "ir_datasets:vaswani", modules=missing)
    assert (done.returncode, "pip install ir_datasets" in done.stderr) == (1, True)
