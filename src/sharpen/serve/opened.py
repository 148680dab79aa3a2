"""The model that a run or a directory stands for, and how it is asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from sharpen import models
from sharpen.core import UserError
from sharpen.loop import telling
from sharpen.rollouts import Asking
from sharpen.store import Store


@dataclass(frozen=True)
class Opened:
    """name: what clients call it; directory: where its weights were read; home: the run or directory that was named."""

    name: str
    directory: Path
    home: Path
    policy: models.LocalPolicy
    asking: Asking

    @property
    def longest(self) -> int:
        """Tokens of prompt and answer together that the model was made for; 0 where its configuration does not say."""
        return int(getattr(self.policy.model.config.get_text_config(), "max_position_embeddings", 0) or 0)


def opened(where: Path, settings: Iterable[str] = (), precision: str = "auto", device: str = "auto") -> Opened:
    """The last accepted model of a run, or the model of a directory, asked as its asking.json says, with `settings` KEY=VALUE.

    Raises UserError where there is none.
    """
    directory = where
    if (where / "run.db").is_file():
        with Store.open(where, write=False) as store:
            commit = store.last_commit()
            if commit is None or commit.accepted is None:
                raise UserError(f"{where} has no accepted model yet. Go on with it: sharpen resume {where}")
            directory = store.verified(commit.accepted)
    directory = Path(models.located(str(directory)))
    model, tokenizer = models.load_model(directory)
    policy = models.LocalPolicy(model, tokenizer, precision, device=device)
    asked = telling.of_directory(directory, tokenizer, settings, greedy=False)
    if asked.prompt_suffix is None:  # what a verifier wants to be told is for its tasks, and a client's question has none
        asked = replace(asked, prompt_suffix="", instructions={})
    return Opened(where.resolve().name or "sharpen", directory, where, policy, asked)
