"""Environments of others, each against its real package; skipped, saying so, where that is not installed."""

from __future__ import annotations

import importlib.util
import random
import socket
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

from sharpen.core import UserError
from sharpen.environments import arena, gymnastics, loading, openenv, prime, tools

pytestmark = pytest.mark.filterwarnings("ignore")  # what others' packages warn of is theirs


def needs(*packages):
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.mark.parametrize("package", loading.ADAPTERS)
def test_what_is_missing_is_said_with_the_command_that_installs_it(package):
    installed = importlib.util.find_spec(package) is not None
    with pytest.raises(UserError, match=None if installed else rf"pip install 'sharpen\[{package}\]'"):
        loading.factory(f"{package}:nothing such")()


class Wandering:
    """Stands for Gymnasium's: two rooms, a named action that goes on, another that does nothing."""

    class unwrapped:
        actions = ()

    class action_space:
        n, start = 2, 0

    class spec:
        reward_threshold = None

    def reset(self, seed):
        self.at = 0
        return {"mission": "go on"}, {}

    def step(self, action):
        self.at += action
        return {"mission": f"room {self.at}"}, float(self.at == 2), self.at == 2, False, {}


def test_one_word_is_one_action():
    made = gymnastics.Gymnastics(Wandering())
    assert "Actions: 0 to 1" in made.reset({"seed": 1})
    with pytest.raises(ValueError, match="0 to 1"):
        made.step("forward")
    with pytest.raises(ValueError, match="0 to 1"):
        made.step("7")
    assert "room 1" in made.step("I take 1.").text and not made.done and made.reward().outcome == "wrong"
    made.step("1")
    assert made.done and made.reward().reward == 1.0


class Sloping:
    """Stands for MountainCar: every step costs 1, and -3 in all is good enough. Its actions are numbers."""

    class unwrapped:
        pass

    class action_space:
        low, high, dtype = np.zeros(1), np.ones(1), np.dtype(float)

    class spec:
        reward_threshold = -3.0

    def reset(self, seed):
        self.n = 0
        return np.zeros(1), {}

    def step(self, action):
        self.n += 1
        return np.zeros(1), -1.0, bool(action[0] > 0.5) or self.n == 6, False, {}


@pytest.mark.parametrize(
    "actions, outcome, reward", [("", "wrong", 0.0), ("001", "correct", 1.0), ("000000", "wrong", 0.5), ("0000", "wrong", 0.0)]
)
def test_where_steps_cost_who_does_nothing_has_not_won(actions, outcome, reward):
    """Six steps for the wanted three are worth half; who stops on the way has nothing, however little he has paid."""
    made = gymnastics.Gymnastics(Sloping())
    made.reset({"seed": 1})
    for action in actions:
        made.step(action)
    verdict = made.reward()
    assert (verdict.outcome, verdict.reward) == (outcome, reward)


@pytest.mark.parametrize("said", ["", "nan", "inf", "1 1", "one"])
def test_what_is_no_number_is_the_models_mistake(said):
    made = gymnastics.Gymnastics(Sloping())
    with pytest.raises(ValueError, match="an action is 1 number from 0 to 1"):
        made.read(said)
    assert made.read("I push .5.") == [0.5]


def test_a_mission_is_told_where_it_is_new():
    made, picture = gymnastics.Gymnastics(Wandering()), {"mission": "go on", "image": np.zeros((3, 2, 3), int)}
    assert made.shown(picture) == "go on\n? ? ?\n? A ?" and made.shown(picture) == "? ? ?\n? A ?"
    assert made.shown({**picture, "mission": "back"}) == "back\n? ? ?\n? A ?"


@needs("gymnasium", "minigrid")
def test_minigrid_is_written_as_letters_and_repeats_itself():
    one, other = (gymnastics.maker("MiniGrid-DoorKey-5x5-v0")() for _ in range(2))
    assert one.reset({"seed": 3}) == other.reset({"seed": 3}) != one.reset({"seed": 4})
    text = one.reset({"seed": 3})
    assert "A" in text.splitlines()[7] and "left, right, forward" in text
    assert one.reset({"seed": 4}) != text and other.reset({"seed": 4})
    assert one.step("left").text == other.step("Forward? No: left.").text
    with pytest.raises(UserError, match="CartPoll"):
        gymnastics.maker("CartPoll-v1")


@needs("textarena")
def test_a_game_of_textarena_is_played_to_its_end():
    draw, outcomes = random.Random(0), set()
    for seed in range(6):
        game = arena.maker("TicTacToe-v0")()
        seen = game.reset({"seed": seed})
        assert game.reset({"seed": seed}) == seen
        while not game.done:
            seen = game.step(draw.choice(arena.MOVE.findall(seen.splitlines()[-1]) or ["[4]"])).text
        outcomes.add(game.reward().outcome)
        with pytest.raises(ValueError, match="over"):
            game.step("[0]")
    assert "correct" in outcomes


class Duel:
    """A game of two as TextArena has them: who says [no] first loses, and what is neither [go] nor [no] is no move."""

    def __init__(self, shown):
        self.shown = shown

    def reset(self, num_players, seed):
        self.player, self.rewards, self.about = 0, {}, {0: {}, 1: {}}

    def get_observation(self):
        return self.player, self.shown

    def step(self, action):
        wrong = action not in ("[go]", "[no]")
        if wrong or action == "[no]":
            self.rewards = {self.player: -1, 1 - self.player: 1}
            self.about = {p: {"reason": "no move" if wrong else f"player {self.player} said no"} for p in (0, 1)}
            self.about[self.player]["invalid_move"] = wrong
        self.player = 1 - self.player
        return bool(self.rewards), {}

    def close(self):
        return self.rewards, self.about


def test_why_a_game_ended_is_shown_and_an_opponent_without_moves_is_no_victory():
    lost, won, odd = (arena.Arena(lambda shown=shown: Duel(shown)) for shown in ("[go]", "[no]", "say go or no"))
    for game in (lost, won, odd):
        game.reset({"seed": 1, "players": 2})
    assert lost.step("[go]").text == "[go]"
    assert lost.step("[no]").text == "the game is over: player 0 said no" and lost.reward().outcome == "wrong"
    assert won.step("[go]").text == "the game is over: player 1 said no" and won.reward().outcome == "correct"
    with pytest.raises(RuntimeError, match=r"player 1, .* made one that is none \(no move\)"):
        odd.step("[go]")


SERVER = """
import sys, socket
from openenv.core.env_server import create_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State
class Say(Action):
    message: str
class Heard(Observation):
    message: str = ""
class Guess(Environment):
    SUPPORTS_CONCURRENT_SESSIONS = True
    def __init__(self):
        super().__init__()
        self.n = 0
    def reset(self, seed=None, episode_id=None, **more):
        self.n = (seed or 0) % 10
        return Heard(message="guess", done=False, reward=0.0)
    def step(self, action, timeout_s=None, **more):
        right = action.message.strip() == str(self.n)
        return Heard(message="yes" if right else "no", done=right, reward=float(right))
    @property
    def state(self):
        return State()
import uvicorn
at = socket.socket(fileno=int(sys.argv[1]))
app = create_app(Guess, Say, Heard, env_name="guess", max_concurrent_envs=4)
uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[at])
"""


@needs("openenv", "uvicorn")
def test_a_server_of_openenv_is_an_environment_of_words():
    with socket.create_server(("127.0.0.1", 0)) as at:
        process = subprocess.Popen([sys.executable, "-c", SERVER, str(at.fileno())], pass_fds=[at.fileno()])
        try:
            url = f"http://127.0.0.1:{at.getsockname()[1]}"
            urllib.request.urlopen(f"{url}/schema", timeout=600).close()  # it waits until the server is up
            made = openenv.maker(url)()
            assert (made.field, made.reset({"seed": 7})) == ("message", "guess")
            assert made.step("3").text == "no" and made.reward().reward == 0.0
            assert made.step("7").done and made.reward().outcome == "correct"
        finally:
            process.kill()
            process.wait()


TASKSET = """
import verifiers.v1 as vf
class SumData(vf.TaskData):
    answer: str = ""
class SumTask(vf.Task[SumData]):
    @vf.reward(weight=1.0)
    async def right(self, trace: vf.Trace) -> float:
        return float(self.data.answer in (trace.last_reply or ""))
class Sums(vf.Taskset[SumTask, vf.TasksetConfig]):
    def load(self):
        return [SumTask(SumData(prompt=f"{a} + 1 =", answer=str(a + 1))) for a in range(5)]
__all__ = ["Sums"]
"""


@needs("verifiers")
def test_a_taskset_of_verifiers_scores_what_is_said(tmp_path, monkeypatch):
    (tmp_path / "sums_of_ours.py").write_text(TASKSET)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = prime.maker("sums-of-ours")()
    assert made.reset({"index": 3}) == "3 + 1 ="
    assert made.step("It is 4.").done and made.reward().outcome == "correct"
    made.reset({"index": 2})
    made.step("It is 4.")
    assert made.reward().outcome == "wrong"


@needs("unified_planning")
def test_a_plan_in_pddl_is_validated():
    press = "(:action press :parameters () :precondition (off) :effect (and (on) (not (off))))"
    domain = f"(define (domain d) (:requirements :strips) (:predicates (on) (off)) {press})"
    problem = "(define (problem p) (:domain d) (:init (off)) (:goal (on)))"
    assert tools.check_plan(domain, problem, "(press)") == "valid"
    assert tools.check_plan(domain, problem, "(press)\n(press)") != "valid"
    with pytest.raises(ValueError, match="no plan"):
        tools.check_plan(domain, problem, "(jump)")


@needs("vl_convert")
def test_a_chart_is_drawn_of_columns_that_there_are():
    table = [{"shop": "north", "n": 3}, {"shop": "south", "n": 5}]
    assert tools.draw(table, "bar", "shop", "n", "sum").startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="'m' is none of"):
        tools.draw(table, "bar", "shop", "m")


@needs("rank_bm25")
def test_bm25_ranks_as_another_implementation_does():
    from rank_bm25 import BM25Okapi

    from sharpen.environments.retrieval import Index, words

    draw = random.Random(0)
    texts = [
        " ".join(draw.choices("red blue kite lamp bell drum boat sea sun".split(), k=draw.randint(3, 9))) for _ in range(60)
    ]
    mine, theirs = Index(texts), BM25Okapi([words(t) for t in texts], k1=1.5, b=0.75)
    for query in ("kite", "boat"):  # one word: the two differ in how they weigh words, not texts
        held = [i for i, t in enumerate(texts) if query in t]
        order = sorted(held, key=lambda i: (-mine.scores(query)[i], i))
        assert order == sorted(held, key=lambda i: (-theirs.get_scores([query])[i], i)) or theirs.idf[query] <= 0
