"""An unmodified agent program as an environment: what it asks OpenAI's API for is what is observed, the answer an action.

1. The program is started with OPENAI_BASE_URL and OPENAI_API_KEY, which lead to a server on this machine's loopback (also
   OPENAI_API_BASE, OPENAI_MODEL), with the question on its standard input and the whole task, JSON, in SHARPEN_TASK.
2. What it asks for at one time, itself or in sub-agents, is one observation: {"requests": [{"id", "body"}, …]}; an action is
   {id: {"text", "tokens"}, …}. Nothing is sampled here, so all programs' requests are answered in one batch.
3. When it ends, what it printed is the observation's text, and what is judged. One that exits with something else than 0, hangs
   or prints too much has failed, which is not the model's fault.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import queue
import secrets
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sharpen.core import Failed, Observation, Task, UserError
from sharpen.environments import calls
from sharpen.hashing import digest
from sharpen.workers import ONE_THREAD

LARGEST = 2**24  # bytes of a request
OUTPUT = 1_000_000  # bytes that a program may print
TOGETHER_S = 0.02  # within which requests count as made at one time
LONGEST_S = 3600.0  # that a request waits for its answer; the step's own deadline ends it long before
MODEL = "sharpen"


class Server(http.server.ThreadingHTTPServer):
    """One for this process, on the loopback; the key of a request says whose it is."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.owner = os.getpid()
        self.programs: dict[str, Program] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body goes behind its headers, and would wait 40 ms for their acknowledgement

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        self.say(200, {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "sharpen"}]})

    def do_POST(self) -> None:
        key = self.headers.get("authorization", "").removeprefix("Bearer ").strip()
        program = self.server.programs.get(key)
        size = int(self.headers.get("content-length") or 0)
        if program is None or size > LARGEST:
            return self.refuse(
                401 if program is None else 413, "the key is wrong" if program is None else "the request is too large"
            )
        try:
            body = json.loads(self.rfile.read(size))
        except (ValueError, RecursionError):
            return self.refuse(400, "the request is no JSON")
        if not self.path.rstrip("/").endswith("/chat/completions"):
            return self.refuse(404, "there is /v1/chat/completions")
        if wrong := misfit(body):
            return self.refuse(400, wrong)
        answer = program.ask(body)
        if answer is None:
            return self.refuse(503, "the episode is over")
        if body.get("stream"):
            told = body.get("stream_options")
            return self.stream(answer, isinstance(told, dict) and bool(told.get("include_usage")))
        self.say(200, answer)

    def refuse(self, status: int, why: str) -> None:
        self.say(status, {"error": {"message": why, "type": "invalid_request_error", "param": None, "code": None}})

    def say(self, status: int, value: Any) -> None:
        self.send(status, "application/json", json.dumps(value).encode())

    def stream(self, answer: dict[str, Any], usage: bool) -> None:
        """All of it in one piece; behind it what it took, where that is wanted."""
        choice = answer["choices"][0]
        delta = {k: v for k, v in choice["message"].items() if v is not None}
        for i, call in enumerate(delta.get("tool_calls", ())):
            call["index"] = i
        piece = {"index": 0, "delta": delta, "finish_reason": None}
        last = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
        head = {**answer, "object": "chat.completion.chunk", "usage": None}
        lines = [json.dumps({**head, "choices": [each]}) for each in (piece, last)]
        lines += [json.dumps({**head, "choices": [], "usage": answer["usage"]})] if usage else []
        self.send(200, "text/event-stream", "".join(f"data: {line}\n\n" for line in (*lines, "[DONE]")).encode())

    def send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def misfit(body: Any) -> str:
    """Why a request cannot be answered; "" where it can. How tokens are drawn is the run's business, so it is not asked for."""
    if not isinstance(body, dict):
        return "the request is no JSON object"
    said = body.get("messages")
    if not isinstance(said, list) or not said or not all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in said):
        return "'messages' must be a list of objects with a 'role'"
    if body.get("n") not in (None, 1):
        return "n must be 1"
    if strange := next((kind for message in said for kind in parts_of(message) if kind != "text"), ""):
        return f"a message holds something of the kind {strange!r}, and this model reads text"
    tools = body.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool_name(tool), str) for tool in tools):
        return "'tools' must be a list of {'type': 'function', 'function': {'name': …}}"
    stop = body.get("stop") or []
    if not isinstance(stop, str) and not (isinstance(stop, list) and all(isinstance(each, str) for each in stop)):
        return "'stop' must be a text or a list of texts"
    return ""


def parts_of(message: Mapping[str, Any]) -> list[str]:
    """The kinds of what a message holds: a text, or a list of parts."""
    content = message.get("content")
    if content is None or isinstance(content, str):
        return ["text"]
    if not isinstance(content, list):
        return [type(content).__name__]
    return [str(part.get("type")) if isinstance(part, dict) else type(part).__name__ for part in content]


def tool_name(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    return function.get("name") if isinstance(function, dict) else None


_server: list[Server] = []
_lock = threading.Lock()


def server() -> Server:
    with _lock:
        if not _server or _server[0].owner != os.getpid():  # a forked child has none of its threads
            made = Server()
            _server[:] = [made]
            threading.Thread(target=made.serve_forever, name="agents", daemon=True).start()
        return _server[0]


class Program:
    """One run of an agent program."""

    words, tools = True, ()

    def __init__(self, command: str, task: Task) -> None:
        self.command, self.task, self.key = shlex.split(command), task, secrets.token_hex(16)
        if not self.command:
            raise UserError("--agent names no command, such as: --agent 'python agent.py'")
        self.asked: queue.SimpleQueue[tuple[str, Any, Callable[[Any], None]]] = queue.SimpleQueue()
        self.waiting: dict[str, Callable[[Any], None]] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.numbers = 0
        self.over = threading.Event()

    def ask(self, body: Any) -> Any:
        """Called by the server's thread: wait until the model has answered; None where nobody will."""
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.asked.put((json.dumps(body, sort_keys=True), body, answers.put))
        until = time.monotonic() + LONGEST_S
        while not self.over.is_set() and time.monotonic() < until:
            try:
                return answers.get(timeout=0.5)
            except queue.Empty:
                continue
        return None

    def reset(self, action: str) -> Observation:
        at = server()
        at.programs[self.key] = self
        url = f"http://127.0.0.1:{at.server_address[1]}/v1"
        told = {"prompt": list(self.task.prompt), "data": dict(self.task.data)}
        env = os.environ | ONE_THREAD | {"OPENAI_BASE_URL": url, "OPENAI_API_BASE": url, "OPENAI_API_KEY": self.key}
        env |= {"OPENAI_MODEL": MODEL, "SHARPEN_TASK": json.dumps(told), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        self.printed, self.complained = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  closed with the program
        command = [sys.executable if self.command[0] == "python" else self.command[0], *self.command[1:]]
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=self.printed, stderr=self.complained, env=env, start_new_session=True
            )
        except OSError as error:
            raise UserError(f"--agent {shlex.join(self.command)} cannot be started: {error}") from error
        assert self.process.stdin
        question = str(self.task.prompt[-1]["content"]) if self.task.prompt else ""
        try:
            self.process.stdin.write(question.encode())
            self.process.stdin.close()
        except BrokenPipeError:  # it does not read it
            pass
        return self.next()

    def step(self, action: str) -> Observation:
        """Give the answers to its requests, and see what it asks next."""
        for id, answer in json.loads(action).items():
            self.waiting.pop(id)(answer)
        return self.next()

    def next(self) -> Observation:
        """The requests that come together, or what was printed in the end. Failed where the program has."""
        assert self.process
        while True:
            try:
                found = [self.asked.get(timeout=0.05)]
                break
            except queue.Empty:
                if self.process.poll() is not None and self.asked.empty():
                    return self.ended()
                if os.fstat(self.printed.fileno()).st_size > OUTPUT:
                    self.close()
                    raise Failed(f"the agent printed more than {OUTPUT} bytes") from None
        until = time.monotonic() + TOGETHER_S
        while (left := until - time.monotonic()) > 0:
            try:
                found.append(self.asked.get(timeout=left))
            except queue.Empty:
                break
        requests = []
        for _, body, answer in sorted(found, key=lambda each: each[0]):
            self.numbers += 1
            self.waiting[str(self.numbers)] = answer
            requests.append({"id": str(self.numbers), "body": body})
        return Observation(json.dumps({"requests": requests}))

    def ended(self) -> Observation:
        assert self.process
        code, text = self.process.returncode, tail(self.printed, OUTPUT)
        if code:
            why = tail(self.complained, 1000)
            self.close()
            raise Failed(f"the agent exited with {code}: {why.strip()[-400:]}")
        self.close()
        return Observation(text.strip(), done=True)

    def judge(self, action: str) -> Observation:
        return Observation(action)

    def close(self) -> None:
        """Kill it and what it started."""
        self.over.set()
        if _server:
            _server[0].programs.pop(self.key, None)
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for file in (self.printed, self.complained):
            file.close()

    def __del__(self) -> None:
        if getattr(self, "process", None) is not None and not self.over.is_set():
            self.close()


def tail(file: Any, size: int) -> str:
    file.seek(0, os.SEEK_END)
    file.seek(max(file.tell() - size, 0))
    return file.read().decode("utf-8", "replace")


def completion(body: Mapping[str, Any], text: str, prompt: list[int], written: list[int], stop: str) -> dict[str, Any]:
    """An answer as OpenAI's API has it, calls of its tools read from the text; with vLLM's token ids where they are wanted."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    finish = "length" if stop == "length" else "stop"
    if body.get("tools") and body.get("tool_choice") != "none":
        wanted, _ = calls.read(text, body["tools"])
        if wanted:
            made = [{"name": c.name, "arguments": json.dumps(dict(c.arguments))} for c in wanted]
            ids = [digest(f"{prompt} {i}")[:9] for i in range(len(made))]  # templates may show them, so they are no chance's
            listed = [{"id": id, "type": "function", "function": call} for id, call in zip(ids, made, strict=True)]
            message, finish = {"role": "assistant", "content": None, "tool_calls": listed}, "tool_calls"
    usage = {"prompt_tokens": len(prompt), "completion_tokens": len(written), "total_tokens": len(prompt) + len(written)}
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    choice |= {"token_ids": written} if body.get("return_token_ids") else {}
    whole = {"id": f"chatcmpl-{secrets.token_hex(8)}", "object": "chat.completion", "created": int(time.time()), "model": MODEL}
    return {**whole, "choices": [choice], "usage": usage} | (
        {"prompt_token_ids": prompt} if body.get("return_token_ids") else {}
    )
