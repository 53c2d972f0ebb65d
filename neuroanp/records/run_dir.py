"""One run on the disk: configuration, manifest, metrics, checkpoints, result.

    config.yaml                          the resolved configuration
    manifest.json                        versions, profile, seeds, argv, times, status, log, seals
    metrics.csv                          one row an update
    checkpoints/00000010.safetensors     the state after update 10; the last two are kept
    start.safetensors                    the weights that it starts from, where they were given
    begun.safetensors                    the state and the metrics that it goes on from, where it extends another run
    predictions.safetensors              outputs and targets of the held-out sequences
    activity.safetensors                 what spiking units did on them
    result.json                          the row that tables show
    report.html                          the report
    export/                              what `neuroanp export` wrote, a folder a format
    copies/                              configuration, manifest, metrics, result and start, once more
    damaged/                             what was found damaged and replaced, if anything was
    .lock                                held by the process that writes, with its pid

Every file is replaced in one step, so that a reader, or a resumed run, sees the old or the new.

Which file is sealed when. A process may be killed between any two writes, and then nothing may be lost, nor an honest
run look tampered with. So a seal is always written after the file it seals, and dropped before that file changes:

- `create` makes configuration and manifest with its seal in a directory of another name, which is renamed.
- Every `update` of the manifest seals what was written since the one before: the start, at once; arrays, by the next
  line of the log or the result at the latest. A file that no manifest seals yet does not count: a result that is there
  is none, and is written again.
- While a run trains, the seal of its metrics is in each checkpoint, which is written after its rows and holds the rows
  before it: rows past it belong to no checkpoint, and a resumed run cuts them off and writes them again.
- `write_result` seals the result and the rows: from then on the run has its result. `end` writes the status, with what
  is still unsealed; a run killed between the two has a result and says "running": it ends anew from its checkpoint.
- `begin` takes a run up again: it drops all seals but those of configuration and start from the manifest, and only then
  are rows cut or files replaced.
- Of the two manifests the copy is written first: once manifest.json is new, its copy is.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.errors import InputError
from neuroanp.files import no_directory
from neuroanp.records import checkpoints, copies, lock, mending
from neuroanp.records import manifest as manifests
from neuroanp.records.arrays import ArrayFiles, file_of
from neuroanp.records.atomic import said, sweep
from neuroanp.records.creating import built
from neuroanp.records.identity import code_version
from neuroanp.records.json_io import MAX_BYTES
from neuroanp.records.manifest import BEGUN, CONFIG, ENDED, START
from neuroanp.records.metrics import MAX_BYTES as MOST_METRICS
from neuroanp.records.metrics import Metrics
from neuroanp.records.metrics_file import NAME as METRICS
from neuroanp.records.metrics_file import MetricsFile
from neuroanp.records.places import check_name, near, remove, rename
from neuroanp.records.result import RESULT, read_row, written
from neuroanp.records.seal import Seal
from neuroanp.records.streams import difference

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

LOG = logging.getLogger("neuroanp")
LARGEST_CONFIG = 2**20
_AT_START = (CONFIG, START, BEGUN)
"""What is sealed as long as a run is there; the rest is written by its end."""


class RunDir:
    """A run's directory; make one with `create` or `open`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as root:
    ...     run = RunDir.create(Path(root), "first", "seed: 0\\n", {"identity": "0" * 16})
    ...     run.append_metrics([{"update": 1, "train_loss": 0.5}, {"update": 2, "train_loss": 0.25}])
    ...     run.end("finished")
    ...     again = RunDir.open(run.path)
    ...     again.manifest["status"], again.metrics()["train_loss"], again.sealed
    ('finished', [0.5, 0.25], True)
    """

    def __init__(self, path: Path, manifest: manifests.Read) -> None:
        self.path = path
        self._manifest = manifest.fields
        self._manifest_problem = manifest.problem
        self._rows = MetricsFile(path)
        self._written: dict[str, Seal] = {}  # since the manifest was
        self._looked: dict[str, tuple[Any, str | None]] = {}
        self._told: set[str] = set()
        self.warnings: list[str] = []

    @classmethod
    def create(
        cls, root: Path, name: str, config_text: str, manifest: Mapping[str, Any], replace: bool = False
    ) -> RunDir:
        """Make the directory root/name with its configuration and manifest, all at once.

        Args:
            root: the store, made if it is missing.
            name: letters, digits, ".", "_", "-"; usually the run's identity.
            config_text: the resolved configuration as YAML.
            manifest: its fields; see `creating.built` for those that are filled in.
            replace: put it in the place of an older record of that name.

        Raises:
            InputError: the name is unfit or taken, or the place cannot be written to.
            RunError: the disk is full, or another process holds the record to be replaced.
        """
        check_name(name, "a run's name")
        final = Path(root) / name
        with built(final, config_text, manifest) as (building, fields):
            if replace and final.exists():
                with RunDir.open(final, check_code=False, quiet=True).lock():
                    remove(final)
            rename(building, final)
        return cls(final, manifests.Read(fields, None))

    @classmethod
    def open(cls, path: Path, check_code: bool = True, quiet: bool = False) -> RunDir:
        """Open a directory that `create` made; what is damaged in it is read from its copy, with a warning.

        Args:
            path: the directory.
            check_code: refuse a run that other code made; False for reading it only, as reports do.
            quiet: leave it to the caller to tell of a damaged manifest.

        Raises:
            InputError: not a run directory, damaged, of another format, or (`check_code`) of other code.
        """
        path = Path(path)
        with said(path):
            is_directory, has_manifest = path.is_dir(), manifests.is_there(path)
        if not is_directory:
            raise InputError(f"{path}: {no_directory(path)}; name one that `neuroanp train` made{near(path)}")
        if not has_manifest:
            raise InputError(
                f"{path}: not a run directory (it has no manifest.json, nor its copy); name one that "
                f"`neuroanp train` made{near(path)}"
            )
        run = cls(path, manifests.read(path))
        if run._config().data is None:
            raise InputError(f"{path}: config.yaml is missing; restore it from a copy, or repeat the run")
        if check_code and (why := _other_program(run.manifest)):
            raise InputError(
                f"{path}: {why}. Use that version{_commit(run.manifest)}, or repeat the run with `neuroanp train "
                f"{path}/config.yaml`; as it stands it can be evaluated, presented inputs, exported and reported"
            )
        if not quiet:
            run._say(run._manifest_problem)
        return run

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest's fields as last read or written."""
        return self._manifest

    @property
    def config_path(self) -> Path:
        """The resolved configuration: config.yaml, or its copy where it is not as it was written."""
        found = self._config()
        self._say(found.problem)
        return found.place

    @property
    def config_is_whole(self) -> bool:
        """Whether `config_path` is as it was written; a run of a version that sealed nothing cannot tell, and is."""
        return (found := self._config()).problem is None or found.place != self.path / CONFIG

    @property
    def config_text(self) -> str:
        """The resolved configuration as YAML."""
        found = self._config()
        self._say(found.problem)
        return (found.data or b"").decode("utf-8", "replace")

    @property
    def sealed(self) -> bool | None:
        """Whether all that is sealed is as it was written; None for a run of a version that sealed nothing."""
        return None if self._unsealed else not self.damage()

    def damage(self) -> list[str]:
        """Say of each sealed file that is not as it was written what is wrong and what is taken instead."""
        problems = [self._manifest_problem, *map(self._problem, self._seals)]
        return [problem for problem in problems if problem is not None]

    def lost(self, names: Sequence[str]) -> list[str]:
        """Say which of some sealed files are not as they were written, nor their copies."""
        found = [copies.take(self.path, name, self._seals[name], mending.MOST) for name in names if name in self._seals]
        return [one.problem for one in found if one.problem is not None and one.place.parent == self.path]

    def update(self, **fields: Any) -> None:
        """Change fields of the manifest, atomically, keeping all others; what was written since is sealed with it."""
        changed = {**self._manifest, **fields}
        if not self._unsealed:
            changed["seals"] = {**changed.get("seals", {}), **{name: s.plain() for name, s in self._written.items()}}
        self._manifest, self._manifest_problem = manifests.write(self.path, changed), None
        self._written = {}

    def log(self, line: str) -> None:
        """Add a line to the manifest's log: what was chosen, skipped or noticed."""
        self.update(log=[*self._manifest["log"], line])

    def begin(self) -> None:
        """Take the run up: it is running, and what its end writes is not there yet."""
        kept = {name: seal for name, seal in self._manifest.get("seals", {}).items() if name in _AT_START}
        self.update(status="running", seals=kept)
        with said(self.path):
            copies.make_folder(self.path, self.path / checkpoints.FOLDER)

    def end(self, status: str, line: str | None = None, **fields: Any) -> None:
        """Write the status, with a line for the log, other fields, and the seals of all files, in one step."""
        self._seal_rows()
        log = self._manifest["log"]
        self.update(status=status, log=[*log, line] if line else log, **fields)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for one process; the system lets go of it when the process ends, however it ends.

        Raises:
            HeldError: another process holds it; the message names its pid.
        """
        with lock.held(self.path):
            sweep(self.path)
            for folder in (self.path / checkpoints.FOLDER, self.path / copies.FOLDER):
                if copies.inside(self.path, folder):  # a link would have it sweep somebody else's
                    sweep(folder)
            yield

    def mend(self) -> list[str]:
        """Restore damaged files from their copies, and set aside those that have none; hold the lock.

        A result that cannot be restored, and arrays that are damaged, are no longer sealed: the run has not ended
        then, and its end is computed again from the last checkpoint.

        Returns: sentences, which are in the log too.
        """
        done, problem = mending.mend(self.path, self._seals), self._manifest_problem
        told = [*([] if problem is None else [problem]), *done.told]
        if told:
            log = [*self._manifest["log"], *(f"warning: {line}" for line in told)]
            if problem is not None and os.path.lexists(self.path / manifests.NAME):
                copies.set_aside(self.path, self.path / manifests.NAME)
            seals = self._manifest.get("seals", {})
            self.update(seals={name: seal for name, seal in seals.items() if name not in done.lost}, log=log)
        return told

    def append_metrics(self, rows: Sequence[Mapping[str, float | int | None]]) -> None:
        """Append rows to metrics.csv and its copy; the first row fixes the columns."""
        for sentence in self._rows.append(rows):
            self._say(sentence)

    def restore_metrics(self, meta: Mapping[str, Any] | None) -> list[str]:
        """Cut the metrics back to the rows that a checkpoint sealed, and restore what of them is damaged.

        Args:
            meta: the checkpoint's, or None where the run starts anew.

        Returns: sentences that say what was damaged.
        """
        return self._rows.restore(Seal.read((meta or {}).get("metrics")))

    def metrics(self) -> Metrics:
        """Read metrics.csv, with the controls of the result, once there is one; InputError if it is damaged."""
        controls = (self.result or {}).get("controls") or {}
        numbers = {name: float(loss) for name, loss in controls.items() if isinstance(loss, int | float)}
        seal, path = self._seal_of_rows(), self.path / METRICS
        if seal is None:
            return Metrics.read(copies.own(self.path, path), numbers)
        grows = self._manifest["status"] == "running"
        found = copies.take(self.path, METRICS, seal, MOST_METRICS, grows)
        self._say(found.problem)
        if found.data is None:
            return Metrics({}, numbers)
        try:
            return Metrics.parse(found.data.decode("utf-8"), numbers)
        except (UnicodeDecodeError, InputError) as error:
            raise InputError(f"{path}: damaged ({error}); no whole copy is left") from error

    def save_checkpoint(self, update: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Path:
        """Write the state after `update` updates; keep the two newest, drop what lies past it.

        Args:
            update: number of updates done, below 10^8.
            tensors: everything that must survive, by name.
            meta: plain values (JSON); numbers that are not finite become null.

        Raises:
            RunError: the disk is full; the checkpoints before are intact.
        """
        return self._checkpoints.save(update, tensors, {**meta, "metrics": self._rows.seal.plain()})

    def checkpoints(self) -> list[Path]:
        """List the checkpoint files, oldest first, valid or not."""
        return self._checkpoints.list()

    def latest_checkpoint(self) -> Path | None:
        """Return the newest checkpoint that is whole, or None; damaged ones are named in `warnings`."""
        return self._checkpoints.latest(self.warnings)

    def whole_checkpoint(self) -> Path:
        """Return the newest checkpoint that is whole, for reading; a warning tells of damaged ones that are newer.

        Raises:
            InputError: there is none, or all are damaged; the message says which, and what to do.
        """
        ended = self.manifest["status"] in ENDED  # resume would show it
        if self.manifest["status"] == "diverged" and not self.checkpoints():
            raise InputError(f"{self.path}: it diverged before its first checkpoint; train another configuration")
        again = f"neuroanp train {self.path / CONFIG} --force" if ended else f"neuroanp resume {self.path}"
        told = len(self.warnings)
        path, updates = self._checkpoints.whole(self.warnings, again), (self.result or {}).get("updates")
        if isinstance(updates, int) and int(path.stem) != updates and len(self.warnings) == told:
            self._say(
                f"{self.path}: taken is {path.name}, but the result is of update {updates}: its checkpoint is gone"
            )
        return path

    def load_checkpoint(self, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return (tensors, meta) of one of this run's checkpoints; InputError if it is damaged."""
        return self._checkpoints.load(path)

    def save_arrays(self, name: str, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any] | None = None) -> Path:
        """Write NumPy arrays to <name>.safetensors, those of "start" twice; the next `update` or `end` seals them."""
        file = file_of(name)
        self._written[file] = self._arrays.save(file, arrays, meta or {})
        return self.path / file

    def load_arrays(self, name: str) -> dict[str, np.ndarray] | None:
        """Return what `save_arrays` wrote, or None if there is no such file; InputError if it is damaged."""
        return self._arrays.load(file_of(name), self._say)

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write result.json and seal it in the manifest, with the rows of the metrics: from then on it counts.

        Args:
            result: exactly the keys of RESULT_KEYS; `run` is this directory, whatever it says.
        """
        data = written({**result, "run": str(self.path)})
        copies.put(self.path, RESULT, data)
        self._written[RESULT] = Seal.of(data)
        self._seal_rows()
        self.update()

    @property
    def result(self) -> dict[str, Any] | None:
        """The result, or None before there is one, or where nothing of it is left; a warning tells of a damaged one.

        Raises:
            InputError: a run of a version that sealed nothing, whose result is damaged.
        """
        if not self._unsealed:
            seal = self._seals.get(RESULT)
            if seal is None:  # a file may be there already: it counts from the manifest on that seals it
                return None
            found = copies.take(self.path, RESULT, seal, MAX_BYTES)
            self._say(found.problem)
            data = found.data
        else:
            data, why = copies.peek(self.path, RESULT, MAX_BYTES)
            if data is None and why != "missing":
                raise InputError(f"{self.path / RESULT}: {why}; restore it from a copy, or repeat the run")
        return None if data is None else self._row(data)

    def _row(self, data: bytes) -> dict[str, Any] | None:
        row, wrong = read_row(data)
        if row is not None:
            return {**row, "run": str(self.path)}  # the directory may have been moved since
        damaged = f"{self.path / RESULT}: damaged ({wrong}); "
        if self._unsealed:
            raise InputError(damaged + "restore it from a copy, or repeat the run")
        self._say(damaged + f"resume computes it again from the last checkpoint: neuroanp resume {self.path}")
        return None

    @property
    def _unsealed(self) -> bool:
        return self._manifest["format"] == manifests.UNSEALED

    @property
    def _seals(self) -> dict[str, Seal]:
        plain = {} if self._unsealed else self._manifest.get("seals", {})
        return {name: seal for name, value in plain.items() if (seal := Seal.read(value)) is not None}

    @property
    def _checkpoints(self) -> checkpoints.Checkpoints:
        return checkpoints.Checkpoints(self.path, self._manifest["identity"])

    @property
    def _arrays(self) -> ArrayFiles:
        return ArrayFiles(self.path, self._manifest["identity"], self._seals)

    def _config(self) -> copies.Taken:
        seal = self._seals.get(CONFIG)
        if seal is not None:
            return copies.take(self.path, CONFIG, seal, LARGEST_CONFIG)
        return copies.Taken(copies.peek(self.path, CONFIG, LARGEST_CONFIG)[0], self.path / CONFIG, None)

    def _problem(self, name: str) -> str | None:
        """Say what is wrong with a sealed file, or None; asked again, it looks again only if the file is another."""
        places = [self.path / name, self.path / copies.FOLDER / name]
        now = (self._seals[name], *map(copies.signature, places))
        if name not in self._looked or self._looked[name][0] != now:
            found = copies.take(self.path, name, self._seals[name], mending.MOST)
            self._looked[name] = now, found.problem
        return self._looked[name][1]

    def _seal_rows(self) -> None:
        if self._unsealed:
            return
        self._rows.trim()
        if self._rows.seal.size:
            self._written[METRICS] = self._rows.seal

    def _seal_of_rows(self) -> Seal | None:
        """Return the seal of the metrics: the manifest's or, of a run that has not ended, its newest checkpoint's."""
        found = self._seals.get(METRICS)
        if found is not None or self._unsealed or self._manifest["status"] != "running":
            return found
        path = self._checkpoints.latest([])
        return None if path is None else Seal.read(self._checkpoints.check(path).get("metrics"))

    def _say(self, sentence: str | None) -> None:
        """Warn of something once."""
        if sentence is not None and sentence not in self._told:
            self._told.add(sentence)
            LOG.warning(sentence)


def _other_program(manifest: Mapping[str, Any]) -> str | None:
    """Say why a run cannot go on here: other code made it, or other noise; None: it can."""
    noise = difference(manifest)
    if manifest["code"] == code_version() and noise is None:
        return None
    mixed = "going on would mix two programs" + ("" if noise is None else f", and two kinds of noise: {noise}")
    return f"made by neuroanp {manifest['code']}, this is {code_version()}: {mixed}"


def _commit(manifest: Mapping[str, Any]) -> str:
    return f" (commit {manifest['commit']})" if "commit" in manifest else ""
