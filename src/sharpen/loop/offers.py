"""What a function in a slot may ask for by name: the one list, how each thing is made, and what of it is kept between steps.

A function asks by a keyword-only parameter without a default, `def mine(samples, *, progress)` (`recipe.call`). What nobody
asks for is not made. Whatever the slot, one rule says where a thing is between two steps:

1. What the store's rows tell (totals, evaluations, attempts, losses) is read from them again.
2. A `Kept` of "json" goes into the store's meta with every commit. It stays when a round is rolled back.
3. A `Kept` of "arrays" lies beside the weights in each checkpoint, and goes back with them.
4. A function is given a copy of what is kept. It becomes the run's once the step has learnt (`Moment.adopt`): a step that is
   refused, or killed, leaves no trace.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sharpen import environments, models, rollouts
from sharpen.core import GREEDY, Ask, Batch, Message, Rollout, Sample, Task
from sharpen.data import make_batch
from sharpen.hashing import derive
from sharpen.loop import worked
from sharpen.recipe import SLOTS, Recipe, asked_for, call, wanted
from sharpen.store import Store

if TYPE_CHECKING:
    from sharpen.loop.session import Run


@dataclass
class Moment:
    """The step, or the end of a round, at which functions are called: what there is to make things of.

    progress  share of the budget that is used up
    made      what was asked for so far, by name: each is made once
    shown     the worked solutions, once somebody asked for them
    told      every sample that `retell` made
    """

    this: Run
    step: int
    round: int
    progress: float
    samples: Sequence[Sample] = ()
    drawn: Sequence[Task] = ()
    batch: Batch | None = None
    made: dict[str, Any] = field(default_factory=dict)
    shown: list[Sample] = field(default_factory=list)
    told: list[Sample] = field(default_factory=list)

    def offered(self, slot: str) -> dict[str, Any]:
        """Everything that a slot may ask for by name; None where its function does not."""
        asked = asked_for(getattr(self.this.recipe, slot))
        return {name: self.get(name) if name in asked else None for name in names(slot)}

    def ask(self, slot: str, *given: Any) -> Any:
        """Call the function in a slot. UserError where it asks for what there is not."""
        return call(getattr(self.this.recipe, slot), *given, **self.offered(slot))

    def bound(self, slot: str) -> Callable[..., Any]:
        """The function in a slot with what it asks for filled in; itself, where it asks for nothing."""
        function = getattr(self.this.recipe, slot)
        asked = [name for name in wanted(function, names(slot)) if not OFFERS[name].late]
        return partial(function, **{name: self.get(name) for name in asked}) if asked else function

    def get(self, name: str) -> Any:
        if name not in self.made:
            self.made[name] = OFFERS[name].make(self)
        return self.made[name]

    def see(self, samples: Sequence[Sample], drawn: Sequence[Task]) -> None:
        """The step has these samples now: what select was given is made again."""
        self.samples, self.drawn, self.shown, self.told = samples, drawn, [], []
        for name in ("seen", "tried", *names("select")):
            self.made.pop(name, None)

    def adopt(self) -> None:
        """What functions wrote into what is kept is the run's from now on."""
        for name in self.made.keys() & KEPT.keys():
            refill(KEPT[name].live(self.this), self.made[name])


@dataclass(frozen=True)
class Kept:
    """What a function keeps from step to step: a list or a dict.

    where         "json" or "arrays": see the rule above
    live          (Run) -> the list or dict as of the last step
    pack, unpack  to JSON, and (store, JSON) back
    """

    where: str
    live: Callable[[Run], Any]
    pack: Callable[[Any], Any] = copy.copy
    unpack: Callable[[Store, Any], Any] = lambda store, packed: packed


@dataclass(frozen=True)
class Offer:
    """Something to ask for: by which slots, what it is in one line, and how it is made of a `Moment`."""

    slots: tuple[str, ...]
    what: str
    make: Callable[[Moment], Any]
    late: bool = False  # whoever calls the function fills it in, for each rollout


def working(name: str) -> Callable[[Moment], Any]:
    """A copy of what is kept, to be written into. The entries of a list, such as samples, are themselves."""

    def made(moment: Moment) -> Any:
        live = KEPT[name].live(moment.this)
        return list(live) if isinstance(live, list) else copy.deepcopy(live)

    return made


def refill(live: Any, value: Any) -> None:
    """Give a list or dict another's content."""
    live.clear()
    live.extend(value) if isinstance(live, list) else live.update(value)


def demos(moment: Moment) -> list[Sample]:
    """Nothing is generated. What the verifier does not call correct is left out."""
    this, drawn = moment.this, moment.drawn
    groups = [i for i, task in enumerate(drawn) if task.solution is not None]
    ids = [f"s{moment.step:06d}.{i:03d}.demo" for i in groups]
    shown = rollouts.demonstrating(this.recipe.rollout)
    listed = [drawn[i] for i in groups]
    how = dict[str, Any](seed=this.seed, max_tokens=0, sampling=GREEDY, roles=this.roles, asking=this.asking)
    made = rollouts.drive(this.policy, shown, listed, ids, **how)
    moment.shown = [sample for sample in this.judges.judge(made, groups) if sample.verdict.correct]
    return moment.shown


def seen(moment: Moment) -> list[tuple[np.ndarray, np.ndarray]]:
    """(log-probabilities, entropies) of each sample; those of a rollout that failed are 0. Made once for both."""
    if "seen" not in moment.made:
        n = [len(s.rollout.tokens) for s in moment.samples]
        scored = [i for i, s in enumerate(moment.samples) if s.verdict.reward is not None]
        batch = make_batch([moment.samples[i] for i in scored], moment.this.recipe.sampling)
        both = moment.this.policy.entropies(batch)
        rows = {i: (logp[: n[i]], h[: n[i]]) for i, logp, h in zip(scored, *both, strict=True)}
        moment.made["seen"] = [rows.get(i, (np.zeros(n[i]), np.zeros(n[i]))) for i in range(len(n))]
    return moment.made["seen"]


def likelihood(moment: Moment) -> Callable[[Sequence[Sample]], np.ndarray]:
    def of(samples: Sequence[Sample]) -> np.ndarray:
        if not samples:
            return np.zeros(0)
        batch = make_batch(samples, moment.this.recipe.sampling)
        logp = moment.this.policy.logprobs(batch)
        rows = (logp * batch.mask).sum(axis=1) / np.maximum(batch.mask.sum(axis=1), 1)
        last = (
            np.arange(len(samples))
            if batch.sample is None
            else np.searchsorted(batch.sample, np.arange(len(samples)), "right") - 1
        )
        return rows[last]

    return of


def retell(moment: Moment, sample: Sample, messages: Sequence[Message], answer: str | None = None) -> Sample:
    """The sample with its answer, or with another that is worth the same, after other messages, as if it had been given there.
    Nothing is generated."""
    old = sample.rollout
    said = old.response if answer is None else answer
    ask = rollouts.asking.told(Ask(tuple(messages), answer=said), old.task, moment.this.asking)
    (turn,) = moment.this.policy.respond([replace(ask, answer=said)], [0], 0, GREEDY)
    name = f"{old.id}.told{len(moment.told):04d}"
    arrays = turn.tokens, turn.sampled, turn.logprobs
    again = Rollout(old.task, *arrays, (said,), turn.stop, old.version, old.seed, name, old.id)
    moment.told.append(replace(sample, rollout=again))
    return moment.told[-1]


def plainly(moment: Moment, task: Task) -> Ask:
    """The task as the student is asked it, with what is told beside."""
    return rollouts.asking.told(Ask(task.prompt), task, moment.this.asking)


def embed(moment: Moment) -> Callable[[Sequence[Sequence[Message]]], np.ndarray]:
    return lambda listed: models.embed(moment.this.policy, [Ask(tuple(messages)) for messages in listed])


def angles(moment: Moment) -> Callable[[Sequence[Sequence[Message]]], np.ndarray]:
    return lambda listed: models.angles(moment.this.policy, [Ask(tuple(messages)) for messages in listed])


def recall(moment: Moment) -> Callable[[str, int], list[str]]:
    """A search among the latest right answers of each arm, by what they were shown."""
    memory = environments.Memory(most=RECALLED)
    for sample in moment.this.store.successes(RECALLED // 4):
        rollout = sample.rollout
        met = moment.this.policy.text(rollout.tokens[~rollout.sampled])
        memory.add(met, " ".join(rollout.turns)[:LONGEST], float(sample.verdict.reward or 0.0))
    return memory.recall


def random_numbers(moment: Moment) -> np.random.Generator:
    return np.random.default_rng(derive(moment.this.seed, moment.step, "data"))


def losses(moment: Moment) -> list[float]:
    return [s["loss"] for s in moment.this.steps if s["phase"] == "loop" and "loss" in s]


RECALLED, LONGEST = 256, 500  # entries of the memory, and characters of each
KEPT: Mapping[str, Kept] = {
    "kept": Kept("arrays", attrgetter("state.kept")),
    "notes": Kept("json", attrgetter("notes")),
    "library": Kept("json", attrgetter("library")),
    "buffer": Kept("json", attrgetter("buffer"), lambda held: [s.rollout.id for s in held], Store.read_named),
}
EVERYWHERE = ("curriculum", "rollout", "select", "objective", "guard", "control", "grow")
OFFERS: Mapping[str, Offer] = {
    "progress": Offer(EVERYWHERE, "share of the budget that is used up, 0 to 1", attrgetter("progress")),
    "evaluations": Offer(
        ("curriculum", "guard", "control", "grow"),
        "validation results of the rounds whose weights are in use, oldest first: never to be trained on",
        attrgetter("this.state.evaluations"),
    ),
    "retained": Offer(
        ("guard",),
        "the same on questions that are never trained on, with this round's; empty where there are none",
        attrgetter("this.state.retained"),
    ),
    "looks": Offer(
        ("guard",), "how often the stage has looked at the validation split, this time too", lambda m: m.round - m.this.at.round
    ),
    "totals": Offer(("curriculum", "grow"), "{arm: scored training rollouts so far}", attrgetter("this.state.totals")),
    "attempts": Offer(
        ("curriculum",), "every task of the pool, what was tried of it, and `draw(number)`", attrgetter("this.state.attempts")
    ),
    "kept": Offer(
        ("curriculum", "rollout"), "a dict of arrays that a curriculum fills; goes back with the weights", working("kept")
    ),
    "worked": Offer(
        ("curriculum",),
        "(number) -> the task whose worked solution the warm-up would show then, had it gone on",
        lambda m: partial(worked.beyond, m.this),
    ),
    "embed": Offer(
        ("curriculum", "select", "grow"), "(list of messages) -> (N, D) the student's hidden states, rows of length 1", embed
    ),
    "angles": Offer(
        ("curriculum",),
        "(list of messages) -> (N,) how closely the states of a prompt's tokens point, GAIN-RL's signal",
        angles,
    ),
    "library": Offer(
        ("rollout", "select", "grow"),
        "a dict of JSON: what the run knows in words; select and grow fill it",
        working("library"),
    ),
    "demos": Offer(("select",), "the worked solution of each task that has one, as samples of their groups", demos),
    "entropy": Offer(
        ("select",), "for each sample (T,) entropies, 0 where nothing was sampled", lambda m: [h for _, h in seen(m)]
    ),
    "logprobs": Offer(
        ("select",), "for each sample (T,) log-probabilities under the present policy", lambda m: [logp for logp, _ in seen(m)]
    ),
    "retell": Offer(
        ("select",),
        "(sample, messages, answer=None) -> a new sample: the same answer, or that one, after others",
        lambda m: partial(retell, m),
    ),
    "decode": Offer(("select",), "(tokens) -> text", attrgetter("this.policy.text")),
    "mask_token": Offer(("select",), "a token that stands for nothing", attrgetter("this.policy.pad_id")),
    "buffer": Offer(("select",), "a list of samples, as they came, that it fills and empties", working("buffer")),
    "rng": Offer(("select",), "random numbers of this step", random_numbers),
    "temperature": Offer(("select",), "that the step's answers were drawn at", attrgetter("this.recipe.temperature")),
    "recall": Offer(
        ("rollout",), "(words, k) -> what was done right about the k earlier tasks that are most like them", recall
    ),
    "turns": Offer(("verify",), "what the student said in each of its turns; who judges fills it in", lambda moment: (), True),
    "ledger": Offer(
        ("rollout", "verify"),
        "what the rollout has cost: a `core.Spending` that grows, for rollouts; the `core.Ledger` of it all, for verifiers",
        lambda moment: None,
        True,
    ),
    "stage": Offer(
        ("select", "objective"), "number of the stage, 0 the first: the task set of a stream", attrgetter("this.at.number")
    ),
    "earlier": Offer(
        ("select",), "right answers of the stages before, as samples, oldest first", lambda m: list(m.this.earlier)
    ),
    "likelihood": Offer(
        ("select",),
        "(samples) -> for each the mean log-probability of its answer's tokens under the present policy",
        likelihood,
    ),
    "place": Offer(
        ("rollout",), "(which of its task's rollouts this is, from 0, and how many these are)", lambda moment: (0, 1), True
    ),
    "tried": Offer(
        ("curriculum",), "the step's judged samples so far: none before it asks again (`refills`)", lambda m: list(m.samples)
    ),
    "source": Offer(("rollout", "grow"), "draws tasks, grown ones too", attrgetter("this.source")),
    "seen": Offer(("grow",), "the round's judged samples, right ones too, oldest first", lambda m: list(m.this.grown.seen)),
    "ask": Offer(("grow",), "(task) -> the Ask with which the student is asked it", lambda m: partial(plainly, m)),
    "history": Offer(("grow",), "{arm: its latest ArmStats, oldest first}", lambda m: m.this.store.history()),
    "policy": Offer(("objective",), "the policy before the step", attrgetter("this.policy")),
    "batch": Offer(("objective",), "the batch to be learnt from", attrgetter("batch")),
    "losses": Offer(("objective",), "the losses of earlier steps, oldest first", losses),
    "notes": Offer(("select", "objective"), "a dict of JSON that it fills", working("notes")),
}


def names(slot: str) -> list[str]:
    """What functions of a slot may ask for, sorted."""
    return sorted(name for name, offer in OFFERS.items() if slot in offer.slots)


def check(recipe: Recipe) -> None:
    """Raise UserError where a slot's function asks for what it cannot be given: before anything is done."""
    for slot in SLOTS:
        wanted(getattr(recipe, slot), names(slot))


def asked(recipe: Recipe, where: str) -> list[str]:
    """Names of what is kept there for this recipe."""
    return [
        name
        for name, kept in KEPT.items()
        if kept.where == where and any(name in asked_for(getattr(recipe, slot)) for slot in OFFERS[name].slots)
    ]


def commit(this: Run) -> None:
    """Add what is JSON to the commit that comes."""
    for name in asked(this.recipe, "json"):
        this.store.add_meta(name, KEPT[name].pack(KEPT[name].live(this)))


def restore(this: Run) -> None:
    """What is JSON as of the last commit."""
    meta = this.store.meta()
    for name in asked(this.recipe, "json"):
        if name in meta:
            refill(KEPT[name].live(this), KEPT[name].unpack(this.store, meta[name]))


def save(this: Run, checkpoint: Path) -> None:
    """Put arrays beside a checkpoint's weights: NAME.arrays, in the format of safetensors; nothing where there are none."""
    for name in asked(this.recipe, "arrays"):
        if arrays := KEPT[name].live(this):
            from safetensors.numpy import save_file

            save_file({key: np.ascontiguousarray(a) for key, a in sorted(arrays.items())}, checkpoint / f"{name}.arrays")


def load(this: Run, checkpoint: Path) -> None:
    """The arrays as they were at that checkpoint."""
    for name in asked(this.recipe, "arrays"):
        arrays: dict[str, np.ndarray] = {}
        if (path := checkpoint / f"{name}.arrays").exists():
            from safetensors.numpy import load_file

            arrays = load_file(path)
        refill(KEPT[name].live(this), arrays)


def listing() -> str:
    """The list as a table in Markdown."""
    rows = [f"| `{name}` | {', '.join(offer.slots)} | {offer.what} |" for name, offer in OFFERS.items()]
    return "\n".join(["| name | slots | what it is |", "|---|---|---|", *rows])
