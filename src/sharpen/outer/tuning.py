"""The numbers of a recipe, or of how a model is asked, chosen by trials: what `sharpen tune` does.

1. The first candidate is the base itself. Every other is proposed from what was tried (proposers.py, or a role: asked.py).
2. Candidates are compared on the validation stream. With halving they begin with a share of the budget, and the best third of
   each rung goes on (engine.py).
3. The winner and the base are then set against each other on the test split, with seeds that nobody chose by: that is what is
   reported, beside what choosing alone would have said.

Two phases as in "Hyperparameters in Continual Learning: a Reality Check", arXiv 2403.09066.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sharpen import hashing, models, tasks
from sharpen.compare import paired
from sharpen.core import UserError, suggest
from sharpen.guard import parse_budget
from sharpen.outer import asked, asking, engine, files, proposers, runs, space, strategies
from sharpen.outer.history import Candidate, Failed, History, Score, read
from sharpen.outer.space import Space
from sharpen.recipe import SLOTS, Recipe
from sharpen.recipes import catalog
from sharpen.store import database
from sharpen.view import trees

POWER = "^N"  # behind the name of a number: an exponent of the length of a run
FRESH = 1000  # seeds of the report begin here, after those of the trials
WARM_BY = "role"
ANEW = 20  # draws until a trial has settings that none has had; where all were tried, some are tried twice
MAP = "tasks.map="  # the setting that says what a file's columns are


@dataclass(frozen=True)
class Plan:
    """What was asked for.

    what      a recipe, its file, or a model's directory
    over      as `space.read` takes it
    by        name of a proposer, or "role"
    rungs     of successive halving; 1: none
    horizon   shortest and longest budget in steps of a pair of `es`; empty: all alike
    aim       "accuracy", or of ways to ask "cost": tokens for a right answer
    confirm   fresh seeds of the report; of ways to ask, nothing
    """

    what: str
    over: str
    trials: int = 20
    by: str = "gp"
    budget: str = "60steps"
    seeds: int = 1
    seed: int = 0
    rungs: int = 1
    horizon: tuple[int, ...] = ()
    confirm: int = 2
    aim: str = "accuracy"
    n: int = 64
    samples: int = 1
    model: str | None = None
    tasks: str | None = None
    settings: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    proposer: str = ""

    @property
    def asks(self) -> bool:
        """Whether it is about a finished model."""
        return (Path(self.what) / "config.json").is_file()


@dataclass(frozen=True)
class Subject:
    """What is tuned, made once: how a candidate is measured, how the winner is set against the base, and what is written."""

    space: Space
    base: Mapping[str, str]
    measure: engine.Measure
    confirm: Callable[[Candidate, Candidate], Mapping[str, Any]]
    write: Callable[[Candidate, str], Path]


def place(plan: Any, command: str = "tune") -> Path:
    """The same for the same question, so that the same command goes on."""
    return Path("runs") / f"{command}-{hashing.digest(json.loads(json.dumps(asdict(plan))))[:8]}"


def tune(directory: Path, plan: Plan, progress: Any) -> dict[str, Any]:
    """Make every trial that is not made yet, then the report, as JSON. UserError where every candidate failed."""
    if plan.trials < 2:
        raise UserError("--trials 1 would try the recipe as it is, and nothing else. Take 2 or more.")
    chosen = space.read(plan.over)
    with ExitStack() as stack:
        with database.explained(directory):
            directory.mkdir(parents=True, exist_ok=True)
            stack.enter_context(database.locked(directory))
            begin(directory / "tune.json", plan)
        history = read(directory / "history.jsonl")
        subject = asked_of(directory, plan, chosen, progress) if plan.asks else trained(directory, plan, chosen, progress.say)
        shares = engine.rungs(plan.rungs)

        def say(text: str) -> None:
            progress.say(text)
            note(directory, plan, history)

        note(directory, plan, history)
        engine.search(history, proposing(plan, subject), subject.measure, plan.trials, shares, say)
        return report(directory, plan, subject, history)


def begin(path: Path, plan: Any) -> None:
    """Write the plan down, or find that it is the one that is there. UserError where it is another."""
    now = json.loads(json.dumps(asdict(plan)))
    if path.exists():
        try:
            then = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read: {error}. Take another --run-dir.") from error
        if then != now:
            differ = ", ".join(key for key in now if not isinstance(then, dict) or now[key] != then.get(key))
            raise UserError(f"{path.parent} holds another search: {differ} differ. Take another --run-dir.")
        return
    if any(p.name not in ("run.lock",) for p in path.parent.iterdir()):
        raise UserError(f"{path.parent} is not empty and holds no search. Take another --run-dir.")
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(now, indent=1), encoding="utf-8")
    part.rename(path)


def proposing(plan: Plan, subject: Subject) -> engine.Propose:
    """The base first, then whoever was asked to propose. A role that says nothing that can be used is replaced for that trial
    by chance, and the trial says so."""
    speak = asked.speaker(plan.proposer) if plan.by == WARM_BY else None
    proposer = proposers.at_random if plan.by == WARM_BY else proposers.chosen(plan.by)

    def propose(history: History) -> engine.Proposed:
        number = len(history.candidates)
        if number == 0:
            return subject.base, "base", ()
        known = proposers.tried(subject.space, history)
        if plan.by == "es":  # pairs are those after the base
            known = proposers.Tried(known.points[1:], known.scores[1:])
            number -= 1
            if plan.horizon and number == plan.trials - 2:  # the last one is where the pairs have led
                return space.values(subject.space, strategies.mean(known.scores, len(subject.space), plan.seed)), "es mean", ()
        if speak and (said := asked.propose(subject.space, history, speak, plan.seed)) is not None:
            return said, "role", ()
        names = {knob.name for knob in subject.space}
        before = [{k: v for k, v in c.values.items() if k in names} for c in history.candidates]
        for again in range(1 if plan.by == "es" else ANEW):  # the same settings with the same seeds are the same run
            made = space.values(subject.space, proposer(subject.space, known, plan.seed, number + again * 10**6))
            if made not in before:
                break
        return made, "chance: the role named no new settings" if speak else plan.by, ()

    return propose


def trained(directory: Path, plan: Plan, chosen: Space, say: Callable[[str], None]) -> Subject:
    """A recipe whose numbers are tuned; `say` is told where its runs can tell nothing. UserError for one of several stages, and
    for a setting that it does not have."""
    base = base_of(plan)
    runs.parse(plan.budget)
    seeds = tuple(range(plan.seed, plan.seed + plan.seeds))
    setting = runs.Setting(directory, plan.budget, seeds, plan.model, plan.tasks, plan.settings, plan.roles)
    runs.trials(setting, "base", plan.what, (), seeds)  # a mistake that every candidate would share is told now
    fresh = tuple(range(plan.seed + FRESH, plan.seed + FRESH + plan.confirm))

    steps = parse_budget(plan.budget).amount if plan.horizon else 1.0

    def listed(candidate: Candidate, lasting: float = steps) -> list[str]:
        return (
            [] if candidate.number == 0 else [f"{k}={v}" for k, v in settled(candidate.values, lasting, plan.horizon).items()]
        )

    def measure(candidate: Candidate, share: float) -> Score:
        here, own, lasting = setting, seeds, steps
        if plan.horizon and 0 < candidate.number < plan.trials - 1:
            pair = (candidate.number - 1) // 2  # both of a pair have the same lifetime and the same seed
            lasting = strategies.lifetime(plan.horizon[0], plan.horizon[1], plan.seed, pair)
            here = replace(setting, budget=f"{lasting}steps")
            own = tuple(s + pair for s in seeds)
        found = runs.measured(here, f"t{candidate.number:03d}", plan.what, listed(candidate, lasting), share, own)
        if candidate.number == 0 and share == 1 and (said := runs.blind(found, here.budget)):
            say(said)
        more = {"steps": found.steps, "tokens": found.tokens, "seconds": round(found.seconds, 2), "budget": here.budget}
        return Score(candidate.number, share, found.value, found.error, own[0], more)

    def confirm(base_: Candidate, winner: Candidate) -> dict[str, Any]:
        both = [runs.measured(setting, f"t{c.number:03d}", plan.what, listed(c)) for c in (base_, winner)]
        first, second = both
        found: dict[str, Any] = {"same_seeds": runs.gain(first, second), "chosen": runs.gain(first, second, "validation")}
        if fresh:
            again = [runs.measured(setting, f"f{c.number:03d}", plan.what, listed(c), seeds=fresh) for c in (base_, winner)]
            found["fresh_seeds"] = runs.gain(again[0], again[1])
        return found

    def write(winner: Candidate, claim: str) -> Path:
        path = directory / "recipe.py"
        genome = files.Genome(plan.what, settings=dict(catalog.split(listed(winner))))
        files.write(path, genome, claim, plan.what, files_told(winner))
        return path

    return Subject(chosen, standing(base, chosen, plan.what), measure, confirm, write)


def settled(values: Mapping[str, Any], steps: float, horizon: Sequence[int]) -> dict[str, str]:
    """Settings for a run of so many steps: NAME^N=e is no setting, but says that NAME is multiplied by (steps / middle)^e,
    where the middle is the geometric one of the horizon. So what evolves knows how long it has (arXiv 2402.05828)."""
    found = {name: str(value) for name, value in values.items() if not name.endswith(POWER)}
    for name in (name.removesuffix(POWER) for name in values if name.endswith(POWER)):
        middle = math.sqrt(horizon[0] * horizon[1])
        found[name] = f"{float(found[name]) * (steps / middle) ** float(values[name + POWER]):.4g}"
    return found


def base_of(plan: Plan) -> Recipe:
    """The recipe as the trials have it. UserError for one of several stages, or for a knob that it does not have."""
    built = catalog.build(plan.what, plan.settings, model=plan.model, tasks=plan.tasks)
    if not isinstance(built, Recipe):
        raise UserError(f"{plan.what} has several stages. Tune one of its recipes by itself.")
    names = {knob.name for knob in space.read(plan.over)}
    for knob in space.read(plan.over):
        if knob.name.endswith(POWER):
            if not plan.horizon or knob.name.removesuffix(POWER) not in names:
                raise UserError(f"--over {knob.name}: an exponent of a run's length: tune the number too, with --horizon.")
            continue
        if knob.name.partition(".")[0] in files.FROZEN:
            raise UserError(f"--over {knob.name}: that is the same for all that is compared, or it would not be fair.")
        if knob.name in {s.partition("=")[0].strip() for s in plan.settings}:
            raise UserError(f"{knob.name} is both set and tuned. Leave one out.")
        try:
            catalog.build(plan.what, [*plan.settings, f"{knob.name}={knob.value(0.0)}"], model=plan.model, tasks=plan.tasks)
        except UserError as error:
            if "has no setting" in str(error) or "no such" in str(error):
                raise
    return built


def standing(recipe: Recipe, chosen: Space, what: str) -> dict[str, str]:
    """What the base has of the knobs, as texts; what no text says is left out."""
    file = catalog.parameters(catalog.find(what))
    found: dict[str, str] = {}
    for knob in chosen:
        slot, _, argument = knob.name.partition(".")
        value: Any = getattr(recipe, knob.name, None) if not argument else None
        if knob.name in file:
            value = file[knob.name].default
        elif argument and slot in SLOTS:
            parameter = catalog.arguments(slot, getattr(recipe, slot)).get(argument)
            value = parameter.default if parameter else None
        elif slot in SLOTS:
            value = getattr(getattr(value, "func", value), "__name__", None)
        text = f"{value:g}" if isinstance(value, float) else str(value)
        if value is not None and (not knob.options or text in knob.options):
            found[knob.name] = text
    return found


def asked_of(directory: Path, plan: Plan, chosen: Space, progress: Any) -> Subject:
    """A model whose way of being asked is tuned. UserError for a setting that is none of asking."""
    known = ("system", "prompt_suffix", "max_tokens", "temperature", "top_k", "top_p", "min_p")
    for knob in chosen:
        if knob.name not in known:
            raise UserError(f"--over {knob.name}: a finished model has no such.{suggest(knob.name, known)} {', '.join(known)}.")
    columns = [s for s in plan.settings if s.startswith(MAP)]
    source = tasks.parse_spec(plan.tasks or "default", columns[-1].removeprefix(MAP) if columns else "")
    model = asking.opened(Path(models.located(plan.what)), source, plan.n, plan.seed)

    def told(candidate: Candidate) -> list[str]:
        own = {} if candidate.number == 0 else dict(candidate.values)
        settings = [s for s in plan.settings if s not in columns]
        return [*settings, *(f"{k}={v}" for k, v in own.items())]  # greedy where no temperature is said

    def measure(candidate: Candidate, share: float) -> Score:
        found = asking.answered(model, told(candidate), "validation", plan.samples)
        n = sum(len(s) for s in found.scores.values())
        error = max(found.accuracy * (1 - found.accuracy), 0.25 / n) ** 0.5 / n**0.5
        value = found.accuracy if plan.aim == "accuracy" else -found.cost
        more = {"accuracy": found.accuracy, "tokens": found.tokens, "asked": found.told}
        if value == -float("inf"):
            raise Failed(f"no answer was right, so a right one has no price ({found.told})")
        return Score(candidate.number, share, value, error, plan.seed, more)

    def confirm(base: Candidate, winner: Candidate) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, split in (("chosen", "validation"), ("same_seeds", "test")):
            both = [asking.answered(model, told(c), split, plan.samples) for c in (base, winner)]
            gain = paired.difference([both[0].scores], [both[1].scores])
            found[name] = gain and {"value": gain.value, "ci95": [gain.low, gain.high], "p": gain.p, "n": gain.n}
            found[f"{name}_cost"] = [b.cost if b.accuracy else None for b in both]
        return found

    def write(winner: Candidate, claim: str) -> Path:
        path = directory / "asking.json"
        rows = {"claim": claim, "set": told(winner)}
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        return path

    return Subject(chosen, {}, measure, confirm, write)


def report(directory: Path, plan: Plan, subject: Subject, history: History) -> dict[str, Any]:
    """What came of it, as JSON, kept in report.json; the winner written so that a person can read it."""
    scores = history.scores()
    winner = history.candidates[-1] if plan.horizon else engine.best(history)  # scores of other lengths cannot be compared
    if winner.number not in scores:
        raise UserError(f"What the pairs led to failed: {history.failed[winner.number]}")
    base = history.candidates[0]
    if base.number in history.failed:
        raise UserError(f"The recipe as it is failed, so there is nothing to compare with: {history.failed[base.number]}")
    found = dict(subject.confirm(base, winner)) if winner.number else {}
    decisive = found.get("fresh_seeds") or found.get("same_seeds")
    error = engine.spread(list(scores.values()))
    chosen = (found.get("chosen") or {}).get("value", 0.0)
    optimism = engine.Optimism(chosen, decisive["value"] if decisive else 0.0, engine.luck(len(scores), error))
    verdict = told_verdict(winner, decisive)
    claim = f"{plan.what} with what was chosen of {len(scores)} trials: {verdict}."
    rows = [trial_row(c, history) for c in history.candidates]
    made = {
        "directory": str(directory),
        "by": plan.by,
        "winner": winner.number,
        "values": dict(winner.values),
        "verdict": verdict,
        "gain": found,
        "optimism": {"chosen": optimism.chosen, "reported": optimism.reported, "gap": optimism.gap, "luck": optimism.expected},
        "trials": rows,
        "file": str(subject.write(winner, claim)),
    }
    note(directory, plan, history, verdict)
    (directory / "report.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return made


def note(directory: Path, plan: Plan, history: History, verdict: str = "") -> None:
    """How it stands, for the page of `sharpen view`."""
    scores, done = history.scores(), {e.number for e in history.entries if not isinstance(e, Candidate)}
    rows = []
    for c in history.candidates:
        known, said = [s for s in history.of(Score) if s.number == c.number], engine.told(c.values)
        score = scores[c.number].value if c.number in scores else None
        part = "" if not known or known[-1].rung == 1 else f" (at {known[-1].rung:.0%} of the budget)"
        change = (said if c.number else "as it is") + part
        why = history.failed.get(c.number, "")
        rows.append(dict(number=c.number, by=c.by, change=change, failed=why, trials=len(known), score=score))
    winner = engine.best(history).number if scores and not plan.horizon else None
    about: dict[str, Any] = dict(command="tune", recipe=plan.what, by=plan.by, done=len(done), of=plan.trials, verdict=verdict)
    trees.write(directory, **about, winner=winner, members=rows)


def trial_row(candidate: Candidate, history: History) -> dict[str, Any]:
    score = history.scores().get(candidate.number)
    known = {"value": score.value, "error": score.error, "rung": score.rung, **score.more} if score else {}
    return {"number": candidate.number, "by": candidate.by, "values": dict(candidate.values)} | (
        known or {"failed": history.failed.get(candidate.number, "not tried")}
    )


def told_verdict(winner: Candidate, gain: Mapping[str, Any] | None) -> str:
    """In words, what the report split says of the winner against the base."""
    if winner.number == 0:
        return "nothing that was tried was better than the recipe as it is"
    if not gain:
        return "not measured on the report split"
    low, high = gain["ci95"]
    said = f"{gain['value']:+.1%} on the report split, 95 % interval {low:+.1%} to {high:+.1%}"
    return f"better, {said}" if low > 0 else f"worse, {said}" if high < 0 else f"not shown to differ, {said}"


def files_told(candidate: Candidate) -> str:
    return engine.told(candidate.values) or "nothing"


def lifetimes(text: str | None, by: str) -> tuple[int, ...]:
    """`20..80` as two numbers of steps. UserError for what is none, and where nobody has pairs."""
    if text is None:
        return ()
    low, _, high = text.partition("..")
    if by != "es" or not (low.isdigit() and high.isdigit() and 0 < int(low) < int(high)):
        raise UserError(f"--horizon {text}: write it as 20..80, of steps, with --by es.")
    return int(low), int(high)
