"""A process reward model on the step chain: python bench/chain_rewards.py [--student micro] [--level 4] [--seed 0]

A student of a given skill is made by imitation, answers training questions, and a copy of it with a head is taught which steps
are right: by exact labels, by labels of which 30 % are wrong, and by these mended in two ways. Of each, one line of JSON:

first_error  share of held-out answers whose first wrong step it finds, or finds none where there is none; beside it `blind`: of
             who always says what is most common
best         accuracy of the best of 16 answers by the lowest of its steps' scores; majority: of what most of the 16 say
pass         share of questions with a right one among the 16

--injected N: taught are so many worked solutions in place of the student's answers, most of them with a slip somewhere: whether
a model of this size can learn to check a chain at all.

Taught is what comes up to the first step that is labelled wrong (`lessons.until_wrong`); --behind 1: all labels.

voted   each label is the majority of 5 judgements that are wrong 30 % of the time each, independently (SPARK, stage 1)
mended  one such judgement, made consistent: a chain is right up to a first error and wrong from there on, wherever that fits
        most of the labels (in place of SPARK's meta-critique, which looks for contradictions in a judgement)
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from sharpen import tasks
from sharpen.core import PLAIN, Arm, Ask, Lesson, Rollout, Sample, Sampling, Score, Task, Verdict
from sharpen.data import lessons, make_batch
from sharpen.models import LocalPolicy, RewardModel, embedded, load_model
from sharpen.objectives import policy_gradient, rewards
from sharpen.rollouts import drive, single
from sharpen.verify import final_answer, learnt, pieces, verify

WRONG, VOTES, MANY = 0.3, 5, 16
Noise = Callable[[Sequence[float], np.random.Generator], list[float]]


def drawn(level: int, split: str, n: int, seed: int, first: int = 0) -> list[Task]:
    return [tasks.step_chain().draw(Arm("step_chain", level), split, first + i, seed) for i in range(n)]


def imitated(name: str, level: int, steps: int, seed: int, until: float = 0.0) -> LocalPolicy:
    """A student after so many steps on worked solutions, or as soon as so many of its answers are right."""
    policy = LocalPolicy(*embedded.build(name, tasks.step_chain(), seed), "fp32")
    for step in range(steps):
        listed = drawn(level, "train", 64, seed, step * 64)
        turns = policy.respond([Ask(t.prompt, answer=t.solution) for t in listed], [0] * len(listed), 0, PLAIN)
        made = [Rollout(t, u.tokens, u.sampled, u.logprobs, (u.text,), "forced", 0, 0, "") for t, u in zip(listed, turns)]
        batch = make_batch([Sample(r, Verdict("correct", 1.0), i) for i, r in enumerate(made)])
        policy.update(batch, policy_gradient.sft(), 3e-3 * (1 - step / steps) + 1e-4)
        if until and step % 20 == 19:
            seen = answered(policy, drawn(level, "train", 100, seed, 2 * 10**6), 1, seed, f"look.{step}")
            if sum(s.verdict.correct for s in seen) >= until * len(seen):
                break
    return policy


def answered(
    policy: LocalPolicy, listed: Sequence[Task], each: int, seed: int, name: str, temperature: float = 1.0
) -> list[Sample]:
    """Judged answers. A temperature above 1 makes a student slip who knows better: so his errors are known and spread."""
    many = [task for task in listed for _ in range(each)]
    ids = [f"{name}.{i:06d}" for i in range(len(many))]
    found = drive(policy, single, many, ids, seed=seed, max_tokens=64, sampling=Sampling(temperature=temperature))
    return [Sample(r, verify(r.task, r.response), i // each) for i, r in enumerate(found)]


def injected(level: int, n: int, seed: int) -> list[Lesson]:
    """Worked solutions, of which two in three slip in a step and go on from there, with exact labels."""
    rng, found = Random(seed), []
    for i, task in enumerate(drawn(level, "train", n, seed, 10**7)):
        text = tasks.slipped(task, rng) if rng.random() < 2 / 3 else str(task.solution)
        steps = pieces.steps(text)
        found.append(Lesson(task.prompt, steps, tuple(lessons.checked(task, text, steps)), i))
    return found


def exact(labels: Sequence[float], rng: np.random.Generator) -> list[float]:
    return list(labels)


def noisy(labels: Sequence[float], rng: np.random.Generator) -> list[float]:
    return [1 - y if rng.random() < WRONG else y for y in labels]


def voted(labels: Sequence[float], rng: np.random.Generator) -> list[float]:
    votes = [noisy(labels, rng) for _ in range(VOTES)]
    return [float(sum(column) * 2 > VOTES) for column in zip(*votes)]


def mended(labels: Sequence[float], rng: np.random.Generator) -> list[float]:
    return lessons.up_to_first_error(noisy(labels, rng))


def taught(directory: str, told: Sequence[Lesson], steps: int, rng: np.random.Generator) -> RewardModel:
    model = RewardModel(LocalPolicy(*load_model(directory), "fp32"))
    for step in range(steps):
        chosen = rng.choice(len(told), 128, replace=False)
        lot = [replace(told[i], group=k) for k, i in enumerate(chosen)]
        model.learn(lot, rewards.classify(), 2e-3 * (1 - step / steps) + 1e-4)
    return model


def measured(model: RewardModel, held: Sequence[Sample]) -> dict[str, float]:
    cut = [pieces.steps(s.rollout.response) for s in held]
    found = model.score([Score(s.rollout.task.prompt, steps, "r") for s, steps in zip(held, cut)])
    said = [[learnt.sigmoid(float(v)) for v in one.values] for one in found]
    truth = [lessons.checked(s.rollout.task, s.rollout.response, steps) for s, steps in zip(held, cut)]
    first = [
        pieces.first_wrong([p >= 0.5 for p in row]) == pieces.first_wrong([y == 1 for y in t]) for row, t in zip(said, truth)
    ]
    flat = [(p >= 0.5) == (y == 1) for row, t in zip(said, truth) for p, y in zip(row, t)]
    groups: dict[int, list[tuple[float, Sample]]] = {}
    for s, row in zip(held, said):
        groups.setdefault(s.group, []).append((learnt.lowest(row), s))
    best, majority, some = [], [], []
    for group in groups.values():
        best.append(max(group, key=lambda pair: pair[0])[1].verdict.correct)
        votes = Counter(final_answer(s.rollout.task, s.rollout.response)[0] for _, s in group)
        most = votes.most_common(1)[0][0]
        majority.append(
            next(s for _, s in group if final_answer(s.rollout.task, s.rollout.response)[0] == most).verdict.correct
        )
        some.append(any(s.verdict.correct for _, s in group))
    where = Counter(pieces.first_wrong([y == 1 for y in t]) for t in truth)
    blind = [where.most_common(1)[0][1] / len(truth)]
    names = dict(first_error=first, blind=blind, steps=flat, best=best, majority=majority)
    return {name: round(float(np.mean(values)), 4) for name, values in {**names, "pass": some}.items()}


def main(told: argparse.Namespace) -> None:
    began = time.monotonic()
    policy = imitated(told.student, told.level, told.imitate, told.seed, told.until)
    hot = told.temperature
    held = answered(policy, drawn(told.level, "test", told.held, told.seed), MANY, told.seed, "held", hot)
    asked = [] if told.injected else drawn(told.level, "train", told.answers // 4, told.seed, 10**6)
    train = answered(policy, asked, 4, told.seed, "train", hot)
    labelled = lessons.processes(train, lessons.checked) or injected(told.level, told.injected, told.seed)
    single_accuracy = round(float(np.mean([s.verdict.correct for s in held])), 4)
    print(json.dumps(dict(vars(told), accuracy=single_accuracy, seconds=round(time.monotonic() - began))), flush=True)
    with tempfile.TemporaryDirectory() as directory:
        policy.save(directory)
        ways: dict[str, Noise] = dict(exact=exact, noisy=noisy, mended=mended, voted=voted)
        for name in told.ways or ways:
            rng = np.random.default_rng(told.seed)
            given = [replace(lesson, targets=tuple(ways[name](lesson.targets, rng))) for lesson in labelled]
            kept: Any = np.mean([a == b for x, y in zip(labelled, given) for a, b in zip(x.targets, y.targets)])
            if not told.behind:
                given = [replace(lesson, targets=tuple(lessons.until_wrong(lesson.targets))) for lesson in given]
            model = taught(directory, given, told.steps, rng)
            row = dict(labels=name, right_labels=round(float(kept), 4), **measured(model, held))
            print(json.dumps({**row, "seconds": round(time.monotonic() - began)}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    numbers = dict(
        level=4, seed=0, imitate=250, steps=400, answers=6000, held=150, temperature=1.0, until=0.0, behind=0, injected=0
    )
    for option, default in dict(student="micro", **numbers).items():
        parser.add_argument(f"--{option}", type=type(default), default=default)
    parser.add_argument("--ways", nargs="*")
    main(parser.parse_args())
