"""Recipes that change themselves: an archive of recipe files, each tried at equal budget, and kept if it can run.

1. The root is the recipe that was named. A member is changed (changes.py, or a role: trusted.py) into a child, which is written
   as a file, built and checked; tasks, verifier, student and sizes of the splits have to be the root's.
2. A trial of a member is a run with the next seed, held against the root's run of that seed on the validation stream;
   its outcome, from 0 to 1, is how surely it was better. archive.py says who is changed and who is tried.
3. At the end the member that is best for sure is set against the root with fresh seeds on the test split.

What a role wrote and is imported (`--trust`) runs in a process of its own with a deadline, and its weights are measured again
by this one.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from sharpen import hashing
from sharpen.compare import paired
from sharpen.core import Evaluation, UserError
from sharpen.estimate import Z
from sharpen.guard import parse_budget
from sharpen.outer import apart, asked, changes, engine, files, runs, trusted
from sharpen.outer import archive as members
from sharpen.outer.archive import Archive
from sharpen.outer.files import Genome
from sharpen.outer.history import Candidate, Failed, Failure, Score, finished, read
from sharpen.outer.population import Loop, Plan, built, foreign, fresh, genome_of, genomes, standing
from sharpen.outer.tuning import FRESH, begin, told_verdict
from sharpen.recipe import Recipe
from sharpen.recipes import catalog
from sharpen.store import checkpoints, database
from sharpen.view import trees

IN_A_ROW = 20  # changes that fail one after another, after which it is over


def evolve(directory: Path, plan: Plan, progress: Any) -> dict[str, Any]:
    """Go on until the budget is spent, then the report, as JSON. UserError where every change failed."""
    if plan.by not in members.PARENTS:
        raise UserError(f"--by {plan.by}: there are {', '.join(members.PARENTS)}.")
    runs.parse(plan.each)
    if plan.total and parse_budget(plan.total).kind != "seconds":
        raise UserError(f"--budget {plan.total}: this is a time, such as 8h. How many runs at most: --runs.")
    root = catalog.build(plan.recipe, plan.settings, model=plan.model, tasks=plan.tasks)
    if not isinstance(root, Recipe):
        raise UserError(f"{plan.recipe} has several stages: an evolution changes recipes of one.")
    speak = asked.speaker(plan.proposer, longest=1024) if plan.proposer else None
    with ExitStack() as stack:
        with database.explained(directory):
            directory.mkdir(parents=True, exist_ok=True)
            stack.enter_context(database.locked(directory))
            begin(directory / "evolve.json", plan)
            (directory / "recipes").mkdir(exist_ok=True)
        package = trusted.package() if plan.trust else ""
        this = Loop(directory, plan, root, read(directory / "history.jsonl"), speak, progress, package)
        if not this.history.entries:
            genome = files.as_json(Genome(plan.recipe))
            this.history.add(Candidate(0, genome, "root"))
        runs.trials(this.setting, "root", plan.recipe, (), (plan.seed,))  # tells now what every candidate would fail by
        note(this)
        while one_step(this):
            note(this)
        return report(this)


def one_step(this: Loop) -> bool:
    """A change, or one more trial. Whether there is more to do."""
    history, plan = this.history, this.plan
    trials = [s for s in history.of(Score) if s.number]
    spent = len(trials) + len(history.failed)
    if over(this, spent):
        return False
    archive = standing(history)
    rng = np.random.default_rng(hashing.derive(plan.seed, len(history.entries), "evolve", 0))
    tau = members.temperature(plan.most, min(spent, plan.most))
    newest = history.candidates[-1]
    if newest.number and newest.number not in finished(history.entries):  # a child is tried at its birth
        engine.attempt(history, newest, 1.0, lambda c, share: tried(this, c), this.progress.say)
    elif plan.by != "hgm" or members.grows(archive, spent):
        change(this, archive, members.PARENTS[plan.by](archive, tau, rng), rng)
    else:
        number = members.again(archive, tau, rng)
        assert number is not None
        candidate = history.candidates[number]
        engine.attempt(history, candidate, 1.0, lambda c, share: tried(this, c), this.progress.say)
    return True


def over(this: Loop, spent: int) -> bool:
    """Whether the budget is spent. UserError where nothing but failures came, one after another."""
    last = [e for e in this.history.entries if not isinstance(e, Candidate)][-IN_A_ROW:]
    if len(last) == IN_A_ROW and all(isinstance(e, Failure) for e in last):
        if len(standing(this.history).nodes) == 1:
            raise UserError(engine.all_failed(this.history))
        this.progress.say(f"the last {IN_A_ROW} changes all failed: it ends here")
        return True
    seconds = sum(float(s.more.get("wall", 0.0)) for s in this.history.of(Score)) + sum(
        f.wall for f in this.history.of(Failure)
    )
    return spent >= this.plan.most or bool(this.plan.total and seconds >= parse_budget(this.plan.total).amount)


def change(this: Loop, archive: Archive, parent: int, rng: np.random.Generator) -> None:
    """A child of that member: written, built and checked; or a failure with its reason."""
    number = len(this.history.candidates)
    values: dict[str, Any] = {}
    who = "knobs"
    try:
        if this.speak and rng.random() < 0.5:
            who = "role"
            values = written(this, archive, parent, number)
        else:
            fixed = {setting.partition("=")[0].strip() for setting in this.plan.settings}
            genome, said = changes.changed(genome_of(this, parent), built(this, parent), genomes(this, archive), rng, fixed)
            values = files.as_json(genome) | {"change": said}
        this.history.add(Candidate(number, values, who, (parent,)))
        fresh(this, number)
        if foreign(this, genome_of(this, number)):
            apart.fit(this, this.history.candidates[number])
        this.progress.say(f"{number} from {parent}: {values['change']}")
    except trusted.Tampered:
        raise
    except UserError as error:
        if len(this.history.candidates) == number:
            this.history.add(Candidate(number, values, who, (parent,)))
        this.history.add(Failure(number, str(error)))
        this.progress.say(f"{number} from {parent} is no recipe: {error}")


def written(this: Loop, archive: Archive, parent: int, number: int) -> dict[str, Any]:
    """What a role writes for a child. Its failures are UserErrors."""
    assert this.speak is not None
    shown = {str(genome_of(this, n)): archive.nodes[n].score for n in archive.nodes if n}
    text = changes.told(genome_of(this, parent), built(this, parent), shown, list(this.history.failed.values()))
    said = this.speak([trusted.asked(text, this.plan.trust)], 1.0, hashing.derive(this.plan.seed, number, "evolve", 1))[0]
    code = trusted.program(said)
    if not this.plan.trust:
        return files.as_json(trusted.printed(code)) | {"change": "written by the role"}
    path = this.file(number)
    path.write_text(code, encoding="utf-8")
    return {"file": path.name, "digest": checkpoints.digest(path), "change": "a file of the role's"}


def tried(this: Loop, candidate: Candidate) -> Score:
    """One more trial of a member, with its next seed, beside the root's run of that seed. Raises Failed, with what it took."""
    seed = this.plan.seed + sum(s.number == candidate.number for s in this.history.of(Score))
    began = time.monotonic()
    try:
        root = runs.measured(this.setting, "root", this.plan.recipe, (), seeds=(seed,))
        if seed not in {s.seed for s in this.history.of(Score)} and (said := runs.blind(root, this.plan.each)):
            this.progress.say(said)
        if foreign(this, genome_of(this, candidate.number)):
            before, found, cost = apart.measured(this, candidate, seed, "validation", time.monotonic() - began)
        else:
            built(this, candidate.number)  # writes the file, which a kill may have forestalled
            own = runs.measured(this.setting, f"c{candidate.number:03d}", str(this.file(candidate.number)), (), seeds=(seed,))
            before, found, cost = root.validation[0], own.validation[0], own.tokens / max(root.tokens, 1)
        outcome, gain = against(before, found)
    except trusted.Tampered:
        raise
    except (Failed, UserError) as error:
        raise Failed(str(error), time.monotonic() - began) from error
    more = {"gain": gain, "accuracy": found.accuracy, "root": before.accuracy, "cost": cost, "wall": time.monotonic() - began}
    return Score(candidate.number, 1.0, outcome, 0.0, seed, more)


def against(root: Evaluation, member: Evaluation) -> tuple[float, float]:
    """(how surely the member is better, by how much): the normal probability of a gain, by the tasks of one seed."""
    found = paired.difference([paired.scores(root)], [paired.scores(member)])
    if found is None:
        raise Failed("no task was judged in both")
    error = (found.high - found.low) / 2 / Z
    return NormalDist().cdf(found.value / error), found.value


def report(this: Loop) -> dict[str, Any]:
    """The tree, the chosen member, and what it is worth with fresh seeds on the test split; kept in report.json and a page."""
    from sharpen.outer import page

    archive = standing(this.history)
    if len(archive.nodes) == 1 and this.history.failed:
        raise UserError(engine.all_failed(this.history))
    winner = members.chosen(archive)
    gains = [float(s.more["gain"]) for s in this.history.of(Score) if s.number == winner and s.number]
    seeds = tuple(range(this.plan.seed + FRESH, this.plan.seed + FRESH + this.plan.confirm))
    gain = None
    if winner and seeds:
        began = time.monotonic()
        root = runs.measured(this.setting, "root", this.plan.recipe, (), seeds=seeds)
        if foreign(this, genome_of(this, winner)):
            gain = apart.gain(this, this.history.candidates[winner], seeds, time.monotonic() - began)
        else:
            gain = runs.gain(root, runs.measured(this.setting, f"c{winner:03d}", str(this.file(winner)), (), seeds=seeds))
    chosen = float(np.mean(gains)) if gains else 0.0
    tried_once = [float(s.more["gain"]) for s in this.history.of(Score) if s.number]
    spread = float(np.std(tried_once)) / math.sqrt(max(len(gains), 1)) if len(tried_once) > 1 else 0.0
    reported = gain["value"] if gain else 0.0
    made = {
        "directory": str(this.directory),
        "recipe": this.plan.recipe,
        "by": this.plan.by,
        "winner": winner,
        "verdict": told_verdict(this.history.candidates[winner], gain),
        "gain": gain,
        "optimism": {
            "chosen": chosen,
            "reported": reported,
            "gap": chosen - reported,
            "luck": engine.luck(len(archive.nodes) - 1, spread),
        },
        "members": [row(this, archive, c) for c in this.history.candidates],
        "file": str(final(this, winner, gain)),
    }
    note(this, str(made["verdict"]))
    (this.directory / "report.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    made["page"] = str(page.render(this.directory, made))
    return made


def note(this: Loop, verdict: str = "") -> None:
    """How it stands, for the page of `sharpen view`."""
    plan, archive = this.plan, standing(this.history)
    done = sum(s.number > 0 for s in this.history.of(Score)) + len(this.history.failed)
    about: dict[str, Any] = dict(command="evolve", recipe=plan.recipe, by=plan.by, done=done, of=plan.most, verdict=verdict)
    rows = [row(this, archive, c) for c in this.history.candidates]
    trees.write(this.directory, **about, winner=members.chosen(archive), members=rows)


def final(this: Loop, winner: int, gain: Any) -> Path:
    """The chosen recipe as a file at the top, for a person."""
    path = this.directory / "recipe.py"
    genome = genome_of(this, winner)
    if "file" in this.history.candidates[winner].values:
        path.write_text(Path(genome.base).read_text("utf-8"), encoding="utf-8")
        return path
    claim = f"Evolved from {this.plan.recipe}: {told_verdict(this.history.candidates[winner], gain)}."
    put = files.put if foreign(this, genome) else files.write
    put(path, genome, claim, this.plan.recipe, " then ".join(lineage(this, winner)) or "nothing")
    return path


def lineage(this: Loop, number: int) -> list[str]:
    """The changes from the root to a member."""
    found: list[str] = []
    while number:
        candidate = this.history.candidates[number]
        found.insert(0, str(candidate.values["change"]))
        number = candidate.parents[0]
    return found


def row(this: Loop, archive: Archive, candidate: Candidate) -> dict[str, Any]:
    """A member as JSON."""
    node = archive.nodes.get(candidate.number)
    scores = [s for s in this.history.of(Score) if s.number == candidate.number]
    return {
        "number": candidate.number,
        "parent": candidate.parents[0] if candidate.parents else None,
        "by": candidate.by,
        "change": candidate.values.get("change", candidate.by),
        "failed": this.history.failed.get(candidate.number),
        "trials": len(scores),
        "score": node.score if node and scores else None,
        "productivity": archive.productivity(candidate.number) if node else None,
        "gain": float(np.mean([s.more["gain"] for s in scores])) if scores else None,
        "cost": float(np.mean([s.more["cost"] for s in scores if "cost" in s.more] or [math.nan])) if scores else None,
    }
