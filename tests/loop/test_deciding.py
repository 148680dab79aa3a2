"""What people decide about labels is taken in between two rounds, once, and a run that is killed then goes on the same."""

from __future__ import annotations

from pathlib import Path

from test_growth_run import OWN, rows, run
from test_resume import SETTINGS, assert_same, in_turn, run_cases

from sharpen.data import screen
from sharpen.loop import loop
from sharpen.store import Asked, Store, asked, growth
from sharpen.terminal import terminal

MENDS = ("grower=mends", "curriculum=epochs", "pool=4")


def decide(directory: Path, kind: str, subject: str, answer: str, label: str | None = None) -> None:
    directory.mkdir(exist_ok=True)
    asked.put(directory, Asked(kind, subject, answer, label, "Ada", 5.0))


def subjects(directory: Path) -> tuple[str, str, str]:
    """Of the first round: the proposal in dispute, the task with a mended label, the task that was dropped."""
    (dispute,) = rows(directory, "SELECT task FROM disputes WHERE round = 1")
    repairs = rows(directory, "SELECT task FROM repairs WHERE round = 1 ORDER BY kind DESC")
    return (dispute[0], *(task for (task,) in repairs))


def test_labels_are_accepted_rejected_and_edited(tmp_path):
    """The same run twice: once left alone, which says what there is to decide, and once with decisions that wait for it."""
    run(tmp_path / "alone", *MENDS, budget="8steps")
    dispute, mended, dropped = subjects(tmp_path / "alone")
    decide(tmp_path / "run", "dispute", dispute, "edit", "5")
    decide(tmp_path / "run", "repair", mended, "reject")
    decide(tmp_path / "run", "repair", dropped, "edit", "777")
    decide(tmp_path / "run", "dispute", "abcdef", "accept")  # about nothing that the run has
    run(tmp_path / "run", *MENDS, budget="8steps")
    # What was said before there was a dispute is taken in one round after it came up.
    taken = rows(tmp_path / "run", "SELECT id, round, answer, label, made, who, at FROM asked ORDER BY id")
    (edited, *_), (relabelled, *_) = (
        rows(tmp_path / "run", f"SELECT id FROM tasks WHERE answer = '{answer}' AND operator LIKE '%by a person'")
        for answer in ("5", "777")
    )
    assert sorted(taken) == sorted(
        [
            (f"dispute-{dispute}", 2, "edit", "5", edited[0], "Ada", 5.0),
            (f"repair-{dropped}", 2, "edit", "777", relabelled[0], "Ada", 5.0),
            (f"repair-{mended}", 2, "reject", None, None, "Ada", 5.0),
        ]
    )
    assert (edited[0],) in rows(tmp_path / "run", "SELECT task FROM grown WHERE round = 2")
    assert rows(tmp_path / "run", f"SELECT parents <> '[]' FROM tasks WHERE id = '{edited[0]}'") == [(1,)]
    later = "SELECT count(*) FROM rollouts WHERE purpose = 'train' AND round > 2 AND task = "
    assert rows(tmp_path / "run", f"{later}'{mended}'")[0][0] > 0 and rows(tmp_path / "alone", f"{later}'{mended}'")[0][0] == 0
    with Store.open(tmp_path / "run") as store:
        repairs = growth.repairs(store)
    assert mended not in repairs and repairs[dropped].answer == "777"


def test_what_a_person_accepts_is_still_screened(tmp_path):
    """A label that the task's own verifier refuses: the proposal stays out."""
    run(tmp_path / "alone", *MENDS, budget="4steps")
    dispute, *_ = subjects(tmp_path / "alone")
    decide(tmp_path / "run", "dispute", dispute, "edit", "five or so")
    run(tmp_path / "run", *MENDS, budget="6steps")
    assert rows(tmp_path / "run", "SELECT answer, made FROM asked") == [("edit", None)]
    assert {screen.REFUSED, screen.UNJUDGED} & set(
        dict(rows(tmp_path / "run", "SELECT reason, n FROM refusals WHERE round = 2"))
    )


def test_killed_while_it_takes_decisions_in_it_goes_on_the_same(tmp_path):
    more = ["guard=always", "curriculum=epochs", "grower=mends"]
    request = loop.Request(OWN, (*SETTINGS, *more), 3, "6steps", None, "chain_sum/1-2,spell_backward/1", tmp_path / "alone")
    loop.start(request, terminal.Quiet())
    dispute, mended, dropped = subjects(tmp_path / "alone")
    cases = [in_turn(["begun:4", "committed:4"]), "events:3"]
    for name in ("whole", *(case.replace(":", "-") for case in cases)):
        decide(tmp_path / name, "dispute", dispute, "accept")
        decide(tmp_path / name, "repair", mended, "reject")
        decide(tmp_path / name, "repair", dropped, "edit", "777")
    said = run_cases(tmp_path, [*SETTINGS, "recipe=" + OWN, *more], cases)
    assert said.count("killed") == 3 and "killed 0" not in said
    assert len(rows(tmp_path / "whole", "SELECT * FROM asked")) == 3
    for case in cases:
        assert_same(tmp_path / "whole", tmp_path / case.replace(":", "-"))


def test_an_extension_is_taken_once(tmp_path):
    run(tmp_path / "run", "grower=returns_none", budget="2steps")
    asked.numbered(tmp_path / "run", "extend", "2steps", "Ada", 5.0)
    order = asked.extension(tmp_path / "run")
    loop.resume(tmp_path / "run", terminal.Quiet(), more=order)
    assert rows(tmp_path / "run", "SELECT id, answer FROM asked") == [("extend-0001", "2steps")]
    assert asked.extension(tmp_path / "run") is None
    assert rows(tmp_path / "run", "SELECT count(*) FROM steps WHERE phase = 'loop'") == [(4,)]
