"""Input and output of jobs: JSONL, Parquet, BEIR folders, TREC runs; rows keep their types and their form."""

import json
from pathlib import Path

import pytest

from hosted_rerank.bulk import Columns, JobError, run_job
from tests.bulk.jobs import Rows, job, read
from tests.hostile import HostileServer, ranking


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
    assert [pq.read_metadata(path).num_rows for path in paths] == [50, 50, 50, 50, 30]
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
    columns = Columns(ids="names")
    with pytest.raises(JobError, match="'names'"):
        run_job(job(source, tmp_path / "none", address, format="parquet", columns=columns))


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
    result = run_job(job(data, tmp_path / "out", address, run=str(tmp_path / "first.run"), part_rows=3, trec=True))
    assert (result.rows, result.failed) == (9, 2)
    found = read(tmp_path / "out")
    assert [row["query_id"] for row in found] == [f"q{n}" for n in range(7)]
    assert found[1]["documents"][0] == "text 3"
    assert set(found[1]["ranked_ids"]) == set(found[1]["document_ids"])
    reasons = [letter["reason"] for letter in read(tmp_path / "out", "dead-letter")]
    assert reasons == ["documents d99 are not in the corpus", "query q9 is not in queries.jsonl"]
    assert (tmp_path / "out" / "run.trec").read_text().split()[0] == "q0"


def test_a_line_goes_on_as_it_is(address: str, tmp_path: Path) -> None:
    """Other fields of a row are kept to the byte: long numbers, their form, odd letters, a mark at the file's start."""
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


def test_run_that_is_not_in_order(address: str, tmp_path: Path) -> None:
    """Lines of a query that do not stand together would make two rankings of it; any folder's name will do."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "corpus.jsonl").write_text('{"_id": "d1", "text": "a"}\n{"_id": "d2", "text": "b"}\n')
    (data / "queries.jsonl").write_text('{"_id": "q0", "text": "what?"}\n{"_id": "q1", "text": "who?"}\n')
    run = tmp_path / "first.run"
    run.write_text("q0 Q0 d1 1 2 x\nq1 Q0 d1 1 2 x\nq0 Q0 d2 2 1 x\n")
    with pytest.raises(ValueError, match="sort the run"):
        run_job(job(data, tmp_path / "out", address, run=str(run)))
    run.write_text("\ufeffq0\tQ0\td1 1 2 x\nq1 Q0 d\udcff 1 2 x\n", encoding="utf-8", errors="surrogateescape")
    result = run_job(job(data, tmp_path / "a#1 %41?", address, run=str(run)))
    assert (result.rows, result.failed) == (2, 1)


def test_ids_of_a_trec_run(address: str, tmp_path: Path) -> None:
    """A row with an id that would break the lines of a run is left out of it, and is in the output."""
    source = tmp_path / "rows.jsonl"
    named = [{"id": name, "query": "q?", "documents": ["a"], "names": ["n"]} for name in (0, "a b", "x\ny", {"a": 1})]
    named.append({"query": "q?", "documents": ["a"], "names": ["two words"]})
    source.write_text("".join(json.dumps(row) + "\n" for row in named))
    result = run_job(job(source, tmp_path / "out", address, trec=True, columns=Columns(ids="names")))
    assert (result.rows, result.failed) == (5, 0)
    lines = (tmp_path / "out" / "run.trec").read_text().splitlines()
    assert [line.split()[:4] for line in lines] == [["0", "Q0", "n", "1"]]


def test_columns_that_clash(address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Columns of the input that the output gives new values are said, once."""
    source = tmp_path / "rows.jsonl"
    source.write_text('{"query": "q?", "documents": ["a"], "tokens": 7, "error": "mine"}\n' * 3)
    run_job(job(source, tmp_path / "out", address))
    assert [record.getMessage() for record in caplog.records if record.name == "hosted_rerank"] == [
        "The output replaces columns of the input: error, tokens"
    ]


def test_a_document_that_stands_twice(server: HostileServer, tmp_path: Path) -> None:
    """A document that stands twice in a run is sent once and written once; so are ids of rows in a written run."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "corpus.jsonl").write_text("".join(f'{{"_id": "d{n}", "text": "text {n}"}}\n' for n in range(3)))
    (data / "queries.jsonl").write_text('{"_id": "q0", "text": "what?"}\n')
    run = "q0 Q0 d0 1 3 x\nq0 Q0 d1 2 2 x\nq0 Q0 d0 3 1 x\nq0 Q0 d2 4 0 x\n"
    (tmp_path / "first.run").write_text(run)
    server.play(ranking(0.1, 0.3, 0.2))
    run_job(job(data, tmp_path / "out", server.url, run=str(tmp_path / "first.run"), trec=True))
    assert server.requests[0].body["documents"] == ["text 0", "text 1", "text 2"]
    (found,) = read(tmp_path / "out")
    assert (found["document_ids"], found["ranked_ids"]) == (["d0", "d1", "d2"], ["d1", "d2", "d0"])
    assert find_run(tmp_path / "out") == [("d1", "1"), ("d2", "2"), ("d0", "3")]
    twice = {"id": 1, "query": "what?", "documents": ["a", "b", "a"], "names": ["x", "y", "x"]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(twice))
    server.play(ranking(0.3, 0.1))
    run_job(job(tmp_path / "rows.jsonl", tmp_path / "rows", server.url, trec=True, columns=Columns(ids="names")))
    assert server.requests[1].body["documents"] == ["a", "b"]
    assert read(tmp_path / "rows")[0]["ranked_ids"] == ["x", "x", "y"]
    assert find_run(tmp_path / "rows") == [("x", "1"), ("y", "2")]


def find_run(folder: Path) -> list[tuple[str, str]]:
    """The documents and ranks of a written run."""
    return [(line.split()[2], line.split()[3]) for line in (folder / "run.trec").read_text().splitlines()]
