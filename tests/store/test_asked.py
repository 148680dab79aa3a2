"""What people ask of a run lies in files: whole or not there, the first of two stands, and nothing in them is trusted."""

from __future__ import annotations

import dataclasses
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from sharpen.core import Task, UserError
from sharpen.store import Asked, Position, Store, asked, database, growth

ID = "0123456789abcdef"


def test_of_two_who_decide_the_same_the_second_is_told_what_the_first_said(tmp_path):
    asked.put(tmp_path, Asked("dispute", ID, "edit", "5", "Ada", 1.0))
    with pytest.raises(asked.Taken, match="Ada was first, and said edit \\('5'\\)") as caught:
        asked.put(tmp_path, Asked("dispute", ID, "reject", None, "Bob", 2.0))
    assert caught.value.first == Asked("dispute", ID, "edit", "5", "Ada", 1.0)
    asked.put(tmp_path, Asked("repair", ID, "reject", None, "Bob", 2.0))  # another question about the same task
    assert [a.who for a in asked.listed(tmp_path, *asked.LABELS)] == ["Ada", "Bob"]
    assert sorted(os.listdir(tmp_path / "asked")) == [f"dispute-{ID}.json", f"repair-{ID}.json"]


def test_of_many_at_once_one_is_first(tmp_path):
    def decide(name: str) -> str:
        try:
            asked.put(tmp_path, Asked("dispute", ID, "accept", None, name))
        except asked.Taken as taken:
            return taken.first.who
        return name

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(decide, map(str, range(8))))) == 1


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Asked("dispute", ID, "maybe"), "neither accept"),
        (Asked("dispute", ID, "edit"), "edit needs one"),
        (Asked("dispute", ID, "accept", "5"), "belongs to edit"),
        (Asked("dispute", ID, "edit", "  "), "empty"),
        (Asked("dispute", "../../../etc", "accept"), "nothing that is known"),
        (Asked("dispute", ID, "edit", "x" * 20_001), "20,000"),
        (Asked("dispute", ID, "edit", "\ud800"), "no text"),
        (Asked("extend", "0001", "a while"), "not a number and a unit"),
        (Asked("coffee", "0001"), "nothing that is known"),
        (Asked("dispute", ID, "accept", at=float("nan")), "no time"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_leaves_nothing(tmp_path, said, why):
    with pytest.raises(UserError, match=why):
        asked.put(tmp_path, said)
    assert not (tmp_path / "asked").exists()


def test_files_that_are_no_requests_are_passed_over(tmp_path):
    good = asked.put(tmp_path, Asked("dispute", ID, "accept", None, "Ada", 1.0))
    folder, body = good.parent, json.loads(good.read_text())
    spoilt = {"dispute-aaaa": "{", "dispute-bbbb": "[" * 100_000, "dispute-cccc": json.dumps(body), "dispute-dddd": "x" * 2**20}
    spoilt |= {"dispute-eeee": json.dumps({**body, "subject": "eeee", "answer": ["accept"]}), "dispute-ZZ": json.dumps(body)}
    for name, text in spoilt.items():
        (folder / f"{name}.json").write_text(text)
    (folder / "dispute-ffff.json").symlink_to(good)
    (folder / "dispute-abcd.json").mkdir()
    os.mkfifo(folder / "dispute-dcba.json")
    assert asked.listed(tmp_path, "dispute") == [Asked("dispute", ID, "accept", None, "Ada", 1.0)]


def test_a_folder_that_leads_elsewhere_is_not_followed(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "asked").symlink_to(tmp_path)
    for act in (lambda: asked.put(tmp_path / "run", Asked("pause", "0001")), lambda: asked.listed(tmp_path / "run", "pause")):
        with pytest.raises(UserError, match="asked"):
            act()


def test_pauses_are_numbered_and_forgotten(tmp_path):
    assert asked.forget_pauses(tmp_path) is False
    assert [asked.numbered(tmp_path, "pause").subject for _ in range(2)] == ["0001", "0002"]
    assert asked.forget_pauses(tmp_path) is True and asked.forget_pauses(tmp_path) is False


def test_who_writes_is_seen_without_a_lock_of_ones_own(tmp_path):
    assert asked.holder(tmp_path) is None
    with Store.create(tmp_path / "run", {}):
        assert asked.holder(tmp_path / "run") == os.getpid()
    assert asked.holder(tmp_path / "run") is None  # its file still names this process
    with database.locked(tmp_path / "run"):
        assert asked.holder(tmp_path / "run") == os.getpid()
    for odd in ("", "-1", "99999999999999999", "words", "0"):
        (tmp_path / "run" / "run.lock").write_text(odd)
        assert asked.holder(tmp_path / "run") is None


def test_repairs_are_as_people_said(tmp_path):
    """Six tasks whose label 0 was mended to 1: nobody said anything; accepted; rejected; edited to 2; edited to what its
    verifier refuses; edited back to 0."""
    tasks = [Task(({"role": "user", "content": str(i)},), "0", "f", 1) for i in range(6)]
    mended = [dataclasses.replace(task, answer="1") for task in tasks]
    edited = dataclasses.replace(tasks[3], answer="2")
    said = [(), ("accept", None), ("reject", None), ("edit", edited.id), ("edit", None), ("edit", tasks[5].id)]
    with Store.create(tmp_path / "run", {}) as store:
        store.add_tasks([*tasks, *mended, edited])
        rows = ((i, 1, tasks[i].id, mended[i].id, "label mended", "") for i in range(6))
        store.add_rows("repairs", rows)
        for task, (answer, made) in ((tasks[i], said[i]) for i in range(1, 6)):
            ruling = Asked("repair", task.id, answer, "2" if answer == "edit" else None)
            store.add_rows("asked", [asked.row(ruling, 2, 5, made)])
        store.commit(Position("loop", 5, 2))
        found = growth.repairs(store)
    answers = [found[task.id] and found[task.id].answer if task.id in found else "0" for task in tasks]
    assert answers == ["1", "1", "0", "2", None, "0"]


def test_a_label_that_a_person_wrote_is_not_mended_further(tmp_path):
    """A was mended to B, and B to C; somebody says that A's label is B's."""
    a, b, c = (Task(({"role": "user", "content": "?"},), answer, "f", 1) for answer in "abc")
    with Store.create(tmp_path / "run", {}) as store:
        store.add_tasks([a, b, c])
        store.add_rows("repairs", [(0, 1, a.id, b.id, "label mended", ""), (1, 2, b.id, c.id, "label mended", "")])
        store.add_rows("asked", [asked.row(Asked("repair", a.id, "edit", "b"), 3, 5, b.id)])
        store.commit(Position("loop", 5, 3))
        assert growth.repairs(store) == {a.id: b}
