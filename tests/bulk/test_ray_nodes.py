"""A Ray cluster of two nodes: what a job needs there, and what it is refused."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
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


@pytest.fixture(scope="module", autouse=True)
def without_tokens() -> Iterator[None]:
    """Nodes and drivers on loopback need no token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        yield


@pytest.fixture(scope="module")
def two_nodes(without_tokens: None) -> Iterator[dict[str, str]]:
    """The addresses of two `ray start` nodes with temporary folders of their own, for drivers within and outside.

    They have no variables of the object store.
    """
    environment = {name: value for name, value in os.environ.items() if name not in S3_VARIABLES}
    environment["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # else the processes of clients may crash when they are started
    port, client_port = free_ports(2)
    # a socket's path has at most 107 bytes, so the folders have short names
    with TemporaryDirectory(dir="/tmp") as first, TemporaryDirectory(dir="/tmp") as second:
        ray = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", "--disable-usage-stats"]
        ports = [f"--port={port}", f"--ray-client-server-port={client_port}"]
        head = [*ray, "--head", *ports, "--include-dashboard=false", f"--temp-dir={first}"]
        lines = [head, [*ray, f"--address=127.0.0.1:{port}", f"--temp-dir={second}"]]
        nodes: list[subprocess.Popen[bytes]] = []
        try:
            for line in lines:
                nodes.append(
                    subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                )
                assert eventually(lambda: is_up(port, len(nodes)), 60)
            yield {"within": f"127.0.0.1:{port}", "outside": f"ray://127.0.0.1:{client_port}"}
        finally:
            for node in reversed(nodes):
                node.send_signal(signal.SIGTERM)
                node.wait(patience(30))


def free_ports(count: int) -> list[int]:
    """Ports that are free; Ray's own begin at 10002 and end at 19999."""
    with ExitStack() as stack:
        return [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]


def is_up(port: int, nodes: int) -> bool:
    """Whether so many nodes are alive."""
    line = [str(Path(sys.executable).with_name("ray")), "status", f"--address=127.0.0.1:{port}"]
    said = subprocess.run(line, capture_output=True, text=True, check=False).stdout
    return len(re.findall(r"^ \d+ node_", said, re.MULTILINE)) == nodes


@pytest.mark.parametrize("driver", ["within", "outside"])
def test_two_nodes(driver: str, two_nodes: dict[str, str], s3: Any, rows: Rows, tmp_path: Path) -> None:
    """A local path is refused before anything is sent or written; in an object store each row is sent once."""
    source, bucket = rows(200, documents=2), f"bucket/{driver}"
    s3.put_file(str(source), f"{bucket}/rows.jsonl")
    on_cluster = ["--engine", "ray", "--address", two_nodes[driver], "--workers", "2", "--part-rows", "50"]
    with counting() as server:
        local = command(source, tmp_path / "out", server, *on_cluster)
        refused = subprocess.run(local, capture_output=True, text=True, timeout=patience(60), check=False)
        assert refused.returncode == 1
        assert "other nodes of the Ray cluster may not see it" in refused.stderr.splitlines()[-1]
        assert server.total == 0
        assert not (tmp_path / "out").exists()
        more = [option for name in S3_VARIABLES for option in ("--env", name)]
        shared = command(f"s3://{bucket}/rows.jsonl", f"s3://{bucket}/out", server, *on_cluster, *more)
        done = subprocess.run([*shared, "--json"], capture_output=True, text=True, timeout=patience(120), check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        assert json.loads(done.stdout)["rows"] == 200
        assert (server.total, server.repeated) == (200, 0)
    assert len(s3.ls(f"{bucket}/out/parts")) == 4


@pytest.mark.parametrize(("how", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("driver", ["within", "outside"])
def test_an_ended_driver_on_ray(
    how: signal.Signals, status: int, driver: str, two_nodes: dict[str, str], rows: Rows, tmp_path: Path
) -> None:
    """SIGTERM and Ctrl-C of a driver on Ray wait for slow requests under way, and no row is sent again."""
    source = rows(120, documents=2)
    with counting(4.0) as server:
        line = command(source, tmp_path / "out", server, "--part-rows", "30")
        on_cluster = ["--engine", "ray", "--address", two_nodes[driver], "--workers", "2", "--shared-disk"]
        ends = end_midway([*line, *on_cluster], server, how, 1, 20, lambda: None)
        assert [end[0] for end in ends] == [status]
        server.pause = 0
        subprocess.run([*line, "--resume"], check=True, timeout=patience(60), capture_output=True)
        assert (server.total, server.repeated) == (120, 0)


def test_a_cluster_that_is_not_there(rows: Rows, tmp_path: Path) -> None:
    """A driver that reaches no cluster ends with one line, which has the address."""
    (port,) = free_ports(1)
    with counting() as server:
        line = command(rows(1), tmp_path / "out", server, "--engine", "ray", "--address", f"ray://127.0.0.1:{port}")
        done = subprocess.run(line, capture_output=True, text=True, timeout=patience(120), check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert f"no connection to the Ray cluster at ray://127.0.0.1:{port}" in done.stderr.splitlines()[-1]
