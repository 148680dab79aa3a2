"""A model for others to ask: an OpenAI-compatible server, and a conversation in the terminal.

opened.py finds the model of a run or directory, answering.py answers many at once, asked.py reads what clients send, shapes.py
writes what they get, app.py is the server, chat.py the conversation, recording.py keeps what was asked and said. contract.py
is the same model behind the routes of vLLM and SGLang (engine_routes.py), for runs whose student is answered for elsewhere;
faults.py has how it errs, where that is wanted.

May import: terminal, models.engine, models, rollouts, store, engines, loop.
"""

from sharpen.serve import app, contract
from sharpen.serve.chat import chat
from sharpen.serve.opened import opened

__all__ = ["app", "chat", "contract", "opened"]
