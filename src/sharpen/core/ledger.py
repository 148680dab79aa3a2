"""What a rollout has cost: what rewards and stopping rules read, and what methods are compared at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ledger:
    """Sums over all that was asked of the student and of roles, in the order in which it came.

    sampled  tokens that were drawn; forced answers and inserted texts are not
    read     tokens that stood before them, each time: what a server without a cache would bill
    calls    answers that were generated
    runs     programs and actions
    seconds  waited for, in company of all other rollouts of the batch. Two runs differ in it: a reward that reads it cannot be
             resumed bit for bit
    money    what roles with a price ask for it (`core.Role.price`)
    """

    sampled: int = 0
    read: int = 0
    calls: int = 0
    runs: int = 0
    seconds: float = 0.0
    money: float = 0.0

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(
            self.sampled + other.sampled,
            self.read + other.read,
            self.calls + other.calls,
            self.runs + other.runs,
            self.seconds + other.seconds,
            self.money + other.money,
        )


NONE = Ledger()


class Spending:
    """A ledger that grows while a rollout goes on: what a rollout is given that asks for `ledger`."""

    def __init__(self) -> None:
        self.now = NONE

    def add(self, more: Ledger) -> None:
        self.now = more if self.now is NONE else self.now + more
