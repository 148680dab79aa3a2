"""Progress for people: bars where standard error is a terminal, plain short lines elsewhere, and an orderly Ctrl-C.

Everything here goes to standard error; standard output is for results.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn

from sharpen.terminal.tables import safe

EVERY = 10.0  # seconds between two plain lines
BAR = 16  # characters
SHORT = 1.0  # a phase shorter than this ends without a line of its own

FORMATS = {
    "accuracy": "held-out {:.1%}",
    "reward": "reward {:.2f}",
    "silent": "silent {:.0%}",
    "tokens_per_second": "{:,.0f} tokens/s",
    "answers": "{:.0%} of the answers",
    "learnt": "{:.0%} of the step learnt",
    "loss": "loss {:.3g}",
    "solutions": "{:,.0f} worked solutions a step",
    "learnt_per_second": "{:,.0f} of their tokens/s",
}


@dataclass
class _Phase:
    """One phase as seen here: what is done of what, and the seconds spent in it, which foretell the time left."""

    total: int | None
    done: int
    skipped: int  # done before this process began: no part of the speed
    seconds: float = 0.0
    bar: TaskID | None = None

    @property
    def finished(self) -> bool:
        return self.total is not None and self.done >= self.total

    @property
    def left(self) -> float | None:
        here = self.done - self.skipped
        if self.total is None or here <= 0 or self.finished:
            return None
        return self.seconds / here * (self.total - self.done)


class Terminal:
    """Shows phases. A phase that another one interrupts is taken up again by naming it again.

    with Terminal() as progress:
        progress.phase("loop", total=300)
        progress.advance(1, reward=0.4, silent=0.2)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._phases: dict[str, _Phase] = {}
        self._name: str | None = None
        self._numbers: dict[str, float] = {}
        self._since = self._said = clock()
        self._told: tuple[str | None, int] | None = None  # what the last plain line was about
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self._bars: Progress | None = None
        if sys.stderr.isatty():
            columns = ("{task.description}", BarColumn(bar_width=BAR), MofNCompleteColumn(), "{task.fields[rest]}")
            text = [TextColumn(c, markup=False) if isinstance(c, str) else c for c in columns]
            self._bars = Progress(SpinnerColumn(), *text, console=self._console, transient=True, refresh_per_second=4)

    def __enter__(self) -> Terminal:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._leave()
        if self._bars:
            self._bars.stop()

    def phase(self, name: str, total: int | None = None, done: int = 0) -> None:
        """Begin a phase, or go on with an unfinished one of that name. `done` counts what an earlier process did."""
        self._leave()
        known = self._phases.get(name)
        if known is None or known.finished or known.total != total:
            known = self._phases[name] = _Phase(total, done, done)
            if self._bars:
                known.bar = self._bars.add_task(name, total=total, completed=done, rest="")
        self._name = name
        self._since = self._clock()

    def advance(self, n: int = 1, **numbers: float | None) -> None:
        """Count n more of the phase as done, and show the latest numbers (None takes one away). See FORMATS for names."""
        for key, value in numbers.items():
            if value is None:
                self._numbers.pop(key, None)
            else:
                self._numbers[key] = value
        if self._name is None:
            return
        phase = self._tick()
        phase.done += n
        if self._bars and phase.bar is not None:
            room = max(self._console.width - BAR - len(f"{self._name}{phase.done}/{phase.total}") - 8, 8)
            self._bars.update(phase.bar, completed=phase.done, rest=self._rest(phase)[:room])
        elif self._clock() - self._said >= EVERY:
            self._line()

    def say(self, text: str) -> None:
        """A line or more for the reader, above the bars."""
        self._console.print(safe(text), markup=False)

    def interruptible(self) -> AbstractContextManager[Callable[[], bool]]:
        """See `interruptible`."""
        return interruptible()

    def _tick(self) -> _Phase:
        phase = self._phases[self._name or ""]
        now = self._clock()
        phase.seconds += now - self._since
        self._since = now
        return phase

    def _rest(self, phase: _Phase) -> str:
        """Time left first: a narrow terminal cuts the end off."""
        parts = [f"{clock_time(phase.left)} left"] if phase.left is not None else []
        known = [k for k in FORMATS if k in self._numbers]
        others = [k for k in self._numbers if k not in FORMATS]
        parts += [FORMATS.get(k, k.replace("_", " ") + " {:g}").format(self._numbers[k]) for k in known + others]
        return " · ".join(parts)

    def _line(self) -> None:
        phase = self._phases[self._name or ""]
        count = f"{phase.done}/{phase.total}" if phase.total is not None else f"{phase.done}" if phase.done else ""
        spent = f"{clock_time(phase.seconds)} spent"
        self.say(" · ".join(p for p in (f"{self._name} {count}".strip(), spent, self._rest(phase)) if p))
        self._said, self._told = self._clock(), (self._name, phase.done)

    def _leave(self) -> None:
        """Stop counting seconds for the present phase; where it is over, take its bar away and leave a line."""
        if self._name is None:
            return
        phase = self._tick()
        if phase.finished or phase.total is None:
            if phase.seconds >= SHORT and self._told != (self._name, phase.done):
                self._line()
            if self._bars and phase.bar is not None:
                self._bars.remove_task(phase.bar)
            del self._phases[self._name]
        self._name = None


class Quiet:
    """A progress that shows nothing: for tests, and for programs that call the loop themselves."""

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def phase(self, name: str, total: int | None = None, done: int = 0) -> None:
        pass

    def advance(self, n: int = 1, **numbers: float | None) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def interruptible(self) -> AbstractContextManager[Callable[[], bool]]:
        """See `interruptible`."""
        return interruptible()


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Yields `stop()`, true once the user has asked to stop.

    The first SIGINT, SIGTERM or SIGHUP only sets that flag, so that what is done is committed in order; another SIGINT
    or SIGTERM raises KeyboardInterrupt. A second SIGHUP does not: a terminal that is closed sends it by way of its shell too.
    Where SIGHUP is ignored (nohup), it stays so. Outside the main thread Python lets nobody handle signals: there `stop()`
    stays false.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if number == signal.SIGHUP:
            leave_closed_terminal()
        elif asked:
            raise KeyboardInterrupt
        if not asked:
            # A handler may interrupt a half-done write, and Python's streams refuse to be re-entered: so a bare write.
            os.write(
                2, b"\nstopping with all that is done kept; once more to stop at once (then the last committed step is kept)\n"
            )
        asked = True

    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_closed_terminal() -> None:
    """Send nowhere what is still to be said to a terminal that is gone: writing to it would be an error."""
    for descriptor in (1, 2):
        try:
            termios.tcgetattr(descriptor)
        except termios.error as error:
            if error.args[0] == errno.EIO:  # a closed terminal's; what never was one has another
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)


def clock_time(seconds: float) -> str:
    """4 → "0:04", 75 → "1:15", 3723 → "1:02:03"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
