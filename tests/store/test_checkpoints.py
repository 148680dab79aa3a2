"""Checkpoints that have changed are found, links lead nowhere, and a run that moves loses nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from sharpen.core import UserError
from sharpen.store import Position, Store, checkpoints

FILES = ("weights.safetensors", "config.json", "roles/judge/optimizer.safetensors", "kept.arrays", checkpoints.SUMS)


def save(path: Path) -> None:
    for name in FILES[:-1]:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(name.encode() * 1000)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with Store.create(tmp_path / "run", {}) as store:
        store.commit(Position("loop", 1, 0, "this"), save)
    return tmp_path / "run"


def verified(run: Path) -> Path:
    with Store.open(run) as store:
        return store.verified("000001")


def test_an_untouched_checkpoint_is_whole_and_the_list_is_one_for_sha256sum(run):
    path = verified(run)
    lines = (path / checkpoints.SUMS).read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == sorted(FILES[:-1])
    assert lines[0].split("  ")[0] == checkpoints.digest(path / sorted(FILES[:-1])[0])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_a_flipped_bit_is_found_wherever_it_is(run, name, place):
    file = run / "checkpoints" / "000001" / name
    content = bytearray(file.read_bytes())
    content[int(place * len(content)) if place != -1 else -1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"{file.name} is (damaged|not what was written)"):
        verified(run)


def test_a_list_that_was_made_anew_does_not_vouch_for_other_weights(run):
    (run / "checkpoints" / "000001" / "weights.safetensors").write_bytes(b"others")
    checkpoints.stamp(run / "checkpoints" / "000001")
    checkpoints.verify(run / "checkpoints" / "000001")  # by itself it fits
    with pytest.raises(UserError, match="SHA256SUMS is not what was written"):
        verified(run)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda c: (c / "config.json").unlink(), "config.json is gone"),
        (lambda c: (c / "modeling.py").write_text("print()"), "modeling.py was not written by this run"),
        (lambda c: (c / checkpoints.SUMS).unlink(), "nothing vouches for"),
        (lambda c: ((c / "config.json").unlink(), (c / "config.json").symlink_to("/etc/hostname")), "is a link"),
        (lambda c: (c / "more").symlink_to("/etc"), "more is a link"),
    ],
    ids=["gone", "added", "no list", "link to a file", "link to a directory"],
)
def test_what_is_missing_added_or_a_link_is_named(run, spoil, said):
    spoil(run / "checkpoints" / "000001")
    with pytest.raises(UserError, match=said):
        verified(run)


@pytest.mark.parametrize("name", ["../../other", "/etc", "000001/..", "１２３４５６", "best"])
def test_a_checkpoint_is_called_by_digits_only(run, name):
    with sqlite3.connect(run / "run.db") as db:
        db.execute("UPDATE commits SET checkpoint = ?, accepted = ?", (name, name))
    with Store.open(run) as store, pytest.raises(UserError, match="names are digits"):
        store.checkpoint_path(store.last_commit().accepted)


@pytest.mark.parametrize("name", ["checkpoints", "run.lock", "run.db", "kept", "refused", "start"])
@pytest.mark.parametrize("write", [False, True])
def test_a_link_inside_a_run_is_not_followed(run, tmp_path, name, write):
    other = tmp_path / "other"
    if name in ("checkpoints", "run.db", "run.lock"):
        shutil.move(run / name, other)
    else:
        other.mkdir()
        (other / "00001").mkdir()
    before = sorted(other.rglob("*")), other.read_bytes() if other.is_file() else b""
    (run / name).symlink_to(other)
    with pytest.raises(UserError, match=f"{name} is a symbolic link"):
        Store.open(run, write=write)
    assert before == (sorted(other.rglob("*")), other.read_bytes() if other.is_file() else b"")
    (run / name).unlink()


def test_a_link_to_a_run_is_one_like_runs_latest(run, tmp_path):
    (tmp_path / "latest").symlink_to(run)
    assert verified(tmp_path / "latest").is_dir()


@pytest.mark.parametrize("wait", [True, False])
def test_a_run_that_moves_is_committed_where_it_is_now_and_stops(run, tmp_path, wait):
    with Store.open(run, write=True) as store:
        os.rename(run, tmp_path / "elsewhere")
        store.add_step(1, "loop", 0, {})
        with pytest.raises(UserError, match=r"run was moved to .*elsewhere.*All that it did is committed.*resume .*elsewhere"):
            store.commit(Position("loop", 2, 0, "this"), save, wait=wait)
    assert not run.exists()  # not even begun again where it was
    with Store.open(tmp_path / "elsewhere", write=True) as store:
        assert (store.last_commit().n, len(store.steps())) == (2, 1)
        assert store.verified("000002").parent.parent == tmp_path / "elsewhere"


def test_another_directory_in_its_place_is_not_taken_for_the_run(run, tmp_path):
    with Store.open(run, write=True) as store:
        os.rename(run, tmp_path / "elsewhere")
        shutil.copytree(tmp_path / "elsewhere", run)
        with pytest.raises(UserError, match="was moved to"):
            store.commit(Position("loop", 2, 0, "this"), save)
    with Store.open(run) as copy, Store.open(tmp_path / "elsewhere") as moved:
        assert (copy.last_commit().n, moved.last_commit().n) == (1, 2)


def test_a_run_that_was_removed_while_it_goes_on_is_not_written_to_in_vain(run):
    with Store.open(run, write=True) as store:
        shutil.rmtree(run)
        with pytest.raises(UserError, match="run is gone: it was removed, or moved to another disk"):
            store.commit(Position("loop", 2, 0, "this"), save)
    assert not run.exists()


def test_a_damaged_page_of_the_database_is_found_before_a_run_goes_on(run):
    with Store.open(run, write=True) as store:
        for step in range(1, 400):
            store.add_step(step, "loop", 0, {"text": "x" * 200})
        store.commit(Position("loop", 400, 0))
    file = run / "run.db"
    content = bytearray(file.read_bytes())
    page = content.rfind(b"x" * 200) // 16384 * 16384  # of its header, the number of cells
    content[page + 3] ^= 0x10
    file.write_bytes(content)
    with pytest.raises(UserError, match="run.db is damaged"):
        Store.open(run, write=True)
