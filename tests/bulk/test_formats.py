"""The files that a job reads, by name; folders and globs of them; documents in each form."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from hosted_rerank.bulk import Columns, run_job
from tests.bulk.counted import counting
from tests.bulk.jobs import job, read

ROWS = [{"id": str(number), "query": f"q{number}?", "documents": [f"a {number}", "b\tc"]} for number in range(7)]


@pytest.fixture(scope="module")
def url() -> Any:
    with counting(0) as server:
        yield server.url


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write(path: Path) -> None:
    """Write the rows as the path's suffixes say."""
    kind = path.name.split(".", 1)[1]
    if kind.startswith(("csv", "tsv")):
        with path.with_name("cells").open("w", newline="", encoding="utf-8-sig") as file:
            cells = csv.writer(file, delimiter="," if kind.startswith("csv") else "\t", quoting=csv.QUOTE_MINIMAL)
            cells.writerow(["id", "query", "documents"])
            texts = [json.dumps(row["documents"]) for row in ROWS]
            if kind == "tsv":  # has no quoting
                file.writelines(f"{row['id']}\t{row['query']}\t{text}\n" for row, text in zip(ROWS, texts, strict=True))
            else:
                cells.writerows([row["id"], row["query"], text] for row, text in zip(ROWS, texts, strict=True))
        content = path.with_name("cells").read_bytes()
    elif kind in ("arrow", "feather", "parquet"):
        pa = pytest.importorskip("pyarrow")
        table = pa.Table.from_pylist(ROWS)
        if kind == "parquet":
            pytest.importorskip("pyarrow.parquet").write_table(table, path, row_group_size=2)
        else:
            maker = pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream
            with maker(path, table.schema) as writer:
                writer.write_table(table, max_chunksize=2)
        return
    else:
        content = lines(ROWS)
    if kind.endswith(".gz"):
        content = gzip.compress(content[:50]) + gzip.compress(content[50:])
    elif kind.endswith(".zst"):
        content = pytest.importorskip("pyarrow").compress(content, "zstd", asbytes=True)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "suffix", ["jsonl", "jsonl.gz", "ndjson.zst", "csv", "csv.gz", "tsv", "arrow", "feather", "parquet"]
)
def test_a_format(suffix: str, url: str, tmp_path: Path) -> None:
    """Each format gives the same rows, in parts of any size."""
    source = tmp_path / f"rows.{suffix}"
    write(source)
    result = run_job(job(source, tmp_path / "out", url, part_rows=3, format="jsonl"))
    assert (result.rows, result.failed, result.parts) == (7, 0, 3)
    found = read(tmp_path / "out")
    assert [{name: row[name] for name in ROWS[0]} for row in found] == ROWS


def test_folders_and_globs(url: str, tmp_path: Path) -> None:
    """All files of a folder, those below it too, or those of a pattern, in the order of their names."""
    data = tmp_path / "data"
    (data / "below").mkdir(parents=True)
    for place, name in enumerate(["a.jsonl", "below/b.jsonl.gz", "c.jsonl", "_left.jsonl", "notes.txt"]):
        content = lines(ROWS[place : place + 1])
        (data / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    run_job(job(data, tmp_path / "out", url))
    assert [row["id"] for row in read(tmp_path / "out")] == ["0", "1", "2"]
    run_job(job(data / "*.jsonl", tmp_path / "some", url))
    assert [row["id"] for row in read(tmp_path / "some")] == ["3", "0", "2"]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="holds no file"):
        run_job(job(empty, tmp_path / "x", url))


def test_pairs(url: str, tmp_path: Path) -> None:
    """Rows of one query that stand together are one row; MS MARCO's layout needs no option."""
    pairs = [
        {"id": row["id"], "query": row["query"], "name": f"{row['id']}-{n}", "text": t}
        for row in ROWS
        for n, t in enumerate(row["documents"])
    ]
    source = tmp_path / "pairs.jsonl"
    source.write_bytes(lines(pairs))
    columns = Columns(documents="text", ids="name")
    assert run_job(job(source, tmp_path / "out", url, columns=columns, pairs=True, part_rows=2)).rows == 7
    found = read(tmp_path / "out")
    assert [row["text"] for row in found] == [row["documents"] for row in ROWS]
    assert set(found[3]["ranked_ids"]) == {"3-0", "3-1"}
    marco = tmp_path / "top1000.tsv"
    marco.write_text("".join(f'{q}\t{q * 10 + n}\tquery {q}\tpassage "{n}\n' for q in range(3) for n in range(4)))
    assert run_job(job(marco, tmp_path / "marco", url, trec=True)).rows == 3
    assert (tmp_path / "marco" / "run.trec").read_text().split()[0] == "0"
    assert set(read(tmp_path / "marco")[2]["ranked_ids"]) == {"20", "21", "22", "23"}


def test_documents_with_ids(url: str, tmp_path: Path) -> None:
    """Documents may be structs of an id and a text, in Parquet too, whose rankings then hold the ids."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"query": "q?", "documents": [{"id": "x", "text": "a"}, {"id": "y", "text": "z"}]}]
    (tmp_path / "rows.jsonl").write_bytes(lines(rows))
    run_job(job(tmp_path / "rows.jsonl", tmp_path / "a", url))
    assert read(tmp_path / "a")[0]["ranked_ids"] == ["y", "x"]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    run_job(job(tmp_path / "rows.parquet", tmp_path / "b", url))
    table = pq.read_table(tmp_path / "b" / "parts" / "00000000.parquet")
    assert table.column("ranked_ids").to_pylist() == [["y", "x"]]
    assert table.schema.field("ranked_ids").type == pa.list_(pa.string())


@pytest.mark.parametrize("name", ["rows.parquet", "rows.jsonl.gz", "rows.arrow", "rows.csv.zst"])
def test_a_damaged_file(name: str, url: str, tmp_path: Path) -> None:
    """A file that is not what its name says is named, before anything is sent."""
    (tmp_path / name).write_bytes(b"this is something else" * 9)
    with pytest.raises(ValueError, match=rf"{name} is damaged"):
        run_job(job(tmp_path / name, tmp_path / "out", url))


def test_equal_ids_are_told(url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two rows of one id are both reranked, and told."""
    (tmp_path / "rows.jsonl").write_bytes(lines([*ROWS, ROWS[2]]))
    assert run_job(job(tmp_path / "rows.jsonl", tmp_path / "out", url, part_rows=7)).rows == 8
    assert "Rows with the id of an earlier row in part 1: 1" in caplog.text


def test_parts_overlap(tmp_path: Path) -> None:
    """Many small parts take little longer than one: the next part begins before the last rows of one are answered."""
    (tmp_path / "rows.jsonl").write_bytes(lines([{"query": f"q{n}?", "documents": ["a"]} for n in range(60)]))
    with counting(0.4) as server:
        run_job(job(tmp_path / "rows.jsonl", tmp_path / "out", server.url, part_rows=4, concurrency=20))
    assert server.most_at_once > 12  # 20, on a machine that is fast
