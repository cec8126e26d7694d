"""A user's mistake, told in one sentence."""

import sys
from collections.abc import Callable


class AnalysisError(Exception):
    """A problem that the user can cure; its text is one sentence naming file, value and cure."""


def run_main(main: Callable[[], None]) -> None:
    """Runs `main`; an AnalysisError becomes ``error: <sentence>`` on stderr and exit status 1."""
    try:
        main()
    except AnalysisError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
