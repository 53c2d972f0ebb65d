"""Run a training from its configuration to its record: updates, checkpoints, controls, result."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neuroanp.baselines.controls import controls
from neuroanp.errors import DivergedError, NeuroanpError, RunError, StoppedError
from neuroanp.instruments.protocol import SpentError
from neuroanp.records.checkpoints import numbers_of
from neuroanp.records.shared import Number, shared
from neuroanp.tasks.acting import by_chance
from neuroanp.tasks.encoding import own_task
from neuroanp.training.batches import ROOM, Batches
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.callbacks import CallbackError, Event, Kind, tell
from neuroanp.training.crews import crew_of
from neuroanp.training.described import features_of
from neuroanp.training.evaluate import HeldOutBatch, firing_of, scores, show
from neuroanp.training.extending import take_up
from neuroanp.training.how import NOW, How
from neuroanp.training.memory import keep_freed_memory
from neuroanp.training.on_bench import Bench, connected
from neuroanp.training.readout import frozen_control, key_of, readout_trainer
from neuroanp.training.refitting import Refit
from neuroanp.training.results import ledger_of_run
from neuroanp.training.row import row_of
from neuroanp.training.shown import shown_in_figures
from neuroanp.training.stopping import StopRequested
from neuroanp.training.times import seconds
from neuroanp.training.under_noise import UnderNoise
from neuroanp.training.updates import Row, updates
from neuroanp.training.validating import Validator, fit_outputs, fit_untrained, validated
from neuroanp.training.watch import Health, Watch, rewritten
from neuroanp.trajectory import Weights

if TYPE_CHECKING:
    from neuroanp.records.run_dir import RunDir
    from neuroanp.source import World
    from neuroanp.training.trainer import Trainer

LOG = logging.getLogger("neuroanp")
Progress = Callable[[dict[str, Any]], None]
REPORT_EVERY_S = 0.1
LOOK_EVERY_S = 0.2
"""Between two looks at a control that another run computes."""
PENDING = "pending"
"""Field of the manifest: what a run that has its result still lacks."""


@dataclass
class Training:
    """One run, from wherever its record stands to its result.

    Args:
        experiment: the resolved configuration with the task and the profile it names.
        record: the run's directory, locked by the caller.
        progress: told of phase, update and loss, at most about ten times a second.
        how: the controls are come by.
    """

    experiment: Experiment
    record: RunDir
    progress: Progress = lambda event: None
    how: How = NOW
    first_books: Mapping[str, Any] = field(default_factory=dict, init=False)
    unverified: float | None = field(default=None, init=False)
    """The last share of writes that write-verify gave up, wherever it was computed."""
    restored: bool = field(default=False, init=False)
    """Whether it goes on from a checkpoint."""
    rates: np.ndarray | None = field(default=None, init=False)
    """(N,) Hz, how often each unit spiked when they were last evaluated; None: not yet, or none spikes."""
    world: bool = field(default=False, init=False)
    """Whether a world answers the outputs."""
    bench: Bench | None = field(default=None, init=False)
    """The instrument that holds the weights; None: they are simulated."""
    validator: Validator | None = field(default=None, init=False)
    """Looks at the validation loss; None where no sequences are kept for it."""

    def __post_init__(self) -> None:
        kept = ROOM if self.experiment.config.training.trains_readout and not self.how.later else 0
        self.batches, self.refit = Batches(kept), Refit.of(self.experiment)
        self.watch = Watch(self._warn, dict(self.record.manifest.get("warned", {})))

    def run(self) -> dict[str, Any]:
        """Train, evaluate, compute the controls and write the result; return the result.

        Raises:
            DivergedError: the run diverged; its record says at which update.
            RunError: it was interrupted (the last checkpoint is intact) or failed.
            SpentError: an instrument took all the pulses that the run may send it.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(self.experiment.config.compute.threads)
        try:
            with ExitStack() as stack:
                self.bench = self._bench(stack)
                return self._run()
        finally:
            torch.set_num_threads(threads)  # the caller's own computations keep theirs

    def _bench(self, stack: ExitStack) -> Bench | None:
        """Open the instrument, which the stack closes; a run that does not get it has not begun to train."""
        try:
            return stack.enter_context(connected(self.experiment.config.hardware, self.record))
        except NeuroanpError as error:
            self._end("interrupted", str(error))
            raise

    def _run(self) -> dict[str, Any]:
        keep_freed_memory()
        trainer = build_trainer(self.experiment, bench=self.bench)
        trainer, task = replace(trainer, batches=self.batches, crew=crew_of(self.experiment)), self.experiment.task
        held = HeldOutBatch.of(task.test(trainer.streams.generator("test")), trainer.substrate.weights.like, task.loss)
        self.world = held.batch.world is not None
        self.first_books = trainer.substrate.ledger.report()
        self.validator = Validator.of(self.experiment, trainer)
        wall = self._restore(trainer)
        try:
            with StopRequested() as stop:
                self._train(trainer, held, stop, wall)
                result = self._finish(trainer, held, stop)
        except DivergedError as error:
            self.record.write_result(row_of(self.experiment, trainer, "diverged", self.record.path))
            self._end("diverged", str(error))
            raise DivergedError(str(error), path=self.record.path) from error
        except KeyboardInterrupt:
            raise StoppedError(self._end("interrupted", self._how_to_go_on(trainer))) from None
        except Exception as error:
            said = str(error) if isinstance(error, NeuroanpError) else f"{type(error).__name__}: {error}"
            with suppress(RunError):  # a full disk takes no status either: then this error is the one to tell
                self._end("interrupted" if isinstance(error, SpentError | CallbackError) else "failed", said)
            raise
        return result

    def _restore(self, trainer: Trainer) -> float:
        """Load the newest whole checkpoint, if there is one; return the wall time spent before it."""
        path = self.record.latest_checkpoint()
        for warning in self.record.warnings:
            self.record.log(warning)
        if path is None:
            for sentence in self.record.restore_metrics(None):
                self._warn(sentence)
            self.restored, wall = take_up(self.experiment, self.record, trainer, self.validator)
            return wall
        state, meta = self.record.load_checkpoint(path)
        trainer.load_state_dict(state)
        if self.validator is not None:
            self.validator.load_state_dict(state)
        if self.refit is not None:
            self.refit.load_state_dict(state)
        for sentence in self.record.restore_metrics(meta):
            self._warn(sentence)
        unverified = meta.get("unverified")
        wall, known = numbers_of(path, {**meta, "unverified": unverified or 0.0}, "wall_s", "unverified")
        self.unverified, self.restored = None if unverified is None else known, True
        self.record.log(f"resumed after update {trainer.update}")
        return float(wall)

    def _train(self, trainer: Trainer, held: HeldOutBatch, stop: StopRequested, wall: float) -> None:
        """Do the updates that are left, with metrics and checkpoints."""
        config = self.experiment.config.training
        start = time.perf_counter() - wall
        rows: list[Mapping[str, float | int | None]] = []
        pause = self._pause(trainer, stop)
        if not self.restored:
            if self.validator is not None:
                self.validator.look(trainer)
            row: Row = {"update": 0}
            if config.updates == 0 and self.refit is not None:
                row = {**row, **fit_outputs(self.refit, trainer, self.validator, pause)}
            rows.append(self._row(trainer, held, row, 0.0))
        if config.updates == 0:  # weights that are programmed and evaluated, no more
            self._save(trainer, rows, 0.0)
        else:
            self._end_if_spent(trainer, rows, wall, saved=self.restored)
        todo = self._updates("train", trainer, stop)
        for row, at_end in validated(todo, trainer, self.validator, self.refit, pause):
            due = trainer.update % config.evaluate_every == 0 or at_end
            now = time.perf_counter()
            if due:
                rows.append(self._row(trainer, held, row, now - start))
                self._hear("evaluation", trainer, stop, rows, now - start, rows[-1])
            elif trainer.update % (config.log_every or 1) == 0:
                rows.append(self._row(trainer, None, row, now - start))
            if at_end:
                self._tell("train", trainer, row["train_loss"])
            self._hear("update", trainer, stop, rows, now - start, row)
            if not at_end:
                self._end_if_spent(trainer, rows, now - start)
            if trainer.update % config.checkpoint_every == 0 or at_end or stop.requested:
                self._save(trainer, rows, now - start)
                rows = []
                self._hear("checkpoint", trainer, stop, None, now - start, row)

    def _hear(
        self, kind: Kind, trainer: Trainer, stop: StopRequested, rows: Sequence[Mapping[str, Any]] | None, wall: float,
        row: Mapping[str, Any], result: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """Tell the callbacks; where one raises an error, save what is not yet (`rows`; None: all is) and raise it."""
        if not self.how.callbacks:
            return
        try:
            told = Event(
                kind, self.experiment.label, self.record.path, trainer.update, trainer.updates, row, result, stop
            )
            tell(self.how.callbacks, told)
        except CallbackError:
            if rows is not None:
                self._save(trainer, rows, wall)
            raise

    def _end_if_spent(self, trainer: Trainer, rows: list[Any], wall: float, saved: bool = False) -> None:
        """Save and raise SpentError where an instrument may take no further pulse, and updates are left."""
        over = trainer.update == trainer.updates or (self.validator is not None and self.validator.over)
        if self.bench is None or not self.bench.guard.spent or over:
            return
        if not saved:
            self._save(trainer, rows, wall)
        self.bench.refuse_spent(trainer.update, trainer.updates, self.record.path)

    def _updates(self, phase: str, trainer: Trainer, stop: StopRequested) -> Iterator[Row]:
        """Do the updates that are left, and tell of them."""
        return updates(trainer, lambda row: self._tell(phase, trainer, row["train_loss"]), REPORT_EVERY_S, stop)

    def _pause(self, trainer: Trainer, stop: StopRequested) -> Callable[[], None]:
        """Return what tells that outputs are fitted, and heeds a request to stop."""

        def pause() -> None:
            self._tell("refit", trainer, None)
            stop.raise_if_requested()

        return pause

    def _save(self, trainer: Trainer, rows: Sequence[Mapping[str, float | int | None]], wall: float) -> None:
        self.record.append_metrics(rows)  # before the checkpoint, which seals them
        meta = {"wall_s": wall, "unverified": self.unverified}
        seen = {} if self.validator is None else self.validator.state_dict()
        seen |= {} if self.refit is None else self.refit.state_dict()
        self.record.save_checkpoint(trainer.update, {**trainer.state_dict(), **seen}, meta)

    def _row(
        self, trainer: Trainer, held: HeldOutBatch | None, row: Mapping[str, float | int], wall: float
    ) -> dict[str, float | int | None]:
        ledger, episodes = trainer.substrate.ledger, None
        losses: dict[str, float | None] = {"test_loss": None, "test_loss_noise_free": None, "spectral_radius": None}
        if held is not None:
            found = trainer.evaluate(held)
            self.rates = found.rates
            episodes = found.episodes
            losses = {
                "test_loss": found.test_loss,
                "test_loss_noise_free": found.test_loss_noise_free,
                "spectral_radius": trainer.spectral_radius(),
            }
        self.watch.look(trainer.update, Health.of(trainer, row, self.rates))
        written = rewritten(self.experiment, trainer, row, self.first_books["pulses"])
        self.watch.look_at_writes(trainer.update, written)
        unverified = row.get("unverified")
        if unverified is not None and isfinite(unverified):
            self.unverified = unverified
        columns = ("update", "train_loss", "update_norm", "lr", "saturated", "unverified")
        return {
            **{name: row.get(name) for name in columns},
            **losses,
            **(
                {} if self.validator is None else {"validation_loss": self.validator.loss if held is not None else None}
            ),
            **({"return": None if episodes is None else float(episodes.returns.mean())} if self.world else {}),
            "energy_J": ledger.energy_J,
            "chip_time_s": ledger.time_s,
            "pulses": ledger.pulses,
            "wear": ledger.wear_fraction,
            **({} if self.rates is None else {"rate_Hz": float(self.rates.mean()) if held is not None else None}),
            "wall_s": wall,
        }

    def _finish(self, trainer: Trainer, held: HeldOutBatch, stop: StopRequested) -> dict[str, Any]:
        """Evaluate, compute the controls, write predictions and result."""
        self._tell("evaluate", trainer, None)
        found = trainer.evaluate(held)
        stop.raise_if_requested()
        if not isfinite(found.test_loss):
            raise RunError(
                f"the loss on the held-out sequences is {found.test_loss}: look for huge values in their data"
            )
        losses, predictions = self._controls(trainer, held, stop, found.test_loss != found.test_loss_noise_free)
        arrays = shown_in_figures(task := self.experiment.task, held, found, predictions)
        self.record.save_arrays("predictions", {name: np.ascontiguousarray(a) for name, a in arrays.items()})
        told = scores(task, found, held, trainer.evaluate)
        result = row_of(
            self.experiment, trainer, "finished", self.record.path, found, next(iter(told.values())), losses
        )
        health = Health.of(trainer, {} if self.unverified is None else {"unverified": self.unverified}, found.rates)
        self.watch.end(health)
        firing = {} if found.rates is None else {"firing": self._keep_activity(trainer, held, found.rates)}
        seen = {} if self.validator is None else {"validation": self.validator.facts()}
        apart = {} if self.validator is None else {"validation": self.validator.spent}
        if self.refit is not None:
            seen, apart = {**seen, "refit": self.refit.facts()}, {**apart, "refit": self.refit.spent}
        self.record.update(
            scores=told,
            after=self._after(trainer, held),
            ledger=ledger_of_run(self.first_books, trainer.substrate.ledger.report(), trainer.update, apart),
            health=health.plain(),
            **firing,
            **seen,
            **self._pending(),
        )
        self.record.write_result(result)
        self._end("finished")
        self._hear("end", trainer, stop, None, 0.0, {}, self.record.result or result)
        self._tell("done", trainer, found.test_loss)
        return self.record.result or result

    def _pending(self) -> dict[str, list[str]]:
        """Return the field of the manifest that says what is left for later."""
        left = ["controls"] * (self.how.later and self.experiment.config.training.controls)
        return {PENDING: left} if left or PENDING in self.record.manifest else {}

    def _keep_activity(self, trainer: Trainer, held: HeldOutBatch, rates: np.ndarray) -> dict[str, Any]:
        """Keep how often units spiked, and what some of them did, for the report; return it in numbers."""
        told = show(held, trainer.substrate, trainer.backend, trainer.streams, trainer.update, trainer.dt)
        arrays = {name: np.ascontiguousarray(array) for name, array in {**told, "rate_Hz": rates}.items()}
        self.record.save_arrays("activity", arrays)
        return firing_of(trainer.substrate.network, rates)

    def _after(self, trainer: Trainer, held: HeldOutBatch) -> dict[str, dict[str, float]]:
        """Evaluate after the idle times that the configuration asks for; return the losses by time."""
        found = {}
        for time_ in self.experiment.config.training.evaluate_after:
            later = trainer.evaluate_after(held, seconds(time_))
            found[time_] = {"test_loss": later.test_loss, "test_loss_noise_free": later.test_loss_noise_free}
        return found

    def _warn(self, sentence: str) -> None:
        """Warn now and in the record, which knows what was told however often the run is resumed."""
        LOG.warning(sentence)
        log = self.record.manifest["log"]
        line = f"warning: {sentence}"
        self.record.update(warned=dict(self.watch.told), log=log if line in log else [*log, line])

    def _noisy(self, trainer: Trainer) -> dict[str, UnderNoise]:
        """Return the chip under its noise as it would be without any training, and as it stands where it is trained."""
        streams, dt = trainer.streams, trainer.dt
        first = replace(self.experiment, start=None).chip(streams)
        chips = {"ridge_noisy": first} | ({"refit_noisy": trainer.substrate} if trainer.updates > 0 else {})
        return {name: UnderNoise(chip, trainer.backend, streams, name, dt) for name, chip in chips.items()}

    def _controls(
        self, trainer: Trainer, held: HeldOutBatch, stop: StopRequested, noisy: bool
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        if not self.experiment.config.training.controls or self.how.later:
            return {}, {}
        self._tell("controls", trainer, None)
        if held.batch.world is not None:
            return self._of_world(held, held.batch.world, stop), {}
        untrained = self.experiment.untrained(trainer.streams)
        features = partial(features_of(trainer.backend, untrained.network), neurons=trainer.substrate.neurons)
        task, own = self.experiment.task, own_task(self.experiment.task)[0]
        held_now = Weights({name: read.effective for name, read in trainer.reads().items()}, untrained.network)
        trained = held_now if trainer.updates > 0 else None
        found = controls(
            task, untrained, trainer.streams, held.batch, task.loss, features=features, own=own, trained=trained,
            noisy=self._noisy(trainer) if noisy else None,
        )  # fmt: skip
        for line in (control.note for control in found.values() if control.note):
            self.record.log(line)
        losses = {name: control.loss for name, control in found.items()}
        stop.raise_if_requested()
        if self.experiment.config.training.trains_readout:
            name = frozen_control(self.experiment.network)
            losses[name] = self._frozen(name, held, stop)
        return losses, {name: control.prediction for name, control in found.items() if control.note is None}

    def _of_world(self, held: HeldOutBatch, world: World, stop: StopRequested) -> dict[str, float]:
        """Return the controls of a world: a policy of chance, and the readout trained alone."""
        losses = {} if (chance := by_chance(world)) is None else {"chance": chance}
        if not self.experiment.config.training.trains_readout:
            return losses
        name = frozen_control(self.experiment.network)
        return {**losses, name: self._frozen(name, held, stop)}

    def _frozen(self, name: str, held: HeldOutBatch, stop: StopRequested) -> float:
        """Return the test loss of the readout trained alone: another run's of the store, if that is the same."""

        def wait() -> None:
            stop.raise_if_requested()
            time.sleep(LOOK_EVERY_S)

        store, own = self.record.path.parent, self.record.path.name
        found = shared(store, key_of(self.experiment), partial(self._trained, held, stop), wait, self.how.since)
        if found.note is not None:
            self.record.log(f"control {name} {found.note}")
        if found.run != own:
            self.record.log(f"control {name}: the same for {found.run}, which computed it")
        return found.value

    def _trained(self, held: HeldOutBatch, stop: StopRequested) -> Number:
        """Train the readout alone by the same rule, from the same start on the same data."""
        trainer, own = readout_trainer(self.experiment, self.batches), self.record.path.name
        validator, refit = Validator.of(self.experiment, trainer), Refit.of(self.experiment)
        try:
            if validator is not None:
                validator.look(trainer)
            if refit is not None:
                fit_untrained(refit, trainer, stop.raise_if_requested)
                return Number(trainer.test_loss(held), own)
            for _ in validated(self._updates("controls", trainer, stop), trainer, validator):
                pass
        except DivergedError as error:
            return Number(float("nan"), own, str(error))
        return Number(trainer.test_loss(held), own)

    def _tell(self, phase: str, trainer: Trainer, loss: float | None) -> None:
        self.progress(
            {
                "run": self.experiment.label,
                "phase": phase,
                "update": trainer.update,
                "updates": trainer.updates,
                "loss": loss,
            }
        )

    def _how_to_go_on(self, trainer: Trainer) -> str:
        return (
            f"interrupted at update {trainer.update} of {trainer.updates}; "
            f"continue with: neuroanp resume {self.record.path}"
        )

    def _end(self, status: str, message: str | None = None) -> str:
        from datetime import UTC, datetime

        self.record.end(status, message, ended=datetime.now(UTC).isoformat(timespec="seconds"))
        return message or ""
