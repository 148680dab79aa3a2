"""Self-correction methods at equal budget, from the same students: python bench/self_correction.py [NAME …] [--seeds 0 1 2]

1. For each seed a micro student imitates worked solutions of the step chain, half of them as revisions of an attempt, until it
   is right at once in some 40 % of new questions: then there is something to learn, and something to learn from.
2. Each method goes on from it until it has sampled so many tokens. Its own attempts at the test split are counted.
3. A line of JSON for each run, as it ends; then a table: right at first and at last, what was mended and spoilt, the gain from
   the first attempt to the last with its 95 % interval over the tasks of all seeds, and how many last attempts are copies.

A NAME may have settings, such as score:hold.objective.beta=0.3. What is in the directory already is not made again, and a run
that was interrupted goes on.

--feedback NAME  what stands between the attempts of score and of self_correct (rollouts/feedback.py), in training, in what the
                 student is shown before, and in the test; right attempts are told that they are, and may be spoilt. Without it:
                 the same words always
Beside the greedy test, as many tasks are tried at temperature 1, at which the methods learn: `drawn` in the lines of JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sharpen import rollouts, tasks
from sharpen.core import GREEDY, PLAIN, Arm, FatalDiagnosis, RolloutGenerator, Sample, Task, UserError, Verdict
from sharpen.data import make_batch
from sharpen.estimate import change
from sharpen.models import LocalPolicy, embedded, load_model
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes import catalog
from sharpen.store import Store
from sharpen.verify import each_turn as verify_turns
from sharpen.verify import turns, verify

METHODS = ("grpo", "self_correct", "score", "rise", "ufo", "spoc", "agent_r", "lemma", "s3c_math", "toolace_r", "rise_verify")
SAME = ("precision=fp32", "lr=0.0005", "max_tokens=28", "round_steps=1000", "validation=20", "test=500", "prompt_suffix=")
SHOWN = (rollouts.self_correct, rollouts.retry)  # whose words the student knows
TOLD = ("score", "self_correct")  # methods with feedback as a parameter
ROWS = 96
LOOK, LOOKED = 25, 120  # steps of imitation between two looks, and questions of each
DRAWN = 500  # test tasks that are tried at temperature 1
Way = Callable[..., RolloutGenerator]


def words(names: Sequence[str], shown: Sequence[Way]) -> list[str]:
    """What these methods say between attempts, and what the student is shown."""
    ways = [*shown, *(recipe.rollout for name in names for recipe in recipes(name))]
    return list(dict.fromkeys(text for way in ways for text in rollouts.phrases(way)))


def recipes(name: str, settings: Sequence[str] = ()) -> list[Recipe]:
    built = catalog.build(name, settings)
    return [built] if isinstance(built, Recipe) else [stage.recipe for stage in built.stages]


def student(directory: Path, name: str, level: int, steps: int, until: float, seed: int, shown: Sequence[Way] = SHOWN) -> Path:
    """A student that is right at once in this share of new questions, or after so many steps of imitation; in a directory."""
    if (directory / "config.json").exists():
        return directory
    source = tasks.step_chain(level, level)
    policy = LocalPolicy(*embedded.build(name, source, seed, words(METHODS, shown)), "fp32")
    for step in range(steps):
        listed = [drawn(source, step * ROWS + i, seed) for i in range(ROWS)]
        made = []
        for part, way in enumerate(shown):
            own = listed[part :: len(shown)]
            ids = [f"shown.{step}.{part}.{i}" for i in range(len(own))]
            made += rollouts.drive(policy, partial(way, shown=True), own, ids, seed=seed, max_tokens=0, sampling=PLAIN)
        batch = make_batch([Sample(r, Verdict("correct", 1.0), i) for i, r in enumerate(made)])
        policy.update(batch, policy_gradient.sft(), 3e-3 * min(1.0, (step + 1) / 20))
        if step % LOOK == LOOK - 1 and (right := at_once(policy, source, seed)) >= until:
            print(json.dumps(dict(student=name, seed=seed, steps=step + 1, right=right)), flush=True)
            break
    policy.save(directory)
    return directory


def at_once(policy: LocalPolicy, source: Any, seed: int) -> float:
    """The share of new training questions that are answered right in one attempt, greedily."""
    listed = [drawn(source, 10**6 + i, seed) for i in range(LOOKED)]
    ids = [f"look.{i}" for i in range(LOOKED)]
    made = rollouts.drive(policy, rollouts.single, listed, ids, seed=seed, max_tokens=28, sampling=GREEDY)
    return sum(verify(one.task, one.response).correct for one in made) / LOOKED


def drawn(source: Any, number: int, seed: int) -> Task:
    return source.draw(Arm("step_chain", source.arms[number % len(source.arms)].level), "train", number, seed)


def run(directory: Path, text: str, model: Path, told: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The report of a method's run, which is made or gone on with where it is not finished."""
    from sharpen import report
    from sharpen.loop import Request, resume, start
    from sharpen.terminal import Quiet

    kept = directory / "found.json"
    if not kept.exists():
        name, settings = set_as(text, told)
        if (directory / "run" / "run.db").exists():
            resume(directory / "run", Quiet())
        else:
            start(
                Request(
                    name,
                    settings,
                    seed,
                    told.budget,
                    str(model),
                    "step_chain",
                    directory / "run",
                ),
                Quiet(),
            )
        found = report.summary(directory / "run")
        figures = {key: found[key] for key in ("before", "after", "turns", "steps", "seconds", "tokens")}
        way = recipes(name, settings)[-1].rollout
        kept.write_text(json.dumps(figures | {"drawn": drawn_turns(directory / "run", way, told, seed)}))
    return json.loads(kept.read_text())


def set_as(text: str, told: argparse.Namespace) -> tuple[str, tuple[str, ...]]:
    """A NAME's method, and its settings."""
    name, *own = text.split(":")
    given = [*SAME, f"tasks.levels={told.level}", f"tasks.lowest={told.level}", *told.set]
    given += [f"feedback={told.feedback}"] if told.feedback and name in TOLD else []
    return name, tuple(f"{key}={value}" for key, value in dict(one.split("=", 1) for one in (*given, *own)).items())


def drawn_turns(directory: Path, way: Way, told: argparse.Namespace, seed: int) -> dict[str, Any]:
    """What the last weights that were kept do at temperature 1 on the test split: the share right at first and at last, mended,
    spoilt, and the share of copies."""
    with Store.open(directory) as store:
        last = store.last_commit()
        assert last is not None and last.accepted is not None
        policy = LocalPolicy(*load_model(store.checkpoint_path(last.accepted)), "fp32")
    source = tasks.step_chain(told.level, told.level)
    listed = [source.draw(source.arms[0], "test", i, seed) for i in range(DRAWN)]
    ids = [f"drawn.{i:06d}" for i in range(DRAWN)]
    made = rollouts.drive(policy, way, listed, ids, seed=seed, max_tokens=28, sampling=PLAIN)
    found = [verify_turns(one.task, one.response, turns=one.turns) for one in made]
    seen = turns.figures([e for v, one in zip(found, made) if (e := turns.episode(v.parts, one.turns))])
    flow = seen["between"][-1] if seen else {}
    return {
        "right": [e["value"] for e in seen["accuracy"]] if seen else [float(np.mean([v.correct for v in found]))],
        "mended": flow.get("wrong_to_right"),
        "spoilt": flow.get("right_to_wrong"),
        "copies": flow["copies"]["value"] if flow else None,
    }


def line(name: str, seed: int, found: dict[str, Any]) -> dict[str, Any]:
    """What counts of a run. One that tries once is right at first as at last."""
    last, between = found["after"]["accuracy"], found["turns"]["after"]
    flows = between["between"] if between else []
    first = between["accuracy"][0]["value"] if between else last
    counts = {key: sum(f[key] for f in flows) for key in ("wrong_to_right", "right_to_wrong")}
    copies = flows[-1]["copies"]["value"] if flows else None
    row = dict(method=name, seed=seed, before=found["before"]["accuracy"], first=first, last=last, **counts, copies=copies)
    row["drawn"] = found["drawn"]
    return row | dict(tasks=found["after"]["n"], steps=found["steps"], tokens=found["tokens"], seconds=found["seconds"])


def table(rows: Sequence[dict[str, Any]]) -> None:
    print("method\tfirst\tlast\tgain\t95 %\tmended\tspoilt\tcopies\tseeds")
    for name in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == name]
        mended, spoilt, n = (sum(row[key] for row in own) for key in ("wrong_to_right", "right_to_wrong", "tasks"))
        first, last = (float(np.mean([row[key] for row in own])) for key in ("first", "last"))
        gain = change(mended, spoilt, n) if n else None
        copied = [row["copies"] for row in own if row["copies"] is not None]
        ends = f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}" if gain else ""
        share = f"{np.mean(copied):.0%}" if copied else ""
        print(f"{name}\t{first:.1%}\t{last:.1%}\t{100 * (last - first):+.1f}\t{ends}\t{mended}\t{spoilt}\t{share}\t{len(own)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"[default: {' '.join(METHODS)}]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--student", default="micro")
    parser.add_argument("--level", type=int, default=4)
    parser.add_argument("--imitate", type=int, default=3000, help="steps at most")
    parser.add_argument("--until", type=float, default=0.4, help="right at once")
    parser.add_argument("--feedback", default="", choices=["", *rollouts.feedback.FEEDBACK], metavar="NAME")
    parser.add_argument("--budget", default="600ktokens")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="A setting for all methods.")
    parser.add_argument("--out", type=Path, default=Path("runs/self_correction"))
    told = parser.parse_args()
    feedback = rollouts.feedback.named(told.feedback, until_right=False) if told.feedback else None
    shown = SHOWN if feedback is None else (partial(rollouts.retry, feedback=feedback),)
    rows = []
    for seed in told.seeds:
        model = student(told.out / f"student-{seed}", told.student, told.level, told.imitate, told.until, seed, shown)
        for name in told.names or METHODS:
            try:
                found = run(told.out / f"{name.replace(':', '-')}-{seed}", name, model, told, seed)
            except (FatalDiagnosis, UserError) as error:  # the doctor stopped it, say: the others go on
                print(json.dumps(dict(method=name, seed=seed, stopped=str(error))), flush=True)
                continue
            rows.append(line(name, seed, found))
            print(json.dumps(rows[-1]), flush=True)
    table(rows)


if __name__ == "__main__":
    main()
