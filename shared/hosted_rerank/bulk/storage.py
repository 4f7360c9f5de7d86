"""Files by URI: local paths, and object stores and the like through fsspec (`s3://`, `gs://`, `abfs://`, `hf://`, ...).

An object store has no rename and no append: an object appears whole when its upload ends. A local file is written
beside its place and renamed, so it appears whole as well.
"""

import csv
import hashlib
import os
import zlib
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from hosted_rerank._file_names import name_file

LOCAL_SCHEMES = ("file://", "local://")
_CHUNK = 1 << 20


def normalize_uri(path: str) -> str:
    """Return a URI as it is, and a local path as an absolute path, because workers have other working directories."""
    scheme = next((scheme for scheme in LOCAL_SCHEMES if path.startswith(scheme)), "")
    if not scheme and ("://" in path or "::" in path):
        return path
    return os.path.abspath(path.removeprefix(scheme))  # noqa: PTH100 - keeps symbolic links and resolves ".."


def is_local(uri: str) -> bool:
    """Whether a normalized URI is a path of this machine."""
    return "://" not in uri and "::" not in uri


def open_filesystem(uri: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URI, and the path in it.

    Raises:
        ImportError: fsspec, or its package for the URI's scheme, is not installed.
        ValueError: No file system is known for the URI's scheme.
    """
    try:
        core: Any = import_module("fsspec.core")  # untyped, and an extra
    except ModuleNotFoundError:
        raise ImportError("fsspec is not installed: pip install 'hosted-rerank[bulk]'", name="fsspec") from None
    filesystem, path = core.url_to_fs(uri, use_listings_cache=False)
    return filesystem, path


def check_reachable(uri: str) -> None:
    """Raise `OSError` for a file or folder that cannot be asked for, whether it exists or not.

    Without keys or network, the packages of object stores raise errors of many libraries, which name no URI.
    """
    filesystem, path = open_filesystem(uri)
    try:
        filesystem.info(path)
    except FileNotFoundError:
        return
    except Exception as error:
        raise OSError(f"{uri} cannot be reached ({type(error).__name__}): {error}") from error


def hash_stream(file: Any) -> tuple[int, str]:
    """Return the size of a binary stream in bytes and the SHA-256 of its content."""
    size, digest = 0, hashlib.sha256()
    while chunk := file.read(_CHUNK):
        size += len(chunk)
        digest.update(chunk)
    return size, digest.hexdigest()


@contextmanager
def readable(uri: str, kind: str) -> Generator[None]:
    """Name a file that cannot be read as what its name says."""
    try:
        yield
    except (ValueError, EOFError, zlib.error, csv.Error, OSError) as error:  # Arrow's are `ValueError` and `OSError`
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(
            f"input {uri} is damaged or no {kind} ({type(error).__name__}): replace it, or leave it out"
        ) from error


def hash_into(uri: str, digest: Any) -> None:
    """Add the content of a file to a digest of hashlib."""
    filesystem, path = open_filesystem(uri)
    with filesystem.open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)


class FileHash(NamedTuple):
    """The size of a file in bytes and the SHA-256 of its content."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of files that appear whole or not at all.

    Args:
        uri: The normalized URI of the folder.
    """

    uri: str

    @property
    def local_path(self) -> Path | None:
        """The path of a local folder; `None` for another one."""
        return Path(self.uri) if is_local(self.uri) else None

    def _locate(self, name: str) -> tuple[Any, str]:
        filesystem, path = open_filesystem(self.uri)
        return filesystem, f"{path.rstrip('/')}/{name}"

    def locate(self, name: str) -> str:
        """Return the URI of a file."""
        return f"{self.uri.rstrip('/')}/{name}"

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or `None` if it is missing."""
        filesystem, path = self._locate(name)
        try:
            content: bytes = filesystem.cat_file(path)
        except FileNotFoundError:
            return None
        return content

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of those of some files that are there, by name; many at once from an object store."""
        filesystem, path = open_filesystem(self.uri)
        known = list(names)
        paths, whole = [f"{path.rstrip('/')}/{name}" for name in known], [None] * len(known)
        found: list[Any] = filesystem.cat_ranges(paths, whole, whole, on_error="return") if known else []
        for content in found:
            if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                raise content
        return {name: content for name, content in zip(known, found, strict=True) if isinstance(content, bytes)}

    def write(self, name: str, content: bytes) -> FileHash:
        """Write a file that appears whole or not at all, even if the machine crashes."""
        filesystem, path = self._locate(name)
        with name_file(path):
            if is_local(self.uri):
                _write_atomically(Path(path), content)
            else:
                filesystem.pipe_file(path, content)
        return FileHash(len(content), hashlib.sha256(content).hexdigest())

    def hash(self, name: str) -> FileHash | None:
        """Return the size and the hash of a file, or `None` if it is missing."""
        filesystem, path = self._locate(name)
        try:
            with filesystem.open(path, "rb") as file:
                return FileHash(*hash_stream(file))
        except FileNotFoundError:
            return None

    def names(self, under: str) -> list[str]:
        """Return the sorted names of the files in a folder below this one, each with that folder before it."""
        filesystem, path = self._locate(under)
        try:
            found: list[dict[str, Any]] = filesystem.ls(path, detail=True)
        except FileNotFoundError:
            return []
        return sorted(f"{under}/{each['name'].rsplit('/', 1)[-1]}" for each in found if each["type"] == "file")

    def has_files(self, under: str) -> bool:
        """Whether a folder below this one holds files, at any depth."""
        filesystem, path = self._locate(under)
        return bool(filesystem.find(path))

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""
        filesystem, path = self._locate(name)
        try:
            filesystem.rm_file(path)
        except FileNotFoundError:
            return

    def write_chunks(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file that may be larger than memory; it appears whole or not at all."""
        filesystem, path = self._locate(name)
        temporary = f"{path}.temporary" if is_local(self.uri) else path
        with name_file(path), filesystem.open(temporary, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
        if temporary != path:
            Path(temporary).replace(path)

    def clear_leftovers(self) -> None:
        """Delete what killed writers left behind. An object store has no such files."""
        if self.local_path is not None:
            for path in self.local_path.glob("**/.*.temporary"):
                path.unlink(missing_ok=True)


def _write_atomically(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.temporary")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # the disk may be full
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Flush a folder, so that a rename in it survives a crash of the machine."""
    if os.name != "posix":
        return  # Windows cannot open a folder
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
