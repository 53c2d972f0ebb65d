"""What the fault scripts share: small runs of many kinds, children that may die or hang, what must come out equal."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from neuroanp.records.run_dir import RunDir
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch

PATIENCE_S = 120.0
"""A child that takes longer hangs: alone it takes a second or two."""
COPY = {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 16}
MACKEY = {"name": "mackey_glass", "test_size": 8}
XOR = {"name": "xor", "test_size": 8}


@dataclass(frozen=True)
class Setup:
    """One kind of run: a label and what its configuration is made of."""

    label: str
    task: dict[str, Any]
    overrides: dict[str, Any]

    def config(self, seed: int = 0, updates: int = 60) -> RunConfig:
        """Return the configuration of a run of a second or so, with a checkpoint every few updates."""
        training = {"batch": 4, "checkpoint_every": 4, "evaluate_every": 10, "log_every": 1, "updates": updates}
        return configure(
            {"task": self.task, "network": {"hidden": 10}, "training": training, "seed": seed}, self.overrides
        )


SETUPS = [
    Setup("copy, ideal", COPY, {"profile": "ideal"}),
    Setup("copy, pcm, verify", COPY, {"profile": "pcm", "hardware.write": "verify"}),
    Setup("copy, pcm, pulses", COPY, {"profile": "pcm", "hardware.write": "pulse"}),
    Setup("copy, rram_hfo2, pulses", COPY, {"profile": "rram_hfo2", "hardware.write": "pulse"}),
    Setup("copy, smtj_koenders", COPY, {"profile": "smtj_koenders"}),
    Setup("copy, pcm, bptt", COPY, {"profile": "pcm", "rule": "bptt"}),
    Setup("mackey_glass, pcm", MACKEY, {"profile": "pcm"}),
    Setup("mackey_glass, rram_rtn", MACKEY, {"profile": "rram_rtn"}),
    Setup("xor, lif, ideal", XOR, {"profile": "ideal", "backend": "lif"}),
    Setup("xor, lif, pcm, verify", XOR, {"profile": "pcm", "backend": "lif"}),
    Setup("xor, lif, smtj_koenders", XOR, {"profile": "smtj_koenders", "backend": "lif"}),
]


def final(path: Path) -> dict[str, Any]:
    """Return the end of a run without what a clock or a place says: weights, losses, result, books, predictions."""
    record = RunDir.open(path, check_code=False)
    newest = record.latest_checkpoint()
    tensors = {} if newest is None else record.load_checkpoint(newest)[0]
    lines = (path / "metrics.csv").read_text().splitlines() if (path / "metrics.csv").is_file() else []
    arrays = record.load_arrays("predictions") or {}
    return {
        "weights": {name: tensor.numpy().tobytes() for name, tensor in tensors.items()},
        "losses": [line.rpartition(",")[0] for line in lines],
        "result": {key: value for key, value in (record.result or {}).items() if key != "run"},
        "ledger": record.manifest.get("ledger"),
        "health": record.manifest.get("health"),
        "predictions": {name: array.tobytes() for name, array in arrays.items()},
        "sealed": record.sealed,
    }


def unlike(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Name what differs between two ends."""
    return [name for name in wanted if found.get(name) != wanted[name]]


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code (minus the signal, None: it hung and was killed) and what it printed."""

    code: int | None
    output: str


def in_child(
    work: Callable[[], object], log: Path, *, kill_after: float | None = None, patience: float = PATIENCE_S
) -> Ended:
    """Do something in a fork of this process, which has torch loaded already.

    Args:
        work: what to do; an exception is printed as a traceback and ends it with 70.
        log: takes all it prints.
        kill_after: SIGKILL it then, in seconds; None: let it end.
        patience: after which it counts as hanging.
    """
    child = os.fork()
    if not child:
        code = 70
        try:
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            code = _code(work)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    started, status = time.monotonic(), None
    limit = patience if kill_after is None else kill_after
    while status is None and time.monotonic() - started < limit:
        done, how = os.waitpid(child, os.WNOHANG)
        status = how if done else None
        time.sleep(0.002)
    hung = status is None and kill_after is None
    if status is None:
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    output = log.read_text(errors="replace") if log.exists() else ""
    return Ended(None if hung else os.waitstatus_to_exitcode(status), output)


def _code(work: Callable[[], object]) -> int:
    import traceback

    try:
        work()
    except SystemExit as ended:
        return int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


def trained(config: RunConfig, root: Path) -> Callable[[], object]:
    """Return what trains a configuration below `root`, or goes on with it, in a child."""
    return lambda: launch(config, root)


def undisturbed(setup: Setup, root: Path, log: Path, *, seed: int = 0, updates: int = 60) -> Path:
    """Train a setup below `root` with nothing in its way, and return the directory of the run.

    Raises:
        SystemExit: it ended with an error, or left no run; what is compared with it would prove nothing.
    """
    ended = in_child(trained(setup.config(seed, updates), root), log)
    path = run_below(root)
    if ended.code != 0 or path is None:
        raise SystemExit(f"{setup.label}: undisturbed it ended with {ended.code}: {ended.output[-500:]}")
    return path


def differs(label: str, path: Path, wanted: dict[str, Any]) -> str | None:
    """Say how a run that was taken up again is unlike the undisturbed one, or that it tells of damage; or None."""
    names = unlike(final(path), wanted)
    said = [f"differs in {', '.join(names)}"] if names else []
    said += ["it tells of damage that nobody did"] if (path / "damaged").exists() else []
    return f"{label}: {' and '.join(said)}" if said else None


def taken_up(setup: Setup, root: Path, log: Path, label: str, wanted: dict[str, Any]) -> str | None:
    """Go on with the run below `root`; say what is wrong with how it ends beside the undisturbed one, or None."""
    ended, path = in_child(trained(setup.config(), root), log), run_below(root)
    if ended.code != 0 or path is None:
        return f"{label}: ended with {ended.code}: {ended.output[-300:]}"
    return differs(label, path, wanted)


def command(*words: str) -> Callable[[], object]:
    """Return what runs a command of neuroanp in a child."""

    def work() -> None:
        from neuroanp.cli.main import app

        app(list(words), prog_name="neuroanp")

    return work


def run_below(root: Path) -> Path | None:
    """Return the one run directory of a store, or None while there is none."""
    found = [path for path in root.iterdir() if not path.name.startswith(".")] if root.is_dir() else []
    return found[0] if found else None


def rows(output: str) -> list[dict[str, Any]]:
    """Return the rows of the JSON line in what a command printed, or [] where it printed none."""
    for line in output.splitlines():
        if line.startswith('{"results"'):
            return json.loads(line)["results"]
    return []


COMMANDS = (
    "neuroanp.cli.main", "neuroanp.cli.commands", "neuroanp.api", "neuroanp.reporting.html", "neuroanp.export.writing",
    "neuroanp.export.nir", "neuroanp.export.crossbar", "neuroanp.cli.results", "neuroanp.fitting", "neuroanp.requiring",
    "neuroanp.comparing.pool", "matplotlib.pyplot", "h5py", "scipy.optimize",
)  # fmt: skip


def load_all() -> None:
    """Import what the commands would import, once instead of in every child; one thread, so that it may fork."""
    import matplotlib
    import torch

    torch.set_num_threads(1)
    matplotlib.use("Agg")
    for name in COMMANDS:
        import_module(name)
