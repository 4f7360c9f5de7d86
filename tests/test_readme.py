"""The code of the README and of docs/ runs as it is written."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("llama_index.core")
from hosted_rerank import PROVIDERS, Dialect, Provider, Reranker
from hosted_rerank.cli.provider_table import markdown, models_markdown
from hosted_rerank.providers.auth import KeyHeader
from tests.hostile import HostileServer, reply

server = pytest.importorskip("hosted_rerank.local.server", exc_type=ImportError)

CONTRIBUTING = Path(__file__).parents[1] / "CONTRIBUTING.md"
README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")
PAGES = [README, *sorted((README.parent / "docs").glob("*.md"))]
EXAMPLES = re.findall(
    r"^```python\n(.*?)^```",
    "\n".join(page.read_text(encoding="utf-8") for page in PAGES),
    flags=re.MULTILINE | re.DOTALL,
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The local server that some examples talk to."""
    with server.running() as url:
        yield url


ON_RAY = (pytest.mark.ray, pytest.mark.filterwarnings("ignore"))


@pytest.mark.parametrize(
    "example",
    [pytest.param(code, marks=ON_RAY if "import ray" in code else ()) for code in EXAMPLES],
    ids=lambda code: code.splitlines()[0],
)
def test_example_runs(
    example: str, address: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each Python block of the pages runs on its own, against a free port in place of 8787."""
    if "import ray" in example:
        request.getfixturevalue("ray_cluster")
    if "import HttpxAiohttpClient" in example:
        pytest.importorskip("httpx_aiohttp")
    exec(compile(example.replace("http://127.0.0.1:8787", address), README.name, "exec"), {})
    assert ("print(" in example and "except" not in example) == bool(capsys.readouterr().out)


def test_bulk_runs(tmp_path: Path) -> None:
    """The commands of the README's section on bulk run as they are written, without the installation."""
    pytest.importorskip("pyarrow")
    _, section = TEXT.split("\n## Bulk\n")
    commands = section.split("```console\n")[1].split("```")[0]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", re.sub("(?m)^pip .*", "", commands)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"ranked_ids":[1]' in done.stdout
    assert "1 row in 1 part" in done.stderr


def test_table_of_providers_is_the_codes_own() -> None:
    """The README's table says what the rows say; `hosted-rerank providers --markdown` writes it anew."""
    assert markdown() in TEXT


def test_table_of_models_is_the_codes_own() -> None:
    """The table of models is `hosted-rerank providers --models`."""
    assert models_markdown() in README.with_name("docs").joinpath("providers.md").read_text("utf-8")


def test_every_row_has_met_somebody_or_nobody() -> None:
    """The list of third parties names each row once."""
    page = README.with_name("docs").joinpath("providers.md").read_text("utf-8")
    section = page.partition("## Whom the rows have met\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
    named = re.findall(r"`([a-z-]+)`", " ".join([*cells, section.rpartition("They are")[2]]))
    assert sorted(named) == sorted(set(PROVIDERS) - {"local"})


def test_row_of_the_contributors_guide_works() -> None:
    """The row that CONTRIBUTING shows sends its key in `x-api-key` and reads scores by position."""
    (code,) = re.findall(r"^```python\n(.*?)^```", CONTRIBUTING.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"Provider": Provider, "Dialect": Dialect, "KeyHeader": KeyHeader, "date": date}
    exec(compile(code, CONTRIBUTING.name, "exec"), names)
    with HostileServer() as peer:
        peer.play(reply(200, {"scores": [0.1, 0.9]}))
        reranker = Reranker(names["ACME"], base_url=peer.url, api_key="sk-acme")
        assert [result.index for result in reranker.rerank("q", ["a", "b"]).results] == [1, 0]
        assert peer.requests[0].headers["x-api-key"] == "sk-acme"


def test_there_are_examples_for_both_frameworks() -> None:
    """The blocks are found at all."""
    code = "\n".join(EXAMPLES)
    assert "from langchain_hosted_rerank" in code
    assert "from llamaindex_hosted_rerank" in code
