"""TensorBoard: event files in RUN/tensorboard, for `tensorboard --logdir RUN/tensorboard`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from sharpen.track.tracker import Tracked

TEXT = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))


class Tensorboard:
    def __init__(self, tracked: Tracked):
        self.id = "tensorboard"
        self.writer = EventFileWriter(str(tracked.directory / self.id))
        if tracked.id:  # what another process wrote of these steps, and did not get to say so, is taken back
            start = Event(wall_time=time.time(), step=tracked.step, session_log=SessionLog(status=SessionLog.START))
            self.writer.add_event(start)
        else:
            self.text(0, "config", "\n".join(f"    {key}: {value}" for key, value in tracked.config.items()))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        found = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
        self.writer.add_event(Event(wall_time=time.time(), step=step, summary=found))

    def table(self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        said = [" | ".join(columns), " | ".join("---" for _ in columns)]
        said += [" | ".join(str(cell).replace("|", "\\|").replace("\n", "<br>") for cell in row) for row in rows]
        self.text(step, name, "\n".join(said))

    def text(self, step: int, name: str, said: str) -> None:
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype=DT_STRING, string_val=[said.encode()], tensor_shape=shape)
        found = Summary(value=[Summary.Value(tag=name, metadata=TEXT, tensor=tensor)])
        self.writer.add_event(Event(wall_time=time.time(), step=step, summary=found))

    def artefact(self, path: Path) -> None:
        self.text(0, path.stem, f"The report is at {path}")

    def finish(self) -> None:
        self.writer.close()


def begin(tracked: Tracked) -> Tensorboard:
    return Tensorboard(tracked)
