"""The demonstration, small and whole."""

import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console
from typer.testing import CliRunner

from hosted_rerank.cli.commands import commands
from hosted_rerank.local.faq import Faq

demo = pytest.importorskip("hosted_rerank.demo", exc_type=ImportError)  # needs both frameworks
PIPELINES = ("LangChain, Fireworks API", "LlamaIndex, Nebius API")


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=120)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_question_of_ones_own_is_answered_by_both_pipelines(console: Console) -> None:
    """With a query, each pipeline shows its best answers with their places before, and both agree."""
    demo.run("how do I get random numbers", top_n=3, console=console)
    rows = re.findall(r"│ +(\d+) │ +(\d) │ (0\.\d{3}) │ (.+?) *│", printed(console))
    assert [place for _, place, _, _ in rows] == ["1", "2", "3"] * 2
    assert rows[:3] == rows[3:]
    assert rows[0][3].startswith("The standard module random implements a random number generator.")
    assert all(name in printed(console) for name in PIPELINES)


def test_the_whole_shows_what_reranking_is_worth(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all questions, both pipelines lift nDCG@10 from 0.705 to 0.877 and MRR@10 from 0.659 to 0.856.

    Keys in the environment are not sent along, so it would not matter if they were wrong.
    """
    monkeypatch.setenv("FIREWORKS_API_KEY", "not a key\n")
    monkeypatch.setenv("NEBIUS_API_KEY", "not a key\n")
    demo.run(top_n=1, console=console)
    measured = dict(re.findall(r"│ (\w.+?) +│ (0\.\d{3} +│ 0\.\d{3}) ", printed(console)))
    values = {way: [float(value) for value in re.findall(r"0\.\d{3}", row)] for way, row in measured.items()}
    assert values["BM25 alone"] == pytest.approx([0.705, 0.659], abs=0.005)
    for pipeline in PIPELINES:
        assert values[pipeline] == pytest.approx([0.877, 0.856], abs=0.01)
    assert "49 before, 1 after" in printed(console)
    assert "1 before, 6 after" in printed(console)


def test_search_ranks_by_shared_words(faq: Faq) -> None:
    """The first stage finds as many answers as it is asked for, best first, also for words it does not know."""
    search = demo.FaqSearch(faq, 5)
    found = search.find("random numbers")
    assert found[0].id == "library#how-do-i-generate-random-numbers-in-python"
    assert found[0].text == faq.answers[faq.ids.index(found[0].id)]
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert len(search.find("xqzt")) == len(search.find("?")) == 5


def test_measures_are_those_of_the_field(faq: Faq) -> None:
    """The right answer on top is worth 1; on place 2, 0.631 and 0.5; on place 11, nothing."""
    search = demo.FaqSearch(faq, 172)
    answers = [search.find(question) for question in faq.questions]
    for place, expected in ((1, (1.0, 1.0)), (2, (0.631, 0.5)), (11, (0.0, 0.0))):
        rankings = []
        for right, found in zip(faq.ids, answers, strict=True):
            ranking = [each for each in found if each.id != right]
            ranking.insert(place - 1, next(each for each in found if each.id == right))
            rankings.append(ranking)
        assert demo.measure(faq, rankings) == pytest.approx(expected, abs=0.001)


def test_the_command_passes_its_options_on() -> None:
    """`hosted-rerank demo` takes a query and a number of answers, and refuses what makes no sense."""
    result = CliRunner().invoke(commands, ["demo", "--query", "What is Python?", "--top-n", "1"])
    assert result.exit_code == 0
    assert result.output.count("│     1 │") == 2
    for wrong in (["--query", " "], ["--top-n", "0"]):
        result = CliRunner().invoke(commands, ["demo", *wrong])
        assert result.exit_code == 2
        assert wrong[0] in result.output


@pytest.mark.parametrize("package", ["bm25s", "Stemmer", "ir_measures", "langchain_core", "llama_index", "rich"])
def test_a_missing_extra_is_one_line_with_the_remedy(run_python: Callable[..., object], package: str) -> None:
    """Without the extra, the demonstration says what to install, without a traceback."""
    missing = {package: f"raise ModuleNotFoundError('No module named {package}', name='{package}')"}
    done = run_python("-c", "from hosted_rerank import demo", modules=missing)
    assert done.stderr.splitlines()[-1].endswith("pip install 'hosted-rerank[demo]'")
