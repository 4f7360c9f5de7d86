"""The provider table on the command line, and the check of a provider."""

import json
from dataclasses import replace
from datetime import date
from io import StringIO
from typing import Any

import pytest
from langchain_core.documents import Document
from llama_index.core.schema import NodeWithScore, TextNode
from rich.console import Console
from typer.testing import CliRunner, Result

from hosted_rerank import PROVIDERS, Provider
from hosted_rerank.cli.commands import commands
from hosted_rerank.cli.provider_check import check_provider, note_on_default
from hosted_rerank.cli.provider_table import terminal_table
from hosted_rerank.playground.examples import examples
from hosted_rerank.providers.auth import KeyHeader
from hosted_rerank.providers.url import url_param_names
from tests.hostile import HostileServer, reply

TEXTS = ["Bread rises.", "The tides follow the moon.", "Neap and spring."]
KEYS = {name for row in PROVIDERS.values() for name in row.api_key_env}
each = pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.name)


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, list(arguments))


def test_list_has_every_row() -> None:
    """A line says a provider's name, key, limits, instruction, kind of score and default model, uncut."""
    lines = run("providers").output.splitlines()
    assert lines[0].split() == ["name", "key", "documents", "instruction", "scores", "default", "model"]
    assert [line.split()[0] for line in lines[1:]] == list(PROVIDERS)
    for row, line in zip(PROVIDERS.values(), lines[1:], strict=True):
        assert not row.api_key_env or row.api_key_env[0] in line
        assert not row.default_model or row.default_model in line
        limit = row.facts(row.default_model).max_documents
        assert not limit or f"{limit:,}" in line


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_list_at_every_width(width: int) -> None:
    """No line is longer than the terminal, and no name, variable or model is cut."""
    console = Console(width=width, file=StringIO())
    console.print(terminal_table(width))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    together = "".join("".join(lines).split())
    for row in PROVIDERS.values():
        assert f"\n{row.name} " in "\n" + "\n".join(lines)
        assert row.default_model is None or width < 140 or row.default_model in together


def test_list_as_json() -> None:
    """A program gets every fact of every row."""
    found = json.loads(run("providers", "--json").output)
    assert list(found) == list(PROVIDERS)
    assert found["cohere"]["key"] == "CO_API_KEY or COHERE_API_KEY"
    assert list(json.loads(run("providers", "cohere", "--json").output)) == ["cohere"]


def test_check_as_json() -> None:
    """A program gets whether each provider works, and why not."""
    result = run("check", "--provider", "cohere", "--json")
    assert json.loads(result.output)["cohere"] == {
        "passed": False,
        "message": "there is no API key for cohere: set CO_API_KEY or COHERE_API_KEY",
    }
    assert result.exit_code == 77


@each
def test_page_has_all_of_a_row(row: Provider) -> None:
    """One provider's page names its source, address, variables, options and an example for each framework."""
    page = run("providers", row.name).output
    facts = " ".join(page.split())
    told = [
        row.url,
        row.docs,
        *row.api_key_env,
        *row.dialect.options,
        *(name for env in row.settings_env.values() for name in env),
    ]
    assert [fact for fact in told if fact not in facts] == []
    assert "from langchain_hosted_rerank import HostedRerank" in page
    assert "from llamaindex_hosted_rerank import HostedRerank" in page


@each
@pytest.mark.parametrize("framework", ["LangChain", "LlamaIndex", "Core"])
def test_examples_run(row: Provider, framework: str, base_url: str) -> None:
    """The examples are right: they run as they are, but for the address and the model of one's own."""
    code = examples(row)[framework]
    if row.name != "local":
        there = f'provider="{row.name}", base_url="{base_url}/{row.name}"'
        assert f'provider="{row.name}"' in code
        code = code.replace(f'provider="{row.name}"', there)
    found: dict[str, Any] = {
        "documents": [Document(page_content=text) for text in TEXTS],
        "nodes": [NodeWithScore(node=TextNode(text=text)) for text in TEXTS],
        "texts": TEXTS,
    }
    exec(compile(code, "example", "exec"), found)
    texts = {
        "LangChain": lambda best: best.page_content,
        "LlamaIndex": lambda best: best.text,
        "Core": lambda best: TEXTS[best.index],
    }
    assert texts[framework](found["best"][0]) == TEXTS[1]


def test_unknown_provider() -> None:
    """A name that is no row is refused with those that are."""
    for arguments in (("providers", "openai"), ("check", "--provider", "openai")):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "fireworks" in result.output


def test_check_without_any_key() -> None:
    """With no key set there is nothing to check, and it says what to set."""
    result = run("check")
    assert result.exit_code == 77
    assert "FIREWORKS_API_KEY" in result.output


def test_check_of_what_needs_no_key() -> None:
    """The embedded model works."""
    result = run("check", "--provider", "local")
    assert (result.exit_code, "local: works" in result.output) == (0, True)


def test_check_tries_all_that_have_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider with a key is tried, and the exit status is that of all failures."""
    monkeypatch.setenv("XINFERENCE_API_KEY", "sk-x")
    monkeypatch.setenv("SGLANG_API_KEY", "sk-s")
    result = run("check")
    assert result.exit_code == 75
    assert [line.partition(":")[0] for line in result.output.splitlines()] == ["xinference", "sglang"]
    assert "sk-" not in result.output


@pytest.mark.parametrize(
    "row",
    [
        row
        for row in PROVIDERS.values()
        if row.url.startswith("https") and row.api_key_env and not url_param_names(row.url)
    ],
)
def test_check_without_its_key(row: Provider) -> None:
    """A vendor without a key is an error that names the variables, and nothing is sent."""
    result = run("check", "--provider", row.name)
    assert result.exit_code == 77
    assert f"set {row.api_key_env[0]}" in result.output


@pytest.mark.parametrize("row", [row for row in PROVIDERS.values() if isinstance(row.auth, KeyHeader)])
def test_check_of_a_server(row: Provider, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answering endpoint works, whichever it is."""
    if row.name == "local":
        return
    for name, env in row.settings_env.items():
        monkeypatch.setenv(env[0], f"my-{name}")
    model = () if row.default_model else ("--model", "m")
    result = run("check", "--provider", row.name, "--base-url", f"{base_url}/{row.name}", *model)
    assert (result.exit_code, result.output.startswith(f"{row.name}: works")) == (0, True)


@pytest.mark.parametrize(
    ("body", "said", "exits"),
    [
        ({"results": [{"index": 0, "relevance_score": 0.9}, {"index": 1, "relevance_score": 0.1}]}, "wrong doc", 1),
        ({"results": [{"index": 0, "relevance_score": 0.731}, {"index": 1, "relevance_score": 0.731}]}, "both", 1),
        ({"results": []}, "came back", 1),
    ],
)
def test_check_looks_at_the_answer(body: Any, said: str, exits: int) -> None:
    """A server that answers nonsense does not pass for one that works."""
    with HostileServer() as server:
        server.play(reply(200, body))
        result = run("check", "--provider", "vllm", "--model", "m", "--base-url", server.url)
    assert result.exit_code == exits
    assert said in result.output


@pytest.mark.parametrize(
    ("today", "said"),
    [
        (date(2026, 11, 28), ""),
        (date(2027, 5, 20), "last seen on 2026-11-01: look it up at https://h.example/models"),
        (date(2029, 1, 1), "ends on 2029-06-01: pass model="),
    ],
)
def test_old_default_model_is_told(today: date, said: str) -> None:
    """A default model that was seen more than six months ago, or is about to end, is named with what to do."""
    row = Provider(
        name="mine",
        url="https://h.example",
        default_model="m-1",
        default_model_seen=date(2026, 11, 1),
        default_model_source="https://h.example/models",
        default_model_ends=date(2029, 6, 1),
    )
    note = note_on_default(row, today)
    assert said in note
    assert (not said) is (not note)


def test_check_tells_of_an_old_default(base_url: str) -> None:
    """The note comes with the result of a check, here of a user's own row, unless another model was checked."""
    mine = replace(PROVIDERS["vllm"], name="mine", default_model="m-1", default_model_seen=date(2020, 1, 1))
    checked = check_provider(mine, base_url=f"{base_url}/vllm")
    assert checked.passed
    assert "m-1 was last seen on 2020-01-01" in checked.message
    assert "last seen" not in check_provider(mine, "m-2", f"{base_url}/vllm").message


def test_models_are_listed() -> None:
    """What is known of models is a table of its own."""
    lines = run("providers", "--models").output.splitlines()
    assert "| `jina-reranker-v3` |  | yes |  |  |  | the model's |" in lines


def test_check_says_what_is_wrong_with_a_key() -> None:
    """A refusal comes with the remedy and without the key."""
    with HostileServer() as server:
        server.play(reply(401, {"message": "no such key"}))
        result = run("check", "--provider", "cohere", "--base-url", server.url)
    assert result.exit_code == 77
    assert "CO_API_KEY" in result.output
    assert run("check", "--model", "m").exit_code == 2
