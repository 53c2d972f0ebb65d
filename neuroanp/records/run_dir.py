"""One run on the disk: configuration, manifest, metrics, checkpoints, result.

    config.yaml                          the resolved configuration
    manifest.json                        versions, profile, seeds, argv, times, status, log
    metrics.csv                          one row an update
    checkpoints/00000010.safetensors     the state after update 10; the last two are kept
    predictions.safetensors              outputs and targets of the held-out sequences
    result.json                          the row that tables show
    report.html                          the report

Every file is replaced in one step, so that a reader, or a resumed run, sees the old or the new.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.errors import HeldError, InputError, RunError
from neuroanp.records import metrics as metrics_csv
from neuroanp.records import tensors as files
from neuroanp.records.atomic import FULL, flush_directory, said, sweep, write_bytes, write_text
from neuroanp.records.identity import code_version
from neuroanp.records.json_io import read_limited, read_object, write_object
from neuroanp.records.metrics import Metrics

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

LOG = logging.getLogger("neuroanp")
FORMAT = 1
STATUSES = ("running", "finished", "diverged", "failed", "interrupted")
RESULT_KEYS = (
    "task", "profile", "backend", "rule", "seed", "status", "updates", "passes", "test_loss", "test_loss_noise_free",
    "score", "controls", "energy_J", "chip_time_s", "pulses", "wear", "run",
)  # fmt: skip
KEPT = 2
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CHECKPOINT = re.compile(r"\d{8}\.safetensors")
_TYPES = {"format": int, "code": str, "status": str, "identity": str, "log": list}


class RunDir:
    """A run's directory; make one with `create` or `open`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as root:
    ...     run = RunDir.create(Path(root), "first", "seed: 0\\n", {"identity": "0" * 16})
    ...     run.append_metrics([{"update": 1, "train_loss": 0.5}, {"update": 2, "train_loss": 0.25}])
    ...     run.update(status="finished")
    ...     again = RunDir.open(run.path)
    ...     again.manifest["status"], again.metrics()["train_loss"]
    ('finished', [0.5, 0.25])
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self._manifest = manifest
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
            manifest: its fields; `format`, `code`, `status` ("running") and `log` are filled in if absent.
            replace: put it in the place of an older record of that name.

        Raises:
            InputError: the name is unfit or taken, or the place cannot be written to.
            RunError: the disk is full, or another process holds the record to be replaced.
        """
        _check_name(name, "a run's name")
        final = Path(root) / name
        fields = {
            "format": FORMAT,
            "code": code_version(),
            "status": "running",
            "log": [],
            "identity": name,
            **manifest,
        }
        check_root(final.parent)
        with said(final):
            _make(final.parent)
            building = final.with_name(f".{name}.{os.getpid()}.tmp")
            shutil.rmtree(building, ignore_errors=True)
            (building / "checkpoints").mkdir(parents=True)
        try:
            write_text(building / "config.yaml", config_text)
            write_object(building / "manifest.json", fields)
            if replace and final.exists():
                _remove(final)
            _rename(building, final)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return cls(final, _checked(final, fields))

    @classmethod
    def open(cls, path: Path, check_code: bool = True) -> RunDir:
        """Open a directory that `create` made.

        Args:
            path: the directory.
            check_code: refuse a run that other code made; False for reading it only, as reports do.

        Raises:
            InputError: not a run directory, damaged, of another format, or (`check_code`) of other code.
        """
        path = Path(path)
        with said(path):
            is_directory, has_manifest = path.is_dir(), (path / "manifest.json").exists()
        if not is_directory:
            raise InputError(f"{path}: no such directory; name one that `neuroanp train` made{_near(path)}")
        if not has_manifest:
            raise InputError(
                f"{path}: not a run directory (it has no manifest.json); "
                f"name one that `neuroanp train` made{_near(path)}"
            )
        run = cls(path, {})
        run._manifest = _checked(path, read_object(run._inside("manifest.json")))
        if not run._inside("config.yaml").is_file():
            raise InputError(f"{path}: config.yaml is missing; restore it from a copy, or repeat the run")
        if check_code and run.manifest["code"] != code_version():
            raise InputError(
                f"{path}: made by neuroanp {run.manifest['code']}, this is {code_version()}: "
                "going on would mix two programs. "
                f"Use that version{_commit(run.manifest)}, or repeat the run with `neuroanp train {path}/config.yaml`; "
                "reports can still be made from it"
            )
        return run

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest's fields as last read or written."""
        return self._manifest

    @property
    def config_text(self) -> str:
        """The resolved configuration as YAML."""
        return read_limited(self._inside("config.yaml"), 2**20).decode("utf-8", "replace")

    def update(self, **fields: Any) -> None:
        """Change fields of the manifest, atomically, keeping all others."""
        changed = _checked(self.path, {**self._manifest, **fields})
        write_object(self._inside("manifest.json"), changed)
        self._manifest = changed

    def log(self, line: str) -> None:
        """Add a line to the manifest's log: what was chosen, skipped or noticed."""
        self.update(log=[*self._manifest["log"], line])

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory for one process; the system lets go of it when the process ends, however it ends.

        Raises:
            HeldError: another process holds it; the message names its pid.
        """
        with said(self.path):
            handle = os.open(self._inside(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            _take(handle, self.path)
            sweep(self.path)
            sweep(self.path / "checkpoints")
            yield
        finally:
            os.close(handle)  # lets go of the lock; the file stays, or two could hold two files of one name

    def append_metrics(self, rows: Sequence[Mapping[str, float | int | None]]) -> None:
        """Append rows to metrics.csv; the first row fixes the columns."""
        metrics_csv.append(self._inside("metrics.csv"), rows)

    def truncate_metrics(self, after: int) -> None:
        """Drop the rows past update `after`, before a resumed run writes them again."""
        metrics_csv.truncate(self._inside("metrics.csv"), after)

    def metrics(self) -> Metrics:
        """Read metrics.csv, with the controls of the result, once there is one."""
        controls = (self.result or {}).get("controls") or {}
        numbers = {name: float(loss) for name, loss in controls.items() if isinstance(loss, int | float)}
        return Metrics.read(self._inside("metrics.csv"), numbers)

    def save_checkpoint(self, update: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Path:
        """Write the state after `update` updates; keep the two newest, drop what lies past it.

        Args:
            update: number of updates done, below 10^8.
            tensors: everything that must survive, by name.
            meta: plain values (JSON); numbers that are not finite become null.

        Raises:
            RunError: the disk is full; the checkpoints before are intact.
        """
        path = self._inside(f"checkpoints/{update:08d}.safetensors")
        write_bytes(path, files.pack_tensors(tensors, {**meta, "update": update}))
        there = self.checkpoints()
        at = there.index(path)
        # A later file belongs to a line that was given up when the run resumed from before it.
        for old in [*there[: max(at + 1 - KEPT, 0)], *there[at + 1 :]]:
            old.unlink(missing_ok=True)
        return path

    def checkpoints(self) -> list[Path]:
        """List the checkpoint files, oldest first, valid or not."""
        folder = self._inside("checkpoints")
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        return [path for path in found if _CHECKPOINT.fullmatch(path.name)]

    def latest_checkpoint(self) -> Path | None:
        """Return the newest checkpoint that is whole, or None; damaged ones are named in `warnings`."""
        for path in reversed(self.checkpoints()):
            try:
                files.read_sealed(self._inside(f"checkpoints/{path.name}"))
            except (files.Damaged, ValueError, InputError, RunError) as error:
                self.warnings.append(f"{path}: skipped, {error}")
            else:
                return path
        return None

    def whole_checkpoint(self) -> Path:
        """Return the newest checkpoint that is whole, for reading; a warning tells of damaged ones that are newer.

        Raises:
            InputError: there is none: none yet, or all are damaged; the message says which, and how.
        """
        told = len(self.warnings)
        path = self.latest_checkpoint()
        damaged = self.warnings[told:]
        if path is not None:
            for line in damaged:
                LOG.warning("%s; taken is %s, which is older", line, path.name)
            return path
        if not damaged:
            raise InputError(f"{self.path}: no checkpoint yet; continue with: neuroanp resume {self.path}")
        ended = self.manifest["status"] == "finished"
        again = f"neuroanp train {self.path / 'config.yaml'} --force" if ended else f"neuroanp resume {self.path}"
        raise InputError(
            f"{self.path}: no checkpoint can be read; restore one from a copy, or repeat the training: {again}",
            [line.replace("skipped, ", "") for line in damaged],
        )

    def load_checkpoint(self, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return (tensors, meta) of one of this run's checkpoints; InputError if it is damaged."""
        return _loaded(files.unpack_tensors, self._inside(f"checkpoints/{Path(path).name}"))

    def save_arrays(self, name: str, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any] | None = None) -> Path:
        """Write NumPy arrays to <name>.safetensors."""
        _check_name(name, "a file's name")
        path = self._inside(f"{name}.safetensors")
        write_bytes(path, files.pack_arrays(arrays, meta or {}))
        return path

    def load_arrays(self, name: str) -> dict[str, np.ndarray] | None:
        """Return what `save_arrays` wrote, or None if there is no such file; InputError if it is damaged."""
        _check_name(name, "a file's name")
        path = self._inside(f"{name}.safetensors")
        return _loaded(files.unpack_arrays, path)[0] if path.exists() else None

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write result.json: exactly the keys of RESULT_KEYS; `run` is this directory, whatever it says."""
        row = {**result, "run": str(self.path)}
        wrong = set(row) ^ set(RESULT_KEYS)
        if wrong:
            raise ValueError(f"a result has exactly {RESULT_KEYS}; missing or unknown: {sorted(wrong)}")
        write_object(self._inside("result.json"), {key: row[key] for key in RESULT_KEYS})

    @property
    def result(self) -> dict[str, Any] | None:
        """The result, or None before there is one; InputError if it is damaged."""
        path = self._inside("result.json")
        if not path.exists():
            return None
        row = read_object(path)
        wrong = set(row) ^ set(RESULT_KEYS)
        if wrong:
            raise InputError(f"{path}: damaged (missing or unknown keys: {sorted(wrong)}); repeat the run")
        return {**row, "run": str(self.path)}  # the directory may have been moved since

    def _inside(self, name: str) -> Path:
        """Return path/name; InputError if a link leads it out of the run directory."""
        path = self.path / name
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise InputError(f"{path}: leads out of the run directory; replace the link by the file itself")
        return path


def check_root(root: Path) -> None:
    """Check that runs can be written below `root`, which is not made yet if it is missing.

    Raises:
        InputError: part of its path is a file, or may not be written to; the message names that part.

    >>> check_root(Path("/dev/null/runs"))
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: /dev/null/runs: cannot be made: /dev/null is no directory; choose another --runs DIR
    """
    there = root
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    with said(root):
        if not there.is_dir():
            raise InputError(_in_the_way(root, there, "is no directory"))
        if not os.access(there, os.W_OK | os.X_OK):
            raise InputError(_in_the_way(root, there, "may not be written to"))


def _make(root: Path) -> None:
    """Make a directory; InputError names the part of its path that takes none."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in FULL:
            raise
        there = next(parent for parent in (root, *root.absolute().parents) if parent.exists())
        raise InputError(_in_the_way(root, there, f"takes no new directory ({error.strerror})")) from error


def _in_the_way(root: Path, there: Path, why: str) -> str:
    what = "cannot be written to" if there == root else "cannot be made"
    name = there if there != Path() else there.resolve()
    return f"{root}: {what}: {name} {why}; choose another --runs DIR"


def _near(path: Path) -> str:
    """Name the newest run that lies in a directory which is none, or beside it."""
    there = path if path.is_dir() else path.parent
    manifests = list(there.glob("*/manifest.json")) if there.is_dir() else []
    if not manifests:
        return ""
    newest = max(manifests, key=lambda manifest: manifest.stat().st_mtime).parent
    return f", such as {newest}, the newest of {len(manifests)} in {there}"


def _checked(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest if its fields are what every reader relies on; InputError with all problems otherwise."""
    found = manifest.get("format")
    if found != FORMAT:
        raise InputError(
            f"{path}: written in format {found!r}, this neuroanp reads {FORMAT}; use the version that wrote it"
        )
    problems = [
        f"manifest.json: {name}: {'missing' if name not in manifest else 'not a ' + kind.__name__}"
        for name, kind in _TYPES.items()
        if not isinstance(manifest.get(name), kind)
    ]
    if isinstance(manifest.get("status"), str) and manifest["status"] not in STATUSES:
        problems.append(f"manifest.json: status: '{manifest['status']}' is not one of {', '.join(STATUSES)}")
    if problems:
        raise InputError(f"{path}: damaged manifest; restore it from a copy, or repeat the run", problems)
    return manifest


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(f"'{name}' cannot be {what}; take letters, digits, '.', '_', '-', at most 100")


def _commit(manifest: Mapping[str, Any]) -> str:
    return f" (commit {manifest['commit']})" if "commit" in manifest else ""


def _take(handle: int, path: Path) -> None:
    """Lock an open file or say who holds it; note our own pid in it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(handle, 200, 0).decode("utf-8", "replace").strip() or "another process"
        raise HeldError(f"{path}: in use by {holder}; wait for it to end, or stop it and resume") from error
    with said(path):
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)


def _remove(path: Path) -> None:
    """Remove an older record, if it is one and nobody holds it."""
    old = RunDir.open(path, check_code=False)
    with old.lock(), said(path):
        aside = path.with_name(f".{path.name}.{os.getpid()}.old.tmp")
        os.rename(path, aside)
        shutil.rmtree(aside)


def _rename(building: Path, final: Path) -> None:
    try:
        os.rename(building, final)
    except OSError as error:
        if final.exists():
            raise InputError(f"{final}: exists already; resume it, or repeat it with --force") from error
        raise
    flush_directory(final.parent)


def _loaded(unpack: Any, path: Path) -> Any:
    try:
        return unpack(path)
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); resume from an older checkpoint, or repeat the run") from error
