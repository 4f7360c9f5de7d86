"""A Ray cluster of two nodes: what a job needs there, and what it is refused."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.bounded import patience
from tests.bulk.counted import command, counting, end_midway
from tests.bulk.jobs import Rows
from tests.hostile import eventually

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(os.environ.get("BULK_ROWS") != "large", reason="two nodes take a minute: make test-bulk"),
]

S3_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


@pytest.fixture
def without_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes and drivers on loopback need no token."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")


@pytest.fixture
def two_nodes(without_tokens: None) -> Iterator[str]:
    """Two `ray start` nodes with temporary folders of their own, without the variables of the object store."""
    environment = {name: value for name, value in os.environ.items() if name not in S3_VARIABLES}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # a socket's path has at most 107 bytes, so the folders have short names
    with TemporaryDirectory(dir="/tmp") as first, TemporaryDirectory(dir="/tmp") as second:
        ray = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", "--disable-usage-stats"]
        head = [*ray, "--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={first}"]
        lines = [head, [*ray, f"--address=127.0.0.1:{port}", f"--temp-dir={second}"]]
        nodes: list[subprocess.Popen[bytes]] = []
        try:
            for line in lines:
                nodes.append(
                    subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                )
                assert eventually(lambda: is_up(port, len(nodes)), 60)
            yield f"127.0.0.1:{port}"
        finally:
            for node in reversed(nodes):
                node.send_signal(signal.SIGTERM)
                node.wait(patience(30))


def is_up(port: int, nodes: int) -> bool:
    """Whether so many nodes are alive."""
    line = [str(Path(sys.executable).with_name("ray")), "status", f"--address=127.0.0.1:{port}"]
    said = subprocess.run(line, capture_output=True, text=True, check=False).stdout
    return len(re.findall(r"^ \d+ node_", said, re.MULTILINE)) == nodes


def test_two_nodes(two_nodes: str, s3: Any, rows: Rows, tmp_path: Path) -> None:
    """A local path is refused before anything is sent or written; in an object store each row is sent once."""
    source = rows(200, documents=2)
    s3.put_file(str(source), "bucket/cluster/rows.jsonl")
    on_cluster = ["--engine", "ray", "--address", two_nodes, "--workers", "2", "--part-rows", "50"]
    with counting() as server:
        local = command(source, tmp_path / "out", server, *on_cluster)
        refused = subprocess.run(local, capture_output=True, text=True, timeout=patience(60), check=False)
        assert refused.returncode == 1
        assert "the Ray cluster has 2 nodes" in refused.stderr.splitlines()[-1]
        assert server.total == 0
        assert not (tmp_path / "out").exists()
        more = [option for name in S3_VARIABLES for option in ("--env", name)]
        shared = command("s3://bucket/cluster/rows.jsonl", "s3://bucket/cluster/out", server, *on_cluster, *more)
        done = subprocess.run([*shared, "--json"], capture_output=True, text=True, timeout=patience(120), check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        assert json.loads(done.stdout)["rows"] == 200
        assert (server.total, server.repeated) == (200, 0)
    assert len(s3.ls("bucket/cluster/out/parts")) == 4


@pytest.mark.parametrize(("how", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_ended_driver_on_ray(
    how: signal.Signals, status: int, without_tokens: None, rows: Rows, tmp_path: Path
) -> None:
    """SIGTERM and Ctrl-C of a driver on Ray wait for slow requests under way, and no row is sent again."""
    source = rows(120, documents=2)
    with counting(4.0) as server:
        line = command(source, tmp_path / "out", server, "--part-rows", "30")
        ends = end_midway([*line, "--engine", "ray", "--workers", "2"], server, how, 1, 20, lambda: None)
        assert [end[0] for end in ends] == [status]
        server.pause = 0
        subprocess.run([*line, "--resume"], check=True, timeout=patience(60), capture_output=True)
        assert (server.total, server.repeated) == (120, 0)
