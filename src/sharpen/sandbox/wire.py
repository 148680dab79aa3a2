"""Messages between client and broker: a length, a JSON header, and bytes. Nothing is unpickled on either side."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sharpen.sandbox.program import Limits, Program, Result

LENGTHS = struct.Struct("!II")  # of the header, of the bytes after it
LONGEST = 1 << 30  # one message; beyond it the stream is out of step


def encode(header: Mapping[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """One message. The header gains "blobs", the length of each."""
    text = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}).encode()
    return b"".join((LENGTHS.pack(len(text), sum(map(len, blobs))), text, *blobs))


def decode(buffer: bytearray) -> tuple[dict[str, Any], list[bytes]] | None:
    """Take the first complete message off the buffer, or return None and leave it. ValueError where it is no message."""
    if len(buffer) < LENGTHS.size:
        return None
    header_length, body_length = LENGTHS.unpack_from(buffer)
    if header_length + body_length > LONGEST:
        raise ValueError("a message of impossible length")
    end = LENGTHS.size + header_length + body_length
    if len(buffer) < end:
        return None
    start = LENGTHS.size + header_length
    header = json.loads(buffer[LENGTHS.size : start])
    blobs = []
    for length in header.pop("blobs"):
        blobs.append(bytes(buffer[start : start + length]))
        start += length
    del buffer[:end]
    return header, blobs


def encode_program(number: int, program: Program) -> bytes:
    header = {
        "number": number,
        "argv": program.argv,
        "files": list(program.files),
        "limits": asdict(program.limits),
        "keep": program.keep,
        "env": dict(program.env),
    }
    return encode(header, [program.stdin, *program.files.values()])


def decode_program(header: Mapping[str, Any], blobs: Sequence[bytes]) -> Program:
    return Program(
        argv=tuple(header["argv"]),
        files=dict(zip(header["files"], blobs[1:], strict=True)),
        stdin=blobs[0],
        limits=Limits(**header["limits"]),
        keep=tuple(header["keep"]),
        env=header["env"],
    )


def encode_result(number: int, result: Result) -> bytes:
    header = {
        "number": number,
        "status": result.status,
        "code": result.code,
        "seconds": result.seconds,
        "isolation": result.isolation,
        "detail": result.detail,
        "files": list(result.files),
    }
    return encode(header, [result.stdout, result.stderr, *result.files.values()])


def decode_result(header: Mapping[str, Any], blobs: Sequence[bytes]) -> Result:
    return Result(
        status=header["status"],
        code=header["code"],
        stdout=blobs[0],
        stderr=blobs[1],
        seconds=header["seconds"],
        files=dict(zip(header["files"], blobs[2:], strict=True)),
        isolation=header["isolation"],
        detail=header["detail"],
    )
