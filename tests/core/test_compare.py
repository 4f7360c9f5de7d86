"""A ranking that shows itself: what moved where, escaped, in a notebook, a terminal and plain text."""

from html.parser import HTMLParser
from typing import Any

import pytest

from hosted_rerank import Comparison, RerankResponse, RerankResult, Usage, compare, plot_ranks, plot_scores

TEXTS = ["one", "<script>alert(1)</script> & two", "three", "four"]


def response(*pairs: tuple[int, float | None]) -> RerankResponse:
    results = tuple(RerankResult(index, score) for index, score in pairs)
    return RerankResponse(results, Usage(None, 1234, {"search_units": 1}), "m-1", "acme", ("r-1",), 2, 0.25)


class Cells(HTMLParser):
    """The texts of a table's rows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1][-1:] = ["".join(self.rows[-1][-1:]) + data]


def test_response_shows_itself() -> None:
    """Without the texts, which it does not hold: places, moves, scores, and what it cost."""
    page = response((2, 0.75), (0, 0.5), (1, None))._repr_html_()
    assert Cells(page).rows[:3] == [
        ["rank", "before", "move", "score"],
        ["1", "3", "▲ 2", "0.75"],
        ["2", "1", "▼ 1", "0.5"],
    ]
    assert "acme m-1, 0.250 s, 1,234 tokens, 1 search unit, 2 requests" in page


def test_no_more_text_than_is_shown() -> None:
    """A notebook saves what an object prints and shows, so neither has more of a text than its beginning."""
    shown = compare([f"{number} " + "x" * 10_000 for number in range(5)], response((1, 0.75), (3, 0.5)))
    assert repr(shown) == str(shown)
    assert len(repr(shown)) < 1_000
    assert str(response((2, 0.75))).splitlines()[1] == "   1      3    ▲ 2  0.75"


def test_comparison_escapes_what_a_document_holds() -> None:
    """A document's HTML is shown, and never runs."""
    shown = compare(TEXTS, response((1, 0.75), (3, 0.5)), title="<b>what?</b>")
    page = shown._repr_html_()
    cells = Cells(page)
    assert cells.tags.isdisjoint({"script", "b"})
    assert cells.rows[1] == ["1", "2", "▲ 1", "0.75", TEXTS[1]]
    assert "&lt;b&gt;what?" in page
    assert [line.before for line in shown.left_out] == [1, 3]


def test_plain_text_and_terminal() -> None:
    """`str` needs nothing; rich gets a table, in which a document's markup is text too."""
    shown = compare(["[red]one[/red]", "two"], response((1, 0.75), (0, 0.5)))
    assert str(shown).splitlines()[1:3] == [
        "   1      2    ▲ 1  0.75        two",
        "   2      1    ▼ 1  0.5         [red]one[/red]",
    ]
    console = pytest.importorskip("rich.console")
    with (terminal := console.Console(width=100)).capture() as captured:
        terminal.print(shown)
    assert "[red]one[/red]" in captured.get()


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_plain_text_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a REPL a text gets what is left of a line, and a number is whole."""
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = repr(compare(["word " * 50, "short"], response((1, 0.123456), (0, 0.000123456)))).splitlines()
    assert len(shown[2]) == columns
    assert "0.0001235" in shown[2]
    assert shown[1].endswith("0.1235      short")


def test_equal_texts_keep_their_own_places() -> None:
    """Of equal texts without ids, each place is used once."""
    lines = compare(["a", "b", "a"], ["a", "a", "b"]).lines
    assert [line.before for line in lines] == [1, 3, 2]


def test_documents_are_known_by_id_and_else_by_text() -> None:
    """LangChain documents are found by id; those that lost it on the way by their text."""
    core = pytest.importorskip("langchain_core.documents")
    before = [core.Document("same", id="a"), core.Document("same", id="b"), core.Document("other", id="c")]
    after = [
        core.Document("same", id="b", metadata={"relevance_score": 0.5}),
        core.Document("same"),
        core.Document("x"),
    ]
    lines = compare(before, after).lines
    assert [(line.before, line.score) for line in lines] == [(2, 0.5), (1, None), (None, None)]


def test_what_was_not_there_is_new() -> None:
    """A document that only the second ranking has is shown as new."""
    assert [line.move for line in compare(["a"], ["b", "a"]).lines] == ["new", "▼ 1"]


@pytest.mark.parametrize("scores", [(0.0, 0.0), (-7.5, -9.0), (12.0, 3.0), (None, None)])
def test_bars_of_any_scale(scores: tuple[Any, Any]) -> None:
    """Scores of every scale, equal ones and none give bars between empty and full."""
    page = response((0, scores[0]), (1, scores[1]))._repr_html_()
    widths = [float(part.partition("px")[0]) for part in page.split("width:")[1:]]
    assert all(0 <= width <= 80 for width in widths)


def test_wrong_kinds() -> None:
    """A value that is neither text nor document nor node is refused, by the name of its type."""
    with pytest.raises(TypeError, match="not int"):
        compare([1], ["a"])
    with pytest.raises(TypeError, match="before must be a list"):
        compare("text", ["a"])


def test_plots() -> None:
    """Each plot returns its axes, shows every document it should, and marks what is relevant without colour."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    before = [f"text {number} costs $5 and $6" for number in range(20)]
    axes: Any = plot_ranks(before, response((15, 0.9), (1, 0.8), (0, 0.1)), top=5)
    # Document 15 comes from below, 1 stays, 0 falls; 2, 3 and 4 are gone.
    moves = axes.lines[:6]
    assert [line.get_linestyle() for line in moves] == ["-", "-", "--", ":", ":", ":"]
    assert [tuple(line.get_ydata()) for line in moves] == [(6, 1), (2, 2), (1, 3), (3, 6), (4, 7), (5, 8)]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["rises", "falls", "stays", "left out"]
    texts = [text.get_text() for text in axes.texts]
    assert any(text.startswith("1  0.90  text 15") for text in texts)
    assert any(text.startswith("text 15") and text.endswith("  16") for text in texts)
    axes.figure.canvas.draw()  # a $ in a text is no formula
    assert plot_ranks(compare(before, before[::-1])) is not axes

    axes = plot_scores([0.1, 0.2, None, 0.9], relevant=[False, False, False, True], threshold=0.5)
    assert axes.get_title(loc="left") == "threshold 0.5 keeps 1 of 3"
    assert {bar.get_hatch() for bar in axes.containers[1]} == {"////"}
    own = pyplot.figure().add_subplot()
    assert plot_scores(response((0, 0.5)), ax=own) is own
    with pytest.raises(ValueError, match="3 scores, 1 judgements"):
        plot_scores([1, 2, 3], relevant=[True])
    pyplot.close("all")


def test_plot_of_few_documents_has_their_height() -> None:
    """Three documents make a plot of three rows, not of ten."""
    pytest.importorskip("matplotlib.pyplot")
    assert plot_ranks(["a", "b", "c"], response((2, 0.9), (1, 0.5), (0, 0.1))).get_ylim() == (3.7, 0.3)


def test_comparison_is_public() -> None:
    assert isinstance(compare([], []), Comparison)
