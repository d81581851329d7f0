"""Ctrl-C and SIGTERM: heeded at once, or, where work would be lost, at the next place where one can stop in order."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from mutoscope.runtime.console import first_process

#: what a program answers with that was told to stop, whichever signal told it
STATUS = 130

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: seconds in which the same Ctrl-C may arrive twice, from the terminal and from a launcher that passes it on
_BOUNCE = 0.5


class Interrupted(KeyboardInterrupt):
    """Someone asked the program to stop, and it did; the message says what stands and how to go on."""


class Interrupts:
    """What SIGINT and SIGTERM do in this process while a ``with`` block of it lasts; blocks may be nested.

    Either raises ``KeyboardInterrupt``, unless :meth:`defer` was called: then it is only noted, and whoever works asks
    for :attr:`requested` where it can stop. A second Ctrl-C always ends the process at once. A signal that was ignored
    before stays ignored, and where signals cannot be caught (threads) nothing changes.
    """

    def __init__(self) -> None:
        #: whether someone asked this process to stop
        self.requested = False
        #: whether work was broken off for it, wherever it was: what fails from then on may fail for that alone
        self.broken_off = False
        self._deferring = False
        self._since = 0.0
        self._depth = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if self._depth == 0:
            self.requested = self.broken_off = self._deferring = False
            self.install()
        self._depth += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            self._before.clear()
            self._deferring = False

    def install(self) -> None:
        """Catch the signals, also after a library put handlers of its own in the place of ours."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            current = signal.getsignal(number)
            if current != signal.SIG_IGN and current is not None:
                self._before.setdefault(number, current)
                signal.signal(number, self._handle)

    def defer(self) -> None:
        """From now on only note that someone wants to stop; to be called where every signal is looked after."""
        if self._depth and not self._deferring:
            self.install()
            self._deferring = True

    def heed(self) -> None:
        """End what :meth:`defer` began."""
        self._deferring = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """For work that may be broken off anywhere: raise ``KeyboardInterrupt``, also for what was noted before."""
        deferring, self._deferring = self._deferring, False
        try:
            if deferring and self.requested:
                self._break_off()
            yield
        finally:
            self._deferring = deferring

    def _break_off(self) -> NoReturn:
        self.broken_off = True
        raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested:
            if number == signal.SIGINT and now - self._since > _BOUNCE:
                _tell("stopped at once, as asked twice")
                os._exit(STATUS)
            return
        self.requested, self._since = True, now
        if not self._deferring:
            self._break_off()
        _tell("stopping after this iteration; Ctrl-C again stops at once")


def _tell(message: str) -> None:
    # a handler may interrupt any print, so it uses none
    if first_process():
        os.write(2, f"\n{message}\n".encode())


#: of this process; signals are there but once
INTERRUPTS = Interrupts()


def ignore_interrupts(*_: object) -> None:
    """Let the process that started this one decide: for workers, which a terminal's Ctrl-C reaches as well."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
