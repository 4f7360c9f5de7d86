"""Fixtures of the tests of the embedded part: the model, the FAQ, a server, and ways to watch threads and processes."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosted_rerank.local.faq import Faq, load_faq
from hosted_rerank.local.model import Model, load_model
from hosted_rerank.local.server import running
from tests.bounded import patience
from tests.local.evaluation_data import write_folder


@pytest.fixture(scope="session")
def model() -> Model:
    return load_model()


@pytest.fixture(scope="session")
def faq() -> Faq:
    return load_faq()


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
def wait_for_scoring() -> Callable[[bool], None]:
    """Waits until some thread scores, or until none does; fails after a minute, which no test comes near."""

    def wait(wanted: bool) -> None:  # noqa: FBT001 - reads well: wait_for_scoring(False)
        end = time.monotonic() + patience(60)
        while any("ThreadPoolExecutor" in thread.name for thread in threading.enumerate()) != wanted:
            assert time.monotonic() < end
            time.sleep(0.01)

    return wait


@pytest.fixture
def run_python(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs Python on arguments, with modules of the test's own that take precedence over installed ones."""

    def run(*arguments: str, modules: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        for name, source in (modules or {}).items():
            (tmp_path / f"{name}.py").write_text(source)
        path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=patience(120),
            check=False,
        )

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small dataset in BEIR's layout."""
    return write_folder(tmp_path)


@pytest.fixture
def data(folder: Path) -> Any:
    """The small dataset, with candidates by BM25."""
    return pytest.importorskip("hosted_rerank.evaluation", exc_type=ImportError).load_dataset(folder)
