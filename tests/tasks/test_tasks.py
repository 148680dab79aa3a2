"""Task sources: the same draw is the same task everywhere, splits share no question, and mistakes in files are named."""

import contextlib
import io
import itertools
import json
import math
import os
import random
import re
import subprocess
import sys
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import sympy

from sharpen import tasks
from sharpen.core import SPLITS, Arm, UserError
from sharpen.families import dataset, levels
from sharpen.hashing import question_key, split_of
from sharpen.tasks.gym import draw, sound
from sharpen.terminal import places
from sharpen.verify import verdicts

ARMS = [Arm(family, level) for family, last in tasks.families().items() for level in range(1, last + 1)]
SOME = [arm for arm in ARMS if arm.family in levels.LEVELS or arm.level == levels.CURRICULUM[arm.family]]


def text(task):
    return task.prompt[0]["content"]


def ids():
    return {str(arm): draw(arm, "train", 0, 7).id for arm in SOME}


# Draws


def test_a_draw_is_the_same_in_another_process_and_leaves_no_trace():
    """Sets are walked in another order there, and arms are drawn in reverse; nothing is printed, no global generator moves."""
    dataset("gcd", 1)  # loading reasoning-gym may draw numbers of its own
    program = "import json, test_tasks as t; t.SOME.reverse(); print(json.dumps(t.ids()))"
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=os.path.dirname(__file__), env=environment, stdout=subprocess.PIPE, text=True
    ) as other:
        generator, numpy_generator = random.getstate(), np.random.get_state()[1].tolist()
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            here = ids()
        assert printed.getvalue() == ""
        assert random.getstate() == generator and np.random.get_state()[1].tolist() == numpy_generator
        assert json.loads(other.communicate(timeout=900)[0]) == here


def test_arms_accept_their_own_answers_and_refuse_others():
    for arm in SOME:
        task = draw(arm, "train", 1, 7)
        assert json.loads(json.dumps(task.data)) == task.data, arm
        assert verdicts.verify(task, f"<answer>{task.answer}</answer>").correct, arm
        for attack in ("", "x", "<answer></answer>", "7" * 100_000, f"<answer>{task.answer}</answer><answer>x"):
            assert verdicts.verify(task, attack).outcome in ("wrong", "malformed", "limit"), (arm, attack[:40])
        if arm.family not in levels.SCORED:  # equality: nothing may stand beside the answer
            for attack in (f"{task.answer} or so", f"perhaps {task.answer}", f"{task.answer}\n{task.answer}"):
                assert not verdicts.verify(task, attack).correct, (arm, attack[:40])


def test_a_draw_depends_on_each_of_its_arguments():
    arm = Arm("chain_sum", 6)
    source = tasks.gym(("chain_sum",))
    task = source.draw(arm, "train", 5, 1)
    assert source.draw(arm, "train", 5, 1) == task
    assert len({task.id, *(source.draw(*a).id for a in ((arm, "train", 6, 1), (arm, "train", 5, 2), (arm, "test", 5, 1)))}) == 4


def test_neighbouring_seeds_share_nothing():
    """reasoning-gym's own seeds 1 and 2 share all questions but one; ours share as many as chance allows."""
    from reasoning_gym import create_dataset

    kwargs = levels.LEVELS["gcd"][6]
    theirs = [[create_dataset("gcd", seed=seed, **kwargs)[i]["question"] for i in range(300)] for seed in (1, 2)]
    assert len({*theirs[0]} & {*theirs[1]}) >= 295
    source = tasks.gym(("gcd/7",))
    ours = [{text(source.draw(Arm("gcd", 7), "train", i, seed)) for i in range(300)} for seed in (1, 2)]
    assert len(ours[0] & ours[1]) <= 5


@pytest.mark.parametrize("arm", [Arm("products", 1), Arm("count_bits", 3), Arm("gcd", 1)], ids=str)
def test_splits_share_no_question_whatever_the_seed(arm):
    """Small arms, so that most questions are drawn: 2,000 draws of at most 1,100 questions."""
    draws = {"train": 700, "validation": 150, "test": 150}
    found = {split: [draw(arm, split, i, seed) for seed in (0, 1) for i in range(n)] for split, n in draws.items()}
    keys = {split: {question_key(task.prompt) for task in drawn} for split, drawn in found.items()}
    for one, other in itertools.combinations(SPLITS, 2):
        assert not keys[one] & keys[other]
    assert len(keys["test"]) > 30 and len(keys["train"]) > 300
    assert all(task.split == split == split_of(task.prompt) for split, drawn in found.items() for task in drawn)


def test_a_split_without_questions_says_so():
    """One try finds a test question one time in ten, and the 500 of a draw practically always."""
    arm, missing = Arm("gcd", 1), 0
    for index in range(40):
        assert draw(arm, "test", index, 0).split == "test"
        try:
            draw(arm, "test", index, 0, tries=1)
        except UserError as error:
            missing += 1
            assert "gcd/1 has no question in the test split: 1 tries found none" in str(error)
    assert 25 <= missing < 40


# Labels: reasoning-gym's answers against arithmetic of our own. Each gets (question, answer) and says whether it is right.


def fewest_swaps(question, answer):
    string = question.split()[-1]
    targets = [("01" * len(string))[start : start + len(string)] for start in (0, 1)]
    fits = [sum(a != b for a, b in zip(string, target)) // 2 for target in targets if sorted(target) == sorted(string)]
    return int(answer) == min(fits, default=-1)


def ones(question, answer):
    return int(answer) == f"{int(question.split()[-1].strip('?')):b}".count("1")


def letters(question, answer):
    letter, words = re.search(r'letter "(.)" appear in the text: "(.*)"', question).groups()
    return int(answer) == words.lower().count(letter)


def rotated(question, answer):
    degrees, rows = re.search(r"by (\d+) degrees clockwise:\n(.*)\n", question, re.DOTALL).groups()
    before, after = (np.array([line.split() for line in text.split("\n")]) for text in (rows, answer))
    return np.array_equal(np.rot90(before, -int(degrees) // 90), after)


def converted(question, answer):
    source, value, target = re.search(r"convert the (\S+) number (\S+) to (\S+)", question).groups()
    bases = [{"binary": 2, "hexadecimal": 16}.get(name) or int(name.split("-")[1]) for name in (source, target)]
    return int(value, bases[0]) == int(answer, bases[1])


def deciphered(question, answer):
    shown = re.search(r"text: (.*)\. Provide", question)[1]
    shifts = {(ord(a) - ord(b)) % 26 for a, b in zip(shown, answer) if a != " "}
    return len(shown) == len(answer) and len(shifts) == 1 and [c == " " for c in shown] == [c == " " for c in answer]


def solved(question, answer):
    left, right = question.split(": ")[1].split(" = ")
    unknown = re.search(r"[a-z]", left)[0]
    return sympy.solve(sympy.parse_expr(left) - int(right), sympy.Symbol(unknown)) == [int(answer)]


def reduced(question, answer):
    shown = re.search(r"fraction (\S+) to", question)[1]
    return str(Fraction(shown)) == answer.removesuffix("/1")


LABELS = {
    "base_conversion": converted,
    "binary_alternation": fewest_swaps,
    "caesar_cipher": deciphered,
    "count_bits": ones,
    "fraction_simplification": reduced,
    "gcd": lambda question, answer: int(answer) == math.gcd(*integers(question)),
    "lcm": lambda question, answer: int(answer) == math.lcm(*integers(question)),
    "letter_counting": letters,
    "rotate_matrix": rotated,
    "simple_equations": solved,
    "spell_backward": lambda question, answer: answer == question.split(": ")[-1][::-1],
}


def integers(question):
    return [int(number) for number in re.findall(r"\d+", question)]


@pytest.mark.parametrize("family", sorted(LABELS))
def test_answers_are_right(family):
    for level in range(1, len(levels.LEVELS[family]) + 1):
        for index in range(30):
            task = draw(Arm(family, level), "train", index, 11)
            assert LABELS[family](text(task), task.answer), text(task)


def test_entries_without_one_right_answer_are_not_drawn():
    assert not sound("simple_equations", {"answer": "4", "metadata": {"variable": "x", "equation": "0 = 0"}})
    assert sound("simple_equations", {"answer": "4", "metadata": {"variable": "x", "equation": "x = 4"}})
    assert not sound("caesar_cipher", {"answer": "CAFÉ", "metadata": {}})
    assert not sound("ab", {"answer": " ", "metadata": {}}) and sound("ab", {"answer": "#A", "metadata": {}})


# Families and levels


def test_every_family_of_reasoning_gym_is_judged_or_blocked_with_a_reason():
    from reasoning_gym.factory import DATASETS

    used, blocked = set(tasks.families()), set(tasks.blocked())
    assert used | blocked == set(DATASETS) and not used & blocked
    assert set(levels.VERIFIER.values()) <= set(verdicts.VERIFIERS)
    assert {*levels.LEVELS, *levels.CURRICULUM} == used and not {*levels.LEVELS} & {*levels.CURRICULUM}
    never = ("syllogism", "countdown", "puzzle24", "codeio", "composite")
    assert all(len(tasks.blocked()[family]) > 15 for family in never)
    rows = {row[0]: row for row in tasks.listing()}
    assert rows["arithmetic"][1] == "1-3" and rows["programs"][1] == "1-4" and rows["problems"][1] == "1-5"
    assert rows["syllogism"][2].startswith("not used: 12.9 %") and rows["spell_backward"] == (
        *("spell_backward", "1-7"),
        "judged by exact, worked solutions, in default",
    )


@pytest.mark.parametrize("name", ["arithmetic", "programs", "problems"])
def test_what_ships_is_known_by_name_whatever_directories_there_are(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.jsonl").write_text('{"prompt": "a", "answer": "b"}\n')
    assert tasks.parse_spec(name).name == name and places.here_tasks(name) == name and tasks.files_of(name) == []
    assert places.here_tasks(f"./{name}") == str(tmp_path / name)
    with pytest.raises(UserError, match=f"{name} is taken as a whole.*sharpen tasks {name} --jsonl"):
        tasks.parse_spec(f"{name}/2")


def test_named_levels_rise_in_small_overlapping_steps():
    """From a level to the next no bound falls, except where a second bound rises instead; and the ranges of one bound meet."""
    for family, rising in levels.LEVELS.items():
        assert len(rising) >= 5, family
        for level, harder in itertools.pairwise(rising):
            rises = [harder[key] - level[key] for key in level if isinstance(level[key], int) and key in harder]
            assert max(map(abs, rises)) > 0 or level.keys() != harder.keys(), family
            for key in level:
                if key.startswith("min_") and isinstance(level[key], int):
                    assert harder[key] <= level["max_" + key[4:]], (family, key)


def test_default_arms_hold_out_enough_questions():
    source = tasks.gym()
    assert len({arm.family for arm in source.arms}) >= 5 and all(source.size(arm, "test") is None for arm in source.arms)
    found = tasks.held_out(source, "test", 64, 0)
    assert set(found) == set(source.arms) and {len(drawn) for drawn in found.values()} == {64}
    for drawn in found.values():
        assert len({question_key(task.prompt) for task in drawn}) == 64 and {task.split for task in drawn} == {"test"}


def test_a_small_arm_holds_out_what_it_has():
    source = tasks.gym(("count_bits/1",))
    drawn = tasks.held_out(source, "test", 64, 0)[Arm("count_bits", 1)]
    every = {question_key(p) for n in range(1, 128) if split_of(p := prompt(f"{BITS} {n}?")) == "test"}
    assert {question_key(task.prompt) for task in drawn} == every and 5 < len(every) < 64
    assert tasks.held_out(source, "test", 64, 0)[Arm("count_bits", 1)] == drawn


BITS = "How many 1 bits are there in the binary representation of the number"


def prompt(content):
    return ({"role": "user", "content": content},)


# Specifications


@pytest.mark.parametrize(
    ("spec", "arms"),
    [
        ("gcd/2", ["gcd/2"]),
        ("gcd/2-3, lcm/1", ["gcd/2", "gcd/3", "lcm/1"]),
        ("gcd/1,gcd/1-2", ["gcd/1", "gcd/2"]),
        ("rearc/6", ["rearc/6"]),
        ("default", [str(arm) for arm in tasks.gym(levels.DEFAULT).arms]),
    ],
)
def test_spec(spec, arms):
    assert [str(arm) for arm in tasks.parse_spec(spec).arms] == arms


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("chain_sums", "Did you mean 'chain_sum'"),
        ("chain_sum/99", "levels 1 to 11"),
        ("chain_sum/0", "levels 1 to 11"),
        ("chain_sum/3-2", "levels 1 to 11"),
        ("chain_sum/x", "is no arm"),
        ("chain_sum/٢", "is no arm"),
        ("chain_sum/", "is no arm"),
        ("chain_sum/1-", "is no arm"),
        ("syllogism", "12.9 %"),
        ("countdown/1", "parse_expr"),
        ("", "No tasks are named"),
        (" , ", "No tasks are named"),
        ("nowhere.jsonl", "cannot be read"),
        ("tasks.json", "cannot be read"),
        ("tasks.pkl", "may hold code"),
        ("tasks.xlsx", "save it as CSV"),
        ("gibberish", "`sharpen tasks` lists them"),
    ],
)
def test_spec_mistakes(spec, says):
    with pytest.raises(UserError, match=re.escape(says)):
        tasks.parse_spec(spec)


def test_gym_takes_one_text_or_several():
    assert tasks.gym("gcd/1, lcm/2").arms == tasks.gym(("gcd/1", "lcm/2")).arms == (Arm("gcd", 1), Arm("lcm", 2))
    with pytest.raises(UserError, match="no family"):
        tasks.gym(())


# Files


def lines(n, **fields):
    return "".join(json.dumps({"prompt": f"{i} + 1 =", "answer": str(i + 1), **fields}) + "\n" for i in range(n))


def written(tmp_path, content, name="sums.jsonl"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_file_is_a_source(tmp_path):
    chat = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "2 + 2 ="}]
    extra = {
        "prompt": chat,
        "answer": "4.0",
        "family": "chat",
        "level": 3,
        "verifier": "number",
        "split": "test",
        "solution": "4",
        "id": 9,
    }
    path = written(tmp_path, "\ufeff" + lines(40) + "\n  \n" + json.dumps(extra))
    source = tasks.parse_spec(str(path))
    assert source.arms == (Arm("chat", 3), Arm("sums", 1))
    task = source.draw(Arm("chat", 3), "test", 0, 0)
    assert (task.prompt, task.answer, task.verifier, task.solution, task.split) == (tuple(chat), "4.0", "number", "4", "test")
    assert verdicts.verify(task, "4").correct
    assert sum(source.size(Arm("sums", 1), split) for split in SPLITS) == 40
    with pytest.raises(UserError, match=r"chat/3 has no task in the train split.*\"split\": \"train\""):
        source.draw(Arm("chat", 3), "train", 0, 0)


def test_draws_of_a_file_go_through_all_tasks_before_any_comes_again(tmp_path):
    source, arm = tasks.jsonl(written(tmp_path, lines(60))), Arm("sums", 1)
    n = source.size(arm, "train")
    turns = [[text(source.draw(arm, "train", i + n * turn, seed)) for i in range(n)] for turn, seed in ((0, 1), (1, 1), (0, 2))]
    assert all(len(set(turn)) == n for turn in turns) and len({*map(tuple, turns)}) == 3
    assert turns[0] == [text(source.draw(arm, "train", i, 1)) for i in range(n)]
    assert len(tasks.held_out(source, "train", 10_000, 0)[arm]) == n and len(tasks.held_out(source, "train", 5, 0)[arm]) == 5


def test_splits_of_a_file_are_disjoint_and_stay_when_lines_are_added(tmp_path):
    small, large = (tasks.jsonl(written(tmp_path, lines(n))) for n in (200, 400))
    found = []
    for source in (small, large):
        found.append({split: {text(t) for t in tasks.held_out(source, split, 999, 0)[Arm("sums", 1)]} for split in SPLITS})
        assert sum(map(len, found[-1].values())) == len(set().union(*found[-1].values())) == (200 if source is small else 400)
    assert all(found[0][split] <= found[1][split] for split in SPLITS)


@pytest.mark.parametrize("n", [3, 4, 7, 19])
def test_a_small_file_has_a_task_in_every_split(tmp_path, n):
    for start in range(0, 40, 5):
        content = "".join(json.dumps({"prompt": f"say {i}", "answer": str(i)}) + "\n" for i in range(start, start + n))
        source = tasks.jsonl(written(tmp_path, content))
        sizes = [source.size(Arm("sums", 1), split) for split in SPLITS]
        assert sum(sizes) == n and min(sizes) >= 1 and sizes[0] == max(sizes)
        again = tasks.jsonl(written(tmp_path, content))
        assert all(tasks.held_out(source, s, 99, 0) == tasks.held_out(again, s, 99, 0) for s in SPLITS)
        assert all(task.split == s for s in SPLITS for task in tasks.held_out(source, s, 99, 0)[Arm("sums", 1)])


GOOD = {"prompt": "2 + 3 =", "answer": "5"}
TWO = lines(2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no tasks"),
        ("\n \n", "holds no tasks"),
        (TWO + "{", "line 3: broken JSON"),
        (TWO + "nonsense", "line 3: broken JSON"),
        ('{"prompt": "a", "answer": "b"} {}', "line 1: broken JSON"),
        ("[" * 100_000, "line 1: not a task: nested too deeply"),
        ("[1, 2]", "line 1: a list where an object is wanted"),
        ("null", "line 1: null where an object is wanted"),
        (json.dumps({"answer": "5"}), "line 1: the field 'prompt' is missing"),
        (json.dumps({"riddle": "2 + 3 =", "answer": "5"}), "Rename one of: riddle. Or leave them, and say --map prompt=COLUMN"),
        (TWO + json.dumps({"prompt": "2 + 3 ="}), "line 3: the field 'answer' is missing"),
        (json.dumps({**GOOD, "answer": True, "verifier": "number"}), "'answer' is true; it must be text, a number"),
        (json.dumps({**GOOD, "answer": []}), "'answer' is a list"),
        (json.dumps({**GOOD, "answer": ["a", {}]}), "'answer' is a list"),
        (json.dumps({**GOOD, "answer": None}), "'answer' is null"),
        (json.dumps({**GOOD, "answer": " "}), "'answer' is empty"),
        (json.dumps({**GOOD, "prompt": 5}), "'prompt' is 5"),
        (json.dumps({**GOOD, "prompt": ""}), "'prompt' is empty"),
        (json.dumps({**GOOD, "prompt": []}), "'prompt' is a list"),
        (json.dumps({**GOOD, "prompt": ["hi"]}), "message 1 of the prompt"),
        (json.dumps({**GOOD, "prompt": [{"role": "user"}]}), "message 1 of the prompt"),
        (json.dumps({**GOOD, "prompt": [{"role": "assistant", "content": "x"}]}), "ends with the assistant"),
        (json.dumps({**GOOD, "level": "2"}), "'level' is '2'; it must be a whole number"),
        (json.dumps({**GOOD, "level": True}), "'level' is true"),
        (json.dumps({**GOOD, "level": -1}), "'level' is -1"),
        (json.dumps({**GOOD, "family": ["a"]}), "'family' is a list"),
        (json.dumps({**GOOD, "solution": {}}), "'solution' is an object"),
        (json.dumps({**GOOD, "split": "tset"}), "Did you mean 'test'"),
        (json.dumps({**GOOD, "verifier": "numbr"}), "Did you mean 'number'"),
        (json.dumps({**GOOD, "verifier": "gym"}), "no verifier 'gym'"),
        (json.dumps({**GOOD, "familly": "a"}), "Did you mean 'family'"),
        (json.dumps({**GOOD, "answer": "five", "verifier": "number"}), "'five' is not accepted by its own verifier, number"),
        (TWO + lines(1), "line 3: the same question as in line 1"),
        (json.dumps({**GOOD, "prompt": "\ud800"}), "half of a surrogate pair"),
        (TWO, "sums/1 has 2 tasks, and each of train, validation, test needs one"),
        (TWO.encode() + b'{"prompt": "caf\xe9"}', "line 3: not UTF-8, at"),
        (b"\xff\xfe{\x00}\x00", "line 1: not UTF-8, but UTF-16"),
    ],
)
def test_mistakes_in_files_name_file_line_and_reason(tmp_path, content, says):
    path = written(tmp_path, content)
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        tasks.jsonl(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["notes", "/dev/null", "./nowhere", "notes.txt"])
def test_a_path_without_an_ending_that_tells_what_it_is_is_no_family(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").write_text("hello")
    with pytest.raises(UserError, match="a file of tasks ends in .jsonl|is no file"):
        tasks.parse_spec(name)


def test_the_same_question_in_other_spacing_and_case_is_a_duplicate(tmp_path):
    path = written(
        tmp_path,
        lines(9) + json.dumps({"prompt": "Say IT", "answer": "a"}) + "\n" + json.dumps({"prompt": "say   it", "answer": "b"}),
    )
    with pytest.raises(UserError, match="line 11: the same question as in line 10"):
        tasks.jsonl(path)


def test_a_line_of_50_megabytes_is_refused_without_being_read(tmp_path):
    path = written(tmp_path, lines(5))
    with path.open("ab") as file:
        for _ in range(50):
            file.write(b"x" * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="line 6: longer than 4 MiB"):
            tasks.jsonl(path)
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read: .+\. Name a file"):
        tasks.jsonl(tmp_path / "none.jsonl")
    with pytest.raises(UserError, match="holds no data"):
        tasks.jsonl(tmp_path)


# Mixtures


def test_a_mixture_is_a_source(tmp_path):
    file, gym = tasks.jsonl(written(tmp_path, lines(30))), tasks.gym(("gcd/1", "lcm/1"))
    both = tasks.mixture([file, tasks.mixture([gym])])
    assert both.arms == (Arm("gcd", 1), Arm("lcm", 1), Arm("sums", 1))
    assert both.draw(Arm("gcd", 1), "train", 3, 4) == gym.draw(Arm("gcd", 1), "train", 3, 4)
    assert both.draw(Arm("sums", 1), "test", 0, 4) == file.draw(Arm("sums", 1), "test", 0, 4)
    assert both.size(Arm("gcd", 1), "test") is None and both.size(Arm("sums", 1), "test") == file.size(Arm("sums", 1), "test")
    assert tasks.parse_spec(f"gcd/1,lcm/1,{file.name}").arms == both.arms


def test_clashing_arms_are_an_error_with_its_cure(tmp_path):
    path = written(tmp_path, lines(30, family="gcd"))
    with pytest.raises(UserError, match=r'gcd/1 is in gym\(gcd/1\) and in .*sums\.jsonl.*another "family"'):
        tasks.parse_spec(f"gcd/1,{path}")
    assert len(tasks.parse_spec(f"gcd/2,{path}").arms) == 2
    with pytest.raises(UserError, match="nothing to mix"):
        tasks.mixture([])
