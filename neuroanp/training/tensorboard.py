"""A callback that writes the numbers of a training for TensorBoard, by tensorboard's own writer."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.errors import InputError
from neuroanp.records.places import check_root
from neuroanp.training.arguments import path_of

if TYPE_CHECKING:
    from neuroanp.training.callbacks import Event

REMEDY = "pip install 'neuroanp[tensorboard]'"


class TensorBoard:
    """Write a scalar for each number of a run's metrics, by update: `na.train(..., callbacks=[TensorBoard("tb")])`.

    Each run has a folder of its own name below; see it with `tensorboard --logdir tb`. Numbers that are not finite are
    left out.

    Args:
        folder: where the folders of runs lie.

    Raises:
        InputError: tensorboard is not installed, or no folder can be made there.

    >>> from tempfile import TemporaryDirectory
    >>> from neuroanp.training.callbacks import Event
    >>> with TemporaryDirectory() as folder:
    ...     board = TensorBoard(folder)
    ...     for kind, loss in (("update", 0.5), ("end", None)):
    ...         board(Event(kind, "one", Path("runs/one"), 1, 1, {"update": 1, "train_loss": loss}))
    ...     [path.parent.name for path in Path(folder).rglob("events*")]
    ['one']
    """

    def __init__(self, folder: Any) -> None:
        self.folder = path_of("tensorboard", folder)
        try:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            raise InputError(f"tensorboard cannot be imported ({error}); {REMEDY}") from None
        check_root(self.folder, "name another folder for TensorBoard")
        self._writer_of = EventFileWriter
        self._writers: dict[Path, Any] = {}

    def __call__(self, event: Event) -> None:
        """Write the numbers of an event; the end closes the file."""
        if event.kind in ("update", "evaluation"):
            self._write(event)
        elif event.path in self._writers:
            self._writers[event.path].flush()
            if event.kind == "end":
                self._writers.pop(event.path).close()

    def _write(self, event: Event) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as Written  # pyright: ignore[reportAttributeAccessIssue]
        from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]

        if event.path not in self._writers:
            self._writers[event.path] = self._writer_of(str(self.folder / event.path.name))
        values = [
            Summary.Value(tag=name, simple_value=float(value))
            for name, value in event.metrics.items()
            if name != "update" and value is not None and math.isfinite(value)
        ]
        said = Written(wall_time=time.time(), step=event.update, summary=Summary(value=values))
        self._writers[event.path].add_event(said)
