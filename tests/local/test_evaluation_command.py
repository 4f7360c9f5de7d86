"""`hosted-rerank evaluate`: its options, files and exit statuses."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hosted_rerank.cli.commands import commands
from hosted_rerank.local.conditions import Conditions, score_by_hash
from hosted_rerank.local.server import running
from tests.bounded import patience
from tests.hostile import HostileServer, eventually, reply
from tests.local.evaluation_data import write_folder

evaluation = pytest.importorskip("hosted_rerank.evaluation", exc_type=ImportError)


@pytest.fixture
def slow() -> Iterator[str]:
    """The local server on a slow day."""
    with running(conditions=Conditions(latency=0.2, score=score_by_hash)) as url:
        yield url


def test_interrupted_and_resumed(slow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C keeps what is done, without a traceback; --resume asks for the rest, and the result is whole."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's `&` ignores Ctrl-C
        "from hosted_rerank.cli import main; main()"
    )
    monkeypatch.setenv("TOGETHER_BASE_URL", f"{slow}/together")
    monkeypatch.setenv("TOGETHER_API_KEY", "k")
    command = [sys.executable, "-c", code, "evaluate", "--provider", "together", "--output", str(tmp_path / "out")]
    begun = subprocess.Popen(
        [*command, "--concurrency", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    file = tmp_path / "out" / "together.jsonl"
    assert eventually(lambda: file.exists() and len(file.read_bytes().splitlines()) > 3, 60)
    begun.send_signal(signal.SIGINT)
    _, errors = begun.communicate(timeout=patience(30))
    assert "Traceback" not in errors
    assert begun.returncode == 130
    assert errors.splitlines()[-1] == "hosted-rerank: interrupted: run it again with --resume"
    done = len(file.read_bytes().splitlines()) - 1
    assert 0 < done < 172
    resumed = subprocess.run(
        [*command, "--resume", "--concurrency", "64", "--json"], capture_output=True, text=True, timeout=120, check=True
    )
    report = json.loads(resumed.stdout)
    assert report["queries"] == 172
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "together.jsonl",
        "together.run",
        "by-query.csv",
        "first-stage.run",
        "judgements.qrels",
        "report.json",
        "report.html",
    }
    assert len(file.read_bytes().splitlines()) == 173
    refused = subprocess.run(command, capture_output=True, text=True, timeout=patience(60), check=False)
    assert refused.returncode == 1
    assert "exists: pass --resume" in refused.stderr.splitlines()[-1]


def test_missing_extra(run_python: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    """Without its extra, the command says what to install."""
    missing = {"bm25s": "raise ModuleNotFoundError('No module named bm25s', name='bm25s')"}
    done = run_python("-m", "hosted_rerank.cli", "evaluate", modules=missing)
    assert (done.returncode, done.stderr) == (
        1,
        "hosted-rerank: an evaluation needs bm25s: pip install 'hosted-rerank[eval]'\n",
    )


def test_command_evaluates_passages(folder: Path) -> None:
    """`--long-documents passages` sends passages, and the report and the files have a name of their own."""
    arguments = ["evaluate", "--data", str(folder), "--output", str(folder / "out"), "--json"]
    done = CliRunner().invoke(commands, [*arguments, "--long-documents", "passages"])
    assert done.exit_code == 0, done.output
    assert "local by passages" in done.stdout
    assert (folder / "out" / "local-by-passages.run").exists()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["evaluate", *arguments])


@pytest.fixture
def vllm(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options that ask the hostile server."""
    monkeypatch.setenv("VLLM_API_KEY", "k")
    return ["--provider", "vllm=m", "--base-url", f"{server.url}/v1"]


def test_options_reach_the_request(server: HostileServer, vllm: list[str], folder: Path) -> None:
    """What is sent is what the options say."""
    more = ["--max-document-chars", "5", "--top-n", "2", "--option", "truncate_prompt_tokens=9"]
    done = run("--data", str(folder), *vllm, *more, "--json")
    assert done.exit_code == 0, done.output
    sent = server.requests[0].body
    assert (sent["top_n"], sent["truncate_prompt_tokens"]) == (2, 9)
    assert {len(document) for document in sent["documents"]} == {5}
    report = json.loads(done.stdout)
    assert report["rerankers"]["vllm m"]["top_n"] == 2
    assert report["curves"] == []


def test_characters_and_prices(server: HostileServer, vllm: list[str], folder: Path) -> None:
    """A pass for each length, kept for a resumed run, and the money of each."""
    more = ["--chars", "9,3", "--price", "vllm=2/Ksearches", "--output", str(folder / "out"), "--json"]
    done = run("--data", str(folder), *vllm, *more)
    assert done.exit_code == 0, done.output
    curve = json.loads(done.stdout)["curves"][1]
    assert [(point["x"], point["cost"]) for point in curve["points"]] == [(3, 2.0), (9, 2.0), (None, 2.0)]
    assert len(server.requests) == 6
    assert run("--data", str(folder), *vllm, *more, "--resume").exit_code == 0
    assert len(server.requests) == 6
    assert (folder / "out" / "vllm-m-9-characters.run").exists()


def test_depths_of_a_listwise_model(server: HostileServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listwise model is asked again for each depth with fewer candidates, and table, page and JSON say so."""
    monkeypatch.setenv("VLLM_API_KEY", "k")
    api = ["--provider", "vllm=jina-reranker-v3", "--base-url", f"{server.url}/v1", "--concurrency", "1"]
    more = ["--depths", "2,3", "--output", str(folder / "out")]
    done = run("--data", str(folder), *api, *more)
    assert done.exit_code == 0, done.output
    counts = [len(request.body["documents"]) for request in server.requests]
    assert counts == [4, 4, 2, 2, 3, 3]
    report = json.loads((folder / "out" / "report.json").read_text())
    assert [(curve["passes"], [point["x"] for point in curve["points"]]) for curve in report["curves"]] == [
        (3, [2, 3, 4])
    ]
    for shown in (done.stdout, (folder / "out" / "report.html").read_text()):
        assert "From 3 passes, one for each point" in shown
        assert "only within one request" in shown
    assert run("--data", str(folder), *api, *more, "--resume").exit_code == 0
    assert len(server.requests) == 6


def test_a_file_that_cannot_grow(server: HostileServer, vllm: list[str], folder: Path) -> None:
    """The file of outcomes is named when there is no space for it."""
    arguments = ["evaluate", "--data", str(folder), *vllm, "--output", str(folder / "out")]
    line = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", sys.executable, "-m", "hosted_rerank.cli", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, timeout=patience(60), check=False)
    said = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert re.fullmatch(rf"hosted-rerank: {re.escape(str(folder))}/out/\S+: File too large", said)


@pytest.mark.parametrize(("status", "exit_status"), [(500, 75), (401, 77), (403, 77), (404, 1), (402, 1)])
def test_exit_statuses(server: HostileServer, vllm: list[str], folder: Path, status: int, exit_status: int) -> None:
    """75 for what may pass, 77 for a key that is refused, else 1."""
    server.play(*[reply(status, "no")] * 6)
    assert run("--data", str(folder), *vllm, "--concurrency", "1").exit_code == exit_status


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--provider", "cohere"], 77, "CO_API_KEY"),
        (["--resume"], 2, "requires --output"),
        (["--provider", "local", "--provider", "vllm=m", "--base-url", "http://x"], 2, "one API"),
        (["--chars", "many"], 2, "not numbers"),
        (["--option", "x"], 2, "NAME=JSON"),
        (["--price", "2"], 2, "0.05/Mtokens"),
        (["--price", "cohere=2/Ksearches"], 2, "not evaluated"),
        (["--run", "bm25.run"], 2, "--run: pass a dataset as --data"),
        (["--split", "dev"], 2, "--split: pass a dataset as --data"),
        (["--data", "here", "--joined", "3"], 2, "--joined: only the Python FAQ"),
        (["--data", "ir_datasets:beir/scifact/test", "--qrels", "x"], 2, "--qrels: the name in ir_datasets"),
    ],
)
def test_wrong_command_lines(arguments: list[str], status: int, says: str) -> None:
    """What cannot work is refused before anything is sent, with what to do."""
    done = run(*arguments)
    assert done.exit_code == status
    assert says in re.sub(r"[\s│]+", " ", done.output)


def test_mistyped_model_of_the_second(slow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first reranker cost is not lost: its report is shown before the error."""
    monkeypatch.setenv("TOGETHER_BASE_URL", f"{slow}/together")
    monkeypatch.setenv("TOGETHER_API_KEY", "k")
    data = ["--data", str(write_folder(tmp_path)), "--provider", "together", "--provider", "local=typo"]
    done = CliRunner().invoke(commands, ["evaluate", *data, "--json"])
    assert done.exit_code == 1
    assert list(json.loads(done.stdout)["rerankers"]) == ["together"]
    assert "`typo` does not exist" in done.stderr


def test_corpus_in_another_encoding(tmp_path: Path) -> None:
    """A file that is no UTF-8 is named with what to do."""
    (tmp_path / "corpus.jsonl").write_text('{"_id": "1", "text": "für"}', encoding="latin-1")
    done = CliRunner().invoke(commands, ["evaluate", "--data", str(tmp_path)])
    assert done.exit_code == 1
    assert done.stderr == f"hosted-rerank: {tmp_path / 'corpus.jsonl'} is not UTF-8 text: convert it\n"
