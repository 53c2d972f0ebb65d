"""One run: what it is resolved from, training it, and all that can be asked of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.api.sharing import of_the_first, shared
from neuroanp.api.telling import noted, watched
from neuroanp.errors import InputError
from neuroanp.records.finding import found
from neuroanp.records.run_dir import RunDir
from neuroanp.training.arguments import Given, command, given, path_of, progress_of, switch
from neuroanp.training.build import Experiment
from neuroanp.training.callbacks import callbacks_of
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import load_config
from neuroanp.training.distributed import follow, follows, leading
from neuroanp.training.launch import launch
from neuroanp.training.launch import resume as resume_record
from neuroanp.training.results import result_of

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs] - its types are in a package of their own

    from neuroanp.export.report import ExportReport
    from neuroanp.records.metrics import Metrics
    from neuroanp.training.forward import HeldOut, RunWeights
    from neuroanp.training.trajectories import Trajectories

Anywhere = str | PathLike[str]
Source = Anywhere | Mapping[str, Any] | RunConfig | None
Progress = Callable[[dict[str, Any]], None] | bool | None


@dataclass(frozen=True)
class Run:
    """A run on the disk: its configuration, result and curve, and the network that was scored.

    Args: record: its directory.

    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> tiny = {"task": {"name": "copy", "test_size": 4}, "network": {"hidden": 4}, "training": {"controls": False}}
    >>> with TemporaryDirectory() as folder:
    ...     run = train(tiny, profile="pcm", updates=2, runs=folder, report=False, progress=False)
    ...     config, result, metrics, frame = run.config, run.result, run.metrics, run.to_dataframe()
    ...     W, batch, onnx = run.weights(), run.held_out(), run.export("onnx")
    ...     y, found = run.predict(batch.inputs, noise=False), run.forward(batch.inputs, noise=False)
    ...     page = run.report().relative_to(run.path)
    >>> config.network.hidden, result["updates"], metrics["update"][-1], frame["update"].tolist()[-1], page.name
    (4, 2, 2.0, 2, 'report.html')
    >>> batch.loss(y) == result["test_loss_noise_free"], np.array_equal(found.y, y)  # what was scored, to the last bit
    (True, True)
    >>> found, np.allclose(found.hidden.x, np.tanh(found.hidden.h), atol=1e-6)
    (Trajectories(9 steps, 4 sequences, 4 outputs; hidden 4 units), True)
    >>> sorted(W), onnx.files[0]
    (['w', 'w_in', 'w_out'], 'model.onnx')
    """

    record: RunDir

    @property
    def path(self) -> Path:
        """The run's directory."""
        return self.record.path

    @property
    def config(self) -> RunConfig:
        """The resolved configuration."""
        return load_config(self.record.config_path)

    @property
    def result(self) -> dict[str, Any]:
        """The row that tables show, with losses after idle time; InputError while there is none."""
        result = result_of(self.record)
        if result is None:
            raise InputError(f"{self.path}: no result yet; continue with: neuroanp resume {self.path}")
        return result

    @property
    def metrics(self) -> Metrics:
        """The learning curve; `.plot()` shows it."""
        return self.record.metrics()

    def to_dataframe(self) -> DataFrame:
        """Return the learning curve as a data frame of pandas (the extra `frames`), a row for each of the metrics.

        Its columns are those of `metrics`: update, train_loss, test_loss, energy_J, ...; NaN where a row has no value.

        Raises: InputError: pandas is not installed.
        """
        return self.metrics.to_dataframe()

    def weights(self, as_held: bool = True) -> RunWeights:
        """Return the matrices of the newest checkpoint: those of the network that was scored.

        Args:
            as_held: as the run's own chip holds them, with errors of writing, drift, faults, wires and rounding to
                whole numbers in them; False: the digital targets, what was to be written. On an ideal device both are
                the same; elsewhere the targets are another network, with another loss.

        Returns: w_in, w and w_out as torch tensors; `origin` says which they are, and `beside` what the network that
            was scored has besides (converters, spiking units). `neuroanp.training.forward.RunWeights` shows the forward
            pass in numpy; `predict` is the forward pass.

        Raises: InputError: no checkpoint that can be read, or (`as_held`) changed data.
        """
        from neuroanp.training.forward import weights_of

        return weights_of(self.record, as_held)

    @noted
    def predict(self, inputs: Any, noise: bool = True) -> np.ndarray:
        """Present inputs to the network that was scored, on the run's own chip; the run is left as it is.

        The inputs of `held_out()` give the outputs that were scored, to the last bit: `test_loss` with the device's
        noise, `test_loss_noise_free` without (of a run from before streams 2 the latter alone: its noise is drawn
        anew, which is logged). The noise drawn depends on how many steps and sequences are presented.

        Args:
            inputs: (T, B, I) or, of one sequence, (T, I): array, torch tensor or lists of the task's own numbers; or
                the path of a file of them, .npy, or .csv or .parquet of one sequence. A run that learned from a table
                has the new one read as that was (columns, units, times, missing values); outputs are then in the
                target's unit, and NaN for rows apart that lack a value.
            noise: False leaves out all noise of reads and units.

        Returns: outputs (T, B, O), or (T, O), float64.

        Raises:
            InputError: inputs of another shape or not finite, a file that holds none, no checkpoint that can be read,
                or changed data.
        """
        from neuroanp.training.forward import predict
        from neuroanp.training.from_file import read_inputs

        if not isinstance(inputs, (str, os.PathLike)):
            return predict(self.record, inputs, noise)
        file = read_inputs(path_of("inputs", inputs), self.config)
        return file.in_units(predict(self.record, file.presented(), noise))

    @noted
    def forward(self, inputs: Any, noise: bool = True) -> Trajectories:
        """Present inputs to the network that was scored, and return what all its units did, step by step.

        The outputs are those of `predict`, to the last bit; of an encoder there are `hold` steps of the simulation for
        each of the task's, the last of which `predict` returns. The run is left as it is, and no chip time passes.

        Args:
            inputs: (T, B, I) or, of one sequence, (T, I): array, torch tensor or lists of the task's own numbers.
            noise: False leaves out all noise of reads and units.

        Returns: `.y` (T, B, O) outputs; `.layers`, by name, each with `.h` (T, B, n) pre-activations, `.x` (T, B, n)
            activities and, of units that spike, `.spikes` and `.v`, the membrane; `.hidden` of the only layer; `.u`
            what the input lines carried; `.t` (T,) seconds. Always with the axis of sequences B.

        Raises: InputError: as `predict`, or all the numbers do not fit into memory.
        """
        from neuroanp.training.trajectories import forward

        return forward(self.record, inputs, noise)

    def held_out(self) -> HeldOut:
        """Return the sequences that the run was scored on: inputs, targets, mask; `.loss(outputs)`, `.score(outputs)`.

        Raises: InputError: no checkpoint that can be read, or changed data.
        """
        from neuroanp.training.forward import held_out

        return held_out(self.record)

    def export(
        self,
        format: str,
        path: str | Path | None = None,
        *,
        force: bool = False,
        finetune: int | None = None,
        finetune_lr: float | None = None,
        weights: str = "targets",
        **options: Any,
    ) -> ExportReport:
        """Export the network of the newest checkpoint to a chip or tool; return what was lost.

        Args: format, path, force, finetune, finetune_lr, weights, **options: as in `neuroanp.export`.
        """
        return export(
            self, format, path, force=force, finetune=finetune, finetune_lr=finetune_lr, weights=weights, **options
        )

    @noted
    def report(self, path: Anywhere | None = None) -> Path:
        """Write the report (report.html in the run's directory, or `path`) and return where it is.

        Raises: InputError: the file cannot be written.
        """
        from neuroanp.reporting.html import render

        return render([self.record], self.path / "report.html" if path is None else path_of("path", path), None)

    def __repr__(self) -> str:
        from neuroanp.reporting.brief import of_run

        return f"Run({of_run(self.record)})"

    def _repr_html_(self) -> str | None:
        from neuroanp.reporting.brief import table

        return table([self.record], repr(self))


def configure(
    source: Source = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    runs: Anywhere = "runs",
    workers: int | None = None,
    **words: Any,
) -> RunConfig:
    """Resolve a configuration: the source, with `overrides` by dotted key and `words` (task, profile, ...) in place.

    Args:
        source, overrides, workers, words: as in `train`.
        runs: the store, where a loaded profile that is no shipped one gets a file.

    Returns: the configuration, with every default in it: `.to_plain()`, `.to_yaml()`.

    Raises: InputError: one line for each thing wrong with the configuration and its profile.

    >>> configure({"task": "copy"}, {"rule.K": 4}, seed=1).rule.K
    4
    >>> configure(task="copy", hidden=10)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: 1 keyword is unknown (known: task, encoder, network, profile, ..., updates)
      'hidden': write overrides={'network.hidden': 10}
    """
    return shared(given(source, overrides, words, runs), workers)


@noted
def train(
    source: Source = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    runs: Anywhere = "runs",
    force: bool = False,
    report: bool = True,
    progress: Progress = None,
    workers: int | None = None,
    callbacks: Any = None,
    argv: Iterable[str] | None = None,
    **words: Any,
) -> Run:
    """Train one network, or show the identical run that is already there.

    Args:
        source: a YAML file, its content as a mapping, a configuration, or None.
        overrides: values by dotted key, such as {"optimizer.lr": 1e-3}; text is read as YAML.
        runs: the store.
        force: repeat a run that has ended.
        report: write report.html, which takes seconds; `run.report()` makes it at any time.
        progress: called with {run, phase, update, updates, loss}, about ten times a second; None: bars on a terminal
            or in a notebook; False: neither bars nor notes.
        workers: processes on this machine that share each update; where compute.shards is not said the update is
            divided by `neuroanp.training.sharding.usual_shards`, whatever their number. None: as the config says.
            Those that torchrun started share it without being asked.
        callbacks: functions of one event (`neuroanp.training.callbacks.Event`: kind, update, metrics, stop()), told of
            each update, evaluation and checkpoint, and of the end. One that raises an error ends the run, which is
            saved. `neuroanp.training.tensorboard.TensorBoard(folder)` is one.
        argv: the command, for the record.
        **words: task, profile, rule, backend, target, updates, seed, dt, encoder, neuron, perturbation, network,
            hardware, optimizer, training, compute. Sections are mappings, laid over the source's; a name stands for
            those that have one.

    Returns: the run, with its result.

    Raises:
        InputError: a problem with the arguments, the configuration, the profile or the data.
        DivergedError: it diverged; its `path` is the record, which `load_run` opens.
        RunError: the run failed or was interrupted.

    >>> from tempfile import TemporaryDirectory
    >>> tiny = {"task": {"name": "copy", "test_size": 4}, "network": {"hidden": 4}, "training": {"controls": False}}
    >>> with TemporaryDirectory() as folder:
    ...     said = {"updates": 2, "runs": folder, "report": False, "progress": False}
    ...     run, same = train(tiny, **said), train(tiny, **said)  # the second call shows the first one's run
    >>> run.path == same.path, run.path.name.rpartition("-")[0]
    (True, 'copy-ideal-anp-s0')
    """
    asked = given(source, overrides, words, runs)
    return trained(asked, workers, force, report, progress, callbacks, argv)


def trained(
    asked: Given, workers: Any, force: Any, report: Any, progress: Any, callbacks: Any, argv: Any,
    notes: Sequence[str] = (),
) -> Run:  # fmt: skip
    """Train what was asked for; arguments as of `train`, and lines with which the log of a new record begins."""
    force, report, said = switch("force", force), switch("report", report), command(argv)
    heard = callbacks_of(callbacks)
    config = shared(asked, workers)
    if follows():
        failed = follow()
        return Run(of_the_first(asked.root / Experiment.of(config).directory, failed))
    with leading(), watched(progress_of(progress)) as tell:
        record = launch(config, asked.root, force=force, progress=tell, argv=said, callbacks=heard, notes=notes)
    return _with_report(record, report)


@noted
def resume(path: Anywhere | Run, *, report: bool = True, progress: Progress = None, callbacks: Any = None) -> Run:
    """Go on with an interrupted run; one that has ended is shown.

    Args:
        path: the run, its directory, or the beginning of its name. report, progress, callbacks: as in `train`.

    Returns: the run, with its result.

    Raises: as `train`; InputError: there is no such run, or its data or profile have changed.

    >>> from contextlib import suppress
    >>> from tempfile import TemporaryDirectory
    >>> from neuroanp.errors import StoppedError
    >>> tiny = {"task": {"name": "copy", "test_size": 4}, "network": {"hidden": 4}, "training": {"controls": False}}
    >>> with TemporaryDirectory() as folder:
    ...     with suppress(StoppedError):
    ...         train(tiny, updates=2, runs=folder, callbacks=lambda event: event.stop(), progress=False)
    ...     resume(next(Path(folder).iterdir()), report=False, progress=False).result["updates"]
    2
    """
    report, heard = switch("report", report), callbacks_of(callbacks)
    if follows():
        return Run(of_the_first(place_of(path), follow()))
    with leading(), watched(progress_of(progress)) as tell:
        record = resume_record(place_of(path), progress=tell, callbacks=heard)
    return _with_report(record, report)


def load_run(path: Anywhere | Run) -> Run:
    """Open a run directory, `path` or the beginning of its name, whatever version made it; return the run to read.

    Raises: InputError: there is no such run, or it is damaged beyond its copies.

    >>> load_run("runs/none")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: runs/none: ...
    """
    return Run(opened(path))


@noted
def estimate(source: Source = None, overrides: Mapping[str, Any] | None = None, **words: Any) -> dict[str, Any]:
    """Say what a run will take, from its sizes and a few timed updates; nothing is written.

    Args: source, overrides, **words: as in `configure`.

    Returns: passes, multiply_accumulates, memory_bytes and `fits`, whether these are there; seconds, of this machine;
        chip_time_s, of the device.

    >>> found = estimate(task="copy", network={"hidden": 8}, training={"updates": 300})
    >>> found["passes"], found["fits"]  # two passes an update
    (600, True)
    """
    from neuroanp.training.estimate import estimate as estimate_run

    return estimate_run(configure(source, overrides, **words))


@noted
def export(
    run: Anywhere | Run,
    format: str,
    path: Anywhere | None = None,
    *,
    force: bool = False,
    finetune: int | None = None,
    finetune_lr: float | None = None,
    weights: str = "targets",
    **options: Any,
) -> ExportReport:
    """Export a run's network to the format of a chip or another tool, and say what was lost.

    Args:
        run: the run, or its directory.
        format: a name (`neuroanp export --list`).
        path: the directory to write; RUN/export/FORMAT if not given.
        force: replace an export that is there.
        finetune: so many updates with what the format's chip computes in the loop; None: none.
        finetune_lr: learning rate of these; None: the run's own.
        weights: "targets", the digital weights that the run's device was written from, for another device to be
            written with; "as_held", what its own device made of them: those of the network that was scored. The
            report's `origin` says which it has, and its `limits` by how much their losses differ.
        **options: of the format.

    Returns: the report, which lies in the directory as report.json too.

    Raises: InputError: no such run or format, or the format cannot hold the network; then nothing is written.

    >>> from tempfile import TemporaryDirectory
    >>> tiny = {"task": {"name": "copy", "test_size": 4}, "network": {"hidden": 4}, "training": {"controls": False}}
    >>> with TemporaryDirectory() as folder:
    ...     found = export(train(tiny, updates=1, runs=folder, report=False, progress=False), "onnx")
    >>> found.files[0], abs(found.score["after"]["loss"] / found.score["before"]["loss"] - 1.0) < 1e-5
    ('model.onnx', True)
    """
    from neuroanp.export.finetune import FineTuning
    from neuroanp.export.source import check_weights, check_words, model_of, plain
    from neuroanp.export.writing import exporter, write

    check_words(format, force)
    folder = None if path is None else path_of("path", path)
    given, chosen = plain(finetune=finetune, lr=finetune_lr), exporter(format, plain(**options))
    if given["finetune"] is None and given["lr"] is not None:
        raise InputError("--finetune-lr: there is nothing to fine-tune; give --finetune N too, the number of updates")
    record, tune = opened(run), None
    if given["finetune"] is not None:
        tune = FineTuning(given["finetune"], given["lr"]).of(record, format, chosen)
    which = check_weights(weights, format, chosen, record)
    return write(model_of(record, which), format, chosen, folder or record.path / "export" / format, force, tune)


def _with_report(record: RunDir, report: bool) -> Run:
    run = Run(record)
    if report and not (run.path / "report.html").exists() and record.result is not None:
        run.report()
    return run


def place_of(run: Any, runs: Anywhere | None = None) -> Path:
    """Return the directory of a run: of an open one, by its path, or by the beginning of its name or hash in `runs`."""
    store = path_of("runs", "runs" if runs is None else runs)
    return run.path if isinstance(run, Run | RunDir) else found(path_of("run", run), store)


def opened(run: Any, runs: Anywhere | None = None) -> RunDir:
    return RunDir.open(place_of(run, runs), check_code=False)
