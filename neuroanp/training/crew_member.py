"""The life of a process that shares the updates of a run: a copy of its trainer, until the connection ends."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import torch

from neuroanp.errors import RunError
from neuroanp.profiles.loader import loads
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.crew import READY, TURN, Member
from neuroanp.training.memory import keep_freed_memory
from neuroanp.training.processes import ends_with
from neuroanp.training.start import Start, apart

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.training.trainer import Crews, Trainer


def serve(handle: int, parent: int) -> None:
    """Become a copy of a trainer, then do an update whenever the first process does one.

    What goes wrong in an update here ends this process, which the first one tells of, unless it met the same.
    """
    if not ends_with(parent):
        return  # it ended before we could be told
    connection = Connection(handle)
    with suppress(EOFError, OSError):  # the first process is done, or gone
        trainer = _built(connection)
        if trainer is None:
            return
        connection.send_bytes(READY)
        while True:
            do(trainer, connection.recv_bytes())


def do(trainer: Trainer, turn: bytes) -> None:
    """Do the update that the first process does, as `TURN` says which and what the chip's clock shows.

    Raises: RunError: the copy stands at another one.
    """
    update, now = TURN.unpack(turn)
    if update != trainer.update:
        raise RunError(f"asked for update {update} after {trainer.update}")
    trainer.substrate.now = now
    trainer.step()


def _built(connection: Connection) -> Trainer | None:
    """Return the copy; None where it cannot be made, which the first process is told."""
    from safetensors.torch import load

    order: dict[str, Any] = json.loads(connection.recv_bytes())
    tensors = load(connection.recv_bytes())
    try:
        return copy_of(order, tensors, Member(connection, order["size"], order["index"]))
    except Exception as error:  # whatever a task or a device may raise: the run is told, and says it
        connection.send_bytes((str(error) or type(error).__name__).encode())
        return None


def copy_of(order: dict[str, Any], tensors: dict[str, Tensor], crew: Crews) -> Trainer:
    """Return a copy of a trainer from what `neuroanp.training.crew.orders` said of it; crew: what it shares with."""
    own = {name.removeprefix("start/"): W for name, W in tensors.items() if name.startswith("start/")}
    start = None if order["start"] is None else Start(*_parts(own, order["start"]))
    config = configure(order["config"])
    torch.set_num_threads(config.compute.threads)
    keep_freed_memory()
    experiment = Experiment.of(config, loads(order["profile"], "profile"), start)
    trained = None if order["trained"] is None else frozenset(order["trained"])
    trainer = replace(build_trainer(experiment, trained), updates=order["updates"], books=order["books"], crew=crew)
    trainer.load_state_dict({name.removeprefix("run/"): x for name, x in tensors.items() if name.startswith("run/")})
    return trainer


def _parts(own: dict[str, Tensor], facts: dict[str, Any]) -> tuple[Any, ...]:
    arrays, factors = apart(own)
    return arrays, facts["path"], facts["origin"], facts["update"], factors
