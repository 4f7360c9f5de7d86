"""`name_file`: the name of a file in an error that names none."""

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
