"""Files that appear whole or not at all."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from analysis.errors import AnalysisError


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Lets `write` fill a file beside `path`, then renames it to `path`.

    Raises AnalysisError where the folder cannot be written or the disk is full.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise AnalysisError(
            f"{path} cannot be written ({error.strerror}): make room or choose another folder"
        ) from error
    finally:
        # Where the folder is a file there is nothing to remove, nor a place to look.
        with suppress(OSError):
            beside.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 with `write_atomically`."""
    write_atomically(path, lambda stream: stream.write(text.encode()))
