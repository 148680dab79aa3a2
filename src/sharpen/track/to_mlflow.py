"""MLflow. Where MLFLOW_TRACKING_URI names no server, everything goes into files: RUN/mlruns."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
from mlflow.entities import Metric

from sharpen.track.tracker import Tracked

PORTS = {"http": 80, "https": 443}
REACH_S = 10.0  # to accept a connection
LONGEST = 500  # characters of a parameter


class Mlflow:
    def __init__(self, tracked: Tracked):
        place = os.environ.get("MLFLOW_TRACKING_URI", "")
        if not place:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # files are what is wanted here
            place = (tracked.directory / "mlruns").as_uri()
        reach(place)
        self.client = mlflow.MlflowClient(tracking_uri=place)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "sharpen")
        known = self.client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self.client.create_experiment(name)
        self.id = tracked.id or self.client.create_run(experiment, run_name=tracked.name).info.run_id
        for key, value in tracked.config.items() if not tracked.id else ():
            self.client.log_param(self.id, key, str(value)[:LONGEST])
        self.client.update_run(self.id, status="RUNNING")

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        self.client.log_batch(self.id, [Metric(name, value, now, step) for name, value in values.items()])

    def table(self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        said = {"columns": list(columns), "data": [list(row) for row in rows]}
        self.client.log_dict(self.id, said, f"{name}-{step:06d}.json")

    def artefact(self, path: Path) -> None:
        self.client.log_artifact(self.id, str(path))

    def finish(self) -> None:
        self.client.set_terminated(self.id)


def reach(place: str) -> None:
    """Raise ConnectionError where a server is named that is not there: the library would try for minutes, without a word."""
    address = urlsplit(place)
    if address.scheme not in ("http", "https"):
        return
    try:
        socket.create_connection((address.hostname or "", address.port or PORTS[address.scheme]), timeout=REACH_S).close()
    except OSError as error:
        raise ConnectionError(f"MLFLOW_TRACKING_URI={place} cannot be reached: {error}") from None


def begin(tracked: Tracked) -> Mlflow:
    return Mlflow(tracked)
