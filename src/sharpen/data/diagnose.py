"""Diagnose: what the student is bad at, in names, each with an interval. The first piece of a growing loop (growth.py).

A diagnosis is a generator function `(given) -> list of Weakness`, worst first; where there are too few answers to name anything
it says so instead, as a `Refused`. Most ask nobody; `missing_skills` asks a judge.

    by_skill         arms that fail (a skill map with its uncertainty)
    by_error         how answers fail: malformed, cut off, wrong in one place, wrong
    by_cluster       groups of failed questions that are alike (clusters.py)
    by_step          the first step of a worked solution that the answer misses
    by_band          tasks by their pass rate: hard, medium (CLPO)
    by_task          single tasks as seeds, by what their pass rate is worth (eva, Socratic-Zero, STP)
    by_perplexity    tasks whose right answer surprises the student (iTool)
    everything       all failures, unnamed (DataEnvGym's open-ended environment)
    never_learnt     arms that were never half right and do not rise (SwS)
    missing_skills   what a judge says the answer lacks, from a list (STAT)
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sharpen import estimate
from sharpen.core import (
    GREEDY,
    Arm,
    ArmStats,
    Ask,
    Evaluation,
    Failed,
    Measure,
    Refused,
    Sample,
    Task,
    TaskSource,
    Weakness,
    plural,
)
from sharpen.data import clusters
from sharpen.data.worth import regret

Diagnosis = Generator[Any, Any, list[Any]]  # of Weakness and Refused

LEAST = 12  # judged answers, below which nothing is named
TOO_FEW = "too few answers to name a weakness"
STEP = re.compile(r"\s+|(?=<answer>)")


@dataclass(frozen=True)
class Given:
    """What the pieces of a growing loop know: core/growth.py, and `ask`, the Ask with which the student is asked a task."""

    failed: Sequence[Sample]
    seen: Sequence[Sample]
    arms: Sequence[Arm]
    rng: np.random.Generator
    source: TaskSource
    evaluations: Sequence[Evaluation] = ()
    history: Mapping[Arm, Sequence[ArmStats]] = field(default_factory=dict)
    ask: Callable[[Task], Ask] = lambda task: Ask(task.prompt)

    def rates(self) -> dict[Task, tuple[int, int]]:
        """{task: (scored attempts, right ones)} of the round's training tasks, in the order in which they were met."""
        found: dict[Task, list[int]] = {}
        for sample in self.seen:
            if sample.verdict.reward is not None:
                counts = found.setdefault(sample.rollout.task, [0, 0])
                counts[0] += 1
                counts[1] += sample.verdict.correct
        return {task: (n, right) for task, (n, right) in found.items()}


def named(
    kind: str, groups: Mapping[str, tuple[int, int]], failures: Mapping[str, Sequence[Sample]], least: int, at_least: float
) -> list[Any]:
    """Of (failed, n) by name, those of at least `least` answers whose failure rate is above `at_least` with 95 % certainty,
    worst first; and, as one Refused, those of too few answers."""
    found, few = [], []
    for name, (failed, n) in groups.items():
        low, high = map(float, estimate.interval(failed, n))
        if n < least:
            few += [f"{name}: {failed} of {n} failed"] if failed else []
        elif low >= at_least and failures.get(name):
            found.append(Weakness(name, kind, failed, n, low, high, tuple(failures[name])))
    found.sort(key=lambda w: (-w.rate, w.name))
    return [*found, *([Refused(TOO_FEW, f"under {least} answers each: {'; '.join(few)}")] if few else [])]


def by_skill(given: Given, least: int = LEAST, at_least: float = 0.1) -> Diagnosis:
    """Arms in which more than `at_least` of the round's training answers failed, by the lower end of Wilson's interval."""
    yield from ()
    counts = counted((str(s.rollout.task.arm), not s.verdict.correct) for s in scored(given.seen))
    return named("skill", counts, grouped(given.failed, lambda s: str(s.rollout.task.arm)), least, at_least)


def by_error(given: Given, least: int = LEAST, at_least: float = 0.02) -> Diagnosis:
    """Kinds of failure, of all answers of the round; with "family: kind", so that what is made of one is of one family."""
    yield from ()
    n = Counter(s.rollout.task.family for s in scored(given.seen))
    failures = grouped(given.failed, lambda s: f"{s.rollout.task.family}: {error(s)}")
    counts = {name: (len(own), n[own[0].rollout.task.family]) for name, own in failures.items()}
    return named("error", counts, failures, least, at_least)


def by_cluster(given: Given, most: int = 8, least: int = LEAST) -> Diagnosis:
    """Failed questions that are alike, in as many clusters as come out the same when the clustering is repeated: PPP
    (arXiv 2003.04372) for the number of clusters. A cluster is named by words that its questions have and others have not.
    """
    yield from ()
    unique = list({s.rollout.task: s for s in given.failed}.values())
    if len(unique) < least:
        return [Refused(TOO_FEW, f"{len(unique)} failed questions, where clusters need {least}")] if unique else []
    texts = [question_of(s.rollout.task) for s in unique]
    labels, steady = clusters.repeatable(clusters.embed(texts), most, given.rng)
    rates = given.rates()
    found = []
    for k in sorted(set(labels)):
        own = [s for s, label in zip(unique, labels, strict=True) if label == k]
        n = sum(rates.get(s.rollout.task, (1, 0))[0] for s in own)
        failed = n - sum(rates.get(s.rollout.task, (1, 0))[1] for s in own)
        words = ", ".join(clusters.telling([t for t, label in zip(texts, labels, strict=True) if label == k], texts))
        low, high = map(float, estimate.interval(failed, n))
        name = f"cluster {k + 1} of {max(labels) + 1}: {words}"
        found.append(Weakness(name, f"cluster, repeatability {steady:.2f}", failed, n, low, high, tuple(own)))
    return sorted(found, key=lambda w: (-w.failed, w.name))


def by_step(given: Given, least: int = LEAST, at_least: float = 0.02) -> Diagnosis:
    """Where the answer first leaves the worked solution, by family and number of the step; tasks without one are left out."""
    yield from ()
    known = [s for s in scored(given.seen) if s.rollout.task.solution]
    n = Counter(s.rollout.task.family for s in known)
    failures = grouped(
        [s for s in given.failed if s.rollout.task.solution],
        lambda s: f"{s.rollout.task.family}: step {first_error(s.rollout.task.solution or '', s.rollout.response)}",
    )
    counts = {name: (len(own), n[own[0].rollout.task.family]) for name, own in failures.items()}
    return named("first wrong step", counts, failures, least, at_least)


def everything(given: Given, least: int = LEAST) -> Diagnosis:
    """All failures as one: nothing is named, and whoever writes sees them as they are. DataEnvGym's open-ended environment."""
    yield from ()
    n = len(scored(given.seen))
    return named("everything", {"all": (len(given.failed), n)}, {"all": given.failed}, least, 0.0)


def by_task(given: Given, worth: Callable[[float], float] = regret, most: int = 256) -> Diagnosis:
    """Single tasks as seeds, those that are worth something by their success rate, best first; the samples are all answers to
    the task, right ones too. So mastered tasks can be seeds as well."""
    yield from ()
    answers = grouped(scored(given.seen), lambda s: s.rollout.task.id)
    found = []
    for task, (n, right) in given.rates().items():
        if worth(right / n) > 0:
            low_, high_ = map(float, estimate.interval(n - right, n))
            found.append(Weakness(f"{task.arm} {task.id}", "task", n - right, n, low_, high_, tuple(answers[task.id])))
    return sorted(found, key=lambda w: -worth(1 - w.rate))[:most]


def by_perplexity(given: Given, share: float = 0.3, least: int = LEAST) -> Diagnosis:
    """The `share` of the round's tasks whose right answer surprises the student most, among those that call a tool and those
    that do not apart: iTool (arXiv 2501.09766). Its perplexity is that of the right answer under the student."""
    tasks = [task for task in given.rates() if task.answer is not None]
    asks = [Measure(given.ask(task).messages, task.solution or task.answer or "") for task in tasks]
    measured = yield asks
    perplexity = {task.id: float(np.exp(-m.logprobs.mean())) for task, m in zip(tasks, measured, strict=True)}
    if len(tasks) < least:
        return [Refused(TOO_FEW, f"{len(tasks)} tasks, where a share of them needs {least}")] if tasks else []
    answers, rates = grouped(scored(given.seen), lambda s: s.rollout.task.id), given.rates()
    found = []
    for called in (True, False):
        own = sorted((t for t in tasks if (t.verifier == "tool_call") == called), key=lambda t: -perplexity[t.id])
        for task in own[: round(share * len(own))]:
            n, right = rates[task]
            low_, high_ = map(float, estimate.interval(n - right, n))
            name = f"{task.arm}, perplexity {perplexity[task.id]:.2f}"
            found.append(Weakness(name, "perplexity", n - right, n, low_, high_, tuple(answers[task.id])))
    return found


def by_band(given: Given, hard: float = 0.3, medium: float = 0.7) -> Diagnosis:
    """Tasks of the round solved in at most `hard` of their attempts, and in at most `medium`: CLPO (arXiv 2509.25004).

    Its bands are 0.3 and 0.7 of 4 rollouts.
    """
    yield from ()
    found = []
    for name, low, high in (("hard", -1.0, hard), ("medium", hard, medium)):
        own = {t: (n, k) for t, (n, k) in given.rates().items() if low < k / n <= high and k < n}
        if own:
            n, right = (sum(c[i] for c in own.values()) for i in (0, 1))
            first = {s.rollout.task: s for s in reversed(given.failed) if s.rollout.task in own}
            low_, high_ = map(float, estimate.interval(n - right, n))
            found.append(Weakness(name, "band", n - right, n, low_, high_, tuple(first[t] for t in own if t in first)))
    return found


def never_learnt(given: Given, most: float = 0.5, least: int = LEAST) -> Diagnosis:
    """Arms that were right in at most `most` of every step so far, and whose accuracy does not rise: SwS (arXiv 2506.08989).

    The paper's rule for a prompt, max accuracy <= 0.5 and slope <= 0, as its release has it: never solved counts too.
    """
    yield from ()
    failures = grouped(given.failed, lambda s: str(s.rollout.task.arm))
    groups, few = {}, []
    for arm, stats in given.history.items():
        own = [s for s in stats if s.n]
        n, right = sum(s.n for s in own), sum(s.successes for s in own)
        rates = [s.successes / s.n for s in own]
        if n < least or len(own) < 2:
            few.append(f"{arm}: {n - right} of {n} failed in {plural(len(own), 'step')}")
        elif max(rates) <= most and slope(rates) <= 0:
            groups[str(arm)] = (n - right, n)
    found = named("concept", groups, failures, 0, 0.0)
    return [*found, *([Refused(TOO_FEW, "; ".join(few))] if few else [])]


def missing_skills(
    given: Given, skills: tuple[str, ...] = (), role: str = "judge", most: int = 32, least: int = LEAST
) -> Diagnosis:
    """Skills that a judge says a failed answer lacks, two or three of a list: the profile of STAT (arXiv 2510.10023).

    skills  to choose among; none: the names of the families
    most    failures that the judge is shown in a round
    """
    listed = skills or tuple(sorted({arm.family for arm in given.arms}))
    unique = list({s.rollout.task: s for s in given.failed}.values())[:most]
    asks = [Ask(profile_prompt(s, listed), role=role, max_tokens=64, sampling=GREEDY, may_fail=True) for s in unique]
    turns = yield asks
    failures: dict[str, list[Sample]] = defaultdict(list)
    lost = []
    for sample, turn in zip(unique, turns, strict=True):
        said = "" if isinstance(turn, Failed) else turn.text.lower()
        hits = [skill for skill in listed if re.search(rf"(?<!\w){re.escape(skill.lower())}(?!\w)", said)][:3]
        lost += [] if hits else [str(turn) if isinstance(turn, Failed) else turn.text]
        for skill in hits:
            failures[skill].append(sample)
    found = named("missing skill", {k: (len(v), len(unique)) for k, v in failures.items()}, failures, min(least, 1), 0.0)
    if len(unique) < least:
        found = [Refused(TOO_FEW, f"{len(unique)} failed questions, where a profile needs {least}")] if unique else []
    return found + [Refused("the judge named no skill", text) for text in lost]


def profile_prompt(sample: Sample, skills: Sequence[str]) -> tuple[dict[str, str], ...]:
    text = (
        f"Question:\n{question_of(sample.rollout.task)}\n\nA student's wrong answer:\n{sample.rollout.response}\n\n"
        f"Which skills does the student lack? Name two or three of: {', '.join(skills)}."
    )
    return ({"role": "user", "content": text},)


# ------------------------------------------------------------------------------------------------------------ small parts


def scored(samples: Iterable[Sample]) -> list[Sample]:
    return [s for s in samples if s.verdict.reward is not None]


def counted(pairs: Iterable[tuple[str, bool]]) -> dict[str, tuple[int, int]]:
    """(failed, n) by name, of (name, whether it failed)."""
    n: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for name, bad in pairs:
        n[name] += 1
        failed[name] += bad
    return {name: (failed[name], n[name]) for name in n}


def grouped(samples: Iterable[Sample], key: Callable[[Sample], str]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[key(sample)].append(sample)
    return found


def error(sample: Sample) -> str:
    """How an answer failed: the outcome, "cut off", or, of a wrong one as long as the right one, in how many places."""
    if sample.rollout.stop == "length":
        return "cut off"
    if sample.verdict.outcome != "wrong" or not sample.rollout.task.answer:
        return sample.verdict.outcome
    gold = sample.rollout.task.answer.strip()
    said = re.findall(r"<answer>(.*?)</answer>", sample.rollout.response, re.DOTALL)
    given = (said[-1] if said else sample.rollout.response).strip()
    if len(given) != len(gold):
        return "wrong, too short" if len(given) < len(gold) else "wrong, too long"
    apart = sum(a != b for a, b in zip(given, gold, strict=True))
    return f"wrong in {apart} of its places" if apart <= 2 else "wrong"


def first_error(solution: str, response: str) -> int:
    """Number, from 1, of the first step that differs from the worked solution's; one beyond the last where all are there.

    Steps are what stands between spaces; the answer in its tag is the last one.
    """
    right, said = STEP.split(solution.strip()), STEP.split(response.strip())
    return next((i for i, step in enumerate(right, 1) if i > len(said) or said[i - 1] != step), len(right) + 1)


def slope(values: Sequence[float]) -> float:
    """Of the least-squares line through values at 0, 1, 2, …; 0 of fewer than two."""
    if len(values) < 2:
        return 0.0
    x = np.arange(len(values)) - (len(values) - 1) / 2
    return float((x * np.array(values)).sum() / (x * x).sum())


def question_of(task: Task) -> str:
    """What is asked last, as text."""
    content = task.prompt[-1]["content"] if task.prompt else ""
    return (
        content if isinstance(content, str) else "\n".join(p if isinstance(p, str) else str(p.get("text", "")) for p in content)
    )
