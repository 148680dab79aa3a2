"""Whether a run's directory was made here: what it says is to be run is run only then, or where the user says so.

A run names code: a recipe in a file, a verifier, a scripted role. It may also name a server to send prompts to, and an
isolation at which programs run. A directory that somebody sent could name anything. So a run carries a seal: an HMAC-SHA256 of
its request and of the hashes of its code, under a secret that is made once for each user of each machine and never leaves it. A
seal that does not fit means that the directory is from elsewhere, or was changed.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sharpen import environments
from sharpen.core import UserError
from sharpen.loop.inputs import CODE

KEY = "session.seal"  # of meta


def place() -> Path:
    """The user's state directory of this program: $XDG_STATE_HOME/sharpen, else ~/.local/state/sharpen."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path("~/.local/state").expanduser()) / "sharpen" / "secret"


def secret() -> bytes | None:
    """The secret of this user on this machine, made where there is none; None where it cannot be kept."""
    path = place()
    for _ in range(2):
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                return file.read(64) or None
        except FileNotFoundError:
            create(path)
        except OSError:
            return None
    return None


def create(path: Path) -> None:
    """Whole or not at all; where two processes make one, the first stays."""
    new = path.with_name(f"secret.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_hex(32).encode())
            file.flush()
            os.fsync(file.fileno())
        os.link(new, path)
        new.unlink()
    except OSError:  # somebody was first, or nothing can be kept here: then nothing is found
        return


def seal(what: Any) -> str:
    """A seal of a JSON value; "" where this user can keep no secret."""
    key = secret()
    text = json.dumps(what, sort_keys=True).encode()
    return hmac.new(key, text, "sha256").hexdigest() if key else ""


def sealed(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run's meta, what the seal is about: the request, wherever it goes, and the hashes of code."""
    request = {key: value for key, value in meta["request"].items() if key not in ("directory", "argv")}
    code = {key: value for key, value in meta["made_of"].items() if key.partition(": ")[0] in CODE}
    return json.loads(json.dumps({"request": request, "code": code}))


def acts(asked: Mapping[str, Any]) -> list[str]:
    """What of a request runs code, or reaches out of this machine, or out of the sandbox."""
    found = [f"recipe {asked['recipe']}"] if str(asked["recipe"]).endswith(".py") else []
    found += [f"--engines {url}" for url in asked.get("engines", ())]
    found += [f"--workers {asked['workers']}"] if asked.get("workers") else []
    for text in asked["roles"]:
        who = str(text).partition("=")[2]
        found += [f"role {text}"] if ":" in who and not Path(who).exists() else []
    for text in asked["settings"]:
        name, _, value = str(text).partition("=")
        lax = name.strip().rpartition(".")[2] == "isolation" and value.strip() != "full"
        last = name.strip().rpartition(".")[2]
        env = last == "command" or (last == "env" and environments.acts(value.strip()))
        found += [f"--set {text}"] if lax or env or ".py" in value else []
    return found


def require(directory: Path, found: Sequence[str], said: str, what: Any, trusted: bool) -> None:
    """Refuse to act for a directory whose seal does not fit. UserError that names what it would do.

    found  what it asks for, as `acts` lists it; nothing to be trusted where that is empty
    said   its seal
    what   the value that was sealed
    """
    if not found or trusted:
        return
    right = seal(what)
    if not right or not hmac.compare_digest(right.encode(), said.encode()):
        raise UserError(
            f"{directory} was not made by you on this machine, or was changed since, and it asks for what can act with your "
            f"rights: {'; '.join(found)}. Read that first. If you trust it, add --trust."
        )
