"""The input of a job: a file, a folder or a glob of files by URI, or a folder in BEIR's layout with a TREC run."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Literal, Protocol

from hosted_rerank.bulk.beir import BeirFolder
from hosted_rerank.bulk.json_lines import JsonLines
from hosted_rerank.bulk.parquet import ParquetFile
from hosted_rerank.bulk.parts import Input, Part, PartData, Plan
from hosted_rerank.bulk.row_streams import RowStream
from hosted_rerank.bulk.rows import Columns
from hosted_rerank.bulk.storage import open_filesystem

SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".arrow", ".feather", ".parquet")
COMPRESSIONS = (".gz", ".zst")


class RowFile(Protocol):
    """One file of an input."""

    @property
    def columns(self) -> Columns:
        """The names of the columns."""
        ...

    def split(self, part_rows: int, digest: Any) -> Iterator[tuple[int, int]]:
        """Yield the start and the number of rows of each part, and add the content to a digest of hashlib."""
        ...

    def read(self, start: int, rows: int) -> PartData:
        """Return the records of a part."""
        ...

    def close(self) -> None:
        """Close the file, if it is open."""
        ...


@dataclass(frozen=True, slots=True)
class Files:
    """The files of an input, in the order of their names."""

    uris: Sequence[str]
    files: Sequence[RowFile]

    @property
    def columns(self) -> Columns:
        """The names of the columns."""
        return self.files[0].columns

    @property
    def suffix(self) -> Literal["jsonl", "parquet"]:
        """The output format that keeps the types of this input."""
        return "parquet" if isinstance(self.files[0], ParquetFile) else "jsonl"

    def plan(self, part_rows: int) -> Plan:
        """Return the parts, of at most `part_rows` rows each. It reads every file once."""
        parts: list[Part] = []
        digest = hashlib.sha256()
        for index, file in enumerate(self.files):
            for start, rows in file.split(part_rows, digest):
                parts.append(Part(len(parts), start, rows, index))
        return Plan(parts, digest.hexdigest())

    def read(self, part: Part) -> PartData:
        """Return the records of a part."""
        for file in self.files[: part.file]:
            file.close()
        return self.files[part.file].read(part.start, part.rows)

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            file.close()


def open_input(
    uri: str, columns: Columns, run: str | None = None, index_folder: str | None = None, *, pairs: bool = False
) -> Input:
    """Return the input at a URI.

    Args:
        uri: A normalized URI of a file, of a folder, or with `*` and `?` in it.
        columns: The names of the columns. A BEIR folder has fixed names and ignores them.
        run: A TREC run with the candidates of each query. A BEIR folder requires it, other inputs ignore it.
        index_folder: A local folder for the index of a corpus; `None` for one of the machine's temporary folders.
        pairs: Whether each row of the files holds a query and one document.

    Raises:
        ValueError: The format is unknown, `run` is missing for a BEIR folder, or a folder holds no files to read.
        FileNotFoundError: Nothing is there.
    """
    filesystem, path = open_filesystem(uri)
    if filesystem.isdir(path) and filesystem.exists(f"{path.rstrip('/')}/corpus.jsonl"):
        if run is None:
            raise ValueError(
                f"input {uri} is a folder in BEIR's layout: pass run (--run), a TREC run with the candidates of each"
                " query"
            )
        return BeirFolder(uri, run, index_folder)
    uris = _list_files(filesystem, path, uri)
    return Files(uris, [_open_file(each, columns, pairs=pairs) for each in uris])


def _list_files(filesystem: Any, path: str, uri: str) -> list[str]:
    """Return the URIs of the files that a URI stands for."""
    is_folder = filesystem.isdir(path)
    if is_folder:
        found = [each for each in filesystem.find(path) if _find_suffix(each)[0] in SUFFIXES]
    elif "*" in uri or "?" in uri:
        found = filesystem.glob(path)
    else:
        found = [path] if filesystem.exists(path) else []
    visible = sorted(each for each in found if is_folder is False or PurePosixPath(each).name[0] not in "._")
    if not visible:
        if is_folder:
            raise ValueError(f"input {uri} holds no file of {', '.join(SUFFIXES)}, nor a corpus in BEIR's layout")
        raise FileNotFoundError(f"input {uri} does not exist: check the path")
    if "://" not in uri:
        return visible
    return [uri] if visible == [path] else [filesystem.unstrip_protocol(each) for each in visible]


def _find_suffix(uri: str) -> tuple[str, str]:
    """Return the suffix of the format and that of the compression, which may be empty."""
    name = PurePosixPath(uri.lower())
    if name.suffix in COMPRESSIONS:
        return PurePosixPath(name.stem).suffix, name.suffix
    return name.suffix, ""


def _open_file(uri: str, columns: Columns, *, pairs: bool) -> RowFile:
    suffix, compression = _find_suffix(uri)
    if suffix not in SUFFIXES:
        names = ", ".join(SUFFIXES)
        raise ValueError(f"input {uri} must be a file of {names} (.gz and .zst too), or a folder of them or of BEIR's")
    if suffix == ".parquet" and not pairs:
        return ParquetFile(uri, columns)
    if suffix in (".jsonl", ".ndjson") and not compression and not pairs:
        return JsonLines(uri, columns)
    stream = RowStream(uri, suffix, compression, columns, pairs=pairs)
    if suffix == ".tsv" and stream.is_ms_marco:
        return replace(stream, columns=replace(columns, ids=columns.ids or "document_ids"), pairs=True)
    return stream
