"""`Checkpoint`: the file of the outcomes of one evaluation, to resume from."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from hosted_rerank._file_names import name_file
from hosted_rerank.evaluation.dataset import Dataset
from hosted_rerank.evaluation.outcome import Outcome


class Checkpoint:
    """A file of outcomes: a header line that identifies the evaluation, then one line for each outcome.

    Args:
        path: The file; it is made if there is none.
        settings: The settings that change the reranker's answers.
        dataset: The dataset.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], dataset: Dataset) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._path = path
        content = json.dumps([dataset.queries, dataset.documents, dataset.candidates]).encode()
        about = {"dataset": dataset.name, "content": hashlib.sha256(content).hexdigest()[:16]}
        self._header: dict[str, Any] = json.loads(json.dumps({**settings, **about}))  # as it is read back
        self._file: TextIO

    def __enter__(self) -> "Checkpoint":
        """Read the outcomes of the file, and open it for more.

        Raises:
            ValueError: The file is of another evaluation. The message names what differs.
        """
        lines = self._path.read_bytes().splitlines(keepends=True) if self._path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]  # a kill may have cut off the last line
        if whole:
            self._compare(whole[0])
        for line in whole[1:]:
            fields: dict[str, Any] = json.loads(line)
            fields |= {name: tuple(fields[name]) for name in ("ranking", "scores")}
            outcome = Outcome(**fields)
            if outcome.error is None:
                self.outcomes[outcome.query] = outcome
        self._file = self._path.open("a", encoding="utf-8")
        if len(whole) < len(lines):
            os.truncate(self._path, sum(map(len, whole)))
        if not whole:
            self._write(self._header)
        return self

    def _compare(self, line: bytes) -> None:
        there: dict[str, Any] = json.loads(line)
        different = [
            "its queries, texts or candidates are others"
            if name == "content"
            else f"{name} is {there.get(name)!r} there and {self._header.get(name)!r} here"
            for name in sorted({*there, *self._header})
            if there.get(name) != self._header.get(name)
        ]
        if different:
            raise ValueError(
                f"checkpoint {self._path} is of another evaluation ({'; '.join(different)}): pass another file, or"
                " remove it"
            )

    def add(self, outcome: Outcome) -> None:
        """Append an outcome.

        Args:
            outcome: The outcome of one query.
        """
        self._write(asdict(outcome))

    def _write(self, row: Mapping[str, object]) -> None:
        with name_file(self._path):
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()

    def __exit__(self, *_: object) -> None:
        with name_file(self._path):  # it writes what is left
            self._file.close()
