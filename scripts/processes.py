"""Processes that end when they are asked to, and with the one that started them (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals, parent: int) -> None:
    """Have the kernel send signal `number` to this process when process `parent`, its parent, ends.

    The signal is sent at once when that has happened already.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


class StopRequest:
    """Remembers the first signal that asks this process to stop: ctrl-C, a kill, a closed terminal.

    `received` is its number, None until it comes; then `pass_on`, when set, is called once.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.pass_on: Callable[[], None] | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: object) -> None:
        if self.received is None:
            self.received = number
            if self.pass_on is not None:
                self.pass_on()
