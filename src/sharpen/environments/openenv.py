"""A server that speaks OpenEnv, as an environment of words: `openenv:http://host:port`.

Its action has one field of text (`message`, `text`, …: the first that its schema requires, or `openenv:URL#field`), or is
JSON that the model writes. An episode is correct where the sum of its rewards is at least 1; `parts` has the sum.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from sharpen.core import Observation, UserError, Verdict

REACH_S = 10.0
WORDS = ("observation", "message", "text", "content", "output", "result", "echoed_message", "board", "response")


def maker(where: str) -> Callable[[], OpenEnv]:
    """What makes one. UserError where nobody answers."""
    from openenv.core import GenericEnvClient

    url, _, field = where.partition("#")
    if not url.startswith(("http://", "https://")):
        raise UserError(f"openenv:{where}: name a server, such as openenv:http://localhost:8000.")
    try:
        with urllib.request.urlopen(f"{url}/schema", timeout=REACH_S) as answer:
            schema = json.load(answer).get("action", {})
    except (OSError, ValueError) as error:
        raise UserError(f"openenv:{url} does not answer: {error}. Start the server, or mend the address.") from error
    name = field or text_field(schema)
    return lambda: OpenEnv(GenericEnvClient(base_url=url).sync(), name)


def text_field(schema: Mapping[str, Any]) -> str:
    """The field that takes what the model says: the first required text, else the first text; "" where there is none."""
    known = {n: p for n, p in schema.get("properties", {}).items() if p.get("type") == "string"}
    return next((n for n in schema.get("required", ()) if n in known), next(iter(known), ""))


class OpenEnv:
    """One session."""

    def __init__(self, client: Any, field: str) -> None:
        self.client, self.field, self.total, self.done = client, field, 0.0, False

    def reset(self, task: Mapping[str, Any]) -> str:
        self.total = 0.0
        return self.seen(self.client.reset(seed=int(task.get("seed", 0)))).text

    def step(self, action: str) -> Observation:
        if self.done:
            raise ValueError("the episode is over")
        if self.field:
            return self.seen(self.client.step({self.field: action}))
        try:
            given = json.loads(action)
        except ValueError as error:
            raise ValueError(f"an action is JSON here: {error}") from error
        if not isinstance(given, dict):
            raise ValueError("an action is a JSON object here")
        return self.seen(self.client.step(given))

    def seen(self, result: Any) -> Observation:
        self.total += float(result.reward or 0.0)
        self.done = bool(result.done)
        said = result.observation if isinstance(result.observation, dict) else vars(result.observation)
        text = next((str(said[name]) for name in WORDS if said.get(name)), json.dumps(said, default=str))
        return Observation(text, self.done, {"return": self.total})

    def reward(self) -> Verdict:
        value = min(max(self.total, 0.0), 1.0)
        return Verdict("correct" if value == 1 else "wrong", value, {"return": self.total}, rule="return")
