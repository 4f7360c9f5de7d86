"""`RowLog`: the append-only log of a part, with the result of each row as soon as it is there.

The log is what makes a row durable: a part's files are made from the input and the log, so they can be made again
without a request. Each run that works on a part appends to a file of its own. Locally a line is written at once; an
object store gets the lines of each second as one object.
"""

import hashlib
import os
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from hosted_rerank._file_names import name_file
from hosted_rerank.bulk.rows import RowResult
from hosted_rerank.bulk.storage import Folder
from hosted_rerank.providers.json_path import is_object, parse

UPLOAD_INTERVAL = 1.0
"""Seconds between two uploads to an object store, and between two flushes of a local file to its disk."""


def hash_row(query: str, texts: Sequence[str]) -> str:
    """Return a hash of what is sent for a row. A logged result counts only for a row with the same hash."""
    return hashlib.blake2b(orjson.dumps([query, texts]), digest_size=12).hexdigest()


class RowLog:
    """The log of one part.

    Args:
        folder: The output folder.
        part: The number of the part.
        job: The job's identity, which each line holds.
        accepted: The identities whose lines count: this job's, and those whose changes were accepted.
    """

    def __init__(self, folder: Folder, part: int, job: str, accepted: Collection[str]) -> None:
        self._folder, self._under = folder, f"log/{part:08}"
        self._job, self._accepted = job, {job, *accepted}
        self._file: _LocalFile | _Uploads | None = None

    def read(self) -> dict[str, RowResult]:
        """Return the logged results by the hash of the row. A line that is cut off or of another job does not count."""
        names = self._folder.names(self._under)
        contents = self._folder.read_all(names)
        lines = (line for name in names for line in contents.get(name, b"").splitlines())
        found: dict[str, RowResult] = {}
        for line in lines:
            fields, is_json = parse(line)
            if is_json and is_object(fields) and fields.get("job") in self._accepted:
                try:
                    found[str(fields["key"])] = _read_result(fields)
                except (KeyError, TypeError, ValueError):
                    continue
        return found

    def append(self, key: str, result: RowResult) -> None:
        """Write the result of the row with a hash."""
        if self._file is None:
            name = f"{self._under}/{time.time_ns():020}-{uuid4().hex[:8]}"
            path = self._folder.local_path
            self._file = _Uploads(self._folder, name) if path is None else _LocalFile(path / f"{name}.jsonl")
        fields = {"key": key, "ranking": result.ranking, "tokens": result.tokens, "error": result.error}
        self._file.write(orjson.dumps({**fields, "job": self._job}) + b"\n")

    def close(self) -> None:
        """Flush the log."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def compact(self) -> None:
        """Join the files of the log into one."""
        self.close()
        names = self._folder.names(self._under)
        if len(names) > 1:
            contents = self._folder.read_all(names)
            self._folder.write(
                f"{self._under}/{time.time_ns():020}.jsonl", b"".join(contents[name] for name in sorted(contents))
            )
            for name in names:
                self._folder.delete(name)


def _read_result(fields: Mapping[str, Any]) -> RowResult:
    ranking, tokens, error = fields["ranking"], fields["tokens"], fields["error"]
    if error is not None:
        return RowResult(error=str(error))
    pairs = tuple((int(index), None if score is None else float(score)) for index, score in ranking)
    return RowResult(pairs, None if tokens is None else int(tokens))


class _LocalFile:
    """A local file that gets each line at once, so that a killed process loses none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._synced = time.monotonic()

    def write(self, line: bytes) -> None:
        with name_file(self._path):
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
            if time.monotonic() - self._synced > UPLOAD_INTERVAL:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()

    def close(self) -> None:
        with name_file(self._path):
            os.fsync(self._file.fileno())
        self._file.close()


class _Uploads:
    """A thread that uploads the lines of each second as one object."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder, self._name, self._count = folder, name, 0
        self._lines: list[bytes] = []
        self._failure: Exception | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hosted-rerank-log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        if self._failure is not None:
            raise self._failure
        self._lines.append(line)

    def _run(self) -> None:
        try:
            while not self._closed.wait(UPLOAD_INTERVAL):
                self._upload()
            self._upload()
        except Exception as error:  # noqa: BLE001 - raised to the next who writes or closes
            self._failure = error

    def _upload(self) -> None:
        count = len(self._lines)
        if count:
            self._folder.write(f"{self._name}-{self._count:06}.jsonl", b"".join(self._lines[:count]))
            del self._lines[:count]
            self._count += 1

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
