"""Scripts of tests, each in a process of its own, of one that has imported everything once: `run(script, arguments)`.

Importing torch and transformers takes a process five seconds, and the scripts that kill themselves are many.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import select
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path

THREADS = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # threads do not survive a fork


def run(script: Path, *arguments: str, deadline: int = 3600, **environment: str) -> str:
    """What the script prints. AssertionError with its complaints where it fails. `environment` is changed for it alone."""
    server = started()
    with tempfile.TemporaryDirectory() as place:
        said, complained = Path(place) / "said", Path(place) / "complained"
        changed = os.environ | environment | THREADS
        request = {"argv": [str(script), *arguments], "streams": [str(said), str(complained)], "environment": changed}
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        if not select.select([server.stdout], [], [], deadline)[0]:
            server.kill()
            started.cache_clear()
            raise AssertionError(f"{script.name} takes more than {deadline} s\n{complained.read_text()}")
        code = server.stdout.readline().strip() or f"nothing, and the server with {server.poll()}"
        assert code == "0", f"{script.name} ended with {code}\n{said.read_text()}{complained.read_text()}"
        return said.read_text()


@cache
def started() -> subprocess.Popen[str]:
    env = os.environ | THREADS | {"PYTHONPATH": os.pathsep.join(sys.path)}
    server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    atexit.register(server.communicate)  # the end of its input is its end
    return server


def serve() -> None:
    import sharpen.cli.program  # noqa: F401
    from sharpen import compare, loop, tasks  # noqa: F401
    from sharpen.models import embedded

    embedded.build("micro", tasks.parse_spec("chain_sum/1"), 0)  # what is only imported for that
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            do(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def do(argv: list[str], streams: list[str], environment: dict[str, str]) -> None:
    """Run the script in this child, and end with it."""
    code = 1
    for number, file in enumerate([os.devnull, *streams]):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), number)
    os.environ.update(environment)
    sys.argv, sys.path[0] = argv, str(Path(argv[0]).parent)
    try:
        runpy.run_path(argv[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        print(end.code, file=sys.stderr)
        code = int(bool(end.code))
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
