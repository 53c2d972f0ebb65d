"""neuroanp from Python: everything the command line does, in as few lines.

A first run:

    import neuroanp as na
    run = na.train(task="copy", profile="pcm", rule="anp", updates=500, seed=0)
    run.metrics.plot()
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.comparing.grid import expand, resolve
from neuroanp.comparing.size import MOST_RUNS, check_size, check_workers, in_words, sizes
from neuroanp.errors import InputError
from neuroanp.records.manifest import is_there
from neuroanp.records.places import check_root
from neuroanp.records.run_dir import RunDir
from neuroanp.records.store import Store
from neuroanp.training.arguments import known, listed, names, times
from neuroanp.training.config import RunConfig, load_config
from neuroanp.training.launch import launch
from neuroanp.training.launch import resume as resume_record
from neuroanp.training.results import result_of

if TYPE_CHECKING:
    import numpy as np

    from neuroanp.characterizing.experiments import Characterization
    from neuroanp.comparing.worker import Outcome
    from neuroanp.export.report import ExportReport
    from neuroanp.records.metrics import Metrics
    from neuroanp.training.forward import HeldOut, RunWeights

Source = str | Path | Mapping[str, Any] | None
Progress = Callable[[dict[str, Any]], None]

__all__ = [
    "Comparison", "Run", "characterize", "compare", "configure", "estimate", "evaluate", "load_run", "report", "resume",
    "train", "transfer",
]  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A run on the disk.

    Args:
        record: its directory.
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

    def weights(self, as_held: bool = True) -> RunWeights:
        """Return the matrices of the newest checkpoint: those of the network that was scored.

        Args:
            as_held: as the run's own chip holds them, with errors of writing, drift, faults, wires and rounding to
                whole numbers in them; False: the digital targets, what was to be written. On an ideal device both are
                the same; elsewhere the targets are another network, with another loss.

        Returns: w_in, w and w_out as torch tensors; `origin` says which they are, and `beside` what the network that
            was scored has besides (converters, spiking units). `neuroanp.training.forward.RunWeights` shows the forward
            pass in numpy; `predict` is the forward pass.

        Raises:
            InputError: no checkpoint that can be read, or (`as_held`) changed data.
        """
        from neuroanp.training.forward import weights_of

        return weights_of(self.record, as_held)

    def predict(self, inputs: Any, noise: bool = True) -> np.ndarray:
        """Present inputs to the network that was scored, on the run's own chip; the run is left as it is.

        The inputs of `held_out()` give the outputs that were scored, to the last bit: `test_loss` with the device's
        noise, `test_loss_noise_free` without. The noise drawn depends on how many steps and sequences are presented.

        Args:
            inputs: (T, B, I) or, of one sequence, (T, I): array, torch tensor or lists of the task's own numbers.
            noise: False leaves out all noise of reads and units.

        Returns: outputs (T, B, O), or (T, O), float64.

        Raises:
            InputError: inputs of another shape or not finite, no checkpoint that can be read, or changed data.

        >>> from tempfile import TemporaryDirectory
        >>> from neuroanp.training.launch import launch
        >>> task = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8}
        >>> tiny = {"task": task, "network": {"hidden": 6}, "training": {"updates": 2, "controls": False}}
        >>> with TemporaryDirectory() as folder:
        ...     run = Run(launch(configure(tiny, profile="pcm"), Path(folder)))
        ...     batch = run.held_out()
        ...     y = run.predict(batch.inputs, noise=False)
        ...     batch.loss(y) == run.result["test_loss_noise_free"]
        True
        """
        from neuroanp.training.forward import predict

        return predict(self.record, inputs, noise)

    def held_out(self) -> HeldOut:
        """Return the sequences that the run was scored on: inputs, targets, mask; `.loss(outputs)`, `.score(outputs)`.

        Raises:
            InputError: no checkpoint that can be read, or changed data.
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
        """Export the network of the newest checkpoint to a chip or tool; see `neuroanp.api.export`."""
        return export(
            self, format, path, force=force, finetune=finetune, finetune_lr=finetune_lr, weights=weights, **options
        )

    def report(self, path: Path | None = None) -> Path:
        """Write the report (report.html in the run's directory, or `path`) and return where it is."""
        from neuroanp.reporting.html import render

        return render([self.record], path or self.path / "report.html", None)


@dataclass(frozen=True)
class Comparison:
    """Many runs side by side.

    Args:
        runs: those that have a result.
        failed: label and message of those that have none or diverged.
        report: the HTML file.
        ablation: what each non-ideality costs, a row each, where that was asked for.
    """

    runs: list[Run]
    failed: list[tuple[str, str]]
    report: Path
    ablation: list[dict[str, Any]] = field(default_factory=list)

    @property
    def results(self) -> list[dict[str, Any]]:
        """One row a run; `options` are those in which the runs differ, such as optimizer.lr, as text by dotted key."""
        from neuroanp.reporting.reading import differing, shown

        options = differing([shown(run.record) for run in self.runs])
        return [{**run.result, "options": some} for run, some in zip(self.runs, options, strict=True)]


def configure(source: Source = None, overrides: Mapping[str, Any] | None = None, **words: Any) -> RunConfig:
    """Resolve a configuration: the source, with `overrides` by dotted key and `words` (task, profile, ...) in place.

    Raises:
        InputError: one line for each thing wrong with the configuration and its profile.

    >>> configure({"task": "copy"}, {"rule.K": 4}, seed=1).rule.K
    4
    >>> configure(task="copy", hidden=10)
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: 1 keyword is unknown (known: task, profile, rule, backend, target, updates, seed)
      'hidden': write overrides={'network.hidden': 10}
    """
    return resolve(source, overrides, known(words))


def train(
    source: Source = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    runs: str | Path = "runs",
    force: bool = False,
    progress: Progress | None = None,
    argv: Sequence[str] | None = None,
    **words: Any,
) -> Run:
    """Train one network, or show the identical run that is already there.

    Args:
        source: a YAML file, its content as a mapping, or None.
        overrides: values by dotted key, such as {"optimizer.lr": 1e-3}.
        runs: the store.
        force: repeat a run that has ended.
        progress: called with {run, phase, update, updates, loss}, about ten times a second.
        argv: the command, for the record.
        **words: task, profile, rule, backend, target, updates, seed.

    Returns: the run, with result and report.

    Raises:
        InputError: a problem with the configuration, the profile or the data.
        DivergedError: it diverged; its `path` is the record, which `load_run` opens.
        RunError: the run failed or was interrupted.
    """
    config = resolve(source, overrides, known(words))
    record = launch(config, _place(runs), force=force, progress=progress, argv=argv)
    return _with_report(record)


def resume(path: str | Path, *, progress: Progress | None = None) -> Run:
    """Go on with an interrupted run; one that has ended is shown. Raises as `train`."""
    return _with_report(resume_record(Path(path), progress=progress))


def load_run(path: str | Path) -> Run:
    """Open a run directory for reading, whatever version made it."""
    return Run(RunDir.open(Path(path), check_code=False))


def compare(
    source: Source = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    tasks: str | Sequence[str] = (),
    backends: str | Sequence[str] = (),
    profiles: str | Sequence[str] = (),
    rules: str | Sequence[str] = (),
    seeds: int | Sequence[int] = (),
    workers: int | None = None,
    runs: str | Path = "runs",
    force: bool = False,
    progress: Progress | None = None,
    argv: Sequence[str] | None = None,
    ablate: bool = False,
    max_runs: int = MOST_RUNS,
) -> Comparison:
    """Train every combination in parallel processes; runs that are already there are shown.

    Args:
        tasks, backends, profiles, rules: names, or one name; empty keeps the source's own.
        seeds: a list, or n for 0 .. n-1.
        workers: processes; one a core if not given.
        source, overrides, runs, force, progress, argv: as in `train`.
        ablate: run each combination also without each non-ideality of its profile, with each alone, and with none.
        max_runs: a comparison of more is refused before it starts.

    Returns: results, failures and the report.

    Raises:
        InputError: there are too many runs, or a name, a configuration or the store's place is wrong; said before
            anything runs.
    """
    from neuroanp.comparing.ablate import ablated, count

    axes = {"tasks": tasks, "backends": backends, "profiles": profiles, "rules": rules, "seeds": listed(seeds)}
    store = _Store(_place(runs), list(sys.argv if argv is None else argv), check_workers(workers), force, progress)
    configs = expand(source, overrides, **axes, most=max_runs)
    counts = sizes({axis.removesuffix("s"): values for axis, values in axes.items()})
    if ablate:
        check_size({"ablated run": count(configs)}, max_runs)
        configs = [one for config in configs for one in ablated(config)]
    store.tell(len(configs), in_words(counts) + (", ablated" if ablate else ""))
    outcomes = store.run(configs)
    return store.compared(outcomes, "ablate" if ablate else "compare", _failures(outcomes))


def runs_of_ablation(
    source: Source, overrides: Mapping[str, Any] | None, *, max_runs: int = MOST_RUNS, **axes: Any
) -> int:
    """Return how many runs `compare(..., ablate=True)` makes of tasks, backends, profiles, rules and seeds."""
    from neuroanp.comparing.ablate import count

    axes["seeds"] = listed(axes.get("seeds", ()))
    return count(expand(source, overrides, **axes, most=max_runs))


def transfer(
    source: Source = None,
    *,
    profiles: str | Sequence[str],
    fine_tune: int = 200,
    fine_tune_lr: float | None = None,
    overrides: Mapping[str, Any] | None = None,
    task: str | None = None,
    backend: str | None = None,
    seeds: int | Sequence[int] = (),
    workers: int | None = None,
    runs: str | Path = "runs",
    force: bool = False,
    progress: Progress | None = None,
    argv: Sequence[str] | None = None,
    max_runs: int = MOST_RUNS,
) -> Comparison:
    """Train weights off the chip by backpropagation, program devices with them, and fine-tune on the device.

    For each seed BPTT trains a network on the ideal profile. For each profile its weights are then programmed and
    evaluated as they are, and after `fine_tune` updates of the source's rule on the device; beside that the same
    rule learns on the device from the untrained network.

    Args:
        profiles: the devices.
        fine_tune: updates on the device after programming.
        fine_tune_lr: learning rate of these; the source's if not given.
        task, backend: a name, or None for the source's own.
        source, overrides, seeds, workers, runs, force, progress, argv, max_runs: as in `compare`.

    Returns: results, failures and the report.

    Raises:
        InputError: as `compare`; or the source names weights to start from.
    """
    from neuroanp.comparing.transfer import plan

    command, at_once = list(sys.argv if argv is None else argv), check_workers(workers)
    store = _Store(_place(runs), command, at_once, force, progress, logged=set())
    whole = plan(
        source, overrides, profiles=profiles, fine_tune=fine_tune, fine_tune_lr=fine_tune_lr, task=task,
        backend=backend, seeds=listed(seeds), most=max_runs,
    )  # fmt: skip
    store.tell(whole.total, in_words(sizes({"profile": profiles, "seed": listed(seeds)})))
    begun = store.run([*whole.teachers, *whole.scratch])
    taught, failed = begun[: len(whole.teachers)], _failures(begun)
    paths = {c.seed: one.path for c, one in zip(whole.teachers, taught, strict=True) if one.path and not one.error}
    if not paths:
        raise _all_failed(failed)
    left_out = {c.seed for c in whole.teachers} - set(paths)
    failed += [(f"programming of seed {seed}", "not done: training its weights failed") for seed in sorted(left_out)]
    programmed = store.run(whole.programmed(paths))
    failed += _failures(programmed)
    of_each, ordered = iter(programmed), list(taught)
    for config, scratch in zip(whole.scratch, begun[len(taught) :], strict=True):
        ordered += [next(of_each), next(of_each), scratch] if config.seed in paths else [scratch]
    return store.compared(ordered, "transfer", failed)


def evaluate(
    path: str | Path,
    *,
    after: str | Sequence[str] = (),
    only: str | Sequence[str] = (),
    without: str | Sequence[str] = (),
    profile: str | None = None,
) -> list[dict[str, Any]]:
    """Evaluate a run's newest checkpoint again; the run is left as it is.

    Args:
        path: the run's directory.
        after: idle times such as "1 h" and "30 d": retention.
        only, without: the effects of reading that stay on, or are off.
        profile: program a new chip of this profile with the run's weights and evaluate that one.

    Returns: a row for the chip as it stands and one for each idle time, each with test_loss, test_loss_noise_free
        and score.

    Raises:
        InputError: no such run, a time or an effect is wrong, or the run's data have changed.
    """
    from neuroanp.profiles.loader import load
    from neuroanp.training.revisit import Look, revisit

    look = Look(times(after), names(only), names(without), None if profile is None else load(profile))
    return revisit(RunDir.open(Path(path), check_code=False), look)


def export(
    run: str | Path | Run,
    format: str,
    path: str | Path | None = None,
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

    Raises:
        InputError: no such run or format, or the format cannot hold the network; then nothing is written.
    """
    from neuroanp.export.directory import path_of
    from neuroanp.export.finetune import FineTuning
    from neuroanp.export.source import check_weights, check_words, model_of, plain
    from neuroanp.export.writing import exporter, write

    check_words(format, force)
    place, folder = path_of("run", getattr(run, "path", run)), None if path is None else path_of("path", path)
    given, chosen = plain(finetune=finetune, lr=finetune_lr), exporter(format, plain(**options))
    if given["finetune"] is None and given["lr"] is not None:
        raise InputError("--finetune-lr: there is nothing to fine-tune; give --finetune N too, the number of updates")
    record, tune = RunDir.open(place, check_code=False), None
    if given["finetune"] is not None:
        tune = FineTuning(given["finetune"], given["lr"]).of(record, format, chosen)
    which = check_weights(weights, format, chosen, record)
    return write(model_of(record, which), format, chosen, folder or record.path / "export" / format, force, tune)


def characterize(
    profile: str | Path,
    output: str | Path | None = None,
    *,
    seed: int = 0,
    devices: int = 10_000,
    only: str | Sequence[str] | None = None,
) -> Characterization:
    """Measure a device: moments against closed forms, and curves.

    Args:
        profile: a shipped profile's name, or a file.
        output: an HTML file to write, or None.
        seed, devices: of the samples.
        only: names of experiments; None: all that the profile has something for.

    Raises:
        InputError: no such profile or experiment, or the file cannot be written.
    """
    from neuroanp.characterizing.experiments import characterize as measure
    from neuroanp.profiles.loader import load
    from neuroanp.reporting.characterization import render

    found = measure(load(profile), seed=seed, devices=devices, only=None if only is None else names(only))
    if output is not None:
        render(found, Path(output))
    return found


def report(paths: Sequence[str | Path], output: str | Path | None = None) -> Path:
    """Write one HTML file for run directories, or for all finished runs of a store; return where it is."""
    from neuroanp.reporting.html import render

    records: list[RunDir] = []
    for path in map(Path, paths):
        if not path.is_dir():
            there = "not a directory" if path.exists() else "no such directory"
            raise InputError(f"{path}: {there}; name a run that `neuroanp train` made, or the folder of several")
        if is_there(path):
            records.append(RunDir.open(path, check_code=False))
        else:
            records.extend(Store(path).runs())
            for message in Store(path).broken():
                logging.getLogger("neuroanp").warning("left out: %s", message)
    records = [record for record in records if record.result is not None]
    if not records:
        raise InputError(f"{', '.join(map(str, paths))}: no run with a result; train one, or name another directory")
    if output is None:
        first = Path(paths[0])
        output = first / "report.html"
    return render(records, Path(output), None)


def estimate(config: RunConfig) -> dict[str, Any]:
    """Say what a run will take, from its sizes and a few timed updates."""
    from neuroanp.training.estimate import estimate as estimate_run

    return estimate_run(config)


@dataclass(frozen=True)
class _Store:
    """Where the runs of a comparison go, and how they are made; `logged` spans those that are made in turn."""

    root: Path
    command: list[str]
    workers: int
    force: bool
    progress: Progress | None
    logged: set[tuple[Any, ...]] | None = None

    def tell(self, count: int, of_what: str) -> None:
        """Say how many runs there will be."""
        if count > 1:
            logging.getLogger("neuroanp").info(f"{count:,} runs ({of_what}), at most {self.workers} at a time")

    def run(self, configs: Sequence[RunConfig]) -> list[Outcome]:
        """Do all runs in parallel; their outcomes come in the order of the configurations."""
        from neuroanp.comparing.pool import run_all
        from neuroanp.comparing.worker import Job

        check_root(self.root)
        jobs = [Job(config, self.root, self.force, tuple(self.command)) for config in configs]
        before = {} if self.logged is None else {"logged": self.logged}
        return run_all(jobs, self.workers, self.progress or (lambda event: None), **before)

    def compared(self, outcomes: Sequence[Outcome], kind: str, failed: list[tuple[str, str]]) -> Comparison:
        """Write the report of what has a result, into a directory named after its content."""
        from neuroanp.reporting.ablation import ablations, rows
        from neuroanp.reporting.html import render
        from neuroanp.reporting.reading import shown, typed

        records = [_opened(outcome) for outcome in outcomes]
        done = [record for record in records if record is not None and record.result is not None]
        if not done:
            raise _all_failed(failed)
        path = self.root / f"{kind}-{_digest([record.manifest['identity'] for record in done])}" / "report.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        render(done, path, typed(self.command))
        found = rows(ablations([shown(record) for record in done])) if kind == "ablate" else []
        return Comparison([Run(record) for record in done], failed, path, found)


def _place(runs: str | Path) -> Path:
    """Return the folder of the runs; an empty name, which means the present one to the system, is a mistake."""
    if runs == "":
        raise InputError("runs: the name is empty; name a folder, '.' for the present one")
    return Path(runs)


def _failures(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    return [(outcome.label, outcome.error) for outcome in outcomes if outcome.error is not None]


def _with_report(record: RunDir) -> Run:
    run = Run(record)
    if not (run.path / "report.html").exists() and record.result is not None:
        run.report()
    return run


def _opened(outcome: Outcome) -> RunDir | None:
    """Open what a run left; None if it left nothing, or nothing readable, which `failed` tells of."""
    if outcome.path is None:
        return None
    try:
        return RunDir.open(outcome.path, check_code=False)
    except InputError:
        if outcome.error is None:
            raise
        return None


def _digest(identities: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(sorted(identities)).encode()).hexdigest()[:16]


def _all_failed(failed: Sequence[tuple[str, str]]) -> Exception:
    from neuroanp.errors import RunError

    return RunError("no run has a result:\n" + "\n".join(f"  {label}: {error}" for label, error in failed))
