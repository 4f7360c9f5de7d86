"""Names a file in an error that does not name it."""

import os
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def name_file(path: str | os.PathLike[str]) -> Generator[None]:
    """Names a file in an `OSError` that names none, such as "No space left on device"."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), os.fspath(path)) from error
        raise


@contextmanager
def expect_utf8(path: str | os.PathLike[str]) -> Generator[None]:
    """Names a file that is read as UTF-8 and is not.

    Raises:
        ValueError: The file has another encoding.
    """
    try:
        yield
    except UnicodeDecodeError:
        raise ValueError(f"{os.fspath(path)} is not UTF-8 text: convert it") from None
