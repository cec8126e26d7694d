"""A user's mistake is one sentence and an exit code, never a stack trace."""

import argparse
import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


class UserError(Exception):
    """Something that the user can put right.

    Its text is one sentence that names the file, the value and the cure.
    """


class ArgumentParser(argparse.ArgumentParser):
    """Raises UserError for a wrong command line: one sentence, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; `{self.prog} --help` says what there is")


def describe_os_error(error: OSError) -> str:
    """Return one sentence for a failed system call (disk full, no permission, ...)."""
    where = f" ({os.fspath(error.filename)})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"no space is left on the disk{where}; free some and run the same command again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to write or read here{where}; change its owner or its mode"
    reason = error.strerror or str(error) or type(error).__name__
    return f"{reason[:1].lower()}{reason[1:]}{where}"


def disk_is_full(folder: Path) -> bool:
    """Tell whether next to nothing is free where `folder` lies.

    For programs and libraries that, when they fail, do not say that this was the reason.
    """
    return shutil.disk_usage(folder).free < 1 << 20


def run_main(main: Callable[[], int | None]) -> NoReturn:
    """Run a command's `main` and exit with its code: 0, 1 after an error, 130 after ctrl-C.

    Whatever else escapes from `main` is a bug of ours, and its traceback is shown.
    """
    try:
        code = main() or 0
        sys.stdout.flush()
    except UserError as error:
        code = _fail(str(error))
    except BrokenPipeError:
        # The reader of our output (head, less) is gone: nothing is left to be said, and the
        # interpreter's own flush at exit must not fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        code = _fail(describe_os_error(error))
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on from here")
        code = 130
    sys.exit(code)


def _fail(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 1
