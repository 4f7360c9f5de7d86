"""Jobs over files: every row once, whatever is killed; bad rows set aside; the same result in the end."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hosted_rerank.bulk import Columns, Job, JobError, run_job
from hosted_rerank.bulk.job import Progress
from hosted_rerank.cli.commands import commands
from tests.bounded import patience
from tests.bulk.conftest import serving
from tests.hostile import HostileServer, Peer, eventually, ranking, reply

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
    assert [line.split()[0] for line in lines[::3]] == [str(number) for number in range(230)]
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


def test_parquet_keeps_its_types(address: str, tmp_path: Path) -> None:
    """Columns of Parquet come out as they are, whatever their types, from parts of any size and from empty ones."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {
        "query": pa.array(["a?", "", "c?"]),
        "documents": pa.array([["x", "y"]] * 3),
        "names": pa.array([["one", "two"]] * 3, pa.list_(pa.string(), 2)),
        "map": pa.array([[("k", 1)]] * 3, pa.map_(pa.string(), pa.int64())),
        "large": pa.array([2**64 - 1] * 3, pa.uint64()),
        "when": pa.array([1, 2, 3], pa.timestamp("ns")),
        "none": pa.array([None, None, 1.5], pa.float32()),
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    given = pq.read_table(tmp_path / "rows.parquet")
    settings = {"part_rows": 1, "columns": Columns(ids="names"), "top_n": 1}
    assert run_job(job(tmp_path / "rows.parquet", tmp_path / "out", address, **settings)).failed == 1
    paths = sorted((tmp_path / "out" / "parts").iterdir())
    found = pa.concat_tables(map(pq.read_table, paths))
    assert found.select(given.column_names).equals(given.take([0, 2]))
    assert found.column("ranked_ids").type == pa.list_(pa.string())


def test_jsonl_to_parquet(rows: Rows, address: str, tmp_path: Path) -> None:
    """A column that only some rows have is kept; one of several types ends the job, by its name and without a value."""
    pq = pytest.importorskip("pyarrow.parquet")
    source = rows(3)
    source.write_text(source.read_text() + '{"query": "q?", "documents": ["a"], "extra": "precious"}\n')
    run_job(job(source, tmp_path / "out", address, format="parquet"))
    table = pq.read_table(tmp_path / "out" / "parts" / "00000000.parquet")
    assert table.column("extra").to_pylist() == [None, None, None, "precious"]
    source.write_text(source.read_text() + '{"query": "q?", "documents": ["a"], "extra": 5}\n')
    with pytest.raises(JobError, match="'extra'") as caught:
        run_job(job(source, tmp_path / "again", address, format="parquet"))
    assert "precious" not in str(caught.value)
    source.write_text("{}\n")
    columns = Columns(ids="names")
    assert run_job(job(source, tmp_path / "none", address, format="parquet", columns=columns)).failed == 1


def test_beir_folder_and_run(address: str, tmp_path: Path) -> None:
    """A row for each query of a TREC run, with its documents; one that names an unknown document is set aside."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": f"d{n}", "text": f"text {n}"}) + "\n" for n in range(30))
    )
    (data / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": f"q{n}", "text": f"what {n}?"}) + "\n" for n in range(8))
    )
    lines = [f"q{q} Q0 d{(q * 3 + place) % 30} {place} {-place} bm25\n" for q in range(7) for place in range(5)]
    (tmp_path / "first.run").write_text("".join(lines) + "q7 Q0 d99 1 1.0 bm25\nq9 Q0 d1 1 1.0 bm25\n")
    result = run_job(job(data, tmp_path / "out", address, run=tmp_path / "first.run", part_rows=3, trec=True))
    assert (result.rows, result.failed) == (9, 2)
    found = read(tmp_path / "out")
    assert [row["query_id"] for row in found] == [f"q{n}" for n in range(7)]
    assert found[1]["documents"][0] == "text 3"
    assert set(found[1]["ranked_ids"]) == set(found[1]["document_ids"])
    reasons = [letter["reason"] for letter in read(tmp_path / "out", "dead-letter")]
    assert reasons == ["documents d99 are not in the corpus", "query q9 is not in queries.jsonl"]
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
        "the line is not valid JSON (NaN and lone surrogates are not valid)",
        "the line is not a JSON object",
        "'documents' must be a list of strings",
        "'documents' must hold only strings",
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


def test_what_somebody_moved_away_is_done_again(rows: Rows, address: str, tmp_path: Path) -> None:
    """A part is done if what it wrote is there."""
    first = job(rows(200), tmp_path / "out", address, trec=True)
    run_job(first)
    (tmp_path / "out" / "parts" / "00000001.jsonl").unlink()
    (tmp_path / "out" / "runs" / "00000003.run").unlink()
    assert run_job(first, resume=True).resumed == 2
    assert len(read(tmp_path / "out")) == 200


def test_folder_of_a_first_try(server: HostileServer, rows: Rows, address: str, tmp_path: Path) -> None:
    """A job that came to nothing does not hold the folder against another one; one that is under way does."""
    source, out = rows(100), tmp_path / "out"
    server.play(reply(401, "no"))
    with pytest.raises(JobError):
        run_job(job(source, out, server.url))
    second = job(source, out, address)
    refused: list[str] = []

    def intrude(_: Progress) -> None:
        if not refused:
            with pytest.raises(FileExistsError) as caught:
                run_job(second, resume=True)
            refused.append(str(caught.value))

    assert run_job(second, on_progress=intrude).rows == 100
    assert "another process" in refused[0]


@pytest.mark.parametrize("url", ["http://user:sekret-word@127.0.0.1", "http://127.0.0.1/?api_key=sekret-word"])
def test_secret_in_an_address(url: str, rows: Rows, tmp_path: Path) -> None:
    """A job that cannot be is refused before anything of it is written."""
    with pytest.raises((ValueError, TypeError)):
        run_job(job(rows(1), tmp_path / "out", url))
    assert not (tmp_path / "out").exists()


def test_refused_rows_at_the_start(server: HostileServer, rows: Rows, tmp_path: Path) -> None:
    """Refused rows are set aside however many there are, as long as others are answered; where none is, it ends."""

    async def act(peer: Peer) -> None:
        wrong = any(f'"question {number}"' in peer.seen.content.decode() for number in range(60))
        await (reply(400, {"message": "too long"}) if wrong else ranking())(peer)

    server.play(act)
    result = run_job(job(rows(100, documents=2), tmp_path / "out", server.url, part_rows=20))
    assert (result.rows, result.failed) == (100, 60)
    server.play(reply(400, {"message": "no"}))
    with pytest.raises(JobError, match="InvalidRequestError"):
        run_job(job(rows(200, documents=2), tmp_path / "all", server.url, part_rows=20))


def test_404_in_between(server: HostileServer, rows: Rows, tmp_path: Path) -> None:
    """One 404 among answers is a gateway's, and passes; nothing but 404 ends the job."""
    server.play(ranking(), reply(404, "no route"), ranking())
    settings = {"concurrency": 1}
    assert run_job(job(rows(5, documents=2), tmp_path / "out", server.url, **settings)).failed == 0
    server.play(reply(404, "no such model"))
    with pytest.raises(JobError, match="NotFoundError"):
        run_job(job(rows(6, documents=2), tmp_path / "all", server.url, **settings))


def test_run_that_is_not_in_order(address: str, tmp_path: Path) -> None:
    """Lines of a query that do not stand together would make two rankings of it; any folder's name will do."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "corpus.jsonl").write_text('{"_id": "d1", "text": "a"}\n{"_id": "d2", "text": "b"}\n')
    (data / "queries.jsonl").write_text('{"_id": "q0", "text": "what?"}\n{"_id": "q1", "text": "who?"}\n')
    run = tmp_path / "first.run"
    run.write_text("q0 Q0 d1 1 2 x\nq1 Q0 d1 1 2 x\nq0 Q0 d2 2 1 x\n")
    with pytest.raises(ValueError, match="sort the run"):
        run_job(job(data, tmp_path / "out", address, run=run))
    run.write_text("\ufeffq0\tQ0\td1 1 2 x\nq1 Q0 d\udcff 1 2 x\n", encoding="utf-8", errors="surrogateescape")
    result = run_job(job(data, tmp_path / "a#1 %41?", address, run=run))
    assert (result.rows, result.failed) == (2, 1)


def test_ids_of_a_trec_run(address: str, tmp_path: Path) -> None:
    """An id that would break the lines of a run is set aside."""
    source = tmp_path / "rows.jsonl"
    named = [{"id": name, "query": "q?", "documents": ["a"], "names": ["n"]} for name in (0, "a b", "x\ny", {"a": 1})]
    named.append({"query": "q?", "documents": ["a"], "names": ["two words"]})
    source.write_text("".join(json.dumps(row) + "\n" for row in named))
    result = run_job(job(source, tmp_path / "out", address, trec=True, columns=Columns(ids="names")))
    assert (result.rows, result.failed) == (5, 4)
    assert (tmp_path / "out" / "run.trec").read_text().split()[:4] == ["0", "Q0", "n", "1"]


def test_columns_that_clash(address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Columns of the input that the output gives new values are said, once."""
    source = tmp_path / "rows.jsonl"
    source.write_text('{"query": "q?", "documents": ["a"], "tokens": 7, "error": "mine"}\n' * 3)
    run_job(job(source, tmp_path / "out", address))
    assert [record.getMessage() for record in caplog.records if record.name == "hosted_rerank"] == [
        "The output replaces columns of the input: error, tokens"
    ]


def test_a_killed_driver_and_resume(rows: Rows, tmp_path: Path) -> None:
    """`kill -9` at any time loses nothing: the resumed job's output is that of an undisturbed one, to the byte."""
    source = rows(600)
    with serving("--latency", "20ms") as address:
        options = ["--provider", "vllm", "--model", "m", "--base-url", address, "--part-rows", "50"]
        command = [sys.executable, "-m", "hosted_rerank.cli", "bulk", str(source), str(tmp_path / "out"), *options]
        for _ in range(2):
            with subprocess.Popen([*command, "--resume"], stderr=subprocess.DEVNULL) as driver:
                done = len(list((tmp_path / "out" / "done").glob("*.json"))) if (tmp_path / "out").exists() else 0
                assert eventually(lambda: len(list((tmp_path / "out" / "done").glob("*.json"))) >= done + 3, 60)  # noqa: B023 - it is called at once
                driver.send_signal(signal.SIGKILL)
        assert 0 < len(list((tmp_path / "out" / "done").glob("*.json"))) < 12
        subprocess.run([*command, "--resume"], check=True, timeout=patience(120), capture_output=True)
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
