"""Which method is better on these tasks? Several recipes at equal budget, with the same student, tasks and seeds.

1. A contender is a recipe with settings: `grpo`, `grpo:lr=1e-3`, `mine.py:curriculum=sec`. A trial is one contender with one
   seed: a run like any other, in DIR/runs.
2. The trials of a seed begin as copies of one warmed-up and measured student (DIR/warmups), as far as their recipes agree up to
   there (`warmup.signature`).
3. Trials go on in turns, a slice at a time, always the one that has spent least of its budget; so what makes a machine slower
   for a while hits all alike. A slice ends with a round. Seeds follow one another.
4. A budget of seconds is one of the loop's own seconds: warm-up, evaluations, set-up and storage are not counted.
5. All there is to know is in the directory: killed anywhere, the same comparison goes on, and what is finished stays.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sharpen import hashing
from sharpen.compare.workers import workers
from sharpen.core import FatalDiagnosis, UserError
from sharpen.guard import control
from sharpen.loop import Request, beginning, session, signature, trust
from sharpen.recipe import Method, Recipe, identities, opening
from sharpen.recipes import catalog
from sharpen.store import Store, checkpoints, database
from sharpen.terminal import Quiet, places

SLICE = 30.0  # seconds: with the embedded student, taking a run up again costs two
SAME = ("tasks", "student", "validation", "test")  # what all contenders share; else it would be no comparison
HOUR = 3600.0


@dataclass(frozen=True)
class Contender:
    """What is compared: a recipe with settings of its own, under the name that the user gave it."""

    name: str
    recipe: str
    settings: tuple[str, ...] = ()
    as_control: str = ""  # made of that recipe (recipes/controls.py)


@dataclass(frozen=True)
class Plan:
    """What a user asked for; all that is needed to make the same comparison again.

    settings  for every contender
    roles     NAME=WHO, for every contender that has a role of that name
    threads   of one trial, while `jobs` of them go on side by side
    """

    contenders: tuple[Contender, ...]
    seeds: tuple[int, ...]
    budget: str
    model: str | None = None
    tasks: str | None = None
    settings: tuple[str, ...] = ()
    jobs: int = 1
    threads: int = 1
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """One run to be made; or, without an origin, a warm-up that others begin from."""

    name: str
    request: Request
    budget: control.Budget
    origin: Path | None = None

    @property
    def directory(self) -> Path:
        return self.request.directory


def plan(
    recipes: Sequence[str],
    budget: str | None,
    seeds: int | None,
    model: str | None,
    tasks: str | None,
    settings: Sequence[str] | None,
    jobs: int | None,
    directory: Path | None = None,
    first_seed: int | None = None,
    roles: Sequence[str] | None = None,
) -> tuple[Path, Plan]:
    """What was asked on the command line, None where nothing was, and where it goes: the same for the same question, so that
    the same command goes on with the same comparison.
    """
    import torch

    first, jobs = first_seed or 0, jobs or 1
    made = Plan(
        tuple(map(contender, recipes)),
        tuple(range(first, first + (seeds or 3))),
        budget or "10m",
        places.here(model) if model else model,
        places.here_tasks(tasks) if tasks else tasks,
        tuple(map(places.here_setting, settings or ())),
        jobs,
        max(torch.get_num_threads() // jobs, 1),
        tuple(map(places.here_role, roles or ())),
    )
    return directory or place(made), made


def place(plan: Plan) -> Path:
    """Where a comparison goes unless the user says where."""
    return Path("runs") / f"compare-{hashing.digest(_asked(plan))[:8]}"


def contender(text: str) -> Contender:
    """`grpo:lr=1e-3:samples=4` as a contender, or `grpo:as_control=solutions`. A colon without a setting belongs before it."""
    recipe, *settings = places.contender(text)
    control = "".join(setting.partition("=")[2] for setting in settings if setting.startswith("as_control="))
    without = [part for part in re.split(r":(?=[^:]*=)", text) if not part.startswith("as_control=")]
    own = tuple(setting for setting in settings if not setting.startswith("as_control="))
    return Contender(f"{':'.join(without)} [{control}]" if control else text, recipe, own, control)


def check(plan: Plan) -> list[Method]:
    """The contenders' recipes, built. UserError where two are the same, what they share differs, or something is missing."""
    control.parse_budget(plan.budget)
    if not plan.seeds or not plan.contenders or plan.jobs < 1:
        raise UserError("A comparison needs at least one recipe, one seed and one job.")
    for one in plan.contenders:
        for setting in one.settings:
            key = setting.partition("=")[0].strip()
            if key in (*SAME, "budget", "seed"):
                cure = f"Give it to all: --{'model' if key == 'student' else key}" + f", or --set {setting}." * (key in SAME)
                raise UserError(f"{one.name}: {key} is the same for all that is compared, or it would not be fair. {cure}")
    asked = [_asking(plan, one) for one in plan.contenders]
    if idle := [role for role in plan.roles if not any(role in one["roles"] for one in asked)]:
        raise UserError(f"--role {idle[0]}: no recipe of this comparison has a role of that name.")
    built = [session.build_recipe(Request(**one)) for one in asked]
    seen: dict[str, Contender] = {}
    for one, recipe in zip(plan.contenders, built):
        text = str(identities(recipe))
        if text in seen:
            raise UserError(f"{seen[text].name} and {one.name} come out the same recipe. Leave one of them out.")
        seen[text] = one
        for name in SAME:
            first, here = (identities(opening(r))[name] for r in (built[0], recipe))
            if first != here:
                option = {"student": "--model", "tasks": "--tasks"}.get(name, f"--set {name}=N")
                both = f"{plan.contenders[0].name} has {name} {first}, and {one.name} {here}"
                raise UserError(f"{both}: that cannot be compared. Give all the same with {option}.")
    student = opening(built[0])
    session.build_policy(student, student.tasks(), plan.seeds[0])  # a model or a file that is missing is missed here
    return built


def build(plan: Plan, one: Contender) -> Method:
    """A contender's recipe. UserError where it cannot be made."""
    return session.build_recipe(Request(**_asking(plan, one)))


def _asking(plan: Plan, one: Contender) -> dict[str, Any]:
    """Arguments of `Request`; a contender's own setting stands before the one for all."""
    own = {setting.partition("=")[0].strip() for setting in one.settings}
    common = [setting for setting in plan.settings if setting.partition("=")[0].strip() not in own]
    asked: dict[str, Any] = dict(
        recipe=one.recipe,
        settings=(*common, *one.settings),
        model=plan.model,
        tasks=plan.tasks,
        budget=loop_budget(plan.budget),
        as_control=one.as_control,
    )
    made = catalog.build(**{k: v for k, v in asked.items() if k != "as_control"}) if plan.roles else None
    recipes = [made] if isinstance(made, Recipe) else [stage.recipe for stage in made.stages] if made else []
    names = {role.name for recipe in recipes for role in recipe.roles}
    return asked | {"roles": tuple(role for role in plan.roles if role.partition("=")[0] in names)}


def loop_budget(text: str) -> str:
    """The budget that each trial gets: of seconds, those of the loop alone."""
    budget = control.parse_budget(text)
    return f"{text.strip()} loop" if budget.kind == "seconds" else text.strip()


def _asked(plan: Plan) -> dict[str, Any]:
    """A plan as JSON, without the threads: they are the machine's."""
    return json.loads(json.dumps(asdict(plan) | {"threads": None}))


def read_plan(directory: Path) -> Plan:
    """The plan of the comparison in a directory. UserError where there is none."""
    try:
        found = json.loads((directory / "compare.json").read_text("utf-8"))
        contenders = tuple(
            Contender(c["name"], c["recipe"], tuple(c["settings"]), c.get("as_control", "")) for c in found.pop("contenders")
        )
        settings, seeds, roles = (tuple(found.pop(name)) for name in ("settings", "seeds", "roles"))
        return Plan(contenders, seeds, settings=settings, roles=roles, **found)
    except FileNotFoundError as error:
        raise UserError(f"{directory} holds no comparison. Name recipes to begin one: sharpen compare RECIPE…") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{directory / 'compare.json'} cannot be read as a comparison: {error!r}.") from error


def begin(directory: Path, plan: Plan) -> Plan:
    """Write the plan down, or find that it is the one that is there, whose threads are then kept."""
    path = directory / "compare.json"
    if path.exists():
        there = read_plan(directory)
        now, then = _asked(plan), _asked(there)
        if now != then:
            different = ", ".join(key for key in now if now[key] != then[key])
            raise UserError(f"{directory} holds another comparison: {different} differ. Take another --run-dir.")
        return there
    if directory.exists() and any(p.name != "run.lock" for p in directory.iterdir()):
        raise UserError(f"{directory} is not empty and holds no comparison. Take another --run-dir.")
    part = path.with_name("compare.json.part")
    part.write_text(json.dumps(asdict(plan), indent=1), encoding="utf-8")
    part.rename(path)
    path.with_suffix(".seal").write_text(trust.seal(sealed(plan)), encoding="utf-8")
    return plan


def sealed(plan: Plan) -> dict[str, Any]:
    """What a comparison's seal is about (loop/trust.py): the plan, and the code of recipes in files, as it is now."""
    files = sorted({one.recipe for one in plan.contenders if one.recipe.endswith(".py") and Path(one.recipe).is_file()})
    return {"plan": _asked(plan), "code": {file: checkpoints.digest(Path(file)) for file in files}}


def seal_of(directory: Path) -> str:
    path = directory / "compare.seal"
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def acts(plan: Plan) -> list[str]:
    """What of a plan could act with the user's rights."""
    asked = [{"recipe": c.recipe, "settings": (*plan.settings, *c.settings), "roles": plan.roles} for c in plan.contenders]
    return list(dict.fromkeys(what for one in asked for what in trust.acts(one)))


def compare(
    directory: Path, plan: Plan, progress: Any, slice_s: float = SLICE, asked: bool = True, trusted: bool = False
) -> None:
    """Make every trial that is not finished yet. Raises UserError where another process is at it.

    asked    the plan is the user's; else it is what the directory says, and code that it names is run only where it was made
             here
    trusted  run what the directory and its runs name, wherever they are from
    """
    import torch

    permitted(directory, plan, asked or trusted)
    recipes = check(plan)  # mistakes surface before anything is made
    with ExitStack() as stack:
        with database.explained(directory):
            directory.mkdir(parents=True, exist_ok=True)
            stack.enter_context(database.locked(directory))
            plan = begin(directory, plan)
        before = torch.get_num_threads()
        stack.callback(torch.set_num_threads, before)
        torch.set_num_threads(plan.threads)  # the order of additions, and so the last bit, depends on it
        work(trials(directory, plan, recipes), plan, progress, slice_s, trusted)


def permitted(directory: Path, plan: Plan, trusted: bool) -> None:
    """UserError where a directory from elsewhere names code, unless it is trusted."""
    trust.require(directory, acts(plan), seal_of(directory), sealed(plan), trusted)


def trials(directory: Path, plan: Plan, recipes: Sequence[Method]) -> list[Trial]:
    """Every trial, those of a seed together, each seed's warm-ups before what begins from them."""
    found = []
    for seed in plan.seeds:
        warmups: dict[Path, Trial] = {}
        runs = []
        for number, (one, recipe) in enumerate(zip(plan.contenders, recipes)):
            origin = directory / "warmups" / f"{seed}-{signature(opening(recipe), seed)}"
            budget = control.parse_budget(opening(recipe).budget)
            warmups.setdefault(origin, Trial(f"warm-up of {one.name}", request(plan, one, seed, origin), budget))
            place = directory / "runs" / f"{number + 1:02d}-{slug(one.name)}-{seed}"
            runs.append(Trial(one.name, request(plan, one, seed, place), budget, origin))
        found += [*warmups.values(), *runs]
    return found


def slug(name: str) -> str:
    """A name as part of a file's name."""
    return "".join(c if c.isalnum() or c in "-_.=" else "-" for c in name)[-60:]


def request(plan: Plan, one: Contender, seed: int, directory: Path) -> Request:
    """What a trial asks of the loop; `argv` is the command that makes the same run alone."""
    asked = _asking(plan, one)
    chosen = [part for setting in asked["settings"] for part in ("--set", setting)]
    named = {f"--{key.replace('_', '-')}": asked[key] for key in ("model", "tasks", "budget", "as_control")}
    options = [part for name, value in named.items() if value for part in (name, value)]
    played = [part for role in asked["roles"] for part in ("--role", role)]
    argv = ("sharpen", "run", one.recipe, "--seed", str(seed), *options, *chosen, *played)
    return Request(seed=seed, directory=directory, argv=argv, **asked)


def work(listed: Sequence[Trial], plan: Plan, progress: Any, slice_s: float, trusted: bool) -> None:
    """Advance all trials, a slice at a time, until none has anything left to do."""
    spent = {trial: standing(trial) for trial in listed}
    runs = [trial for trial in listed if trial.origin]
    done = sum(int(100 * spent[trial]) for trial in runs)
    progress.phase("compare", total=100 * len(runs), done=done)
    with workers(plan.jobs, plan.threads) as submit:
        going: dict[Future[None], Trial] = {}
        while going or any(share < 1 for share in spent.values()):
            while len(going) < plan.jobs and (trial := following(spent, set(going.values()))):
                progress.say(f"{trial.name}, seed {trial.request.seed}: {spent[trial]:.0%}")
                going[submit(advance, trial, slice_s, trusted)] = trial
            ended, _ = wait(going, timeout=HOUR, return_when=FIRST_COMPLETED)
            if not ended:
                progress.say(f"no round has ended for an hour: {', '.join(str(t.directory) for t in going.values())}")
            for future in ended:
                trial = going.pop(future)
                future.result()
                spent[trial] = standing(trial)
            now = sum(int(100 * spent[trial]) for trial in runs)
            progress.advance(now - done)
            done = now


def following(spent: dict[Trial, float], busy: set[Trial]) -> Trial | None:
    """The trial whose turn it is: of the first seeds that have one, what is furthest behind; its warm-up comes before it."""
    ready = {place.directory for place, share in spent.items() if share >= 1}
    seeds = [trial.request.seed for trial in spent]
    free = [t for t, s in spent.items() if s < 1 and t not in busy and (t.origin is None or t.origin in ready)]
    return min(free, key=lambda t: (seeds.index(t.request.seed), t.origin is not None, spent[t]), default=None)


def standing(trial: Trial) -> float:
    """The share of its budget that a trial has spent; 1 only where nothing is left to do, or the doctor stopped it."""
    if not (trial.directory / "run.db").is_file():
        return 0.0
    with Store.open(trial.directory) as store:
        last = store.last_commit()
        if last is None:
            return 0.0
        if last.finished or fatal(store) or (trial.origin is None and last.phase == "loop"):
            return 1.0
        used = totals(store)
    return min(trial.budget.spent(used[trial.budget.kind]), 0.999)


def totals(store: Store) -> dict[str, float]:
    """What a run's learning steps have used, by kind of budget."""
    steps = [s for s in store.steps() if s["phase"] == "loop"]
    marks = ", ".join("?" * len(session.WORK))
    seconds = store.rows(f"SELECT coalesce(sum(seconds), 0) FROM timings WHERE phase IN ({marks})", session.WORK)[0][0]
    return {"steps": len(steps), "tokens": sum(s["tokens"] for s in steps), "loop seconds": seconds}


def fatal(store: Store) -> str | None:
    """Why the doctor stopped a run, where he did."""
    return next((str(found) for _, found in store.diagnoses() if found.fatal), None)


def advance(trial: Trial, slice_s: float, trusted: bool = False) -> None:
    """Take a trial up where it stands, or begin it, and go on until the slice is over, or the warm-up where it is one."""
    from sharpen import loop

    end = time.monotonic() + slice_s

    def pause() -> bool:
        return trial.origin is None or time.monotonic() >= end

    try:
        if (trial.directory / "run.db").is_file():
            loop.resume(trial.directory, Quiet(), pause=pause, trusted=trusted)
        else:
            loop.start(trial.request, Quiet(), pause=pause, origin=trial.origin)
    except FatalDiagnosis:
        with Store.open(trial.directory) as store:
            if not fatal(store):  # an evaluation that failed: the user mends it and goes on
                raise


def warmups_differ(plan: Plan, recipes: Sequence[Method]) -> dict[str, list[str]]:
    """Contenders that do not begin from the first one's warm-up: name -> what differs."""
    first = beginning(opening(recipes[0]))
    found = {}
    for one, recipe in zip(plan.contenders, recipes):
        named = [name for name, value in beginning(opening(recipe)).items() if value != first[name]]
        if named:
            found[one.name] = named
    return found
