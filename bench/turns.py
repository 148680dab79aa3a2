"""What three turns cost beside three single ones of as many tokens: python bench/turns.py [--student tiny] [--tokens 32]

The same questions are answered once in three attempts, each told "Try again." behind the one before it, and three times in one.
Nobody ends before the limit (but by chance, one token in some hundred), so both sample the same number of tokens. Processor
seconds, the smallest of several rounds in turn; one line of JSON. To be met: a ratio of at most 1.25.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from sharpen import rollouts, tasks
from sharpen.core import PLAIN, Arm, Task
from sharpen.models import LocalPolicy, embedded, load_model

TURNS = 3
ASKED = partial(rollouts.retry, attempts=TURNS)


def student(name: str, precision: str = "fp32") -> LocalPolicy:
    """An embedded student with random weights, or a model of a directory, that nothing but padding ends."""
    said = rollouts.phrases(ASKED)  # as in a run: what is said between attempts is a token
    made = embedded.build(name, tasks.step_chain(), 0, said) if name in embedded.STUDENTS else load_model(name)
    policy = LocalPolicy(*made, precision, device="cpu")
    policy.end_ids = [policy.pad_id]
    return policy


def cost(policy: LocalPolicy, rollout: Callable[..., Any], listed: list[Task], tokens: int, seeds: range) -> tuple[float, int]:
    """(processor seconds, tokens sampled) of a rollout for each task, once for each seed."""
    ids = [f"{i}" for i in range(len(listed))]
    began, sampled = time.process_time(), 0
    for seed in seeds:
        made = rollouts.drive(policy, rollout, listed, ids, seed=seed, max_tokens=tokens, sampling=PLAIN)
        sampled += sum(int(one.sampled.sum()) for one in made)
    return time.process_time() - began, sampled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in dict(student="tiny", precision="fp32", tokens=32, prompts=32, samples=4, level=4, rounds=5).items():
        parser.add_argument(f"--{option}", type=type(default), default=default)
    told = parser.parse_args()
    policy, source = student(told.student, told.precision), tasks.step_chain()
    drawn = [source.draw(Arm("step_chain", told.level), "train", i, 0) for i in range(told.prompts)]
    listed = [task for task in drawn for _ in range(told.samples)]
    several, alone = [], []
    for _ in range(told.rounds + 1):  # the first is for setting up
        several.append(cost(policy, ASKED, listed, told.tokens, range(1)))
        alone.append(cost(policy, rollouts.single, listed, told.tokens, range(TURNS)))
    turns, singles = (min(seconds / sampled for seconds, sampled in found[1:]) for found in (several, alone))
    row = dict(turns=round(1e6 * turns, 1), singles=round(1e6 * singles, 1), unit="processor microseconds a sampled token")
    print(json.dumps({**vars(told), **row, "ratio": round(turns / singles, 3), "sampled": [several[-1][1], alone[-1][1]]}))


if __name__ == "__main__":
    main()
