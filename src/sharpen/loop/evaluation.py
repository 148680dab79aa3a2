"""A model measured outside a run, with all tasks of all arms in one batch: what `sharpen eval` prints.

`evaluate_model` asks, `figures` counts. An answer's way to come out is that of `core.Tally`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from sharpen import estimate, models, rollouts, tasks, verify
from sharpen.core import Arm, Ask, RolloutGenerator, Sample, Task, TaskSource, came_out, tally
from sharpen.estimate import Estimate
from sharpen.guard import baseline
from sharpen.loop import again, telling
from sharpen.loop.session import answers
from sharpen.rollouts import Asking, asking
from sharpen.verify import Judges, code, final_answer, turns

Groups = Sequence[Sequence[Sample]]  # the answers to each task
UNVOTED = ("code_io", "rubric", "judge", "json")  # verifiers of answers that no two responses share letter for letter


def evaluate_model(
    model_dir: Path,
    source: TaskSource,
    n: int = 64,
    seed: int = 0,
    progress: Any = None,
    max_tokens: int | None = None,
    *,
    settings: Sequence[str] = (),
    samples: int = 1,
    temperature: float | None = None,
    precision: str = "auto",
    device: str = "auto",
    rollout: Callable[..., RolloutGenerator] = rollouts.single,
    attempts: int = 1,
    feedback: str = "unary",
    roles: Sequence[str] = (),
) -> dict[str, Any]:
    """Accuracy of a saved model on up to n test tasks of every arm, and how its answers came out.

    max_tokens   longest answer; None: what the model was trained with, or 256
    settings     KEY=VALUE: how it is asked, where that is not as its directory says (`telling.of_directory`)
    samples      answers to each task
    temperature  None: 0, greedy, or 1 where there are several samples
    rollout      how each task is asked
    attempts     > 1: so many at each task, with `feedback` between them (rollouts/feedback.py), of whom `roles` NAME=WHO gives
                 it where it takes another model; then the last is what counts, and `turns` has what happened between them

    Returns JSON: model, tasks, seed, samples, temperature, max_tokens, precision, device, seconds; truncated (share of answers
    cut at max_tokens); what `figures` says of all answers, and of each arm in `arms`; findings (what is wrong, in words) and
    examples (answers, verbatim). Raises UserError for several greedy samples, which are all the same, and FatalDiagnosis where
    the model's numbers are not finite.
    """
    told = telling.measured(model_dir, settings, samples, max_tokens, temperature)
    code.require(source)
    model, tokenizer = models.load_model(model_dir)
    told = telling.suited(told, tokenizer)
    answering = models.LocalPolicy(model, tokenizer, precision, device=device)
    rollout, judge = again.asked(attempts, feedback) if attempts != 1 else (rollout, verify.verify)
    speaking = again.speakers(feedback if attempts != 1 else "", roles, answering)
    stream = tasks.held_out(source, "test", n, seed)
    asked = [asking.told(Ask(task.prompt), task, told) for listed in stream.values() for task in listed]
    models.probe(answering, str(model_dir), asked, told.max_tokens)
    began = time.monotonic()
    by_arm = ask(answering, stream, told, rollout, samples, seed, progress, judge, speaking)
    made = [sample for groups in by_arm.values() for group in groups for sample in group]
    between = {"turns": turns.figures(again.episodes(made)), "feedback": feedback} if attempts != 1 else {}
    return {
        "model": str(model_dir),
        "tasks": source.name,
        "seed": seed,
        "samples": samples,
        **conditions(told, answering),
        "seconds": time.monotonic() - began,
        "truncated": sum(s.rollout.stop == "length" for s in made) / max(len(made), 1),
        **figures(by_arm),
        "arms": {str(arm): counted(groups) for arm, groups in by_arm.items()},
        "findings": findings(made, told.max_tokens),
        "examples": examples(made),
    } | between


def conditions(told: Asking, answering: models.LocalPolicy) -> dict[str, Any]:
    """What a figure depends on beside the tasks: how the model was asked, and computed."""
    return {
        "temperature": told.sampling.temperature,
        "max_tokens": told.max_tokens,
        "asked": str(told),
        "precision": str(answering.model.dtype).removeprefix("torch."),
        "device": str(answering.model.device),
    }


def ask(
    answering: models.LocalPolicy,
    stream: Mapping[Arm, Sequence[Task]],
    told: Asking,
    rollout: Callable[..., RolloutGenerator],
    samples: int,
    seed: int,
    progress: Any = None,
    judge: Callable[..., Any] = verify.verify,
    roles: rollouts.Roles | None = None,
) -> dict[Arm, Groups]:
    """The judged answers of each arm, task by task, all generated together. What the first of them says does not depend on how
    many there are."""
    asked = [(arm, i, task, j) for arm, own in stream.items() for i, task in enumerate(own) for j in range(samples)]
    ids = [f"eval.{arm}.{i:06d}" + (f".{j:03d}" if j else "") for arm, i, _, j in asked]
    if progress is not None:
        progress.phase("evaluate", total=len(ids))
    with Judges(judge) as judges:
        listed = [task for _, _, task, _ in asked]
        how: dict[str, Any] = {"progress": progress, "asking": told, "roles": roles}
        made = iter(answers(answering, told.max_tokens, told.sampling, rollout, judges, listed, ids, seed, **how))
    return {arm: [list(islice(made, samples)) for _ in own] for arm, own in stream.items()}


def findings(made: Sequence[Sample], max_tokens: int) -> list[str]:
    """What is wrong with these answers, in words, and the cure."""
    verifiers = {s.rollout.task.verifier for s in made}
    found = [
        d.cure for d in baseline.look(tally(made), verify.instructed(verifiers), max_tokens=max_tokens, knobs=baseline.EVAL)
    ]
    lost = [s.verdict for s in made if s.verdict.reward is None]
    if lost:
        said = lost[-1].feedback.strip() or lost[-1].rule
        found.append(
            f"{len(lost):,} of {len(made):,} answers could not be judged, which is no fault of the model. The last: {said}"
        )
    return found


def examples(made: Sequence[Sample]) -> list[dict[str, Any]]:
    """Answers that show how they come out, verbatim (`baseline.pick`)."""
    kinds = [came_out(s.verdict.outcome, s.rollout.stop) for s in made]
    return [baseline.example(made[i]) for i in baseline.pick(kinds, [s.rollout.task.id for s in made])]


def figures(told: Mapping[Arm, Groups]) -> dict[str, Any]:
    """What all answers come to. Accuracy, pass and majority are means over arms, so that an arm with more tasks does not count
    more; `share` is the accuracy of all answers together, of which outcomes, readable and right_of_readable are too."""
    together = counted([group for groups in told.values() for group in groups])
    by_arm = [estimates(groups) for groups in told.values()]
    names = dict.fromkeys(name for found in by_arm for name in found)
    means = {name: estimate.mean([found.get(name) for found in by_arm]) for name in names}
    return {
        **shown(means["accuracy"], "accuracy"),
        "share": {key: together[key] for key in ("accuracy", "ci95", "n")},
        **{key: together[key] for key in ("outcomes", "readable", "right_of_readable")},
        **{name: shown(found) for name, found in means.items() if name.startswith(("pass@", "maj@"))},
    }


def counted(groups: Groups) -> dict[str, Any]:
    """What these answers come to: accuracy with ci95 and n tasks, outcomes (counts of answers), and shares with their own."""
    found = estimates(groups)
    outcomes = vars(tally(s for group in groups for s in group))
    return {**shown(found.pop("accuracy"), "accuracy"), "outcomes": outcomes, **{n: shown(e) for n, e in found.items()}}


def estimates(groups: Groups) -> dict[str, Estimate | None]:
    """accuracy, readable, right_of_readable; with several answers to a task also pass@1, 2, 4, … and maj@k.

    Intervals count tasks, not answers: several answers to a task are not independent. Of a value between 0 and 1 for each task
    Wilson's interval is no narrower than it should be.
    """
    judged = [[s for s in group if s.verdict.reward is not None] for group in groups]
    judged = [group for group in judged if group]
    right = [sum(s.verdict.correct for s in group) for group in judged]
    read = [sum(s.verdict.outcome != "malformed" for s in group) for group in judged]
    sizes = [len(group) for group in judged]
    found = {
        "accuracy": estimate.share(sum(r / n for r, n in zip(right, sizes)), len(judged)),
        "readable": estimate.share(sum(r / n for r, n in zip(read, sizes)), len(judged)),
        "right_of_readable": estimate.share(sum(a / b for a, b in zip(right, read) if b), sum(b > 0 for b in read)),
    }
    most = max(map(len, groups), default=1)
    if most == 1:
        return found
    for k in [*(2**i for i in range(most.bit_length()) if 2**i < most), most]:
        tried = [(r, n) for r, n in zip(right, sizes) if n >= k]
        found[f"pass@{k}"] = estimate.share(sum(estimate.any_of(r, n, k) for r, n in tried), len(tried))
    if not any(s.rollout.task.answer is None or s.rollout.task.verifier in UNVOTED for group in judged for s in group):
        found[f"maj@{most}"] = estimate.share(sum(map(voted, judged)), len(judged))
    return found


def voted(group: Sequence[Sample]) -> float:
    """maj@k of one task (`estimate.vote`). Wrong answers that are written differently, apart from case and spacing, split
    their votes."""

    def said(sample: Sample) -> str:
        read = sample.verdict.outcome != "malformed"
        return " ".join(final_answer(sample.rollout.task, sample.rollout.response)[0].casefold().split()) if read else ""

    return estimate.vote([(said(sample), sample.verdict.correct) for sample in group])


def shown(found: Estimate | None, name: str = "value") -> dict[str, Any]:
    if found is None:
        return {name: None, "ci95": None, "n": 0}
    return {name: found.value, "ci95": [found.low, found.high], "n": found.n}
