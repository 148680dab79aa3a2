"""A process for each tracker, beside the run. What goes wrong in one is said once; the run knows nothing of it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sharpen.core import UserError, suggest

KNOWN = ("wandb", "mlflow", "trackio", "tensorboard")
LAST_S = 60.0  # seconds for what is left to be sent once the run is over
KILLED_S = 5.0


def trackers(asked: Sequence[str]) -> list[str]:
    """The names in `--track` options, which may have commas. UserError for one that is unknown or not installed, with the cure.

    Beside KNOWN ones MODULE:FUNCTION is one of the user's own (tracker.py).
    """
    names = list(dict.fromkeys(part.strip() for text in asked for part in text.split(",") if part.strip()))
    for name in names:
        module, colon, _ = name.partition(":")
        if colon:
            if importlib.util.find_spec(module) is None:
                raise UserError(f"--track {name}: there is no module {module}. Its folder must be on PYTHONPATH.")
        elif name not in KNOWN:
            raise UserError(f"--track {name}: there are {', '.join(KNOWN)}, and MODULE:FUNCTION.{suggest(name, KNOWN)}")
        elif importlib.util.find_spec(name) is None:
            raise UserError(f"--track {name}: its library is not installed: pip install 'sharpen[{name}]'")
    return names


@contextmanager
def following(directory: Path, names: Sequence[str], say: Callable[[str], None], last_s: float = LAST_S) -> Iterator[None]:
    """Inside, these trackers are sent what the run in `directory` commits, and at the end the rest, for `last_s` seconds."""
    started: list[Process] = []
    try:
        started += [Process(directory, name, say) for name in names]
        yield
    finally:
        until = time.monotonic() + last_s
        for one in started:
            one.over()
        for one in started:
            one.wait(until)


class Process:
    """One tracker's. It has a session of its own, so that Ctrl-C is the run's alone, and gives way to the run."""

    def __init__(self, directory: Path, name: str, say: Callable[[str], None]):
        self.name, self.say, self.stopping = name, say, False
        folder = directory / "track"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.log = folder / f"{name.replace(':', '.')}.log"
            output = self.log.open("ab")
        except OSError as error:
            raise UserError(f"{folder} cannot be written: {error.strerror}. Choose another place with --run-dir.") from error
        with output:
            here = str(Path(__file__).parents[2])
            path = os.pathsep.join([here, *filter(None, sys.path)])
            argv = [sys.executable, "-m", "sharpen.track.sending", str(directory.resolve()), name]
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": path},
            )
        self.watch = threading.Thread(target=self.look, name=f"sharpen-track-{name}", daemon=True)
        self.watch.start()

    def look(self) -> None:
        """Say so where it ends badly."""
        if self.process.wait() and not self.stopping:
            lines = self.log.read_text("utf-8", "replace").strip().splitlines()
            why = lines[-1][:300] if lines else f"exit {self.process.returncode}"
            self.say(f"tracker {self.name} failed, and the run goes on without it: {why} (more in {self.log})")

    def over(self) -> None:
        """The run is over: send the rest."""
        if self.process.stdin:
            self.process.stdin.close()

    def wait(self, until: float) -> None:
        try:
            self.process.wait(timeout=max(until - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            self.stopping = True
            self.process.kill()
            self.say(f"tracker {self.name} did not take everything in time, and is left; the run has it all")
        self.watch.join(timeout=KILLED_S)


def remembered(directory: Path) -> tuple[list[str], str]:
    """The trackers that an earlier process followed this run with, and the seal beside them; nothing where there are none."""
    try:
        found = json.loads((directory / "track" / "asked.json").read_text("utf-8"))
        return [str(name) for name in found["names"]], str(found["seal"])
    except (OSError, ValueError, KeyError, TypeError):
        return [], ""


def remember(directory: Path, names: Sequence[str], seal: str) -> None:
    path = directory / "track" / "asked.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"names": list(names), "seal": seal}), "utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}. Choose another place with --run-dir.") from error
