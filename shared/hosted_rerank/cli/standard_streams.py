"""Standard input and output in place of a job's files."""

import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from hosted_rerank._file_names import name_file


@contextmanager
def copy_input(name: str) -> Generator[str]:
    """Yield a file's name; for `-`, that of a copy of standard input, because a job reads its input twice."""
    if name != "-":
        yield name
        return
    with tempfile.TemporaryDirectory(prefix="hosted-rerank-") as folder:
        path = Path(folder) / "input.jsonl"
        with name_file(path), path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield str(path)


@contextmanager
def checked_output() -> Generator[None]:
    """Names standard output in the error that ends a command when it is full."""
    try:
        with name_file("standard output"):
            yield
    except OSError as error:
        if error.filename == "standard output":
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes the rest when it ends
        raise


@contextmanager
def temporary_output(name: str) -> Generator[str]:
    """Yield an output folder's name; for `-`, that of a folder whose rows are written to standard output at the end.

    Where the job does not end, the folder is kept and named, because its rows are paid for.
    """
    if name != "-":
        yield name
        return
    folder = Path(tempfile.mkdtemp(prefix="hosted-rerank-"))
    try:
        yield str(folder)
        with checked_output():
            for path in sorted((folder / "parts").glob("*.jsonl")):
                with path.open("rb") as file:
                    shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    except BaseException:
        if (folder / "log").exists():
            print(f"hosted-rerank: the finished rows are in {folder}: name it as the output to go on", file=sys.stderr)
        else:
            shutil.rmtree(folder)
        raise
    if not list(folder.glob("dead-letter/*")):
        shutil.rmtree(folder)
