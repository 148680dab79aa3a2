"""The look at a model that is brought: what its answers are like and cost, before anything is sized or learnt.

1. Greedy answers say how long an answer is, and what one of an evaluation costs.
2. Sampled ones, in each of a few `ways` to ask and to draw, say from which the model would learn most in a second: that way is
   taken, and what its answers cost is measured.

The look ends in a bounded time: what it does not get to stays as it would be without it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any, TypeVar

import numpy as np
import torch

from sharpen import rollouts
from sharpen.core import GREEDY, Rollout, Sample, Sampling, Task, TaskSource, Verdict
from sharpen.curriculum import trainable
from sharpen.data import make_batch
from sharpen.hashing import derive
from sharpen.loop import telling
from sharpen.loop.session import answers
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe, asked_for
from sharpen.rollouts import Asking

ROWS = {"cpu": 32, "gpu": 256}  # answers that are looked at
TOGETHER = 64  # answers that are sampled together to tell what one costs, at most
TRIED = 4  # answers to each task that a way is tried with
FIRST, LONGEST = 64, 512  # tokens: the first look, and the longest answer that is sized for
FINISHED = 0.8  # share of the answers that must come to their end; a longer look is taken where fewer do
ROOM = 1.5  # the limit above the length that they keep within: what is learnt may be longer
# Tried beside what the verifier wants to be told. A sentence repeats the question's numbers, and behind them a small model
# calculates better than where it writes a bare number.
BRIEF = "Answer in one short sentence."
TEMPERATURES = (1.0, 0.8)  # a small or quantised model writes nonsense at 1; lower ones leave too little to choose from later
LEAST_LEARNT = 0.25  # share of the answers that a step learns from, at least: some dozen groups do not tell it closely
BETTER = 1.1  # times the teaching of the usual choice that another one must promise

T = TypeVar("T")


@dataclass(frozen=True)
class Measured:
    """What a model's answers cost.

    length         mean length of an answer as it is sampled, in tokens
    limit          the length that most greedy answers keep within (`worthwhile`)
    cut            share of the sampled answers that were cut off at the limit with its room
    answer_s       seconds to generate one answer, among many
    learn_s        seconds that learning takes for each answer, whether it is learnt from or not
    look_s         seconds of one answer of an evaluation; its prompt is nobody else's
    busy           seconds that the processor was at work, as a share of those that passed: little, where others have it
    ways           by what to set (prompt_suffix, temperature): what each way was found to teach; the first is the usual one
    """

    length: float
    limit: int
    cut: float
    answer_s: float
    learn_s: float
    look_s: float = 0.0
    busy: float = 1.0
    ways: tuple[tuple[dict[str, Any], Teaching], ...] = ()


@dataclass(frozen=True)
class Teaching:
    """What a way to ask and to draw promises.

    right      share of the answers
    learnt     share of the answers that a step would learn from: what is selected of groups that are not silent
    variance   of the reward within a group, in the mean: what a policy gradient learns from
    tokens     that one answer costs, with its share of the prompt
    """

    right: float
    variance: float
    tokens: float
    learnt: float = 1.0

    @property
    def rate(self) -> float:
        """Variance that a thousand tokens buy."""
        return 1000 * self.variance / max(self.tokens, 1.0)


@dataclass(frozen=True)
class Look:
    """What is asked in a look, and of whom. `until` is when it should be over, by time.monotonic()."""

    recipe: Recipe
    policy: Any
    tasks: Sequence[Task]
    seed: int
    until: float

    def answers(self, tasks: Sequence[Task], longest: int, sampling: Sampling, told: Asking) -> list[Rollout]:
        ids = [f"sizing.{i:04d}" for i in range(len(tasks))]
        ask = rollouts.single if self.recipe.roles else rollouts.unaided(self.recipe.rollout)
        return rollouts.drive(self.policy, ask, tasks, ids, seed=self.seed, max_tokens=longest, sampling=sampling, asking=told)


def measured(
    recipe: Recipe, policy: Any, source: TaskSource, seed: int, given: set[str], ways: Sequence[dict[str, Any]], seconds: float
) -> Measured:
    """Answers to training tasks of every arm in turn; the model stays as it is.

    Greedy ones say how long an answer is: those that a small model samples at first run on without end, and learn not to.
    Sampled ones, cut off at the limit that follows, say what they cost.

    given    names of what the user has set
    ways     settings of prompt_suffix and temperature to choose from, the usual first; one: nothing is tried
    seconds  that the look should take at most; what takes longest is left out then
    """
    arms, gpu = trainable(source), str(policy.model.device).startswith("cuda")
    rows = ROWS["gpu" if gpu else "cpu"]
    listed = [source.draw(arms[i % len(arms)], "train", i, derive(seed, "sizing")) for i in range(rows)]
    look = Look(recipe, policy, listed, seed, time.monotonic() + seconds)
    limit, look_s = greedy_length(look, recipe.max_tokens if "max_tokens" in given else None)
    longest = recipe.max_tokens if "max_tokens" in given else roomy(limit)
    tried = try_ways(look, ways, longest) if len(ways) > 1 else []
    taken = replace(recipe, **best(tried)) if tried else recipe
    if taken.prompt_suffix != recipe.prompt_suffix:
        limit, look_s = greedy_length(replace(look, recipe=taken), recipe.max_tokens if "max_tokens" in given else None)
        longest = recipe.max_tokens if "max_tokens" in given else roomy(limit)
    # As in a step: several answers to a prompt, which is read and learnt from once for all of them.
    few = listed[:: recipe.samples]
    repeated = [task for task in [*few, *fuller(look, len(few), look_s)] for _ in range(recipe.samples)]
    look, told = replace(look, recipe=taken), telling.of_recipe(taken, policy.tokenizer)
    for _ in range(2 if gpu else 1):  # a GPU's first of each compiles what every later one uses
        made, answered, answer_busy = timed(gpu, partial(look.answers, repeated, longest, taken.sampling, told))
        some = made[: max(len(made) // 4, recipe.samples)]
        learnt = [Sample(rollout, Verdict("correct", 1.0), i // recipe.samples) for i, rollout in enumerate(some)]
        batch = make_batch(learnt, taken.sampling)
        _, learning, learn_busy = timed(gpu, partial(policy.direction, batch, policy_gradient.sft()))
    said = made[: len(few) * recipe.samples]  # so that what is concluded of lengths does not depend on the clock
    length = sum(rollout.n_sampled for rollout in said) / len(said)
    cut = sum(rollout.stop == "length" for rollout in said) / len(said)
    share = max([LEAST_LEARNT, *(found.learnt for way, found in tried if way == best(tried))]) if tried else 1.0
    answer_s, learn_s = answered / len(made), learning / len(learnt) * share
    busy = (answer_busy + learn_busy) / max(answered + learning, 1e-9)
    return Measured(length, limit, cut, answer_s, learn_s, look_s, min(busy, 1.0), tuple(tried))


def fuller(look: Look, few: int, look_s: float) -> list[Task]:
    """More prompts beside so `few`, up to those of a step or TOGETHER answers, where there is time for them: what a token costs
    is shared by all that are written together, so of few answers one costs more than in a step."""
    samples = look.recipe.samples
    more = min(look.recipe.prompts, max(TOGETHER // samples, 1), len(look.tasks)) - few
    if more < 1 or time.monotonic() + more * samples * look_s > look.until:
        return []
    return [task for i, task in enumerate(look.tasks) if i % samples][:more]


def timed(gpu: bool, work: Callable[[], T]) -> tuple[T, float, float]:
    """What the work returns, the seconds that passed, and those that the processor was at work: fewer, where others have it."""
    began, used = time.monotonic(), time.process_time()
    made = work()
    passed = time.monotonic() - began
    return made, passed, passed if gpu else min((time.process_time() - used) / torch.get_num_threads(), passed)


def greedy_length(look: Look, given: int | None) -> tuple[int, float]:
    """The length that most greedy answers keep within, and the seconds that one took, cut off there with its room.

    `given` is the limit that the user has set. A second look at longer answers is taken only where there is time for it.
    """
    told = telling.of_recipe(look.recipe, look.policy.tokenizer)
    for longest in (given,) if given else (FIRST, LONGEST):
        began = time.monotonic()
        made = look.answers(look.tasks, longest, GREEDY, told)
        seconds = time.monotonic() - began
        # One that was cut off is longer than any limit; where few are, how long they are changes nothing worth the look.
        lengths = np.array([math.inf if rollout.stop == "length" else max(rollout.n_sampled, 1) for rollout in made])
        ended = np.isfinite(lengths).mean()
        if given or ended >= FINISHED or longest == LONGEST:
            break
        if time.monotonic() + seconds * LONGEST / FIRST > look.until:
            return FIRST, seconds / len(made)
    return given or worthwhile(lengths), seconds / len(made)


def try_ways(look: Look, ways: Sequence[dict[str, Any]], longest: int) -> list[tuple[dict[str, Any], Teaching]]:
    """What each way teaches, as far as there is time: a way is begun only if it will end in time, by what the last one took."""
    found: list[tuple[dict[str, Any], Teaching]] = []
    asked = [task for task in look.tasks[: len(look.tasks) * 3 // 4] for _ in range(TRIED)]
    ids, took = [f"sizing.{i:04d}" for i in range(len(asked))], 0.0
    with rollouts.judging(look.recipe.verify, look.policy, {}, look.seed, look.recipe.verdict_s) as judges:
        for way in ways:
            if found and time.monotonic() + took > look.until:
                break
            began = time.monotonic()
            recipe = replace(look.recipe, **way)
            told = telling.of_recipe(recipe, look.policy.tokenizer)
            ask = rollouts.unaided(recipe.rollout)
            made = answers(look.policy, longest, recipe.sampling, ask, judges, asked, ids, look.seed, asking=told)
            found.append((way, teaching(made, TRIED, recipe)))
            took = time.monotonic() - began
    return found


def teaching(made: Sequence[Sample], each: int, recipe: Recipe) -> Teaching:
    """What judged answers promise, `each` to a task, group after group. One that was cut off, or could not be judged, is not
    right.

    2 of 4 right in one group, none in the other, gives 0.25, and a variance of 4 / 3 * (0.25 + 0) / 2.
    """
    right = np.array([s.verdict.correct and s.rollout.stop != "length" for s in made], dtype=float).reshape(-1, each)
    share = right.mean(axis=1)
    variance = (share * (1 - share)).mean() * each / (each - 1)
    written = np.array([s.rollout.n_sampled for s in made])
    prompts = np.array([len(s.rollout.tokens) for s in made]) - written
    grouped = [replace(sample, group=i // each) for i, sample in enumerate(made)]
    kept = grouped if asked_for(recipe.select) else recipe.select(grouped)
    loud = {i for i, some in enumerate(share) if 0 < some < 1}
    learnt = sum(sample.group in loud for sample in kept) / len(made)
    return Teaching(float(share.mean()), float(variance), float((written + prompts / recipe.samples).mean()), learnt)


def best(tried: Sequence[tuple[dict[str, Any], Teaching]]) -> dict[str, Any]:
    """Of each setting the value that teaches most for what it costs; the usual one, that of the first way, unless another is
    clearly better.

    A value is judged by all the ways that have it: few answers decide little, and the settings hardly depend on each other.
    """
    return {name: _best_value(name, tried) for name in tried[0][0]}


def _best_value(name: str, tried: Sequence[tuple[dict[str, Any], Teaching]]) -> Any:
    rates: dict[Any, list[float]] = {}
    for way, found in tried:
        rates.setdefault(way[name], []).append(found.rate)
    usual, value = tried[0][0][name], max(rates, key=lambda value: fmean(rates[value]))
    return value if fmean(rates[value]) > BETTER * fmean(rates[usual]) else usual


def roomy(limit: int) -> int:
    """The longest answer for a limit that most keep within."""
    return min(max(math.ceil(limit * ROOM / 16) * 16, 32), LONGEST)


def worthwhile(lengths: np.ndarray) -> int:
    """The limit at which most answers come to their end for each token that is written: those cut off earn nothing.

    At least FINISHED of the answers keep within it. [20] * 9 + [500] gives 20: 9 answers of 200 tokens, against 10 of 680. An
    answer that was cut off has the length inf; where too many were, LONGEST.
    """
    limits = [limit for limit in np.unique(lengths) if limit < math.inf and (lengths <= limit).mean() >= FINISHED]
    return int(max(limits, key=lambda limit: (lengths <= limit).sum() / np.minimum(lengths, limit).sum(), default=LONGEST))
