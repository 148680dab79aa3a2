"""An address to be asked at."""

from __future__ import annotations

import socket


def listening(host: str, port: int) -> socket.socket:
    """A socket that waits at this address; port 0 is any free one. UserError where it cannot be had."""
    from sharpen.core import UserError  # here, because it brings numpy

    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        cure = "Name another with --port, or --port 0 for any that is free."
        raise UserError(f"{host}:{port} cannot be listened at: {error}. {cure}") from error
