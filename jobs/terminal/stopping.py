"""Ending a program that is told to stop: one line that says how to go on, the signal's exit code, and nothing left behind.

Both signals become a KeyboardInterrupt, the one exception that Ray lets through from its waiting in C++; SystemExit would end in
its stack dump. What neither Python nor Ray gets out of in time, and what is told to stop again, is ended by a thread that the
kernel wakes even while the main thread is stuck in C++.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evoray.distributed.session import own_session
from jobs.terminal.errors import complain

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE_SECONDS = 5.5  # ten are promised, and a busy machine needs some of them to end what is left
_SAME_SECONDS = 1.0  # a shell's `timeout` sends its signal to the program, and to the program's group
_AGAIN = "the same command starts again"


class _Stop:
    """The signals of this process, which has one set of them: the first that came, and what to tell the user."""

    def __init__(self) -> None:
        self.number = 0
        self.advice = _AGAIN
        self.is_raised = False
        self.is_told = False
        self._telling = threading.Lock()

    def handle(self, number: int, frame: object) -> None:
        if not self.is_raised:
            self.is_raised = True
            self.number = self.number or number
            raise KeyboardInterrupt

    def tell(self) -> int:
        """Says it once; the exit code."""
        with self._telling:
            if not self.is_told:
                self.is_told = True
                complain(KeyboardInterrupt(f"interrupted; {self.advice}"))
        return 128 + (self.number or signal.SIGINT)

    def watch(self, wakened: int) -> None:
        """Ends the process for good when the first signal has not done so in time, or when a second one comes."""
        first, number = 0.0, signal.SIGINT
        while True:
            left = max(0.0, first + _GRACE_SECONDS - time.monotonic()) if first else None
            if not select.select([wakened], [], [], left)[0]:
                return self._end(number)
            numbers = os.read(wakened, 64)
            if not numbers:
                return None
            told = [number for number in numbers if number in _SIGNALS]
            if told and not first:
                first, number = time.monotonic(), signal.Signals(told[0])
                self.number = self.number or number  # the main thread may not have come to it yet
                # Said at once: a signal to the whole group ends Ray's processes too, and Ray then ends this one.
                self.tell()
                sys.stderr.flush()
                own_session()  # remembered, for what Ray ends by half cannot be found later
            elif told and time.monotonic() - first > _SAME_SECONDS:
                return self._end(number)

    def _end(self, number: int) -> None:
        own_session().end()
        self.number = self.number or number
        code = self.tell()
        sys.stderr.flush()
        os._exit(code)


_stop = _Stop()


@contextmanager
def stoppable() -> Iterator[None]:
    """Runs a whole command that both signals end with one line and their exit code.

    Raises:
        SystemExit: With 130 after SIGINT, with 143 after SIGTERM.
    """
    _stop.number, _stop.advice, _stop.is_raised, _stop.is_told = 0, _AGAIN, False, False
    with _handlers():
        try:
            yield
        except KeyboardInterrupt:
            raise SystemExit(_stop.tell()) from None


@contextmanager
def advising(advice: str) -> Iterator[None]:
    """Sets what a user is told to do after a stop in this block, of which something is kept."""
    before, _stop.advice = _stop.advice, advice
    yield
    _stop.advice = before


def resuming(run: Path) -> str:
    """The advice for a run folder."""
    return f"`evoray resume {shlex.quote(str(run))}` goes on from here"


@contextmanager
def _handlers() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = {number: signal.signal(number, _stop.handle) for number in _SIGNALS}
    wakened = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=_stop.watch, args=(reader,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        if _stop.number:  # the process ends: nothing may interrupt that again, and the thread sees to it that it does end
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)  # Python gives all but this back to the system at its end, which kills
        else:
            signal.set_wakeup_fd(wakened)
            for number, handler in before.items():
                with contextlib.suppress(TypeError):  # a handler that was not set from Python cannot be set back
                    signal.signal(number, handler)
            os.close(writer)
            thread.join()
            os.close(reader)
