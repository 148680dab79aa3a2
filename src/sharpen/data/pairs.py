"""Pairs for preference objectives: functions from judged samples to samples in groups of two, the better and the worse.

1. What orders a pair is the judged reward. Where it does not (a demonstration against an own answer that may be right too),
   the better one counts 1 and the worse one 0 in the batch; outcomes stay as judged.
2. Two equal sides make no pair: equal rewards where rewards decide, equal tokens where they do not. A prompt without a pair
   adds nothing, and a batch without any is a step without an update.
3. Unscorable samples are left out. Both sides have the weight of the better one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from sharpen.core import Sample
from sharpen.data.relabel import Retell
from sharpen.data.selection import keep_all, keep_correct, paid

IMPROVE = "A better answer:"  # what the improver of SRPO is asked, after the answer that it has to improve on


def right_vs_wrong(samples: Sequence[Sample]) -> list[Sample]:
    """Each right answer against a wrong one to the same prompt, in order, each used once: min(right, wrong) pairs a prompt."""
    pairs: list[tuple[Sample, Sample]] = []
    for group in by_prompt(samples):
        right = [s for s in group if s.verdict.correct]
        pairs += zip(right, [s for s in group if not s.verdict.correct], strict=False)
    return numbered(pairs)


def best_vs_worst(samples: Sequence[Sample], pairs: int = 1, margin: float = 0.0) -> list[Sample]:
    """The best answer to a prompt against its worst, the second best against the second worst, …: at most `pairs` a prompt.

    A pair whose rewards differ by `margin` or less is dropped. Source: RLHF workflow, arXiv 2405.07863, section 3.
    """
    return numbered(pair for group in by_prompt(samples) for pair in extremes(group, pairs, margin))


def demo_vs_own(samples: Sequence[Sample], *, demos: Sequence[Sample]) -> list[Sample]:
    """The worked solution of each task against each of the student's own answers, whatever these are worth: SPIN.

    An answer that is the solution, token for token, is dropped: its pair has no gradient at any weights. So is every answer
    to a task without a worked solution. Source: arXiv 2401.01335, section 4.
    """
    shown = {demo.group: demo for demo in demos}
    kept = [s for s in keep_all(samples) if s.group in shown]
    different = [s for s in kept if not np.array_equal(s.rollout.tokens, shown[s.group].rollout.tokens)]
    return numbered((shown[s.group], s) for s in different)


def demo_vs_wrong(samples: Sequence[Sample], *, demos: Sequence[Sample]) -> list[Sample]:
    """`demo_vs_own` against the student's wrong answers alone: Light-R1 (arXiv 2503.10460)."""
    return demo_vs_own([s for s in keep_all(samples) if not s.verdict.correct], demos=demos)


def tournament(samples: Sequence[Sample], pairs: int = 1, margin: float = 0.0, *, demos: Sequence[Sample]) -> list[Sample]:
    """`best_vs_worst` among the own answers and the worked solution, by win rate against the own answers: DNO.

    The reward of each becomes its win rate, mean over the prompt's own answers y' of P(y > y'), an equal reward counting one
    half: the estimate of P(y > policy). Source: arXiv 2404.03715, algorithm 2.
    """
    shown = {demo.group: demo for demo in demos}
    found: list[tuple[Sample, Sample]] = []
    for group in by_prompt(samples):
        rewards = np.array([s.verdict.reward for s in group], dtype=np.float64)
        entrants = [*group, shown[group[0].group]] if group[0].group in shown else group
        found += extremes([rewarded(s, win_rate(s, rewards)) for s in entrants], pairs, margin)
    return numbered(found)


def broken(answer: str, number: int) -> str:
    """The answer with its form spoilt and its words kept: the closing tag gone, both tags gone, or everything inside them;
    without tags, a tag that is never closed is put before it."""
    if "<answer>" not in answer:
        return f"<answer>{answer}"
    inside = answer.replace("<answer>", "").replace("</answer>", "")
    return (answer.replace("</answer>", ""), inside, f"<answer>{inside}</answer>{inside}")[number % 3]


def in_form(samples: Sequence[Sample], *, retell: Callable[..., Sample]) -> list[Sample]:
    """Each different right answer over itself in a broken form: pairs that agree in everything else. Metis-SPECS (arXiv
    2510.25801)."""
    found: list[tuple[Sample, Sample]] = []
    for number, sample in enumerate(keep_correct(samples, distinct=True)):
        told = retell(sample, sample.rollout.task.prompt, broken(sample.rollout.response, number))
        found.append((sample, replace(told, verdict=replace(told.verdict, outcome="malformed", reward=0.0))))
    return numbered(found)


def paid_for_form(samples: Sequence[Sample], form: float = 0.5) -> list[Sample]:
    """`keep_all`, each paid `form` more where the answer stands where it belongs: the part "format" of `verify.hints`."""
    return [paid(s, form * s.verdict.parts.get("format", 0.0), "form") for s in keep_all(samples)]


def generalisation(inside: float, outside: float, beta: float = 2.0) -> float:
    """(1 + beta^2) G_in G_out / (beta^2 G_in + G_out) of the gains in and out of the distribution: the F-measure that leans to
    what is gained outside. 0 where one of the gains is 0 or less. Metis-SPECS; the form is second hand."""
    if min(inside, outside) <= 0:
        return 0.0
    return (1 + beta**2) * inside * outside / (beta**2 * inside + outside)


def improvements(samples: Sequence[Sample], *, retell: Retell) -> list[Sample]:
    """Three groups for each pair (w, v) of `right_vs_wrong`, of answers given alone and of answers given after another one:
    (w after v, v after v), (w after w, v after w) and (w after v, w alone, v alone, v after w), the better half first: SRPO.

    After an answer comes IMPROVE. What each group is for: `preferences.srpo`. Source: arXiv 2406.01660.
    """
    found: list[Sequence[Sample]] = []
    pairs = right_vs_wrong(samples)
    for w, v in zip(pairs[::2], pairs[1::2], strict=True):
        (ww, wv), (vw, vv) = ([improved(s, on, retell) for on in (w, v)] for s in (w, v))
        found += [(wv, vv), (ww, vw), (wv, w, v, vw)]
    return [replace(s, group=number) for number, group in enumerate(found) for s in group]


def direct_and_refined(samples: Sequence[Sample], share: float = 0.5, *, retell: Retell) -> list[Sample]:
    """Each pair of `right_vs_wrong` twice: as it is, weighing 1 - share, and with both sides after the wrong answer and
    IMPROVE, weighing `share`: answering and refining are preferred together. Source: EVOLVE (arXiv 2502.05605), whose loss is
    not stated in what was read of it."""
    pairs = right_vs_wrong(samples)
    found: list[tuple[Sample, Sample]] = []
    for w, v in zip(pairs[::2], pairs[1::2], strict=True):
        found += [(replace(w, weight=1 - share), v)] if share < 1 else []
        found += [(replace(improved(w, v, retell), weight=share), improved(v, v, retell))] if share > 0 else []
    return numbered(found)


def staged(
    samples: Sequence[Sample],
    correct: bool = True,
    diversify: bool = True,
    weak: str = "small",
    *,
    retell: Callable[..., Sample],
) -> list[Sample]:
    """One pair of each prompt, from where it can be had: a right answer against a wrong one; where all first attempts were
    wrong, a corrected one against the attempt (`correct`); where all were right, one against a weaker model's (`diversify`),
    which is taken for wrong where it ends differently. Source: SPHERE, arXiv 2503.04813, stages 1 to 3
    (rollouts.critique.reflected).
    """
    found: list[tuple[Sample, Sample]] = []
    for group in by_prompt(samples):
        once = [s for s in group if len(s.rollout.turns) == 1]
        right = next((s for s in once if s.verdict.correct), None)
        wrong = next((s for s in group if len(s.rollout.turns) > 1 or not s.verdict.correct), None)
        asked = list(group[0].rollout.task.prompt)
        if right and wrong:
            found.append((right, _as_wrong(retell(wrong, asked, wrong.rollout.turns[0]))))
        elif wrong and correct and (mended := next((s for s in group if s.verdict.correct), None)):
            said = mended.rollout.turns
            found.append((retell(mended, asked, said[-1]), _as_wrong(retell(mended, asked, said[0]))))
        elif right and diversify:
            other = next((t.text for t in right.rollout.others if t.author == weak), "")
            if other.strip() and other.split()[-1] != right.rollout.response.split()[-1]:
                found.append((right, _as_wrong(retell(right, asked, other))))
    return numbered(found)


def _as_wrong(sample: Sample) -> Sample:
    return replace(sample, verdict=replace(sample.verdict, outcome="wrong", reward=0.0))


def improved(sample: Sample, on: Sample, retell: Retell) -> Sample:
    """The sample's answer as an improvement on the other one's, which is read."""
    asked = [{"role": "assistant", "content": on.rollout.response}, {"role": "user", "content": IMPROVE}]
    return retell(sample, [*sample.rollout.task.prompt, *asked])


def win_rate(sample: Sample, rewards: np.ndarray) -> float:
    """Share of these rewards that the sample's reward beats, ties counting one half."""
    own = float(sample.verdict.reward or 0.0)
    return float(np.mean((own > rewards) + 0.5 * (own == rewards)))


def best_of(samples: Sequence[Sample]) -> list[Sample]:
    """The best answer to each prompt, the first of several: the filter of best-of-n and SuperHF (arXiv 2310.16763).

    A prompt whose answers are all worth nothing keeps none: the best of wrong answers teaches how to be wrong.
    """
    best = [max(group, key=lambda s: s.verdict.reward or 0.0) for group in by_prompt(samples)]
    return [s for s in best if s.verdict.reward]


def mixed(samples: Sequence[Sample], own: float = 0.5, *, demos: Sequence[Sample]) -> list[Sample]:
    """The student's own answers to a share of the prompts, the worked solutions of the others: the data of GKD.

    own  share of the prompts, the first ones of the step; a prompt without a worked solution keeps its own answers. The
         paper (arXiv 2306.13649, algorithm 1) draws a lot for each batch instead
    """
    groups = by_prompt(samples)
    shown = {demo.group: demo for demo in demos}
    found = [[shown[g[0].group]] if i >= own * len(groups) and g[0].group in shown else g for i, g in enumerate(groups)]
    return [sample for group in found for sample in group]


def by_prompt(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The samples that could be scored, by group, in order."""
    groups: dict[int, list[Sample]] = defaultdict(list)
    for sample in keep_all(samples):
        groups[sample.group].append(sample)
    return list(groups.values())


def extremes(group: Sequence[Sample], pairs: int, margin: float) -> list[tuple[Sample, Sample]]:
    """The i-th best with the i-th worst, at most `pairs`, while their rewards differ by more than `margin`."""
    ranked = sorted(group, key=lambda s: -(s.verdict.reward or 0.0))
    found = list(zip(ranked, reversed(ranked), strict=True))[: min(pairs, len(ranked) // 2)]
    return [(a, b) for a, b in found if (a.verdict.reward or 0.0) - (b.verdict.reward or 0.0) > margin]


def numbered(pairs: Iterable[tuple[Sample, Sample]]) -> list[Sample]:
    """Each pair as a group of its own, the better side first and with the higher reward."""
    found: list[Sample] = []
    for number, (better, worse) in enumerate(pairs):
        if (better.verdict.reward or 0.0) <= (worse.verdict.reward or 0.0):
            better, worse = rewarded(better, 1.0), rewarded(worse, 0.0)
        found += [replace(better, group=number), replace(worse, group=number, weight=better.weight)]
    return found


def rewarded(sample: Sample, reward: float) -> Sample:
    """The sample with another reward in the batch, and its judged one among the parts."""
    parts = {**sample.verdict.parts, "judged": float(sample.verdict.reward or 0.0)}
    return replace(sample, verdict=replace(sample.verdict, reward=reward, parts=parts))
