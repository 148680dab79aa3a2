"""What an evaluation costs beside one batch of as many answers: `python bench/evaluation.py [MODEL] [TASKS] [N] [MAX_TOKENS]`.

Processor seconds, median of three: of bare generation of all prompts at once, of `loop.evaluation.ask` (generation, judging,
progress), and of the same arm by arm. Without a model the embedded student `tiny`, as it is before it learns.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sharpen import models, rollouts, tasks
from sharpen.core import GREEDY, Ask
from sharpen.loop import evaluation
from sharpen.models import embedded

SPEC = "chain_sum/1-5,letter_counting/1-4,number_sorting/1-3,spell_backward/1-4"  # 16 arms


def main(model: str = "tiny", spec: str = SPEC, n: str = "64", max_tokens: str = "64") -> None:
    source = tasks.parse_spec(spec)
    made = models.load_model(Path(model)) if Path(model).is_dir() else embedded.build(model, source, 0)
    answering = models.LocalPolicy(*made)
    stream = tasks.held_out(source, "test", int(n), 0)
    told = rollouts.Asking(max_tokens=int(max_tokens), sampling=GREEDY)
    asks = [Ask(task.prompt) for own in stream.values() for task in own]

    def bare() -> None:
        answering.respond(asks, range(len(asks)), int(max_tokens), GREEDY)

    def whole() -> None:
        evaluation.ask(answering, stream, told, rollouts.single, 1, 0)

    def by_arm() -> None:
        for arm, own in stream.items():
            evaluation.ask(answering, {arm: own}, told, rollouts.single, 1, 0)

    bare()  # templates and tokens of prompts are kept from here on
    first = seconds(bare)
    print(f"{len(stream)} arms, {len(asks)} answers of up to {max_tokens} tokens, {model}")
    for name, run in (("one batch", bare), ("eval", whole), ("arm by arm", by_arm)):
        took = first if run is bare else seconds(run)
        print(f"{name:<11} {took:7.2f} s  {took / first:5.2f} x")


def seconds(run: Callable[[], None]) -> float:
    found = []
    for _ in range(3):
        began = time.process_time()
        run()
        found.append(time.process_time() - began)
    return statistics.median(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
