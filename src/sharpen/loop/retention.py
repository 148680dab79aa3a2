"""What a model knew that nobody trains it on: a few questions, asked at the start and after each round.

They belong to the guard's evidence. Nobody is asked them where the recipe's guard does not ask for `retained`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sharpen import models, rollouts, tasks, verify
from sharpen.core import GREEDY, Arm, Evaluation, Interrupted, Task, TaskSource, UserError
from sharpen.hashing import question_key
from sharpen.loop.session import Run, answers, evaluated, stop_if_unjudged, watching
from sharpen.recipe import Method, Recipe, asked_for, opening
from sharpen.tasks import held_out, parse_spec
from sharpen.verify import Judges

AUTO = "auto"
SUITE = "retention"  # what a model that is brought is asked
# What an embedded student is asked: nobody taught it, so that most of it may be luck, and is then nothing to lose.
OTHERS = ("letter_counting/1", "count_bits/1", "gcd/1", "chain_sum/1")
MOST = 20_000  # training questions of a file that are looked through for those of the suite
PURPOSE = "retention"


def wanted(recipe: Recipe) -> bool:
    """Whether anybody asks."""
    return "retained" in asked_for(recipe.guard) and bool(recipe.retention and recipe.retain)


def questions(method: Method, recipes: Sequence[Recipe], source: TaskSource, seed: int) -> dict[Arm, list[Task]]:
    """The questions of a run, the same in all its stages; empty where nobody asks, or none is left that is not trained on.

    UserError where the recipe names tasks for it that are also trained on, or that cannot be read.
    """
    recipe = opening(method)
    if not any(map(wanted, recipes)):
        return {}
    families = {arm.family for arm in source.arms}
    if recipe.retention != AUTO:
        named = parse_spec(recipe.retention)
    elif recipe.student in models.embedded.STUDENTS:
        left = [name for name in OTHERS if name.partition("/")[0] not in families][:2]
        if not left:
            return {}
        named = parse_spec(",".join(left))
    else:
        named = tasks.retention()
    if trained := sorted(str(arm) for arm in set(named.arms) & set(source.arms)):
        raise UserError(
            f"retention={recipe.retention}: {', '.join(trained)} would be trained on too. Name other tasks, or '' for none."
        )
    found = held_out(named, "test", max(recipe.retain // len(named.arms), 1), seed)
    shown = trained_on(source, seed)
    kept = {arm: [task for task in own if question_key(task.prompt) not in shown] for arm, own in found.items()}
    return {arm: own for arm, own in kept.items() if own}


def trained_on(source: TaskSource, seed: int) -> set[str]:
    """The training questions of finite arms, up to MOST of each."""
    sizes = {arm: source.size(arm, "train") for arm in source.arms}
    return {
        question_key(source.draw(arm, "train", i, seed).prompt) for arm, n in sizes.items() for i in range(min(n or 0, MOST))
    }


def measure(this: Run, step: int, number: int, stops: bool = False) -> Evaluation | None:
    """Ask them, greedily and in their own words; None where there is nothing to ask. `stops` as in `session.watching`."""
    stream: Mapping[Arm, Sequence[Task]] = this.held_out.get(PURPOSE, {})
    if not stream or not wanted(this.recipe):
        return None
    listed = [task for own in stream.values() for task in own]
    this.progress.phase("evaluate on what is not practised", total=len(listed))
    ids = [f"{PURPOSE}.{number:05d}.{i:06d}" for i in range(len(listed))]
    told, longest = replace(this.asking, prompt_suffix=""), max(stage.recipe.max_tokens for stage in this.stages)
    phase = "evaluate" if number > this.at.round else "baseline"
    with this.timed(phase, step), this.policy.averaged(), watching(this, stops), plain(this) as judges:
        how = None, this.progress, told
        greedy = replace(GREEDY, stop=this.recipe.stop)
        samples = answers(this.policy, longest, greedy, rollouts.single, judges, listed, ids, this.seed, *how)
        stop_if_unjudged(samples, this.recipe.unscorable_limit)
    found = evaluated(stream, samples)
    with this.timed("store", step):
        this.store.add_samples(PURPOSE, step, number, samples)
        this.store.add_evaluation(number, PURPOSE, found)
    return found


@contextmanager
def plain(this: Run) -> Iterator[Judges]:
    """Who judges by the questions' own verifiers: the run's judges where they do so too, whose processes are there already."""
    if isinstance(this.judges, Judges) and this.judges.verify is verify.verify:
        yield this.judges
    else:
        with Judges(verify.verify) as judges:
            yield judges


def begin(this: Run, step: int, rounds: Sequence[Mapping[str, object]]) -> None:
    """Ask them of the weights with which the stage begins, once: what later rounds are compared with."""
    number = len(rounds) - 1
    if number > this.at.round or this.state.retained:
        return
    try:
        found = measure(this, step, number, stops=True)
    except Interrupted as asked:
        raise KeyboardInterrupt from asked  # what was committed last is all there is
    if found is not None:
        this.state.retained.append(found)
        this.state.settled = this.state.settled[0], 1
        this.progress.say(f"retention: {found.accuracy:.1%} of {found.n} questions that are never trained on")
