"""The code of the README and of docs/ runs as it is written."""

import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

pytest.importorskip("langchain_core")
pytest.importorskip("llama_index.core")
import hosted_rerank
from hosted_rerank import PROVIDERS, Dialect, Provider, Reranker
from hosted_rerank.cli.commands import commands
from hosted_rerank.cli.provider_table import markdown, models_markdown
from hosted_rerank.providers.auth import KeyHeader
from tests.hostile import HostileServer, reply

server = pytest.importorskip("hosted_rerank.local.server", exc_type=ImportError)

ROOT = Path(__file__).parents[1]
CONTRIBUTING, README, DOCS = ROOT / "CONTRIBUTING.md", ROOT / "README.md", ROOT / "docs"
SITE, REPOSITORY = "https://hosted-rerank.github.io/hosted-rerank/", "https://github.com/hosted-rerank/hosted-rerank/"


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page, in the order in which they stand."""
    return re.findall(r"^```python\n(.*?)^```", read(page), flags=re.MULTILINE | re.DOTALL)


def shell_blocks(page: Path) -> list[str]:
    """The blocks of commands of a page."""
    return re.findall(r"^```console\n(.*?)^```", read(page), flags=re.MULTILINE | re.DOTALL)


PAGES = [page for page in (README, *sorted(DOCS.glob("*.md"))) if blocks(page)]
ON_RAY = (pytest.mark.ray, pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The local server that some examples talk to."""
    with server.running() as url:
        yield url


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=ON_RAY if "import ray" in read(page) else ()) for page in PAGES],
    ids=lambda page: page.stem,
)
def test_page_runs(
    page: Path,
    address: str,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """The Python blocks of a page run in their order, against a free port in place of 8787; tests in them pass."""
    codes = [code.replace("http://127.0.0.1:8787", address) for code in blocks(page)]
    for module in re.findall(r"^(?:import|from) (\w+)", "\n".join(codes), flags=re.MULTILINE):
        pytest.importorskip(module)  # the lowest versions are tested without what only a page shows
    if "import ray" in read(page):
        request.getfixturevalue("ray_cluster")
    names: dict[str, Any] = {}
    for code in codes:
        exec(compile(code, page.name, "exec"), names)
        assert ("print(" in code and "except" not in code) == bool(capsys.readouterr().out)
    if tests := [code for code in codes if "def test_" in code]:
        run_tests(tests, tmp_path)


def run_tests(codes: list[str], folder: Path) -> None:
    """Runs the tests of a page as a reader would, with the fixtures that the page names."""
    folder.joinpath("conftest.py").write_text('pytest_plugins = ["hosted_rerank.testing"]', encoding="utf-8")
    for number, code in enumerate(codes):
        folder.joinpath(f"test_{number}.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_httpx", os.fspath(folder)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # for speed
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert f"{sum(code.count('def test_') for code in codes)} passed" in done.stdout, done.stdout


def test_readme_is_one_screen() -> None:
    """The README stays short; the rest is on the site."""
    assert len(read(README).split()) <= 900


def test_readme_on_a_package_index() -> None:
    """The README's links and pictures are absolute, and lead to pages and files that exist."""
    links = re.findall(r"\]\((.*?)\)", read(README))
    pages = [link.removeprefix(SITE).partition("#")[0].strip("/") for link in links if link.startswith(SITE)]
    raw = REPOSITORY.replace("github.com", "raw.githubusercontent.com")
    files = [
        re.sub(r"^(blob/|tree/)?main/", "", link.removeprefix(REPOSITORY).removeprefix(raw))
        for link in links
        if link.startswith((REPOSITORY, raw))
    ]
    assert len(pages) + len(files) == len(links)
    assert not [page for page in pages if page and not DOCS.joinpath(f"{page}.md").exists()]
    assert not [file for file in files if not ROOT.joinpath(file).exists()]


def test_picture_is_what_its_caption_says(tmp_path: Path) -> None:
    """The script beside the picture draws the question that the README names, whose answer comes to place 1."""
    pytest.importorskip("matplotlib")
    script = runpy.run_path(os.fspath(DOCS / "ranks.py"))
    comparison = script["rerank"]()
    caption = re.sub(r"\s+", " ", read(README))
    assert (
        f'"{script["QUESTION"]}" at place {comparison.lines[0].before} of 50, the built-in model at place 1' in caption
    )
    assert f"from place {comparison.lines[0].before} to 1](" in caption
    assert comparison.lines[0].text.startswith("Remember that arguments are passed by assignment")
    script["draw"](tmp_path)
    assert tmp_path.joinpath("ranks.png").read_bytes().startswith(b"\x89PNG")


def test_readme_says_how_often_reranking_helps() -> None:
    """The README has the figures that the notebook on choosing a reranker measures."""
    text = read(ROOT / "notebooks" / "choosing_a_reranker.ipynb")
    ((better, worse, same),) = re.findall(r"(\d+) better, (\d+) worse, (\d+) as before", text)
    claim = f"higher for {better} of them, leaves {same} as they are, and puts it lower for {worse}."
    assert claim in re.sub(r"\s+", " ", read(README))


def test_every_page_is_in_the_navigation() -> None:
    """A reader finds each page of the site."""
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert pages == set(re.findall(r'"([\w/]+\.md)"', read(ROOT / "zensical.toml")))


@pytest.mark.parametrize(
    ("module", "pages"),
    [
        ("hosted_rerank", ("core", "errors")),
        ("langchain_hosted_rerank", ("langchain",)),
        ("llamaindex_hosted_rerank", ("llamaindex",)),
        ("hosted_rerank.bulk", ("bulk",)),
        ("hosted_rerank.evaluation", ("evaluation",)),
    ],
)
def test_reference_has_everything_public(module: str, pages: tuple[str, ...]) -> None:
    """The reference lists what a package exports."""
    pytest.importorskip("pyarrow")
    text = "\n".join(read(DOCS / "reference" / f"{page}.md") for page in pages)
    listed = re.findall(rf"^::: {re.escape(module)}\.(\w+)$", text, flags=re.MULTILINE)
    assert sorted(listed) == sorted(set(import_module(module).__all__) - {"__version__"})


def test_every_error_is_in_the_table() -> None:
    """The table of errors has a line for each class."""
    named = re.findall(r"^\| `(\w+)` \|", read(DOCS / "errors.md"), flags=re.MULTILINE)
    public = [name for name in hosted_rerank.__all__ if name.endswith("Error")]
    assert sorted([*named, "RerankError"]) == sorted(public)


def test_bulk_runs(tmp_path: Path) -> None:
    """The commands of the page on bulk jobs run as they are written, without the installation."""
    pytest.importorskip("pyarrow")
    (script,) = shell_blocks(DOCS / "bulk_jobs.md")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", re.sub("(?m)^pip .*", "", script)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"ranked_ids":[1]' in done.stdout
    assert "1 row in 1 part" in done.stderr


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_commands_exist(page: Path) -> None:
    """Each `hosted-rerank` command in a block for a shell has the options that the page gives it."""
    lines = re.findall(
        r"^hosted-rerank (.*?)(?:  .*)?$", "\n".join(shell_blocks(page)).replace("\\\n", ""), flags=re.MULTILINE
    )
    known = get_command(commands).commands
    for name, *words in map(shlex.split, lines):
        options = {
            option for parameter in known[name].params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options


def test_table_of_providers_is_the_codes_own() -> None:
    """The table of providers says what the rows say; `hosted-rerank providers --markdown` writes it anew."""
    assert markdown() in read(DOCS / "providers.md")


def test_table_of_models_is_the_codes_own() -> None:
    """The table of models is `hosted-rerank providers --models`."""
    assert models_markdown() in read(DOCS / "providers.md")


def test_every_row_has_met_somebody_or_nobody() -> None:
    """The list of third parties names each row once."""
    page = read(DOCS / "providers.md")
    section = page.partition("## Whom the rows have met\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
    named = re.findall(r"`([a-z-]+)`", " ".join([*cells, section.rpartition("They are")[2]]))
    assert sorted(named) == sorted(set(PROVIDERS) - {"local"})


def test_row_of_the_contributors_guide_works() -> None:
    """The row that CONTRIBUTING shows sends its key in `x-api-key` and reads scores by position."""
    (code,) = re.findall(r"^```python\n(.*?)^```", read(CONTRIBUTING), flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"Provider": Provider, "Dialect": Dialect, "KeyHeader": KeyHeader, "date": date}
    exec(compile(code, CONTRIBUTING.name, "exec"), names)
    with HostileServer() as peer:
        peer.play(reply(200, {"scores": [0.1, 0.9]}))
        reranker = Reranker(names["ACME"], base_url=peer.url, api_key="sk-acme")
        assert [result.index for result in reranker.rerank("q", ["a", "b"]).results] == [1, 0]
        assert peer.requests[0].headers["x-api-key"] == "sk-acme"


def test_there_are_examples_for_both_frameworks() -> None:
    """The blocks are found at all."""
    code = "\n".join(blocks(README))
    assert "from langchain_hosted_rerank" in code
    assert "from llamaindex_hosted_rerank" in code
