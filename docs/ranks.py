"""Draws `ranks.png`, the picture of the README: a question of the Python FAQ before and after a rerank."""

from pathlib import Path

from hosted_rerank import Comparison, Reranker, compare, plot_ranks
from hosted_rerank.evaluation import Bm25, load_faq_dataset

QUESTION = "How do I write a function with output parameters (call by reference)?"


def rerank() -> Comparison:
    """Returns BM25's 50 best answers to the question, and their five best by the embedded model."""
    faq = load_faq_dataset()
    found = [faq.documents[name] for name, _ in Bm25(faq.documents).search(QUESTION, 50)]
    with Reranker("local") as reranker:
        return compare(found, reranker.rerank(QUESTION, found, top_n=5), title=QUESTION)


def draw(folder: Path) -> None:
    """Writes the picture.

    Args:
        folder: The folder of `ranks.png`.
    """
    figure = plot_ranks(rerank(), top=6).figure
    figure.savefig(folder / "ranks.png", dpi=110, facecolor="white", bbox_inches="tight", pad_inches=0.2)


if __name__ == "__main__":
    draw(Path(__file__).parent)
