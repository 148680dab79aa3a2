"""Stages: one stage is its recipe, hand-overs are exact, gates decide, and killed anywhere is never killed."""

from __future__ import annotations

import dataclasses
import pickle
import sqlite3
from functools import cache

import pytest
import torch
from safetensors.torch import load_file
from test_resume import SETTINGS, assert_same, in_turn, rows, run_cases

from sharpen import guard
from sharpen.compare import runner
from sharpen.core import Arm, Evaluation, UserError
from sharpen.guard import handover
from sharpen.loop import loop
from sharpen.models import mix
from sharpen.recipe import Recipe, Stage, Stages, identities, opening
from sharpen.recipes import catalog, staging
from sharpen.report import report
from sharpen.store.store import FAULTS, Store
from sharpen.terminal import terminal

# Three stages of two steps, each of which learns: worked solutions, these against own answers, worked solutions.
LEARNS = ("dpo.select=demo_vs_own", "rl.rollout=demonstrate", "rl.select=keep_correct", "rl.objective=sft", "rl.samples=1")
SMALL = (*(s for s in SETTINGS if not s.startswith(("round_steps", "samples"))), "round_steps=1")
THIRDS = ("imitate=0.34", "prefer=0.33", *SMALL, *LEARNS)
PASSES = (*THIRDS, "sft.gate=always", "dpo.gate=always", "rl.hand_over=between", "rl.hand_over.alpha=0.25")
COMMITS = 10  # the start; in each stage two rounds and a hand-over, the last of which is the end

BUILT = {info.name: catalog.load(info).recipe() for info in catalog.recipes()}
STAGED = {name: method for name, method in BUILT.items() if isinstance(method, Stages)}


def request(directory, settings, recipe="tulu", budget="6steps"):
    return loop.Request(recipe, tuple(settings), 3, budget, None, "chain_sum/1-2,spell_backward/1", directory)


def model(directory):
    """The accepted weights."""
    with Store.open(directory) as store:
        path = store.checkpoint_path(store.last_commit().accepted)
    return load_file(path / "model.safetensors")


def walked(directory, settings):
    """A run that pauses at every commit; the accepted weights by round, and what its store says of rounds."""
    loop.start(request(directory, settings), terminal.Quiet(), pause=lambda: True)
    found = {}
    while True:
        with Store.open(directory) as store:
            last = store.last_commit()
        found[last.round] = model(directory)
        if last.finished:
            assert not (directory / "kept").exists()
            return found
        loop.resume(directory, terminal.Quiet(), pause=lambda: True)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


def test_a_list_of_one_stage_is_its_recipe_bit_for_bit(tmp_path):
    loop.start(request(tmp_path / "stages", ["imitate=0", "prefer=0", "endless=0", *SMALL]), terminal.Quiet())
    loop.start(request(tmp_path / "parent", SMALL, "grpo"), terminal.Quiet())
    assert_same(tmp_path / "stages", tmp_path / "parent")


EACH = [f"{FAULTS[i % len(FAULTS)]}:{1 + i}" for i in range(COMMITS)]
AROUND = ["cleaned:2", "cleaned:3", "cleaned:4", "cleaned:7", "renamed:10"]  # before a checkpoint is kept, and after


def test_killed_is_never_killed(tmp_path):
    cases = [in_turn(EACH), in_turn(AROUND), "events:1"]
    said = run_cases(tmp_path, ["recipe=tulu", *PASSES], cases)
    assert "killed 0" not in said
    for case in cases:
        assert_same(tmp_path / "whole", tmp_path / case.replace(":", "-"))


def test_killed_where_a_gate_sends_the_run_back(tmp_path):
    kills = ["cleaned:2", "renamed:4", "cleaned:4", "begun:7", "cleaned:7", "written:10"]
    case = in_turn(kills)
    said = run_cases(tmp_path, ["recipe=tulu", *THIRDS], [case])
    assert said.count("killed 1") == len(kills)
    assert_same(tmp_path / "whole", tmp_path / case.replace(":", "-"))


def test_what_is_handed_over_is_exactly_what_was_asked_for(tmp_path):
    """Nothing is solved, so the best is the first: the weights with which dpo began."""
    found = walked(tmp_path / "run", PASSES)
    mean = {n: 0.5 * found[1][n] + 0.5 * found[2][n] for n in found[1]}
    assert same(found[3], mean) and not same(found[3], found[2])
    assert same(found[6], found[3]) and not same(found[5], found[3])
    last = {n: 0.75 * found[6][n] + 0.25 * found[8][n] for n in found[8]}
    assert same(found[9], last) and not same(found[8], found[6])
    with Store.open(tmp_path / "run") as store:
        steps, begun = [s for s in store.steps() if s["phase"] == "loop"], store.meta()["stages"]
        reasons = {n: d.reason for n, d in store.decisions().items()}
    assert [s["lr"] for s in steps] == pytest.approx(
        [0.003 / 20, 0.003] * 3
    )  # every stage warms its optimizer up, short as it is
    assert [(b["name"], b["step"], b["round"], b["used"]) for b in begun] == [
        ("sft", 6, 0, 0),
        ("dpo", 8, 3, 2),
        ("rl", 10, 6, 4),
    ]
    assert reasons[3].startswith("sft hands over 0.5 of round 1, 0.5 of round 2")
    shown = [(r["round"], r.get("stage")) for r in report.summary(tmp_path / "run")["rounds"]]
    assert shown == [(n, ("sft", "dpo", "rl")[(n - 1) // 3]) for n in range(1, 10)]


def test_a_gate_sends_the_run_back_to_the_first_weights_of_the_stage(tmp_path):
    found = walked(tmp_path / "run", THIRDS)
    assert same(found[4], found[0]) and not same(found[2], found[0])  # round 3 was refused, round 4 is the way back
    with Store.open(tmp_path / "run") as store:
        decisions = store.decisions()
        assert store.evaluation(4, "validation") == store.evaluation(0, "validation")
    assert not decisions[3].accepted and decisions[4].accepted and "first weights of sft" in decisions[4].reason


def test_a_gate_can_end_the_run(tmp_path):
    gate = ("sft.gate=reached", "sft.gate.least=0.9", "sft.otherwise=stop")
    loop.start(request(tmp_path / "run", [*THIRDS, *gate]), terminal.Quiet())
    with Store.open(tmp_path / "run") as store:
        last, steps = store.last_commit(), store.steps()
        assert "0.0% missed the 90.0% asked for; the run stops here" in store.decisions()[3].reason
    assert last.finished and [s["phase"] for s in steps].count("loop") == 2
    before = rows(tmp_path / "run")
    loop.resume(tmp_path / "run", terminal.Quiet())
    assert rows(tmp_path / "run") == before


def test_a_stage_that_stops_early_leaves_its_budget_to_the_next(tmp_path):
    settings = [
        *THIRDS,
        "sft.gate=always",
        "sft.control=plateau",
        "sft.control.patience=1",
        "sft.round_steps=1",
        "dpo.gate=always",
    ]
    settings = [s.replace("imitate=0.34", "imitate=0.5").replace("prefer=0.33", "prefer=0.17") for s in settings]
    loop.start(request(tmp_path / "run", settings), terminal.Quiet())
    with Store.open(tmp_path / "run") as store:
        begun = store.meta()["stages"]
        assert sum(s["phase"] == "loop" for s in store.steps()) == 6
    assert [b["step"] - 6 for b in begun] == [0, 1, 4]  # sft had three steps, and took one


def test_an_optimizer_begins_anew_or_goes_on(tmp_path):
    moments = {}
    for optimizer in ("fresh", "inherited"):
        directory = tmp_path / optimizer
        settings = [*PASSES, f"dpo.optimizer={optimizer}"]
        loop.start(request(directory, settings), terminal.Quiet(), pause=lambda: True)
        for _ in range(3):
            loop.resume(directory, terminal.Quiet(), pause=lambda: True)
        with Store.open(directory) as store:
            last = store.last_commit()
            assert last.round == 3
            moments[optimizer] = load_file(store.checkpoint_path(last.accepted) / "optimizer.safetensors")
    assert not moments["fresh"] and any(key.startswith("exp_avg:") for key in moments["inherited"])


def test_a_mean_with_all_its_weight_on_one_is_that_one_bit_for_bit(tmp_path):
    loop.start(request(tmp_path / "run", SMALL, "grpo", "2steps"), terminal.Quiet(), pause=lambda: True)
    with Store.open(tmp_path / "run") as store:
        first = store.checkpoint_path(store.last_commit().accepted)
    second = tmp_path / "second"
    mix({first: 1.0}, second, fresh=False)
    assert {p.name: p.read_bytes() for p in first.iterdir()} == {p.name: p.read_bytes() for p in second.iterdir()}
    a = load_file(first / "model.safetensors")
    torch.manual_seed(0)
    from safetensors.torch import save_file

    save_file({n: t + torch.randn_like(t) for n, t in a.items()}, second / "model.safetensors", {"format": "pt"})
    b = load_file(second / "model.safetensors")
    for alpha in (0.0, 0.3, 1.0):
        mix({first: 1 - alpha, second: alpha}, tmp_path / f"{alpha}", fresh=True)
        mixed = load_file(tmp_path / f"{alpha}" / "model.safetensors")
        assert same(mixed, {n: a[n] if alpha == 0 else b[n] if alpha == 1 else (1 - alpha) * a[n] + alpha * b[n] for n in a})


# ------------------------------------------------------------------------------------------------------ values and settings


ROUNDS = [{"round": n, "accepted": True, "accuracy": a, "n": 9} for n, a in ((2, 0.1), (3, 0.4), (5, 0.4), (6, 0.3))]


def test_hand_overs_by_hand():
    assert handover.last(ROUNDS) == {6: 1.0} and handover.best(ROUNDS) == {3: 1.0} and handover.best(ROUNDS[:1]) == {2: 1.0}
    assert handover.between(ROUNDS, 0.25) == {2: 0.75, 6: 0.25} and handover.between(ROUNDS[:1], 0.25) == {2: 1.0}
    assert handover.between(ROUNDS, 0) == {2: 1} and handover.between(ROUNDS, 1) == {6: 1}
    assert handover.mean(ROUNDS) == {n: pytest.approx(1 / 3) for n in (3, 5, 6)} and handover.mean(ROUNDS[:1]) == {2: 1.0}
    half = Evaluation({Arm("a", 1): (True, False)})
    assert handover.reached(half, half, 0.5).accepted and not handover.reached(half, half, 0.51).accepted


@cache
def told(name: str) -> dict[str, str]:
    return identities(BUILT[name])


@pytest.mark.parametrize("name", STAGED)
def test_every_staged_recipe_is_a_value(name):
    """Prints every stage, pickles, differs from every other recipe, and each stage alone is a recipe that runs."""
    method = STAGED[name]
    staging.validate(method)
    text = str(method)
    assert " at 0x" not in text and all(f"\n{s.name}.share " in text for s in method.stages)
    assert str(pickle.loads(pickle.dumps(method))) == text
    assert all(told(name) != told(other) for other in BUILT if other != name)
    assert sum(s.share for s in method.stages) == pytest.approx(1)
    for stage in method.stages:
        shares = stage.hand_over(ROUNDS)
        assert sum(shares.values()) == pytest.approx(1) and set(shares) <= {r["round"] for r in ROUNDS}
    parent, module = BUILT[catalog.find(name).parent], catalog.load(catalog.find(name))
    made = module.recipe(**module.NEUTRAL)
    if isinstance(made, Stages) and isinstance(parent, Recipe):  # of one stage, which is its parent
        (only,) = made.stages
        assert (only.hand_over, only.gate) == (handover.last, guard.always)
        made = only.recipe
    assert identities(made) == identities(parent)


def test_settings_reach_all_stages_or_one():
    method = catalog.build(
        "tulu", ["lr=1e-3", "dpo.lr=1e-5", "3.lr=1e-6", "objective.beta=2", "sft.gate=reached", "sft.gate.least=0.3"]
    )
    assert [s.recipe.lr for s in method.stages] == [1e-3, 1e-5, 1e-6]
    assert method.stages[1].recipe.objective.keywords["beta"] == 2.0  # the only objective that has one
    assert method.stages[0].gate.func is handover.reached and method.stages[0].gate.keywords == {"least": 0.3}
    assert all(s.recipe.student == "micro" for s in catalog.build("tulu", model="micro").stages)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            ["sft.share=0.5"],
            r"0\.5 \(sft\) \+ 0\.2 \(dpo\) \+ 0\.6 \(rl\) = 1\.3, and must add up to 1: such as sft\.share=0\.385",
        ),
        (["budget=2steps"], "nothing is left for sft"),
        (["dpo.student=micro"], "student is 'tiny' in .* a run has one student"),
        (["dop.lr=1e-5"], r"no stage 'dop'\. Did you mean '?dpo\.lr"),
        (["dpo.lrr=1e-5"], "stage dpo: Recipe tulu has no setting 'lrr'"),
        (["lrr=1e-5"], "no setting 'lrr'"),
        (["objective.betta=1"], "no argument 'betta'"),
        (["dpo.otherwise=bakc"], "stage dpo: otherwise='bakc': Did you mean '?back"),
        (["dpo.optimizer=old"], "There are: fresh, inherited"),
        (["dpo.hand_over=bset"], "stage dpo: hand_over=bset: there is no such function"),
        (["rl.hand_over=between", "rl.hand_over.alpha=1.5"], "0 <= alpha <= 1"),
        (["lora=4"], "stage sft: hand_over=mean averages weights"),
        (["dpo.lr=-1"], "stage dpo: lr=-1"),
        (["imitate=1.5"], "may not be below 0"),
    ],
)
def test_bad_input_is_refused_before_the_first_step(settings, says):
    with pytest.raises(UserError, match=says):
        catalog.build("tulu", settings)


def half(rounds):
    return {rounds[-1]["round"]: 0.5}


def test_an_impossible_hand_over_or_name_is_refused():
    grpo = BUILT["grpo"]
    for stage, says in (
        (Stage("a", grpo, 1.0, half, guard.always), "must add up to 1"),
        (Stage("select", grpo, 1.0, handover.last, guard.always), "a name of its own"),
        (Stage("a", grpo, 1.0, lambda rounds: {}, guard.always), "a named function"),
        (Stage("a", dataclasses.replace(grpo, prompts=0), 1.0, handover.last, guard.always), "stage a: prompts=0"),
    ):
        with pytest.raises(UserError, match=says):
            staging.validate(Stages((stage,)))


def test_stages_are_compared_with_recipes_from_one_warm_up(tmp_path):
    plan = runner.Plan((runner.Contender("grpo", "grpo"), runner.Contender("tulu", "tulu")), (0,), "20steps", "micro")
    methods = runner.check(plan)
    trials = runner.trials(tmp_path, plan, methods)
    assert len(trials) == 3 and len({t.origin for t in trials if t.origin}) == 1
    longer = catalog.build("tulu", ["rl.max_tokens=99"], model="micro")
    assert opening(longer).max_tokens == 99 and isinstance(opening(longer), Recipe)  # what the first evaluations allow
    twice = dataclasses.replace(plan, contenders=(runner.Contender("a", "tulu"), runner.Contender("b", "tulu")))
    with pytest.raises(UserError, match="come out the same recipe"):
        runner.check(twice)


def test_a_plain_run_notes_no_stages(tmp_path):
    loop.start(request(tmp_path / "run", SMALL, "grpo", "1steps"), terminal.Quiet())
    with sqlite3.connect(tmp_path / "run" / "run.db") as db:
        assert not db.execute("SELECT * FROM meta WHERE key = 'stages'").fetchall()
    assert not (tmp_path / "run" / "kept").exists()


def test_a_gate_that_asks_for_what_is_not_offered_between_stages_is_refused():
    with pytest.raises(UserError, match="gate=sequential asks for evaluations, looks, progress, retained"):
        catalog.build("tulu", ["sft.gate=sequential"])
