"""Jobs over files: every row once, whatever is killed; bad rows set aside; the same result in the end."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hosted_rerank.bulk import Job, JobError, run_job
from hosted_rerank.commands import commands
from tests.bulk.conftest import serving
from tests.hostile import HostileServer, reply

Rows = Callable[..., Path]


def read(folder: Path, name: str = "parts") -> list[dict[str, Any]]:
    lines = "".join(path.read_text() for path in sorted((folder / name).iterdir())).splitlines()
    return [json.loads(line) for line in lines]


def job(source: Path, output: Path, address: str, **settings: Any) -> Job:
    return Job(
        input=source,
        output=output,
        provider="vllm",
        model="m",
        settings={"base_url": address},
        **{"part_rows": 50, **settings},
    )


def test_jsonl(rows: Rows, address: str, tmp_path: Path) -> None:
    """Every row comes out once, in its order, whole, with its ranking; the manifest has no key."""
    result = run_job(job(rows(230), tmp_path / "out", address, trec=True, top_n=3))
    assert (result.rows, result.failed, result.parts, result.resumed) == (230, 0, 5, 0)
    found = read(tmp_path / "out")
    assert [row["id"] for row in found] == list(range(230))
    assert all(len(row["ranked_ids"]) == 3 and row["error"] is None for row in found)
    assert all(sorted(row["relevance_scores"], reverse=True) == row["relevance_scores"] for row in found)
    lines = (tmp_path / "out" / "run.trec").read_text().splitlines()
    assert len(lines) == 690
    assert lines[0].split()[:2] == ["0-0", "Q0"]
    assert not list((tmp_path / "out").rglob(".*"))


def test_parquet(rows: Rows, address: str, tmp_path: Path) -> None:
    """Parquet in, Parquet out, with columns of fixed types; the same rankings as of JSONL, row by row."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    source = rows(230)
    table = pa.Table.from_pylist([json.loads(line) for line in source.read_text().splitlines()])
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=90)
    run_job(job(source, tmp_path / "a", address))
    run_job(job(tmp_path / "rows.parquet", tmp_path / "b", address))
    paths = sorted((tmp_path / "b" / "parts").iterdir())
    assert [pq.read_metadata(path).num_rows for path in paths] == [50, 40, 50, 40, 50]
    assert pq.read_schema(paths[0]).field("ranked_ids").type == pa.list_(pa.int64())
    assert pa.concat_tables(map(pq.read_table, paths)).to_pylist() == read(tmp_path / "a")


def test_beir_folder_and_run(address: str, tmp_path: Path) -> None:
    """A row for each query of a TREC run, with its documents; one that names an unknown document is set aside."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": f"d{n}", "text": f"text {n}"}) + "\n" for n in range(30))
    )
    (data / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": f"q{n}", "text": f"what {n}?"}) + "\n" for n in range(7))
    )
    lines = [f"q{q} Q0 d{(q * 3 + place) % 30} {place} {-place} bm25\n" for q in range(7) for place in range(5)]
    (tmp_path / "first.run").write_text("".join(lines) + "q9 Q0 d99 1 1.0 bm25\n")
    result = run_job(job(data, tmp_path / "out", address, run=tmp_path / "first.run", part_rows=3, trec=True))
    assert (result.rows, result.failed) == (8, 1)
    found = read(tmp_path / "out")
    assert [row["query_id"] for row in found] == [f"q{n}" for n in range(7)]
    assert found[1]["documents"][0] == "text 3"
    assert set(found[1]["ranked_ids"]) == set(found[1]["document_ids"])
    assert read(tmp_path / "out", "dead-letter")[0]["reason"] == "documents d99 are not in the corpus"
    assert (tmp_path / "out" / "run.trec").read_text().split()[0] == "q0"


def test_bad_rows_and_a_large_one(rows: Rows, address: str, tmp_path: Path) -> None:
    """Rows that cannot be are in the dead-letter file with the reason; a row of 10 MB is one like any other."""
    source = rows(3)
    large = {"id": "large", "query": "what?", "documents": ["word " * 200_000, *["word " * 100_000] * 2]}
    bad = ["not json", "[1]", json.dumps({"id": "x", "query": "what?"}), json.dumps({"query": "?", "documents": [1]})]
    source.write_text(source.read_text() + "\n".join([*bad, json.dumps(large)]) + "\n")
    result = run_job(job(source, tmp_path / "out", address))
    assert (result.rows, result.failed) == (8, 4)
    assert [row["id"] for row in read(tmp_path / "out")] == [0, 1, 2, "large"]
    assert [letter["reason"] for letter in read(tmp_path / "out", "dead-letter")] == [
        "the line is not JSON",
        "the line is not a JSON object",
        "'documents' is no list of texts",
        "'documents' holds something that is no text",
    ]


def test_a_line_goes_on_as_it_is(address: str, tmp_path: Path) -> None:
    """What a row has besides is kept to the byte: long numbers, their form, odd letters, a mark at the file's start."""
    source = tmp_path / "odd.jsonl"
    line = '{"id": 123456789012345678901234567890, "x": 1.10, "y": "\\u00e4 \u00e4",  "query": "q?", "documents": ["a"]'
    source.write_text(f"{line}}}\n", encoding="utf-8-sig")
    run_job(job(source, tmp_path / "out", address))
    (written,) = (tmp_path / "out" / "parts").iterdir()
    assert written.read_text("utf-8").startswith(f'{line},"ranked_ids":[')
    again = tmp_path / "again.jsonl"
    again.write_bytes(written.read_bytes())
    run_job(job(again, tmp_path / "twice", address))
    assert read(tmp_path / "twice")[0]["error"] is None


def test_resume(rows: Rows, address: str, tmp_path: Path) -> None:
    """What is done is not done again; another job's folder, and a job's own without asking, are refused."""
    source = rows(200)
    first = job(source, tmp_path / "out", address)
    run_job(first)
    with pytest.raises(FileExistsError, match="--resume"):
        run_job(first)
    with pytest.raises(ValueError, match="another job"):
        run_job(job(source, tmp_path / "out", address, top_n=1), resume=True)
    (tmp_path / "out" / "done" / "00000002.json").unlink()
    result = run_job(first, resume=True)
    assert (result.rows, result.parts, result.resumed) == (200, 4, 3)


def test_a_killed_driver_and_resume(rows: Rows, tmp_path: Path) -> None:
    """`kill -9` at any time loses nothing: the resumed job's output is that of an undisturbed one, to the byte."""
    source = rows(600)
    with serving("--latency", "20ms") as address:
        options = ["--provider", "vllm", "--model", "m", "--base-url", address, "--part-rows", "50"]
        command = [sys.executable, "-m", "hosted_rerank.cli", "bulk", str(source), str(tmp_path / "out"), *options]
        for _ in range(2):
            with subprocess.Popen([*command, "--resume"], stderr=subprocess.DEVNULL) as driver:
                done = len(list((tmp_path / "out" / "done").glob("*.json"))) if (tmp_path / "out").exists() else 0
                end = time.monotonic() + 60
                while time.monotonic() < end and len(list((tmp_path / "out" / "done").glob("*.json"))) < done + 3:
                    time.sleep(0.02)
                driver.send_signal(signal.SIGKILL)
        assert 0 < len(list((tmp_path / "out" / "done").glob("*.json"))) < 12
        subprocess.run([*command, "--resume"], check=True, timeout=120, capture_output=True)
        run_job(job(source, tmp_path / "whole", address))
    outputs = [
        [path.read_bytes() for path in sorted((tmp_path / name / "parts").glob("*.jsonl"))] for name in ("out", "whole")
    ]
    assert outputs[0] == outputs[1]


def test_a_refused_key_ends_it(server: HostileServer, rows: Rows, tmp_path: Path) -> None:
    """What no row is at fault for ends the job, keeps what is done, and fills no dead-letter file."""
    server.play(reply(401, "no"))
    with pytest.raises(JobError, match="AuthenticationError"):
        run_job(job(rows(10), tmp_path / "out", server.url))
    assert not list((tmp_path / "out" / "dead-letter").iterdir())


def test_command(rows: Rows, address: str, tmp_path: Path) -> None:
    """The command's exit status tells of failed rows, and its errors are one line."""
    source = rows(5)
    source.write_text(source.read_text() + "{}\n")
    options = ["--provider", "vllm", "--model", "m", "--base-url", address]
    done = CliRunner().invoke(commands, ["bulk", str(source), str(tmp_path / "out"), *options])
    assert done.exit_code == 65
    assert "6 rows in 1 part, " in done.stderr
    again = CliRunner().invoke(commands, ["bulk", str(source), str(tmp_path / "out"), *options])
    assert (again.exit_code, len(again.stderr.splitlines())) == (1, 1)
    assert "--resume" in again.stderr
    missing = CliRunner().invoke(commands, ["bulk", "no-such.jsonl", str(tmp_path / "other"), *options])
    assert (missing.exit_code, "no-such.jsonl" in missing.stderr) == (1, True)
