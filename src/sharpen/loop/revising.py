"""Read, revise, repeat: a model revises a text, somebody accepts or rejects each of its changes, and what is left is revised
again.

Source: R3 (arXiv 2204.03685).
"""

from __future__ import annotations

from collections.abc import Callable

from sharpen.core import GREEDY, Ask, Speaker, UserError
from sharpen.data import edits

ASK = "Improve this text where it needs it. Answer with the whole text and nothing else.\n\n{text}"
LONGEST = 20_000  # characters of a text


def revise(
    speaker: Speaker,
    text: str,
    accepts: Callable[[str, edits.Edit], bool],
    depth: int = 3,
    ask: str = ASK,
    max_tokens: int = 1024,
) -> tuple[str, list[list[edits.Edit]]]:
    """(the text with what was accepted, the ruled edits of each round). It ends after `depth` rounds, or in the first in which
    nothing is proposed, or nothing accepted: the model would propose the same again. Raises UserError for a text that is empty
    or too long, and for a depth below 1."""
    if not text.strip() or len(text) > LONGEST:
        raise UserError(f"The text has {len(text):,} characters: give one of 1 to {LONGEST:,}, such as a section at a time.")
    if depth < 1:
        raise UserError(f"depth={depth}: at least one round is needed.")
    rounds: list[list[edits.Edit]] = []
    for _ in range(depth):
        messages = ({"role": "user", "content": ask.format(text=text)},)
        (turn,) = speaker.respond([Ask(messages, max_tokens=max_tokens)], [0], max_tokens, GREEDY)
        whole = turn.text.strip() and turn.stop not in ("length", "failed")
        proposed = edits.edits(text, turn.text.strip("\n")) if whole else []
        if not proposed:
            break
        rounds.append(edits.ruled(text, proposed, accepts))
        text = edits.apply(text, rounds[-1])
        if not any(edit.accepted for edit in rounds[-1]):
            break
    return text, rounds
