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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.comparing.grid import expand, resolve
from neuroanp.errors import InputError, did_you_mean
from neuroanp.records.environment import usable_cores
from neuroanp.records.run_dir import RunDir, check_root
from neuroanp.records.store import Store
from neuroanp.training.config import RunConfig, load_config
from neuroanp.training.launch import launch
from neuroanp.training.launch import resume as resume_record

if TYPE_CHECKING:
    from neuroanp.comparing.pool import Outcome
    from neuroanp.records.metrics import Metrics
    from neuroanp.trajectory import Weights

Source = str | Path | Mapping[str, Any] | None
Progress = Callable[[dict[str, Any]], None]

__all__ = ["Comparison", "Run", "compare", "configure", "estimate", "load_run", "report", "resume", "train"]


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
        return load_config(self.path / "config.yaml")

    @property
    def result(self) -> dict[str, Any]:
        """The row that tables show; InputError while there is none."""
        result = self.record.result
        if result is None:
            raise InputError(f"{self.path}: no result yet; continue with: neuroanp resume {self.path}")
        return result

    @property
    def metrics(self) -> Metrics:
        """The learning curve; `.plot()` shows it."""
        return self.record.metrics()

    def weights(self) -> Weights:
        """Return the digital target weights of the newest checkpoint."""
        from neuroanp.trajectory import ARRAYS, Weights

        path = self.record.latest_checkpoint()
        if path is None:
            raise InputError(f"{self.path}: no checkpoint yet; continue with: neuroanp resume {self.path}")
        tensors, _ = self.record.load_checkpoint(path)
        return Weights({name: tensors[f"substrate/{name}/aim"] for name in ARRAYS}, self.config.network.bias)

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
    """

    runs: list[Run]
    failed: list[tuple[str, str]]
    report: Path

    @property
    def results(self) -> list[dict[str, Any]]:
        """One row a run."""
        return [run.result for run in self.runs]


WORDS = ("task", "profile", "rule", "backend", "updates", "seed")
"""What `train` and `configure` take by keyword; all else goes by `overrides`."""
EXAMPLE = "set what a YAML file may say by its dotted key, such as overrides={'network.hidden': 10}"


def configure(source: Source = None, overrides: Mapping[str, Any] | None = None, **words: Any) -> RunConfig:
    """Resolve a configuration: the source, with `overrides` by dotted key and `words` (task, profile, ...) in place.

    Raises:
        InputError: one line for each thing wrong with the configuration and its profile.

    >>> configure({"task": "copy"}, {"rule.K": 4}, seed=1).rule.K
    4
    >>> configure(task="copy", hidden=10)
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: 1 keyword is unknown (known: task, profile, rule, backend, updates, seed)
      'hidden': write overrides={'network.hidden': 10}
    """
    return resolve(source, overrides, _known(words))


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
        **words: task, profile, rule, backend, updates, seed.

    Returns: the run, with result and report.

    Raises:
        InputError: a problem with the configuration, the profile or the data.
        DivergedError: it diverged; its `path` is the record, which `load_run` opens.
        RunError: the run failed or was interrupted.
    """
    config = resolve(source, overrides, _known(words))
    record = launch(config, Path(runs), force=force, progress=progress, argv=argv)
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
    profiles: str | Sequence[str] = (),
    rules: str | Sequence[str] = (),
    seeds: int | Sequence[int] = (),
    workers: int | None = None,
    runs: str | Path = "runs",
    force: bool = False,
    progress: Progress | None = None,
    argv: Sequence[str] | None = None,
) -> Comparison:
    """Train every combination in parallel processes; runs that are already there are shown.

    Args:
        tasks, profiles, rules: names, or one name; empty keeps the source's own.
        seeds: a list, or n for 0 .. n-1.
        workers: processes; one a core if not given.
        source, overrides, runs, force, progress, argv: as in `train`.

    Returns: results, failures and the report.

    Raises:
        InputError: a name, a configuration or the store's place is wrong; said before anything runs.
    """
    from neuroanp.comparing.pool import Job, run_all

    wanted = range(seeds) if isinstance(seeds, int) else seeds
    configs = expand(source, overrides, tasks=tasks, profiles=profiles, rules=rules, seeds=list(wanted))
    root, command = Path(runs), list(sys.argv if argv is None else argv)
    check_root(root)
    jobs = [Job(config, root, force, tuple(command)) for config in configs]
    outcomes = run_all(jobs, workers or usable_cores(), progress or (lambda event: None))
    failed = [(outcome.label, outcome.error) for outcome in outcomes if outcome.error is not None]
    records = [_opened(outcome) for outcome in outcomes]
    done = [record for record in records if record is not None and record.result is not None]
    if not done:
        raise _all_failed(failed)
    path = root / f"compare-{_digest([record.manifest['identity'] for record in done])}" / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    from neuroanp.reporting.html import render
    from neuroanp.reporting.reading import typed

    render(done, path, typed(command))
    return Comparison([Run(record) for record in done], failed, path)


def report(paths: Sequence[str | Path], output: str | Path | None = None) -> Path:
    """Write one HTML file for run directories, or for all finished runs of a store; return where it is."""
    from neuroanp.reporting.html import render

    records: list[RunDir] = []
    for path in map(Path, paths):
        if not path.is_dir():
            there = "not a directory" if path.exists() else "no such directory"
            raise InputError(f"{path}: {there}; name a run that `neuroanp train` made, or the folder of several")
        if (path / "manifest.json").exists():
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


def _known(words: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return keywords that are all known; InputError says of the others what to write."""
    unknown = {word: value for word, value in words.items() if word not in WORDS}
    if not unknown:
        return words
    sections = {name: getattr(field.annotation, "model_fields", {}) for name, field in RunConfig.model_fields.items()}
    said = []
    for word, value in unknown.items():
        keys = [f"{section}.{word}" for section, fields in sections.items() if word in fields]
        keys += [word] if word in sections else []
        near = did_you_mean(word, WORDS).removeprefix("; ")
        write = " or ".join(f"write overrides={{{key!r}: {value!r}}}" for key in keys)
        said.append(f"{word!r}: {write or near or EXAMPLE}")
    number = "1 keyword is" if len(said) == 1 else f"{len(said)} keywords are"
    raise InputError(f"{number} unknown (known: {', '.join(WORDS)})", said)


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
