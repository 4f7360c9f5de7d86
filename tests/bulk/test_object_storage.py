"""Jobs on a real S3 server: input, output, log and manifest are objects, and nothing is written here."""

import json
from pathlib import Path
from typing import Any

import pytest

from hosted_rerank.bulk import Job, run_job
from hosted_rerank.bulk.job import Progress
from tests.bulk.counted import counting

# botocore and s3fs leave sockets to the collector, and moto warns of its own
pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_job_in_a_bucket(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is interrupted and resumed in a bucket pays nothing twice, and leaves nothing on this machine."""
    monkeypatch.chdir(tmp_path)
    rows = [{"id": number, "query": f"question {number}", "documents": ["a", f"b {number}"]} for number in range(120)]
    for name, some in (("a", rows[:70]), ("b", rows[70:])):
        s3.pipe_file(f"bucket/in/{name}.jsonl", "".join(json.dumps(row) + "\n" for row in some).encode())

    def interrupt(progress: Progress) -> None:
        if progress.rows >= 30:
            raise KeyboardInterrupt

    with counting(0.01) as server:
        job = Job(
            input="s3://bucket/in",
            output="s3://bucket/out",
            provider="vllm",
            model="m",
            part_rows=50,
            trec=True,
            concurrency=4,
            settings={"base_url": server.url},
        )
        with pytest.raises(KeyboardInterrupt):
            run_job(job, on_progress=interrupt)
        assert server.total < 120
        with pytest.raises(FileExistsError):
            run_job(job)
        assert run_job(job, resume=True).rows == 120
        assert server.repeated == 0
        s3.rm_file("bucket/out/parts/00000001.jsonl")
        assert run_job(job, resume=True).resumed == 2
        assert server.repeated == 0
    found = b"".join(s3.cat_file(path) for path in sorted(s3.ls("bucket/out/parts", detail=False)))
    assert [json.loads(line)["id"] for line in found.splitlines()] == list(range(120))
    assert len(s3.cat_file("bucket/out/run.trec").splitlines()) == 240
    assert json.loads(s3.cat_file("bucket/out/manifest.json"))["is_complete"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("end", ["input", "output"])
def test_a_store_that_cannot_be_reached(end: str, s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an object store refuses to be asked, the URI is named, and nothing is sent or written."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / "rows.jsonl").write_text('{"query": "q?", "documents": ["a"]}')
    uris = {"input": str(tmp_path / "rows.jsonl"), "output": str(tmp_path / "out"), end: "s3://bucket/unreachable"}
    type(s3).clear_instance_cache()  # it remembers a session with the keys
    with counting(0) as server:
        job = Job(**uris, provider="vllm", model="m", settings={"base_url": server.url})
        with pytest.raises(OSError, match="s3://bucket/unreachable cannot be reached"):
            run_job(job)
        assert server.total == 0
    assert not (tmp_path / "out").exists()
    type(s3).clear_instance_cache()


def test_parquet_in_a_bucket(s3: Any) -> None:
    """Parquet is read from a bucket and written there."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    with s3.open("bucket/rows.parquet", "wb") as file:
        pq.write_table(pa.Table.from_pylist([{"query": f"q{n}?", "documents": ["a", "b"]} for n in range(9)]), file)
    with counting(0) as server:
        settings = {"base_url": server.url}
        uris = {"input": "s3://bucket/rows.parquet", "output": "s3://bucket/parquet"}
        assert run_job(Job(**uris, provider="vllm", model="m", part_rows=4, settings=settings)).parts == 3
    with s3.open("bucket/parquet/parts/00000002.parquet", "rb") as file:
        assert pq.read_table(file).num_rows == 1
