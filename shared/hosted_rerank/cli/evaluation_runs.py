"""What `hosted-rerank evaluate` runs: one reranker on a dataset, and again for its curves."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, TaskID

from hosted_rerank._file_names import name_file
from hosted_rerank.cli.app import parse_provider
from hosted_rerank.cli.progress_bar import progress_bar

if TYPE_CHECKING:
    from hosted_rerank.evaluation import Dataset, Evaluation, Sweep
    from hosted_rerank.providers import Provider


@dataclass(frozen=True)
class System:
    """A reranker to evaluate."""

    given: str
    """What the option says."""
    row: "Provider"
    model: str | None
    settings: Mapping[str, Any]

    @classmethod
    def parse(cls, given: str, settings: Mapping[str, Any]) -> "System":
        """Returns the reranker of an option.

        Args:
            given: NAME or NAME=MODEL.
            settings: The settings of `Reranker`.
        """
        name, _, model = given.partition("=")
        row = parse_provider(name)
        return cls(given, row, model or None, settings)

    @property
    def name(self) -> str:
        """The name in the report and of its files."""
        passages = "by passages" if self.settings["long_documents"] == "passages" else ""
        return " ".join(filter(None, (self.row.name, self.model, passages)))


@dataclass(frozen=True)
class Runner:
    """Evaluates rerankers on one dataset, with a progress bar and files to resume from."""

    console: Console
    dataset: "Dataset"
    concurrency: int
    output: Path | None
    top_n: int | None

    def evaluate(self, system: System, dataset: "Dataset | None" = None, suffix: str = "", **more: Any) -> "Evaluation":
        """Returns the outcomes of a reranker.

        Args:
            system: The reranker.
            dataset: The dataset; `None` for the whole one.
            suffix: What the names of the files have besides the name of the reranker.
            **more: More settings of `Reranker`.
        """
        from hosted_rerank.evaluation import evaluate as run  # noqa: PLC0415 - heavy, and an extra
        from hosted_rerank.reranker import Reranker  # noqa: PLC0415 - quick help

        title = f"{system.name} {suffix}".strip()
        stem = "".join(c if c.isalnum() or c in "-._" else "-" for c in title)
        with (
            Reranker(system.row, system.model, **{**system.settings, **more}) as reranker,
            _progress(self.console, title, len(self.dataset.queries)) as (bar, task),
        ):
            done = run(
                reranker,
                dataset or self.dataset,
                name=system.name,
                top_n=self.top_n,
                concurrency=self.concurrency,
                checkpoint=None if self.output is None else self.output / f"{stem}.jsonl",
                on_progress=lambda _: bar.advance(task),
            )
        if self.output is not None:
            write_files(self.output, {f"{stem}.run": done.trec_run()})
        return done

    def sweep_depths(self, system: System, done: "Evaluation", depths: Sequence[int]) -> "Iterable[Sweep]":
        """Yields the evaluations of a listwise model, whose scores of fewer candidates are others.

        Args:
            system: The reranker.
            done: Its evaluation with all candidates.
            depths: The numbers of candidates; empty for the usual ones.
        """
        from hosted_rerank.evaluation import Sweep, append_rest, list_depths  # noqa: PLC0415 - heavy, and an extra

        if done.listwise and self.top_n is None:
            passes: dict[int | None, Evaluation] = {
                depth: append_rest(self.evaluate(system, self.dataset.cut(depth), f"{depth} candidates"), self.dataset)
                for depth in list_depths(self.dataset.depth, depths)[:-1]
            }
            yield Sweep(done.name, "candidates", {**passes, self.dataset.depth: done})

    def sweep_chars(self, system: System, done: "Evaluation", lengths: Sequence[int]) -> "Iterable[Sweep]":
        """Yields the evaluations with documents that are cut, one for each length.

        Args:
            system: The reranker.
            done: Its evaluation with documents as they are.
            lengths: The numbers of characters.
        """
        from hosted_rerank.evaluation import Sweep  # noqa: PLC0415 - heavy, and an extra

        longest = system.settings["max_document_chars"]
        passes: dict[int | None, Evaluation] = {
            length: self.evaluate(system, suffix=f"{length} characters", max_document_chars=length)
            for length in lengths
            if longest is None or length < longest
        }
        if passes:
            yield Sweep(done.name, "characters", {**passes, longest: done})


def write_files(folder: Path, files: Mapping[str, Iterable[str]]) -> None:
    """Writes files.

    Args:
        folder: The folder.
        files: The pieces of text by the name of the file.
    """
    for name, lines in files.items():
        with name_file(folder / name):
            (folder / name).write_text("".join(lines), encoding="utf-8")


@contextmanager
def _progress(console: Console, name: str, total: int) -> Generator[tuple[Progress, TaskID]]:
    with progress_bar(console, transient=True) as bar:
        yield bar, bar.add_task(name, total=total, more="")
