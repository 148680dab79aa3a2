"""A model for others to ask: an OpenAI-compatible server, and a conversation in the terminal.

opened.py finds the model of a run or directory, answering.py answers many at once, asked.py reads what clients send, shapes.py
writes what they get, app.py is the server, chat.py the conversation, recording.py keeps what was asked and said.

May import: terminal, models.engine, models, rollouts, store, loop.
"""

from sharpen.serve import app
from sharpen.serve.chat import chat
from sharpen.serve.opened import opened

__all__ = ["app", "chat", "opened"]
