"""A server that costs nothing, in a process of its own, and jobs over made-up rows."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from hosted_rerank import Dialect, Provider
from hosted_rerank.bulk import RerankBatch
from tests.conftest import KEY
from tests.hostile import HostileServer

pytest.importorskip("hosted_rerank.local.server", exc_type=ImportError)


@contextmanager
def serving(*options: str) -> Iterator[str]:
    """`hosted-rerank serve --instant`; the address of its vLLM API."""
    command = [sys.executable, "-m", "hosted_rerank.cli", "serve", "--port", "0", "--instant", "--quiet", *options]
    with TemporaryFile("w+") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            url = None
            while url is None and process.poll() is None:
                time.sleep(0.05)
                log.seek(0)
                url = re.search(r"http://127\.0\.0\.1:\d+", log.read())
            assert url is not None
            yield f"{url[0]}/vllm"
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of rows, each with so many documents."""

    def write(count: int, documents: int = 20, **more: Any) -> Path:
        path = tmp_path / "rows.jsonl"
        with path.open("w") as file:
            for number in range(count):
                texts = [f"text {number * 7919 % 1009} {place}" for place in range(documents)]
                file.write(json.dumps({"id": number, "query": f"question {number}", "documents": texts, **more}) + "\n")
        return path

    return write


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """An S3 server with a bucket, and its file system."""
    pytest.importorskip("s3fs")
    server_module: Any = pytest.importorskip("moto.server")
    fsspec: Any = pytest.importorskip("fsspec")
    with pytest.MonkeyPatch.context() as patch:
        server = server_module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        filesystem = fsspec.filesystem("s3", use_listings_cache=False)
        filesystem.mkdir("bucket")
        yield filesystem
        server.stop()


@pytest.fixture
def row(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """Of the server's API; the key is in the environment."""
    monkeypatch.setenv("ACME_API_KEY", KEY)
    return Provider(name="acme", url=f"{server.url}/v1/rerank", dialect=Dialect(), api_key_env=("ACME_API_KEY",))


@pytest.fixture
def ranks(row: Provider) -> Iterator[RerankBatch]:
    with RerankBatch(row, max_retries=0) as made:
        yield made
