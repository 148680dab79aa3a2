"""What may become a member: files that say what they are, programs of a role that only print, and nothing that cheats."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from sharpen import sandbox
from sharpen.core import UserError
from sharpen.outer import apart, archive, changes, evolve, files, page, population, trusted
from sharpen.outer.files import Genome
from sharpen.outer.history import Candidate, Failure, History, Score, read
from sharpen.recipe import describe, identities
from sharpen.recipes import catalog
from sharpen.store import checkpoints
from sharpen.terminal import terminal

FULL = pytest.mark.skipif(sandbox.probe().level != "full", reason="no full isolation here")


def test_a_genome_is_a_file_that_a_person_can_read_and_run(tmp_path):
    genome = Genome("grpo", {"objective": "dapo"}, {"lr": "0.0004", "samples": "4"})
    made = files.write(tmp_path / "c001.py", genome, 'It says """ and \\', "grpo", "lr from 0.0001\nto 0.0004")
    info = catalog.find(str(tmp_path / "c001.py"))
    assert (made.lr, made.samples, info.parent, info.differs) == (0.0004, 4, "grpo", "lr from 0.0001 to 0.0004")
    assert describe(made.objective) == describe(catalog.build("dapo").objective)
    plain = files.write(tmp_path / "c002.py", Genome("grpo", {}, {"lr": "0.0004"}), "A claim.", "grpo", "lr")
    assert plain.lr == 0.0004 and catalog.build(str(tmp_path / "c002.py"), ["lr=1e-3"]).lr == 1e-3
    assert files.parsed(json.loads(json.dumps(files.as_json(genome)))) == genome


@pytest.mark.parametrize(
    "value, why",
    [
        ({"base": "grpo", "settings": {"verify": "always"}}, "nothing may change"),
        ({"base": "grpo", "slots": {"verify": "self_judge"}}, "nothing may change"),
        ({"base": "grpo", "settings": {"verify.tolerance": "9"}}, "nothing may change"),
        ({"base": "grpo", "settings": {"validation": "1"}}, "nothing may change"),
        ({"base": "grpo", "settings": {"isolation": "none"}}, "nothing may change"),
        ({"base": "/tmp/evil.py"}, "only recipes of the folder"),
        ({"base": "grpo", "slots": {"objective": "/tmp/evil.py"}}, "only recipes of the folder"),
        ({"base": "grpo", "settings": {"rollout.command": "rm -rf /"}}, "could act"),
        ({"base": "grpo", "slots": {"lr": "dapo"}}, "no slot"),
        ({"slots": {}}, "is written"),
        (["grpo"], "is written"),
    ],
)
def test_what_would_cheat_or_act_is_refused(value, why):
    with pytest.raises(UserError, match=why):
        files.parsed(value)


def test_changes_are_recipes_or_say_why_not(tmp_path):
    root, rng = catalog.build("grpo"), np.random.default_rng(0)
    others = [Genome("grpo"), Genome("grpo", {"objective": "dapo"}, {"lr": "0.001"})]
    kinds = set()
    for i in range(10):
        genome, said = changes.changed(Genome("grpo"), root, others, rng)
        assert genome != Genome("grpo") and said
        kinds.add(said.split()[0])
        try:
            files.write(tmp_path / f"c{i}.py", genome, "A claim.", "grpo", said)
        except UserError as refused:
            assert str(refused)
    assert len(kinds) > 3


def test_what_is_set_for_all_members_is_not_turned():
    root, rng = catalog.build("grpo"), np.random.default_rng(0)
    others = [name for name in changes.TURNED if name != "lr"]
    for _ in range(20):
        genome, said = changes.turned(Genome("grpo"), root, rng, others)
        assert set(genome.settings) == {"lr"} and said.startswith("lr from")
    with pytest.raises(UserError, match="set for all"):
        changes.turned(Genome("grpo"), root, rng, changes.TURNED)
    with pytest.raises(UserError, match="set for all"):
        changes.recombined(Genome("grpo"), root, (), rng, changes.LENT)


def test_a_reply_without_a_program_or_one_that_does_not_parse():
    assert trusted.program("Sure.\n```python\nprint(1)\n```\nbye") == "print(1)\n"
    for said, why in [
        ("no code", "no program"),
        ("```python\ndef (:\n```", "does not parse"),
        (f"```\n{'x' * 30000}\n```", "more"),
    ]:
        with pytest.raises(UserError, match=why):
            trusted.program(said)


@FULL
def test_a_program_of_a_role_prints_a_recipe_and_can_do_nothing_else(tmp_path):
    good = 'import json\nprint("thinking"); print(json.dumps({"base": "grpo", "settings": {"lr": "1e-3"}}))'
    assert trusted.printed(good) == Genome("grpo", {}, {"lr": "1e-3"})
    target = Path(trusted.__file__).parents[1] / "verify" / "rewards.py"
    before = trusted.package()
    for code, why in [
        ("while True: pass", "timeout"),
        ("raise SystemExit(3)", "exited 3"),
        ("print('nothing')", "no JSON object"),
        (f"open({str(target)!r}, 'a').write('# edited')", "ended with exited 1"),
        ("import json; print(json.dumps({'base': 'grpo', 'settings': {'verify': 'always_right'}}))", "nothing may change"),
    ]:
        with pytest.raises(UserError, match=why):
            trusted.printed(code, seconds=1.0 if why == "timeout" else 900.0)
    assert trusted.package() == before


def test_a_process_of_a_role_that_never_ends_is_killed_with_all_that_it_began():
    never = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'while True: pass'])\nwhile True: pass"
    assert trusted.child([sys.executable, "-S", "-c", never], 1.0) == trusted.Ended(None)
    assert trusted.child([sys.executable, "-S", "-c", "import sys; sys.exit('no recipe')"], 60.0).complaint == "no recipe"
    assert trusted.child([sys.executable, "-S", "-c", "import os; os._exit(7)"], 60.0) == trusted.Ended(7, "it said nothing")
    spent = trusted.child([sys.executable, "-S", "-c", "while True: pass"], 900.0, cpu_s=1)
    assert spent.status == -signal.SIGKILL  # a limit that is hard and soft at once
    # What it leaves behind dies with it, and what it says is kept in part, however much it says.
    leaves = (
        "import subprocess as s, sys; print(s.Popen([sys.executable, '-c', 'while True: pass']).pid); print('x' * 10**7, 5)"
    )
    ended = trusted.child([sys.executable, "-S", "-c", leaves], 600.0)
    assert ended.status == 0 and len(ended.said) == trusted.KEPT and ended.said.endswith("x 5\n")


def history_of(*entries):
    history = History()
    for entry in entries:
        history.add(entry)
    return history


def test_a_failed_member_leaves_its_children_to_its_parent():
    history = history_of(
        Candidate(0, {"base": "grpo"}, "root"),
        Candidate(1, {}, "knobs", (0,)),
        Candidate(2, {}, "knobs", (1,)),
        Score(2, 1.0, 0.9, more={"gain": 0.1}),
        Failure(1, "its process ended with 1"),
    )
    found = evolve.standing(history)
    assert set(found.nodes) == {0, 2} and found.nodes[2].parent == 0 and found.productivity(0) == 0.9


class Written:
    """A role whose replies are given."""

    def __init__(self, *replies):
        self.replies = list(replies)

    def __call__(self, prompts, temperature, seed):
        return [self.replies.pop(0) if self.replies else "nothing more" for _ in prompts]


def going(tmp_path, plan, history=None, speak=None):
    root = catalog.build(plan.recipe, plan.settings, tasks=plan.tasks)
    (tmp_path / "recipes").mkdir(exist_ok=True)
    history = history or history_of(Candidate(0, {"base": plan.recipe}, "root"))
    return evolve.Loop(tmp_path, plan, root, history, speak, terminal.Quiet())


MICRO = ("student=micro", "validation=4", "test=4")


def test_a_role_that_never_says_a_recipe_ends_it_with_the_reasons(tmp_path):
    """Every change fails: after twenty in a row it is over, and says what the reasons were."""
    plan = evolve.Plan("grpo", settings=MICRO, tasks="chain_sum/1", proposer="x", by="dgm")
    this = going(tmp_path, plan, speak=Written())
    for number in range(1, evolve.IN_A_ROW + 1):
        with pytest.raises(UserError) as told:
            evolve.written(this, evolve.standing(this.history), 0, number)
        this.history.add(Candidate(number, {}, "role", (0,)))
        this.history.add(Failure(number, str(told.value)))
    with pytest.raises(UserError, match="All 20 candidates failed.*no program"):
        evolve.one_step(this)


def test_a_file_of_a_role_counts_only_while_it_is_trusted_and_unchanged(tmp_path):
    code = tmp_path / "recipes" / "c001.py"
    plan = evolve.Plan("grpo", settings=MICRO, tasks="chain_sum/1", proposer="x", trust=True)
    this = going(tmp_path, plan)
    code.write_text("def recipe(): ...\n")
    values = {"file": "c001.py", "digest": checkpoints.digest(code), "change": "a file"}
    this.history.add(Candidate(1, values, "role", (0,)))
    assert evolve.genome_of(this, 1).base == str(code)
    code.write_text("import os\n")
    with pytest.raises(UserError, match="not what the role wrote"):
        evolve.genome_of(this, 1)
    untrusting = going(tmp_path, evolve.Plan("grpo", settings=MICRO, tasks="chain_sum/1"), this.history)
    with pytest.raises(UserError, match="not trusted"):
        evolve.genome_of(untrusting, 1)


def test_a_change_of_a_roles_file_is_a_file_beside_it_and_begins_from_what_the_role_wrote(tmp_path):
    code = tmp_path / "recipes" / "c001.py"
    this = going(tmp_path, evolve.Plan("grpo", settings=MICRO, tasks="chain_sum/1", proposer="x", trust=True))
    code.write_text("def recipe(): ...\n")
    whole = {"file": "c001.py", "digest": checkpoints.digest(code), "change": "a file"}
    this.history.add(Candidate(1, whole, "role", (0,)))
    turned = files.as_json(Genome(str(code), {}, {"lr": "0.0007"})) | {"change": "lr"}
    this.history.add(Candidate(2, turned, "knobs", (1,)))
    genome = evolve.genome_of(this, 2)
    assert evolve.foreign(this, genome)
    files.put(this.file(2), genome, *population.sentences(this, this.history.candidates[2], genome))  # imports nothing
    assert repr(str(code)) in this.file(2).read_text() and "lr=0.0007" in this.file(2).read_text()
    this.history.add(Candidate(3, turned, "knobs", (1,)))
    with pytest.raises(UserError, match="same recipe as member 2"):
        evolve.fresh(this, 3)
    code.write_text("import os\n")
    with pytest.raises(UserError, match="not what the role wrote"):
        evolve.genome_of(this, 2)


def test_a_role_that_edits_this_program_ends_it_and_its_member_has_failed(tmp_path):
    this = going(tmp_path, evolve.Plan("grpo", settings=MICRO, tasks="chain_sum/1", proposer="x", trust=True))
    this.history.add(Candidate(1, {"change": "a file"}, "role", (0,)))
    apart.intact(dataclasses.replace(this, package=trusted.package()), this.history.candidates[1])
    with pytest.raises(trusted.Tampered, match="files were changed while it ran"):
        apart.intact(dataclasses.replace(this, package="another"), this.history.candidates[1])
    assert "were changed" in this.history.failed[1]


def test_what_all_share_may_not_be_changed_by_a_file_either():
    root = identities(catalog.build("grpo", MICRO))
    files.unchanged(root, identities(catalog.build("grpo", [*MICRO, "lr=0.1"])))
    for setting in ("validation=5", "student=tiny", "warmup_steps=7"):
        others = [given for given in MICRO if given.partition("=")[0] != setting.partition("=")[0]]
        with pytest.raises(UserError, match="would be"):
            files.unchanged(root, identities(catalog.build("grpo", [*others, setting])))
    with pytest.raises(UserError, match="nothing may change it"):
        files.parsed({"base": "grpo", "settings": {"warmup_steps": "100000"}})  # no budget counts it


def test_a_child_that_comes_out_as_its_parent_is_no_member(tmp_path):
    """The guard of spo is that of grpo: a change in words only."""
    this = going(tmp_path, evolve.Plan("grpo", settings=MICRO, tasks="chain_sum/1"))
    values = {"base": "grpo", "slots": {"guard": "spo"}, "settings": {}, "change": "guard of spo"}
    this.history.add(Candidate(1, values, "knobs", (0,)))
    with pytest.raises(UserError, match="same recipe as member 0"):
        evolve.fresh(this, 1)
    this.history.add(Candidate(2, {"base": "grpo", "settings": {"lr": "0.0007"}, "change": "lr"}, "knobs", (0,)))
    evolve.fresh(this, 2)


def test_the_tree_is_a_page_that_escapes_what_a_role_wrote(tmp_path):
    history = history_of(
        Candidate(0, {"base": "grpo"}, "root"),
        Candidate(1, {"base": "grpo", "change": "<script>alert(1)</script>"}, "role", (0,)),
        Candidate(2, {"base": "grpo", "change": "lr"}, "knobs", (1,)),
        Score(1, 1.0, 0.75, more={"gain": 0.02}),
        Failure(2, "no </td> of ours"),
    )
    this = going(tmp_path, evolve.Plan("grpo", settings=MICRO, tasks="chain_sum/1"), history)
    rows = [evolve.row(this, evolve.standing(history), c) for c in history.candidates]
    found = {"members": rows, "recipe": "grpo", "by": "hgm", "winner": 1, "verdict": "better, +2.0%", "gain": None}
    found |= {"file": "recipe.py", "optimism": {"chosen": 0.02, "reported": 0.0, "gap": 0.02, "luck": 0.01}}
    text = page.render(tmp_path, found).read_text()
    assert "<script" not in text and "&lt;script&gt;" in text and "no &lt;/td&gt;" in text and "1 ★" in text
    assert evolve.lineage(this, 2) == ["<script>alert(1)</script>", "lr"]
    assert archive.PARENTS and read(tmp_path / "none.jsonl").entries == []
