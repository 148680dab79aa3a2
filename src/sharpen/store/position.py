"""Where a run stands when it commits, and the commit that this makes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Position:
    """Where a run stands when it commits.

    accepted  which weights are the accepted ones from now on: "this" commit's; "keep" those accepted before; or "back": keep
              those and go on from them, so that the accepted checkpoint becomes this commit's and nothing need be saved
    finished  there is nothing left to do
    """

    phase: str
    step: int
    round: int
    accepted: str = "keep"
    finished: bool = False


@dataclass(frozen=True)
class Commit:
    """A row of `commits`. checkpoint and accepted name directories in checkpoints/, or are None before the first."""

    n: int
    phase: str
    step: int
    round: int
    checkpoint: str | None
    accepted: str | None
    finished: bool


def following(position: Position, last: Commit | None, saves: bool) -> Commit:
    """The commit after `last`. ValueError for an `accepted` that makes no sense there."""
    n = last.n + 1 if last else 1
    checkpoint, accepted = (last.checkpoint, last.accepted) if last else (None, None)
    if saves:
        checkpoint = name_of(n)
    if position.accepted == "this":
        accepted = checkpoint
    elif position.accepted == "back":
        checkpoint = None if saves else accepted
    elif position.accepted != "keep":
        raise ValueError(f"accepted is {position.accepted!r}, not this, keep or back")
    if position.accepted != "keep" and checkpoint is None:
        raise ValueError(f"accepted={position.accepted!r} needs {'no save' if saves else 'an earlier checkpoint'}")
    return Commit(n, position.phase, position.step, position.round, checkpoint, accepted, position.finished)


def name_of(n: int) -> str:
    """Of the checkpoint that commit n saves."""
    return f"{n:06d}"
