"""What tests have run on other machines, which import it."""

import os
import time
from pathlib import Path

from sharpen.core import Task, Verdict


def held(task: Task, response: str, notes: str) -> Verdict:
    """Leaves a file that names its machine, and waits until there is a file named `go`."""
    (Path(notes) / f"{response}-{os.getppid()}").touch()
    while not (Path(notes) / "go").exists():
        time.sleep(0.01)  # noqa: TID251  a pause between two looks
    return Verdict("correct", 1.0) if response == task.answer else Verdict("wrong", 0.0)


def dies(task: Task, response: str) -> Verdict:
    os._exit(3)


class Counter:
    """An environment."""

    def reset(self, task):
        self.n = 0
        return "0"

    def count(self) -> str:
        """One more."""
        self.n += 1
        return str(self.n)
