"""A user's mistake, told in one sentence."""

import os
import sys
from collections.abc import Callable


class AnalysisError(Exception):
    """A problem that the user can cure; its text is one sentence naming file, value and cure."""


def run_main(main: Callable[[], None]) -> None:
    """Runs `main`; an AnalysisError becomes ``error: <sentence>`` on stderr and exit status 1.

    Ctrl-C and a closed pipe (``| head``) end the program without a word.
    """
    try:
        main()
        sys.stdout.flush()
    except AnalysisError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # What is still in the buffer has nowhere to go: not even the interpreter's last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
