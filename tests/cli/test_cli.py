"""The command line as a person or a script meets it: exit codes, what is printed where, and what is left behind."""

import fcntl
import json
import os
import pty
import shlex
import signal
import sqlite3
import subprocess
import sys
import termios
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest
import torch
import typer
import typer.main
from typer.testing import CliRunner, Result

import kills
from sharpen.cli import driving, program, usage
from sharpen.guard import Diagnosis
from sharpen.models.gguf import PACKAGES
from sharpen.recipes import brought
from sharpen.store import Position, Store
from sharpen.terminal import terminal
from sharpen.terminal.terminal import Terminal, interruptible

SMALL = ("--model", "micro", "--tasks", "chain_sum/1-2", "--budget", "3steps")
SMALL += tuple(
    part
    for setting in ("prompts=2", "samples=2", "max_tokens=8", "round_steps=2", "validation=3", "test=4", "warmup_steps=2")
    for part in ("--set", setting)
)


def sharpen(*argv: str | Path) -> Result:
    return CliRunner().invoke(program.app, [str(a) for a in argv])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """A tiny run made by the command itself in an empty directory, and what it printed."""
    place = tmp_path_factory.mktemp("finished")
    before = Path.cwd()
    os.chdir(place)
    try:
        return sharpen("run", *SMALL), place / "runs" / "latest"
    finally:
        os.chdir(before)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("run", "grpo", "--out", "x"), "No such option: --out. It is --run-dir here."),
        (("run", "grpo", "--lr", "1e-5"), "No such option: --lr. It is a setting here: --set lr=…"),
        (("run", "grpo", "--learning-rate", "1e-5"), "No such option: --learning-rate. It is a setting here: --set lr=…"),
        (("run", "grpo", "--steps", "4"), "No such option: --steps. It is --budget here."),
        (("eval", "d", "--limit", "4"), "No such option: --limit. It is -n here."),
        (("run", "grpo", "--budgte", "4"), "No such option: --budgte. Did you mean --budget?"),
        (("run", "grpo", "-budget", "4"), "Did you mean --budget?"),
        (("run", "grpo", "--nonsense", "4"), "No such option: --nonsense.\n"),
    ],
)
def test_an_option_of_other_programs_is_told_by_its_name_here(argv: tuple[str, ...], said: str) -> None:
    result = sharpen(*argv)
    assert result.exit_code == 2 and said in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("plan grpo", "'grpo' is too much: sharpen plan takes no argument, only options. A plan is for a size of model"),
        ("plan gpus 4", "Did you mean --gpus?"),
        ("list grpo", "`sharpen show grpo` tells of one recipe."),
        ("run grpo lr=3", "sharpen run takes RECIPE. A setting is said by --set lr=3."),
        ("run grpo rloo", "`sharpen compare` takes several."),
        ("lineage a b c", "'c' is too much: sharpen lineage takes DIR and TASK|ARM."),
        ("query runs/latest", "SQL (One SELECT) is missing."),
        ("tune grpo", "--over NAME"),
        ("plan --gpus", "Option '--gpus' requires an argument. It is --gpus N (Devices at hand)."),
        ("plan --gpus x", "It is --gpus N (Devices at hand)."),
        ("eval d --json=3", "Option '--json' does not take a value. It is --json (Print JSON)."),
    ],
)
def test_a_command_line_that_cannot_be_read_is_told_with_cure_and_example(argv: str, said: str) -> None:
    result = CliRunner().invoke(program.app, argv.split(), prog_name="sharpen")
    command = argv.split()[0]
    assert result.exit_code == 2 and said in result.stderr and result.stdout == "", result.output
    assert f"Usage: sharpen {command}" in result.stderr and f"Such as: sharpen {command} " in result.stderr
    assert f"`sharpen {command} --help`" in result.stderr


def test_every_command_has_an_example_that_can_be_read() -> None:
    group = typer.main.get_command(program.app)
    assert set(usage.EXAMPLES) == set(group.commands)
    for name, example in usage.EXAMPLES.items():
        assert group.commands[name].make_context(name, shlex.split(example)), name


def test_models_that_packages_carry_are_known_before_torch_is_loaded() -> None:
    assert set(brought.PACKED) == set(PACKAGES)


def test_bits_of_moments_are_refused_in_one_sentence_by_the_name_that_was_used() -> None:
    for argv, name in ((("plan", "--optimizer-bits", "4"), "--optimizer-bits 4"), (("run", "--set", "optimizer_bits=4"), "=4")):
        assert f"{name}: the optimizer's moments have 32 bits, or 8." in sharpen(*argv).stderr


def test_torchrun_and_shards_belong_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    result = sharpen("run", "grpo", "--shard", "fsdp")
    assert result.exit_code == 2 and "torchrun --nproc-per-node 8 -m sharpen run" in result.stderr
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = sharpen("run", "grpo")
    assert result.exit_code == 2 and "torchrun has started 2 processes" in result.stderr and "--shard fsdp" in result.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000 bytes."),
            "4000 bytes",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has"), "20.00 MiB"),
        (MemoryError(), "what it needs"),
        (RuntimeError("shapes do not fit"), ""),
    ],
)
def test_memory_that_ends_is_said_with_who_and_cure(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    expected = f"out_of_memory: rank 3 has no memory for {said} more." if said else ""
    assert usage.out_of_memory(error).startswith(expected) and bool(usage.out_of_memory(error)) == bool(said)


def test_no_option_has_its_own_name_in_capitals_for_a_value() -> None:
    """typer 0.27 takes `--model MODEL` for an option that is called --MODEL."""
    for name, command in typer.main.get_command(program.app).commands.items():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.metavar != parameter.name.upper(), f"{name} --{parameter.name}"


def test_help_of_every_command_imports_nothing_heavy() -> None:
    code = """
import sys
from typer.testing import CliRunner
from sharpen.cli import app
runner = CliRunner()
names = [c.name or c.callback.__name__ for c in app.registered_commands]
for argv in ([], *([name] for name in names)):
    result = runner.invoke(app, [*argv, "--help"])
    assert result.exit_code == 0 and "Usage" in result.output, result.output
print(sorted({"torch", "transformers", "reasoning_gym", "numpy", "sharpen.core"} & set(sys.modules)), len(names))
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=900, env=env)
    assert done.returncode == 0, done.stderr
    heavy, number = done.stdout.rsplit(maxsplit=1)
    assert heavy == "[]" and int(number) > 12


def test_what_needs_no_model_is_answered_without_torch() -> None:
    """Loading it takes seconds, more than all that these commands do."""
    code = """
import sys
from typer.testing import CliRunner
from sharpen.cli import app
asked = {
    "--version": "sharpen ",
    "list": "quickstart",
    "list --json": "claim",
    "show quickstart": "More settings",
    "show grpo": "clip",
    "show tulu": "share",
    "run quikstart": "Did you mean",
    "run --set promts=3": "Did you mean",
    "run grpo --set lr=fast": "a number",
    "run --budget many": "budget",
    "run --model smollm2 --tasks arithmetic --set lrr=1": "Did you mean 'lr'",
    "run grpo --model smollm2 --set lr=fast": "a number",
    "run grpo --tasks my.jsonl --map prompt=a --set promts=3": "Did you mean 'prompts'",
    "run --tasks chain_sum --set warmup_steps=0 --set warmup_rows=3": "would do nothing",
    "run grpo --stream gcd,lcm --set promts=3": "Did you mean 'prompts'",
    "run grpo --tasks nowhere.jsonl": "nowhere.jsonl",
    "compare grpo nosuch": "no recipe 'nosuch'",
    "compare grpo dapo:promts=3": "Did you mean 'prompts'",
    "compare grpo dapo --budget 3x": "budget '3x'",
    "tune nosuch --over lr": "no recipe 'nosuch'",
    "tune grpo --over lr --budget 3x": "budget '3x'",
    "evolve nosuch": "no recipe 'nosuch'",
    "eval nowhere": "nowhere is not a model",
    "suite nowhere": "nowhere is not a model",
    "eval . --tasks nowhere.jsonl": "nowhere.jsonl",
    "profile grpo --tasks gcd --set promts=3": "Did you mean 'prompts'",
    "plan grpo": "no argument",
    "verify a.jsonl": "is missing",
    "resume nowhere": "nowhere",
    "check nowhere": "nowhere",
}
for argv, says in asked.items():
    result = CliRunner().invoke(app, argv.split())
    assert says in result.output, (argv, result.output)
    assert not {"torch", "transformers"} & set(sys.modules), argv
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=900, env=env)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["run", "quikstart"], "Did you mean 'quickstart'?"),
        (["run", "--set", "promts=3"], "Did you mean 'prompts'?"),
        (["run", "--set", "lr=fast"], "a number"),
        (["run", "--budget", "0steps"], "budget"),
        (["run", "--budget", "many"], "budget"),
        (["run", "--seed", "x"], "--seed"),
        (["run", "--set", "student=micro", "--set", "device=nothing"], "device=nothing cannot be used here"),
        (["run", "--role", "teacher"], "no role 'teacher'"),
        (["run", "--tasks", "chain_smu"], "chain_sum"),
        (["run", "--tasks", "nothing.jsonl"], "nothing.jsonl"),
        (["run", "--model", "nowhere"], "nowhere"),
        (["rnu"], "run"),
        (["verify", "nowhere.jsonl", "nowhere.jsonl"], "nowhere.jsonl is no file"),
        (["audit", "nowhere.jsonl"], "nowhere.jsonl is no file"),
        (["audit", "nowhere.jsonl", "--decide", "a=rihgt"], "Did you mean 'right'?"),
        (["resume", "nowhere"], "nowhere"),
        (["check", "nowhere"], "nowhere"),
        (["report", "nowhere"], "nowhere"),
        (["report", "nowhere", "--json"], "nowhere"),
        (["query", "nowhere", "SELECT 1"], "nowhere"),
        (["export", "nowhere", "out"], "nowhere"),
        (["eval", "nowhere"], "nowhere"),
        (["show", "nowhere.py"], "nowhere.py"),
        (["tasks", "chain_smu"], "chain_sum"),
        (["tasks", "chain_sum", "--level", "99"], "99"),
        (["tasks", "chain_sum", "--split", "dev"], "validation"),
    ],
)
def test_a_mistake_is_told_in_words_and_leaves_nothing_behind(
    argv: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = sharpen(*argv)
    assert result.exit_code == 2, result.output
    assert says in result.stderr and "Traceback" not in result.stderr and result.stdout == ""
    assert [p for p in tmp_path.rglob("*") if p.name != "runs"] == []


def test_our_own_mistakes_keep_their_traceback(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("def recipe():\n    return 1 / 0\n")
    result = sharpen("show", own)
    assert isinstance(result.exception, ZeroDivisionError) and result.exit_code == 1


def test_a_run_ends_with_figures_and_the_place_of_its_report(finished: tuple[Result, Path]) -> None:
    result, run = finished
    assert result.exit_code == 0, result.output
    assert "all arms" in result.stdout and "report.html" in result.stdout.splitlines()[-1]
    assert run.is_symlink() and run.resolve().name.endswith("-quickstart") and (run / "report.html").is_file()
    figures = json.loads(sharpen("report", run, "--json").stdout)
    assert {"recipe", "seed", "seconds", "tokens", "rounds", "before", "after"} <= set(figures)
    assert [set(r) >= {"accepted"} for r in figures["rounds"]] == [True, True]  # 3 steps, 2 in a round
    assert set(figures["after"]["arms"]) == {"chain_sum/1", "chain_sum/2"}


def test_the_store_answers_sql_and_nothing_else(finished: tuple[Result, Path]) -> None:
    _, run = finished
    rows = [
        line.split("\t") for line in sharpen("query", run, "SELECT step, phase FROM steps ORDER BY step").stdout.splitlines()
    ]
    assert rows == [["step", "phase"], *([str(i), "warmup" if i < 2 else "loop"] for i in range(5))]
    asked = "SELECT tokens, 'a' || char(9) || 'b' AS tab, NULL AS gap FROM rollouts LIMIT 1"
    row = json.loads(sharpen("query", run, asked, "--json").stdout)[0]
    assert bytes.fromhex(row["tokens"]) and row["tab"] == "a\tb" and row["gap"] is None
    assert sharpen("query", run, asked).stdout.splitlines()[1].split("\t")[1:] == ["a\\tb", ""]
    for bad in ("DELETE FROM steps", "SELECT * FROM nothing", "SELECT 1; DROP TABLE steps", "ATTACH 'x' AS y"):
        assert sharpen("query", run, bad).exit_code == 2
    assert sharpen("query", run, "SELECT count(*) FROM steps").stdout == "count(*)\n5\n"


def test_what_a_model_wrote_cannot_steer_the_terminal(finished: tuple[Result, Path]) -> None:
    _, run = finished
    shown = sharpen(
        "query", run, "SELECT char(27) || '[2Jgone' || char(155) || char(13) || char(0x202e) AS evil, 'ñ漢' AS good"
    ).stdout
    assert "\x1b" not in shown and "\x9b" not in shown and "\r" not in shown and "\u202e" not in shown
    assert "\\x1b[2Jgone" in shown and "ñ漢" in shown


def test_an_exported_model_is_a_plain_transformers_model(finished: tuple[Result, Path], tmp_path: Path) -> None:
    _, run = finished
    out = tmp_path / "model"
    assert sharpen("export", run, out).exit_code == 0
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {p.name for p in out.iterdir()}
    assert not list(out.glob("*optimizer*"))
    result = sharpen("eval", out, "--tasks", "chain_sum/1", "--json")
    assert result.exit_code == 0, result.output
    measured = json.loads(result.stdout)
    assert set(measured["arms"]) == {"chain_sum/1"} and 0 <= measured["accuracy"] <= 1
    again = sharpen("export", run, out)
    assert again.exit_code == 2 and "not empty" in again.stderr
    assert "cannot be written" in sharpen("export", run, out / "config.json" / "x").stderr


def test_a_run_directory_is_never_overwritten(finished: tuple[Result, Path], tmp_path: Path) -> None:
    _, run = finished
    size = (run / "run.db").stat().st_size
    result = sharpen("run", *SMALL, "--run-dir", run)
    assert result.exit_code == 2 and "sharpen resume" in result.stderr
    assert (run / "run.db").stat().st_size == size
    assert sharpen("resume", run).exit_code == 0  # finished already: nothing left to do


def test_lists_are_for_people_and_for_scripts() -> None:
    listed = json.loads(sharpen("list", "--json").stdout)
    keys = {"name", "family", "tier", "claim", "paper", "parent", "differs", "check", "status", "command", "figures", "tried"}
    assert all(set(r) == keys for r in listed)
    assert all(bool(r["command"]) == (r["status"] != "claimed") for r in listed)
    assert {"quickstart", "grpo", "rft", "sft"} <= {r["name"] for r in listed}
    assert "quickstart\tloop\t" in sharpen("list").stdout
    shown = sharpen("show", "dapo").stdout
    assert "arXiv 2503.14476" in shown and "objective.clip_high=0.28" in shown and "|uniform" in shown


def test_tasks_are_shown_with_answers() -> None:
    assert "chain_sum" in sharpen("tasks").stdout
    shown = sharpen("tasks", "chain_sum", "--level", "2", "-n", "3").stdout
    assert shown.count("── chain_sum/2") == 3 and shown.count("\nanswer ") == 3
    assert shown != sharpen("tasks", "chain_sum", "--level", "2", "-n", "3", "--seed", "1").stdout


def test_ctrl_c_finishes_the_step_and_the_run_can_be_resumed(tmp_path: Path) -> None:
    run = tmp_path / "run"

    def committed() -> int:
        with closing(sqlite3.connect(run / "run.db")) as db:
            return db.execute("SELECT coalesce(max(step), -1) FROM commits").fetchone()[0]

    reached = [-1]
    begin = ["run", *(a if a != "3steps" else "5000steps" for a in SMALL), "--run-dir", run]
    for argv in (begin, ["resume", run]):
        # What Ctrl-C does, in the midst of a step after the first commit.
        with kills.armed(kills.at(2000, lambda: os.kill(os.getpid(), signal.SIGINT), after=Store.commit)):
            result = sharpen(*argv)
        assert result.exit_code == 130, result.output
        assert f"sharpen resume {run}" in result.stderr and result.stdout == ""
        reached.append(committed())
    assert -1 < reached[1] < reached[2] < 5000


def test_more_budget_that_was_not_granted_yet_is_asked_for_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert sharpen("run", *SMALL, "--run-dir", run).exit_code == 0

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for step, wanted in ((interrupted, f"sharpen resume {run} --budget 7m"), (extended, f"sharpen resume {run}")):
        with pytest.raises(typer.Exit):
            driving.drive(step, run, run, [], "7m")
        assert capsys.readouterr().err.replace("\n", " ").strip().endswith(wanted)


def extended(run: Path, progress: object, **_: object) -> None:
    """What an interrupt leaves once the budget is granted: a run that is not finished."""
    with Store.open(run, write=True) as store:
        last = store.last_commit()
        store.commit(Position("loop", last.step, 1))
    raise KeyboardInterrupt


def test_a_hopeless_run_is_stopped_and_says_why(tmp_path: Path) -> None:
    run = tmp_path / "run"
    argv = [a.replace("max_tokens=8", "max_tokens=1").replace("3steps", "100steps") for a in SMALL]
    result = sharpen("run", *argv, "--run-dir", run)
    assert result.exit_code == 3 and "all_truncated" in result.stderr and "max_tokens=" in result.stderr
    result = sharpen("check", run)
    assert result.exit_code == 3 and "FATAL all_truncated" in result.stdout


def test_own_files_are_found_again_from_another_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.jsonl").write_text("".join(f'{{"prompt": "{i} + 1 =", "answer": "{i + 1}"}}\n' for i in range(60)))
    Path("mine.py").write_text("from sharpen.recipes.policy_gradient import grpo\n\ndef recipe():\n    return grpo.recipe()\n")
    argv = [a.replace("chain_sum/1-2", "my.jsonl") for a in SMALL]
    assert sharpen("run", "mine.py", *argv).exit_code == 0
    run = (tmp_path / "runs" / "latest").resolve()
    assert run.name.endswith("-mine")
    monkeypatch.chdir("/")
    assert sharpen("resume", run).exit_code == 0
    assert json.loads(sharpen("report", run, "--json").stdout)["after"]["n"] > 0


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_name_between_colons_is_no_picture(capsys):
    with Terminal() as progress:
        progress.say("The environment shop.py:Free: who does nothing is paid.")
    assert "shop.py:Free: who" in capsys.readouterr().err


def test_progress_is_sparse_and_plain_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with Terminal(clock=lambda: now[0]) as progress:
        progress.phase("loop", total=100)
        for _ in range(50):
            now[0] += 0.5
            progress.advance(1, reward=0.25, silent=0.5, tokens_per_second=12345.6)
        progress.phase("evaluate", total=2)
        now[0] += 0.4  # under a second: no line of its own
        progress.advance(2, accuracy=0.715)
        progress.phase("loop", total=100)
        now[0] += 25
        progress.advance(50)
    said = lines(capsys)
    numbers = "reward 0.25 · silent 50% · 12,346 tokens/s"
    assert said[0] == f"loop 20/100 · 0:10 spent · 0:40 left · {numbers}"
    assert said[1] == f"loop 40/100 · 0:20 spent · 0:30 left · {numbers}"
    assert said[2] == f"loop 100/100 · 0:50 spent · held-out 71.5% · {numbers}"  # 25 s before and after the evaluation
    assert len(said) == 3 and "\x1b" not in "".join(said)


def test_time_left_is_told_by_what_this_process_did(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with Terminal(clock=lambda: now[0]) as progress:
        progress.phase("loop", total=100, done=80)  # resumed: the first 80 took no time here
        now[0] += 10
        progress.advance(10)
    assert lines(capsys) == ["loop 90/100 · 0:10 spent · 0:10 left"]
    assert [terminal.clock_time(s) for s in (4, 75, 3723)] == ["0:04", "1:15", "1:02:03"]


def test_the_first_signal_asks_and_the_second_stops() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminal.interruptible() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before
    answers = []

    def elsewhere() -> None:
        with terminal.Quiet().interruptible() as stop:
            answers.append(stop())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(900)
    assert answers == [False]


def test_on_a_terminal_there_are_bars_and_tables_and_no_foreign_escapes() -> None:
    code = """
from sharpen.terminal import tables
from sharpen.terminal import Terminal
with Terminal() as progress:
    progress.phase("loop", total=4)
    progress.advance(3, reward=0.5)
    progress.say("round 1")
tables.show(("name", "value"), [("evil", chr(27) + "[2Jgone"), ("good", "[bold]")])
"""
    reader, writer = pty.openpty()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=writer, timeout=900, env=env)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as stream:
        shown = stream.read(65536).decode()
    assert done.returncode == 0
    assert "━" in shown and "3/4" in shown and "reward 0.50" in shown and "round 1" in shown
    assert "[2Jgone" in shown and "\x1b[2J" not in shown and "[bold]" in shown and "\t" not in shown


def test_a_terminal_that_is_closed_ends_the_step_in_hand_like_ctrl_c() -> None:
    """SIGHUP, twice as a shell sends it, from a terminal that no longer takes a word."""
    leader, follower = os.openpty()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under nohup
        os.setsid()
        fcntl.ioctl(follower, termios.TIOCSCTTY, 0)
        for descriptor in (0, 1, 2):
            os.dup2(follower, descriptor)
        os.close(leader)
        os.close(follower)
        code = 1
        with interruptible() as stop:
            os.write(1, b"here")
            signal.alarm(900)
            with suppress(OSError):
                os.read(0, 1)  # until the terminal is closed
            while not stop():
                pass
            os.kill(os.getpid(), signal.SIGHUP)
            with Terminal() as progress:
                progress.say("committed")  # to a closed terminal this would be an error
            code = 7 if stop() else 1
        os._exit(code)
    os.close(follower)
    assert os.read(leader, 4) == b"here"
    os.close(leader)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_run_under_nohup_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_a_store_says_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e"
    with Store.create(tmp_path / "run", {"seed": 1}) as store:
        store.add_diagnosis(3, Diagnosis(f"odd{evil}", False, {evil: 1.0}, evil))
        store.commit(Position("loop", 1, 0))
    said = [sharpen("check", tmp_path / "run").stdout]
    said += [sharpen("query", tmp_path / "run", "SELECT name, cure FROM diagnoses", *more).stdout for more in ((), ("--json",))]
    with Terminal() as progress:
        progress.say(f"doctor: {evil}")
    said.append(capsys.readouterr().err)
    with sqlite3.connect(tmp_path / "run" / "run.db") as db:
        db.execute("UPDATE commits SET checkpoint = ?, accepted = ?", (evil, evil))
    said.append(sharpen("export", tmp_path / "run", tmp_path / "model").stderr)
    mine = tmp_path / "mine.py"
    title = f"A title {evil}.\n\nParent: grpo\nDiffers: {evil}"
    code = "from sharpen.recipes.policy_gradient import grpo\n\n\ndef recipe(**knobs):\n    return grpo.recipe(**knobs)\n"
    mine.write_text(f'"""{title}\n"""\n\n{code}\n\nNEUTRAL = {{}}\n', encoding="utf-8")
    said.append(sharpen("show", mine).stdout)
    for text in said:
        assert "title" in text and not set(text) & {"\x1b", "\x07", "\x9b", "\u202e"}


def test_a_baseline_that_cannot_be_read_stops_the_run_before_its_first_step(tmp_path: Path) -> None:
    run = tmp_path / "run"
    few = [
        a.replace("validation=3", "validation=8").replace("test=4", "test=12").replace("max_tokens=8", "max_tokens=1")
        for a in SMALL
    ]
    result = sharpen("run", "grpo", *few, "--set", "unreadable_limit=0.5", "--run-dir", run)  # a letter may be a digit
    assert result.exit_code == 3 and "% of 40 answers could not be read" in result.stderr
    assert "--set unreadable_limit=1" in result.stderr and "chain_sum/1, cut off:" in result.stderr
    assert sharpen("query", run, "SELECT count(*) FROM steps WHERE phase = 'loop'").stdout == "count(*)\n0\n"
    checked = sharpen("check", run)
    assert checked.exit_code == 3 and "FATAL unreadable" in checked.stdout
    assert sharpen("resume", run).exit_code == 3
    for free in (["grpo", "--set", "unreadable_limit=1"], ["sft"]):  # what the knob is for, and who needs no right answers
        result = sharpen("run", *free, *few, "--run-dir", tmp_path / free[0] / str(len(free)))
        assert result.exit_code == 0 and "doctor: unreadable" in result.stderr, result.stderr
    with Store.open(tmp_path / "sft" / "1") as store:
        steps = [s for s in store.steps() if s["phase"] == "loop"]
    # Worked solutions are given, so nothing is said of samples.
    assert all(s["solutions"] == 4 and s["solutions_right"] == 1 and "reward" not in s for s in steps) and len(steps) == 3
    assert json.loads(sharpen("report", tmp_path / "sft" / "1", "--json").stdout)["tokens"] == 12 * 2 * 2 + 8 * 2 * 3
