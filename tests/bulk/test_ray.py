"""On real Ray: the same result as in one process, through killed workers and a killed driver, at one limit for all."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hosted_rerank.bulk import Progress, RerankBatch, run_job
from hosted_rerank.bulk.shared_rate import UsageReport
from tests.bounded import patience
from tests.bulk.conftest import serving
from tests.bulk.counted import counting
from tests.bulk.test_job import job, read
from tests.hostile import eventually

on_ray = pytest.importorskip("hosted_rerank.bulk.on_ray", exc_type=ImportError)
ray = on_ray.ray
pq = pytest.importorskip("pyarrow.parquet")

Rows = Callable[..., Path]
# Ray's own: it leaves files and sockets to the collector, and warns of what it will change.
pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster"), pytest.mark.filterwarnings("ignore")]


def test_a_large_job_with_a_killed_worker(rows: Rows, address: str, tmp_path: Path) -> None:
    """4,000 queries of 20 documents, a worker killed midway: row by row what one process makes of it."""
    source, killed = rows(4_000), list[int]()

    def on_progress(progress: Progress) -> None:
        if progress.rows and not killed:
            found = subprocess.run(["pgrep", "-f", "ray::.*_PartWorker"], capture_output=True, text=True, check=False)
            killed.extend(int(pid) for pid in found.stdout.split()[:1])
            assert killed
            os.kill(killed[0], signal.SIGKILL)

    result = run_job(
        job(source, tmp_path / "ray", address, part_rows=100),
        engine=on_ray.RayEngine(workers=2),
        on_progress=on_progress,
    )
    assert (result.rows, result.failed, result.parts) == (4_000, 0, 40)
    run_job(job(source, tmp_path / "one", address, part_rows=100))
    outputs = [
        [path.read_bytes() for path in sorted((tmp_path / name / "parts").glob("*.jsonl"))] for name in ("ray", "one")
    ]
    assert outputs[0] == outputs[1]


def test_building_block(rows: Rows, address: str) -> None:
    """`RerankBatch` in `map_batches`, beside what else a pipeline does; with the shared rate as an argument."""
    dataset = ray.data.read_json(str(rows(200)))
    shared_rate = on_ray.get_shared_rate("vllm", "m", base_url=address)
    ranked = dataset.map_batches(
        RerankBatch,
        fn_constructor_args=("vllm", "m"),
        fn_constructor_kwargs={"base_url": address, "top_n": 2, "shared_rate": shared_rate},
        batch_size=50,
        compute=ray.data.ActorPoolStrategy(size=1),
    )
    found = sorted(ranked.take_all(), key=lambda row: row["id"])
    assert [row["id"] for row in found] == list(range(200))
    assert {len(row["ranked_ids"]) for row in found} == {2}


def test_one_limit_for_four_workers(rows: Rows, tmp_path: Path) -> None:
    """Four workers at 50 requests a second: 90 % of it or more, if the machine is fast, and at most 5 % refused."""
    seen: list[tuple[float, int]] = []
    with serving("--rate", "50/s", "--burst", "50", "--latency", "50ms") as address:
        shared_rate = on_ray.get_shared_rate("vllm", "m", base_url=address)
        run_job(
            job(rows(1_000, documents=3), tmp_path / "out", address, part_rows=20),
            engine=on_ray.RayEngine(workers=4),
            on_progress=lambda _: seen.append((time.monotonic(), shared_rate.counts()["answered"])),
        )
        counts = shared_rate.counts()
    assert counts["answered"] == 1_000
    assert counts["refused"] <= 0.05 * 1_000
    middle = [(at, answered) for at, answered in seen if 160 <= answered <= 900]  # after the start, before stragglers
    assert (middle[-1][0] - middle[0][0]) <= patience((middle[-1][1] - middle[0][1]) / (0.9 * 50))


def test_parts_overlap(rows: Rows, tmp_path: Path) -> None:
    """A worker has many small parts at once, and ends as many as there are, each once."""
    with counting(0.2) as server:
        result = run_job(
            job(rows(90, documents=2), tmp_path / "out", server.url, part_rows=1), engine=on_ray.RayEngine(workers=1)
        )
    assert (result.rows, result.parts, server.repeated) == (90, 90, 0)
    assert server.most_at_once > 4  # 11, on a machine that is fast


def test_a_killed_driver_and_resume(rows: Rows, tmp_path: Path) -> None:
    """A driver that is killed leaves whole parts; who resumes does the rest, once."""
    source = rows(1_500)
    with serving("--latency", "20ms") as address:
        options = ["--provider", "vllm", "--model", "m", "--base-url", address, "--part-rows", "50", "--resume"]
        command = [sys.executable, "-m", "hosted_rerank.cli", "bulk", str(source), str(tmp_path / "out"), *options]
        on_cluster = ["--engine", "ray", "--workers", "2", "--address", "auto"]
        with subprocess.Popen([*command, *on_cluster], stderr=subprocess.DEVNULL) as driver:
            assert eventually(lambda: len(list((tmp_path / "out" / "done").glob("*.json"))) >= 4, 60)
            driver.send_signal(signal.SIGKILL)
        assert 4 <= len(list((tmp_path / "out" / "done").glob("*.json"))) < 30
        time.sleep(1)  # its workers notice
        done = subprocess.run([*command], check=True, timeout=patience(120), capture_output=True, text=True)
        assert "1,500 rows in 30 parts" in done.stderr
        run_job(job(source, tmp_path / "whole", address))
    assert read(tmp_path / "out") == read(tmp_path / "whole")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["identity"]["provider"] == "vllm"


def test_variables_that_are_not_set() -> None:
    """A variable for workers that this process does not have is named, before a cluster is joined."""
    with pytest.raises(ValueError, match="are not set: NO_SUCH_VARIABLE"):
        on_ray.RayEngine(env=["PATH", "NO_SUCH_VARIABLE"])


def test_no_key_in_what_travels(rows: Rows, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the pickled job nor the named actor has the key in it."""
    monkeypatch.setenv("VLLM_API_KEY", "sk-secret-of-this-test")
    shared_rate = on_ray.get_shared_rate("vllm", "m", base_url=address)
    content = ray.cloudpickle.dumps(
        (job(rows(1), tmp_path, address), shared_rate, RerankBatch("vllm", "m", base_url=address))
    )
    assert b"sk-secret-of-this-test" not in content
    named = ray.util.list_named_actors(all_namespaces=True)
    assert not [actor for actor in named if "sk-secret" in actor["name"]]


def test_one_limit_that_ends(address: str) -> None:
    """Two drivers find the same actor; it ends when nobody uses it, and is made again for whoever needs it."""
    client = on_ray.RayRateLeaseClient("hosted-rerank-rate-of-a-test", idle_lifetime=1.0)
    other = on_ray.RayRateLeaseClient("hosted-rerank-rate-of-a-test", idle_lifetime=1.0)
    assert len(asyncio.run(client.lease(2, [])).starts) == 2
    assert len(named_actors("of-a-test")) == 1
    asyncio.run(other.lease(0, [UsageReport(0, answered=True)]))
    assert client.counts()["answered"] == 1
    assert eventually(lambda: not named_actors("of-a-test"), 20)
    assert len(asyncio.run(client.lease(2, [])).starts) == 2
    (actor,) = named_actors("of-a-test")
    assert actor["namespace"] == on_ray.NAMESPACE


def named_actors(ending: str) -> list[dict[str, str]]:
    return [each for each in ray.util.list_named_actors(all_namespaces=True) if each["name"].endswith(ending)]


def test_batches_that_are_written(rows: Rows, address: str, tmp_path: Path) -> None:
    """Blocks whose rows all succeed and blocks whose rows all fail are written as files that are read as one."""
    batches = [{"id": n, "query": "q?" if n < 4 else "", "documents": ["a"]} for n in range(8)]
    for name in ("numpy", "pandas", "pyarrow"):
        ranked = ray.data.from_items(batches, override_num_blocks=2).map_batches(
            RerankBatch,
            fn_constructor_args=("vllm", "m"),
            fn_constructor_kwargs={"base_url": address},
            batch_size=4,
            batch_format=name,
            compute=ray.data.ActorPoolStrategy(size=1),
        )
        ranked.write_parquet(str(tmp_path / name))
        table = pq.read_table(tmp_path / name).sort_by("id")
        assert table.column("error").null_count == 4
        assert str(table.schema.field("ranked_ids").type) in ("list<element: int64>", "list<item: int64>")
