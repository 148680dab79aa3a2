"""More models than the student: what a recipe says of another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Role:
    """Another model that a recipe names: a teacher, a judge, a proposer.

    name       what `Ask.role` and a tableau's `reference` call it
    gives      what is wanted of it: "words"; "logprobs" of given text; "distributions" over the student's vocabulary, which a
               tableau compares with, and then it is asked nothing; "scores" of given answers, by a head (models/reward.py)
    bound      who it is, unless `--role NAME=…` says otherwise: a model's directory; "student", the same weights under another
               prompt; "start" or "accepted", the student as it was when the loop began or at the last round that was kept;
               "http://host:port/v1#model", an OpenAI-compatible server; "module:function", a script. "": the user has to say
    objective  () -> Tableau: where given, the role learns from its own turns, with weights and optimizer of its own. The
               verdict's part of the role's name is its reward. Of one that gives scores: () -> loss (objectives/rewards.py)
    teach      (samples) -> lessons: what one that gives scores learns of the step's judged rollouts (data/lessons.py); of one
               that gives words, (samples) -> samples: those of its own conversations, where they are not simply paid
    lr         learning rate of such a role; 0: the student's
    seconds    that one answer of a server may take
    price      money for a million tokens that it reads, and for a million that it writes; a ledger adds it up
    """

    name: str
    gives: str = "words"
    bound: str = ""
    objective: Callable[..., Any] | None = None
    teach: Callable[..., list[Any]] | None = None
    lr: float = 0.0
    seconds: float = 60.0
    price: tuple[float, float] = (0.0, 0.0)
