"""A run that is ahead of its learner: nothing is lost or learnt twice, long answers are neither favoured nor dropped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import prefork
from sharpen import loop, models
from sharpen.core import Interrupted, UserError
from sharpen.loop import processor
from sharpen.loop.ahead import Ahead, Shares
from sharpen.store import Store
from sharpen.terminal import terminal

PAID = str(Path(__file__).with_name("paid_recipe.py"))  # what nothing is right of would teach nothing
SETTINGS = (
    *("student=micro", "precision=fp32", "warmup_steps=4", "warmup_rows=8", "warmup_levels=1", "warmup_demos=0", "prompts=3"),
    *("samples=4", "round_steps=3", "validation=2", "test=2", "max_tokens=10", "unreadable_limit=1", "guard=always", "lr=0.01"),
)


def rows(directory: Path) -> tuple[list, list]:
    """What was generated, and what each step has learnt from."""
    with Store.open(directory) as store:
        made = store.rows(
            "SELECT id, version, tokens, logprobs, n_sampled, stop FROM rollouts WHERE purpose = 'train' ORDER BY id"
        )
        learnt = store.rows("SELECT step, rollout FROM batches ORDER BY step, rollout")
        return [tuple(r) for r in made], [tuple(r) for r in learnt]


def test_versions_staleness_and_lengths(tmp_path):
    for k in (0, 2):
        request = loop.Request(PAID, SETTINGS, 3, "6steps", None, "chain_sum/1", tmp_path / str(k), ahead=k)
        loop.start(request, terminal.Quiet())
    made, learnt = rows(tmp_path / "2")
    first = 4  # behind the warm-up
    learnt = [(step, id) for step, id in learnt if step >= first]
    for id, version, *_ in made:  # step t + 2 was written by the policy of step t; the first two by the first one
        assert version == max(int(id[1:7]) - 2, first)
    assert len({id for _, id in learnt}) == len(learnt) == len(made) == 6 * 12  # each once, whatever its length or end
    with Store.open(tmp_path / "2") as store:
        assert [s["staleness"] for s in store.steps() if s["phase"] == "loop"] == [0.0, 1.0, 2.0, 2.0, 2.0, 2.0]
    plain, _ = rows(tmp_path / "0")
    assert [r for r in made if r[0].startswith(f"s{first:06d}")] == [r for r in plain if r[0].startswith(f"s{first:06d}")]
    assert not {r[3] for r in made if r[0] >= f"s{first + 3:06d}"} & {r[3] for r in plain}  # what is learnt shows
    assert {r[0] for r in made} == {r[0] for r in plain} and len(list((tmp_path / "2" / "ahead").iterdir())) <= 6


@pytest.mark.parametrize(("case", "threads"), [("committed:3", 1), ("committed:4", 2)])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path, case, threads):
    settings = [f"threads={threads}", *(s for s in SETTINGS if "round_steps" not in s)]
    said = prefork.run(
        Path(__file__).with_name("resumed_run.py"),
        *(str(tmp_path), f"recipe={PAID}", "ahead=1", "commit_s=1", *settings, "round_steps=2", "--", case),
    )
    assert f"{case} killed" in said and f"{case} killed 0" not in said
    assert rows(tmp_path / "whole") == rows(tmp_path / case.replace(":", "-"))


def test_a_recipe_whose_verdict_asks_the_student_is_refused(tmp_path):
    request = loop.Request("self_judge", SETTINGS, 3, "1steps", None, "chain_sum/1", tmp_path / "a", ahead=1)
    with pytest.raises(UserError, match="--ahead is for recipes that ask nobody"):
        loop.start(request, terminal.Quiet())


def test_a_number_of_rollouts_that_follows_from_the_first_is_refused(tmp_path):
    request = loop.Request("grpo", (*SETTINGS, "early=2"), 3, "1steps", None, "chain_sum/1", tmp_path / "a", ahead=1)
    with pytest.raises(UserError, match="early=0"):
        loop.start(request, terminal.Quiet())


def test_verdicts_are_dealt_anew_ahead_too(tmp_path):
    request = loop.Request("grpo", (*SETTINGS, "shuffled=True"), 3, "2steps", None, "chain_sum/1", tmp_path / "a", ahead=1)
    loop.start(request, terminal.Quiet())
    with Store.open(tmp_path / "a") as store:
        rules = store.rows("SELECT DISTINCT v.rule FROM rollouts r JOIN verdicts v ON v.rollout = r.id WHERE purpose = 'train'")
        assert [r[0] for r in rules] == ["shuffled"]


class Last(Ahead):
    """Generates a step's rollouts when the learner has come to wait for them: he was faster."""

    def __init__(self, *given):
        super().__init__(*given)
        self.wanted = threading.Event()

    def made(self, speaker, asked, step, generate):
        assert self.wanted.wait(300)
        self.wanted.clear()
        return super().made(speaker, asked, step, generate)

    def take(self, step, told=None):
        self.wanted.set()
        return super().take(step, told)

    def settle(self):
        for asked in self.on_the_way.values():
            self.wanted.set()
            asked.samples.exception(timeout=300)


class First(Ahead):
    """Generates them before anything is learnt."""

    def ask(self, *given):
        super().ask(*given)
        self.settle()


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Said(terminal.Quiet):
    """Notes what is said, and asks to stop after so many steps."""

    def __init__(self, steps=10**9):
        self.lines, self.left = [], steps

    def say(self, text):
        self.lines.append(text)

    def advance(self, n=1, **numbers):
        self.left -= n

    def interruptible(self):
        return nullcontext(lambda: self.left <= 0)


def begun(place, progress, k=1) -> Path:
    request = loop.Request(PAID, (*SETTINGS, "lora=2"), 3, "4steps", None, "chain_sum/1", place, ahead=k)
    loop.start(request, progress)
    return place


def test_results_follow_from_k_alone_whoever_is_faster(tmp_path, two_threads, monkeypatch):
    found = {}
    for kind in (First, Last):
        monkeypatch.setattr(loop.afar, "Ahead", kind)
        place, said = tmp_path / kind.__name__, Said()
        with Store.open(begun(place, said)) as store:
            meta, last = store.meta(), store.last_commit()
            weights = store.verified(last.checkpoint).rglob("*.safetensors")
            found[kind] = rows(place), {path.name: path.read_bytes() for path in weights}
        assert meta["shares"] == {"generating": 1, "learning": 1} and meta["threads"] == 2 and meta["ahead.seconds"] > 0
        assert "ahead by 1: this process generates while it learns, 1 of its threads generating beside 1 learning" in said.lines
    assert found[First][1] and found[First] == found[Last]


def test_who_stops_loses_nothing(tmp_path, two_threads):
    whole = begun(tmp_path / "whole", Said())
    with pytest.raises(KeyboardInterrupt):
        begun(tmp_path / "stopped", Said(steps=4 + 2))  # behind the warm-up: two steps of four
    with Store.open(tmp_path / "stopped") as store:
        assert store.last_commit().step < 8 and not store.last_commit().finished
    loop.resume(tmp_path / "stopped", Said())
    assert rows(whole) == rows(tmp_path / "stopped")


def thread_alone(place, generate) -> tuple[Ahead, SimpleNamespace]:
    local = models.LocalPolicy(*models.embedded.build("micro", SimpleNamespace(arms=()), 0), "fp32", device="cpu")
    this = SimpleNamespace(policy=local, at=SimpleNamespace(number=0), timed=lambda phase, step: nullcontext())
    return Ahead(1, place, Shares(1, 1)), this


def test_what_generation_raises_is_raised_by_the_step_that_takes_it(tmp_path):
    def fails(policy, chosen):
        raise ValueError(f"of {chosen}")

    ahead, this = thread_alone(tmp_path, fails)
    ahead.ask(this, 5, 4, list, fails)
    ahead.settle()
    with pytest.raises(ValueError, match="of"):
        ahead.take(5)
    ahead.close()


def test_what_nobody_wants_any_more_ends_at_its_next_token(tmp_path):
    entered, ended = threading.Event(), threading.Event()

    def endless(policy, chosen):
        try:
            while True:
                policy.tick("answers", 0.5)
                entered.set()
        finally:
            ended.set()

    ahead, this = thread_alone(tmp_path, endless)
    heard = []

    def told(what, share):
        heard.append((what, share))
        raise Interrupted

    ahead.ask(this, 5, 4, list, endless)
    assert entered.wait(60)
    with pytest.raises(Interrupted):
        ahead.take(5, told)
    assert heard == [("answers", 0.5)] and 5 in ahead.on_the_way
    ahead.forget()
    assert ended.is_set() and not ahead.on_the_way
    ahead.close()


def test_threads_are_shared_out(monkeypatch):
    local = models.LocalPolicy(*models.embedded.build("micro", SimpleNamespace(arms=()), 0), "fp32", device="cpu")
    for cores, shares in ((2, Shares(1, 1)), (5, Shares(2, 3)), (1, "there is one thread")):
        monkeypatch.setattr(processor, "usable", lambda cores=cores: cores)
        assert processor.shared(local, 1) == shares
    monkeypatch.setattr(processor, "usable", lambda: 8)
    local.path = models.paths.ComputePath(threads=1)  # one was measured to be the fastest
    assert processor.shared(local, 1) == Shares(1, 1)
