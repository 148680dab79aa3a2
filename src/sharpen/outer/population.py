"""The population of an evolution: what was asked for, who is a member, and what each of them is.

A member is a genome that was changed into a file, built and checked, or a file that a role wrote, which is never imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharpen import loop
from sharpen.core import UserError
from sharpen.outer import asked, files, runs
from sharpen.outer.archive import Archive, Node
from sharpen.outer.files import Genome
from sharpen.outer.history import Candidate, History, Score
from sharpen.recipe import Method, Recipe, identities
from sharpen.recipes import catalog
from sharpen.store import checkpoints


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
    """An evolution under way: its parts, made once.

    package  where a role's code is run: what this program's files were when it began (`trusted.package`)
    """

    directory: Path
    plan: Plan
    root: Recipe
    history: History
    speak: asked.Speak | None
    progress: Any
    package: str = ""

    @property
    def setting(self) -> runs.Setting:
        p = self.plan
        return runs.Setting(self.directory, p.each, (p.seed,), p.model, p.tasks, p.settings, p.roles)

    def file(self, number: int) -> Path:
        return self.directory / "recipes" / f"c{number:03d}.py"


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


def genome_of(this: Loop, number: int) -> Genome:
    """What a member is. UserError where it is, or begins from, a file of a role's that has changed or is not trusted now."""
    values = this.history.candidates[number].values
    written = {str(this.file(c.number)): c for c in this.history.candidates if "file" in c.values}
    if "file" in values:
        genome = Genome(str(this.file(number)))
    else:
        genome = files.parsed(values, [this.plan.recipe, *(written if this.plan.trust else ())])
    if genome.base in written:
        path = Path(genome.base)
        same = path.is_file() and checkpoints.digest(path) == written[genome.base].values["digest"]
        if not this.plan.trust or not same:
            raise UserError(f"{path} is not what the role wrote, or is not trusted: it is not run")
    return genome


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
    files.write(this.file(number), genome, *sentences(this, candidate, genome))
    listed = runs.trials(this.setting, f"c{number:03d}", str(this.file(number)), (), (this.plan.seed,))
    made = loop.build_recipe(listed[-1].request)
    assert isinstance(made, Recipe)
    files.unchanged(identities(this.root), identities(made))
    return made


def sentences(this: Loop, candidate: Candidate, genome: Genome) -> tuple[str, str, str]:
    """Of a member's file: its claim, its parent, and what it changes."""
    recipe = this.plan.recipe
    return f"Evolved from {recipe}: {genome}.", recipe, f"{candidate.values['change']}, from member {candidate.parents[0]}"


def fresh(this: Loop, number: int) -> None:
    """Refuse a child that comes out as a member that is there already: UserError. Of what imports a role's code the text alone
    is looked at: what it says of itself nobody has to believe."""
    plan, history = this.plan, this.history
    others = [c for c in history.candidates if c.number not in (number, *history.failed)]
    if foreign(this, genome_of(this, number)):
        own = said(history.candidates[number])
        alike = next((c.number for c in others if said(c) == own), None)
    else:
        made = same_by(built(this, number))
        files_ = {c.number: str(this.file(c.number)) if c.number else plan.recipe for c in others}
        known = [c.number for c in others if not foreign(this, genome_of(this, c.number))]
        builds = ((n, catalog.build(files_[n], plan.settings, model=plan.model, tasks=plan.tasks)) for n in known)
        alike = next((n for n, recipe in builds if same_by(recipe) == made), None)
    if alike is not None:
        raise UserError(f"it comes out the same recipe as member {alike}")


def said(candidate: Candidate) -> list[Any]:
    return [candidate.values.get(key) for key in ("digest", "base", "slots", "settings")]


def same_by(recipe: Method) -> dict[str, str]:
    """What tells a recipe from others, without the budget, which the root has from its own file."""
    return {name: text for name, text in identities(recipe).items() if name not in ("budget", "roles")}
