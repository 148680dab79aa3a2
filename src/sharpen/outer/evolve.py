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
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from sharpen import hashing, loop, models, rollouts, tasks
from sharpen.compare import paired
from sharpen.core import GREEDY, Evaluation, UserError
from sharpen.estimate import Z
from sharpen.guard import parse_budget
from sharpen.outer import archive as members
from sharpen.outer import asked, changes, engine, files, runs, trusted
from sharpen.outer.archive import Archive, Node
from sharpen.outer.files import Genome
from sharpen.outer.history import Candidate, Failed, Failure, History, Score, finished, read
from sharpen.outer.tuning import FRESH, begin, told_verdict
from sharpen.recipe import Method, Recipe, identities
from sharpen.recipes import catalog
from sharpen.store import Store, checkpoints, database

IN_A_ROW = 20  # changes that fail one after another, after which it is over
PATIENCE = 20.0  # times as long as the root's run may a role's code take
LEAST_S = 300.0


@dataclass(frozen=True)
class Plan:
    """What was asked for.

    recipe    the root
    total     budget of the whole: seconds of runs, as text; "": as many runs as `most`
    most      runs of members, those of the root not counted
    each      budget of one run
    by        "hgm", "dgm" or "greedy"
    proposer  who writes changes, "" for nobody; trust: whole recipe files, which are imported
    """

    recipe: str
    total: str = ""
    most: int = 40
    each: str = "60steps"
    by: str = "hgm"
    seed: int = 0
    confirm: int = 3
    model: str | None = None
    tasks: str | None = None
    settings: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    proposer: str = ""
    trust: bool = False


@dataclass(frozen=True)
class Loop:
    """An evolution under way: its parts, made once."""

    directory: Path
    plan: Plan
    root: Recipe
    history: History
    speak: asked.Speak | None
    progress: Any

    @property
    def setting(self) -> runs.Setting:
        p = self.plan
        return runs.Setting(self.directory, p.each, (p.seed,), p.model, p.tasks, p.settings, p.roles)

    def file(self, number: int) -> Path:
        return self.directory / "recipes" / f"c{number:03d}.py"


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
        this = Loop(directory, plan, root, read(directory / "history.jsonl"), speak, progress)
        if not this.history.entries:
            genome = files.as_json(Genome(plan.recipe))
            this.history.add(Candidate(0, genome, "root"))
        runs.trials(this.setting, "root", plan.recipe, (), (plan.seed,))  # tells now what every candidate would fail by
        while one_step(this):
            pass
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
    seconds = sum(float(s.more.get("wall", 0.0)) for s in this.history.of(Score))
    return spent >= this.plan.most or bool(this.plan.total and seconds >= parse_budget(this.plan.total).amount)


def standing(history: History) -> Archive:
    """The members, with what is known of them."""
    outcomes: dict[int, list[float]] = {c.number: [] for c in history.candidates if c.number not in history.failed}
    for score in history.of(Score):
        if score.number in outcomes:
            outcomes[score.number].append(score.value)
    parent = {c.number: c.parents[0] if c.parents else None for c in history.candidates}
    for number in parent:  # a failed member's children belong to its parent
        while (above := parent[number]) is not None and above in history.failed:
            parent[number] = parent[above]
    return Archive({n: Node(n, parent[n], tuple(found)) for n, found in outcomes.items()})


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
            genome, said = changes.changed(genome_of(this, parent), built(this, parent), genomes(this, archive), rng)
            values = files.as_json(genome) | {"change": said}
        this.history.add(Candidate(number, values, who, (parent,)))
        fresh(this, number)
        this.progress.say(f"{number} from {parent}: {values['change']}")
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
    trusted.tried(path)
    return {"file": path.name, "digest": checkpoints.digest(path), "change": "a file of the role's"}


def genome_of(this: Loop, number: int) -> Genome:
    """What a member is. UserError for a file of a role's that has changed, or that is not trusted now."""
    values = this.history.candidates[number].values
    if "file" in values:
        path = this.file(number)
        if not this.plan.trust or not path.is_file() or checkpoints.digest(path) != values["digest"]:
            raise UserError(f"{path} is not what the role wrote, or is not trusted: it is not run")
        return Genome(str(path))
    own = [str(this.file(c.number)) for c in this.history.candidates if "file" in c.values] if this.plan.trust else []
    return files.parsed(values, [this.plan.recipe, *own])


def genomes(this: Loop, archive: Archive) -> list[Genome]:
    return [genome_of(this, n) for n in archive.nodes]


def foreign(this: Loop, genome: Genome) -> bool:
    """Whether it imports what a role wrote."""
    return genome.base.endswith(".py") and genome.base != this.plan.recipe


def built(this: Loop, number: int) -> Recipe:
    """The member's recipe, its file written anew from what it is. UserError where it cannot run, or changes what all share."""
    if number == 0:
        return this.root
    candidate, genome = this.history.candidates[number], genome_of(this, number)
    if foreign(this, genome):  # never imported here: its process has looked at it
        return this.root
    parent = candidate.parents[0]
    claim = f"Evolved from {this.plan.recipe}: {genome}."
    files.write(this.file(number), genome, claim, this.plan.recipe, f"{candidate.values['change']}, from member {parent}")
    listed = runs.trials(this.setting, f"c{number:03d}", str(this.file(number)), (), (this.plan.seed,))
    made = loop.build_recipe(listed[-1].request)
    assert isinstance(made, Recipe)
    before, after = identities(this.root), identities(made)
    for name in files.FROZEN:
        if name in before and name != "budget" and before[name] != after[name]:
            raise UserError(f"{name} would be {after[name]}: it is the same for all that is compared")
    return made


def fresh(this: Loop, number: int) -> None:
    """Refuse a child that comes out as a member that is there already: UserError. Files of a role's are not looked at."""
    if foreign(this, genome_of(this, number)):
        return
    made, plan = same_by(built(this, number)), this.plan
    others = [c.number for c in this.history.candidates if c.number not in (number, *this.history.failed)]
    for other in others:
        if not foreign(this, genome_of(this, other)):
            file = str(this.file(other)) if other else plan.recipe
            if same_by(catalog.build(file, plan.settings, model=plan.model, tasks=plan.tasks)) == made:
                raise UserError(f"it comes out the same recipe as member {other}")


def same_by(recipe: Method) -> dict[str, str]:
    """What tells a recipe from others, without the budget, which the root has from its own file."""
    return {name: text for name, text in identities(recipe).items() if name not in ("budget", "roles")}


def tried(this: Loop, candidate: Candidate) -> Score:
    """One more trial of a member, with its next seed, beside the root's run of that seed."""
    seen = sum(s.number == candidate.number for s in this.history.of(Score))
    seed = this.plan.seed + seen
    began = time.monotonic()
    root = runs.measured(this.setting, "root", this.plan.recipe, (), seeds=(seed,))
    by_root = time.monotonic() - began
    try:
        genome = genome_of(this, candidate.number)
    except UserError as error:
        raise Failed(str(error)) from error
    if foreign(this, genome):
        found = apart(this, candidate, seed, by_root)
    else:
        own = f"c{candidate.number:03d}", str(this.file(candidate.number))
        found = runs.measured(this.setting, *own, (), seeds=(seed,)).validation[0]
    outcome, gain = against(root.validation[0], found)
    more = {"gain": gain, "accuracy": found.accuracy, "root": root.value, "wall": time.monotonic() - began}
    return Score(candidate.number, 1.0, outcome, 0.0, seed, more)


def against(root: Evaluation, member: Evaluation) -> tuple[float, float]:
    """(how surely the member is better, by how much): the normal probability of a gain, by the tasks of one seed."""
    found = paired.difference([paired.scores(root)], [paired.scores(member)])
    if found is None:
        raise Failed("no task was judged in both")
    error = (found.high - found.low) / 2 / Z
    return NormalDist().cdf(found.value / error), found.value


def apart(this: Loop, candidate: Candidate, seed: int, by_root: float) -> Evaluation:
    """A run of a role's code in a process of its own, and its weights measured by this one. Raises Failed."""
    path, place = this.file(candidate.number), this.directory / "runs" / f"a{candidate.number:03d}-{seed}"
    given = [x for s in this.plan.settings for x in ("--set", s)]
    given += [x for k, v in (("--model", this.plan.model), ("--tasks", this.plan.tasks)) if v for x in (k, v)]
    options = [*given, "--budget", this.plan.each, "--seed", str(seed)]
    trusted.run(path, place, options, max(LEAST_S, PATIENCE * by_root))
    try:
        return measured_here(this, place, seed)
    except UserError as error:
        raise Failed(str(error)) from error


def measured_here(this: Loop, place: Path, seed: int) -> Evaluation:
    """The accepted weights of a run on the root's validation stream, judged by the root's verifier."""
    with Store.open(place, write=False) as store:
        last = store.last_commit()
        if last is None or last.accepted is None:
            raise UserError(f"{place} has no accepted weights")
        weights = store.verified(last.accepted)
    model, tokenizer = models.load_model(weights)
    policy = models.LocalPolicy(model, tokenizer, this.root.precision, device=this.root.device)
    stream = tasks.held_out(this.root.tasks(), "validation", this.root.validation, seed)
    told = loop.telling.of_recipe(this.root, tokenizer)
    greedy = replace(told, sampling=replace(GREEDY, stop=this.root.stop))
    by_arm = loop.ask(policy, stream, greedy, rollouts.unaided(this.root.rollout), 1, seed)
    firsts = {arm: [group[0].verdict for group in groups] for arm, groups in by_arm.items()}
    return Evaluation({arm: tuple(None if v.reward is None else v.correct for v in own) for arm, own in firsts.items()})


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
    if winner and seeds and not foreign(this, genome_of(this, winner)):
        root = runs.measured(this.setting, "root", this.plan.recipe, (), seeds=seeds)
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
    (this.directory / "report.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    made["page"] = str(page.render(this.directory, made))
    return made


def final(this: Loop, winner: int, gain: Any) -> Path:
    """The chosen recipe as a file at the top, for a person."""
    path = this.directory / "recipe.py"
    genome = genome_of(this, winner)
    if foreign(this, genome):
        path.write_text(Path(genome.base).read_text("utf-8"), encoding="utf-8")
        return path
    claim = f"Evolved from {this.plan.recipe}: {told_verdict(this.history.candidates[winner], gain)}."
    files.write(path, genome, claim, this.plan.recipe, " then ".join(lineage(this, winner)) or "nothing")
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
    }
