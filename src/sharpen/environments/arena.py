"""TextArena's games: the model is player 0, and others play at random among the moves that the game shows as [legal].

A game of one player is won with a reward of 1; of several, by having the highest. A game that an opponent loses by a move that
is none, because it does not show which there are, is nobody's: it fails, and its rollout is unscorable.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sharpen.core import Observation, UserError, Verdict

MOVE = re.compile(r"\[[^\[\]\n]{1,40}\]")
MOST = 200  # turns of the others in a row


def maker(id: str) -> Callable[[], Arena]:
    """What makes one. UserError where the game is missing."""
    import textarena

    try:
        textarena.make(id)
    except ValueError as error:
        raise UserError(f"textarena:{id}: {error}") from error
    return partial(Arena, partial(textarena.make, id))


class Arena:
    """One game. Its wrappers keep what was seen beyond a reset, so each episode has a new one."""

    def __init__(self, create: Callable[[], Any]) -> None:
        self.create, self.inner, self.done, self.won, self.why = create, create(), False, 0.0, ""

    def reset(self, task: Mapping[str, Any]) -> str:
        seed = int(task.get("seed", 0))
        self.draw = random.Random(seed)
        players = int(task.get("players", getattr(self.inner, "min_players", 0) or self.fewest()))
        self.inner = self.create()
        self.inner.reset(num_players=players, seed=seed)
        self.done, self.won, self.why = False, 0.0, ""
        return self.others()

    def fewest(self) -> int:
        """Players that the game needs."""
        for number in (1, 2, 3, 4, 5, 6):
            try:
                self.inner.reset(num_players=number, seed=0)
                return number
            except (AssertionError, ValueError):
                continue
        return 2

    def step(self, action: str) -> Observation:
        if self.done:
            raise ValueError("the game is over")
        self.act(action)
        text = "" if self.done else self.others()
        return Observation(text or f"the game is over{self.why and f': {self.why}'}", self.done, {"reward": self.won})

    def act(self, action: str) -> None:
        self.done, _ = self.inner.step(action=action)
        if self.done:
            rewards, about = self.inner.close()
            wrong = [player for player, info in about.items() if player != 0 and info.get("invalid_move")]
            self.why = str(next((info["reason"] for info in about.values() if info.get("reason")), ""))
            if wrong:
                raise RuntimeError(
                    f"player {wrong[0]}, who plays at random among the moves that the game shows as [move], made one that is "
                    f"none ({self.why}): this game does not show which there are, so nobody can be played against"
                )
            mine, best = float(rewards.get(0, 0)), max(map(float, rewards.values()))
            self.won = 1.0 if mine > 0 and mine == best else 0.5 if len(rewards) > 1 and mine == 0 == best else 0.0

    def others(self) -> str:
        """Play the others until it is the model's turn; what that one then sees."""
        for _ in range(MOST):
            player, seen = self.inner.get_observation()
            text = seen if isinstance(seen, str) else "\n".join(str(part[1]) for part in seen)
            if player == 0:
                return text
            moves = next((found for line in reversed(text.splitlines()) if (found := MOVE.findall(line))), [])
            self.act(self.draw.choice(moves) if moves else "pass")
            if self.done:
                return ""
        raise RuntimeError("the others never end their turn")

    def reward(self) -> Verdict:
        return Verdict("correct" if self.won == 1 else "wrong", self.won, {"reward": self.won}, rule="game")
