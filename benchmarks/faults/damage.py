"""Damaged run directories: nothing hangs or crashes, no wrong number comes without a word, what is whole goes on.

Each trial copies a run (finished or cut short), damages one to three of its files, and calls a command on it. It is
wrong if the command hangs, prints a traceback or takes it for a bug of its own; if a number differs from the
undamaged run's and neither stderr nor `sealed` says that anything is amiss; if `evaluate` or `load` succeeds and does
not give the results that are due; or if `resume` or `train` does not reach the undisturbed end although manifest,
configuration and given weights (or their copies) are whole. The numbers of a run that was cut short are those of its
last checkpoint: of them it is looked at only that they come.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.faults.common import (
    COPY,
    PATIENCE_S,
    SETUPS,
    XOR,
    Ended,
    Setup,
    command,
    final,
    in_child,
    load_all,
    rows,
    run_below,
    undisturbed,
    unlike,
)  # fmt: skip
from benchmarks.faults.outcome import Budget, Outcome
from neuroanp.records.run_dir import RunDir
from neuroanp.training.launch import launch

USUAL, UPDATES, CUT_AT = 300, 24, 14
OVERRIDES = 0b110
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
ACTIONS = ("resume", "train", "evaluate", "report", "export", "load")
SPIKING = Setup("xor, lif, for export", XOR, {"profile": "ideal", "backend": "lif", "neuron": {"name": "lif"}})
BASES = (SETUPS[0], Setup("copy, pcm", COPY, {"profile": "pcm"}), SPIKING)


# ---- what is done to a file ----


def flip(path: Path, rng: random.Random, other: Path) -> None:
    data = bytearray(path.read_bytes() or b"x")
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def edit(path: Path, rng: random.Random, other: Path) -> None:
    """A careless edit: the first number after a random place is another one."""
    data = bytearray(path.read_bytes())
    digits = [i for i, byte in enumerate(data) if byte in b"0123456789"]
    if not digits:
        return flip(path, rng, other)
    at = rng.choice(digits)
    data[at] = ord(str((int(chr(data[at])) + rng.randrange(1, 10)) % 10))
    path.write_bytes(data)
    return None


def cut(path: Path, rng: random.Random, other: Path) -> None:
    os.truncate(path, rng.randrange(max(path.stat().st_size, 1)))


def grow(path: Path, rng: random.Random, other: Path) -> None:
    with path.open("ab") as file:
        file.write(rng.randbytes(rng.randrange(1, 200)))


def empty(path: Path, rng: random.Random, other: Path) -> None:
    os.truncate(path, 0)


def delete(path: Path, rng: random.Random, other: Path) -> None:
    path.unlink()


def garbage(path: Path, rng: random.Random, other: Path) -> None:
    path.write_bytes(rng.choice([rng.randbytes(3000), b"[" * 20000, b"x" * 200_000, b'{"a": 1e999}', b"\xff\xfe\n,\n"]))


def swap(path: Path, rng: random.Random, other: Path) -> None:
    """The file of the same name of another run, which is whole in itself."""
    if other.is_file():
        shutil.copy(other, path)
    else:
        path.unlink()


def to_directory(path: Path, rng: random.Random, other: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("mine")


def to_pipe(path: Path, rng: random.Random, other: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def to_link(path: Path, rng: random.Random, other: Path) -> None:
    path.unlink()
    path.symlink_to(rng.choice(["nothing", path.name, "/etc/passwd", "/dev/zero", ".."]))


def withhold(path: Path, rng: random.Random, other: Path) -> None:
    path.chmod(0)


Harm = Callable[[Path, random.Random, Path], None]
"""(file, draws, the same file of another run): damages the file."""
DAMAGES: tuple[Harm, ...] = (
    flip, flip, edit, edit, cut, grow, empty, delete, garbage, swap, swap, to_directory, to_pipe, to_link, withhold,
)  # fmt: skip


def target(run: Path, rng: random.Random) -> Path:
    """Choose a file, those that are quoted more often than others; now and then a folder, made a file first."""
    files = sorted(
        path for path in run.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o777
    )
    quoted = [path for path in files if path.name in ("result.json", "manifest.json", "metrics.csv")]
    folders = [path for path in (run / "checkpoints", run / "copies") if path.is_dir()]
    if rng.random() < 0.06 and folders:
        folder = rng.choice(folders)
        shutil.rmtree(folder)
        folder.write_text("no folder")
        return folder
    lock = run / ".lock"
    if rng.random() < 0.05 and lock.is_file():
        return lock
    return rng.choice(quoted if quoted and rng.random() < 0.5 else files)


# ---- what is called ----


def call(action: str, run: Path, base: Base, out: Path) -> Callable[[], object]:
    if action == "resume":
        return command("resume", str(run), "--json")
    if action == "evaluate":
        return command("evaluate", str(run), "--json")
    if action == "report":
        return command("report", str(run), "-o", str(out / "report.html"), "--json")
    if action == "export":
        return command(
            "export", str(run), "--format", "nir" if base.setup is SPIKING else "crossbar", "-o", str(out / "out")
        )
    if action == "train":
        config = base.setup.config(updates=UPDATES).anchored()
        return command("train", str(_written(config, out)), "--runs", str(run.parent), "--json")
    return lambda: _load(run)


def _written(config: Any, out: Path) -> Path:
    (out / "train.yaml").write_text(config.to_yaml())
    return out / "train.yaml"


def _load(run: Path) -> None:
    import logging
    import sys

    import neuroanp as na
    from neuroanp.errors import NeuroanpError

    logging.basicConfig(stream=sys.stderr, format="warning: %(message)s")
    try:
        found = na.load_run(run)
        print(json.dumps({"results": [{**found.result, "losses": found.metrics["train_loss"]}]}), flush=True)
    except NeuroanpError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


class Base:
    """One kind of run, whole and cut short, with another run of its kind to swap files with, and its true numbers."""

    def __init__(self, setup: Setup, home: Path) -> None:
        self.setup = setup
        folder = home / setup.label
        self.whole, self.other = (
            undisturbed(setup, folder / str(seed), home / "log", seed=seed, updates=UPDATES) for seed in (0, 1)
        )
        self.cut = cut_short(setup, folder / "cut", home / "log")
        self.end = final(self.whole)
        evaluated = in_child(command("evaluate", str(self.whole), "--json"), home / "log")
        self.evaluated = rows(evaluated.output)
        if evaluated.code != 0 or not self.evaluated:
            raise SystemExit(
                f"{setup.label}: evaluate of the whole run ended with {evaluated.code}: {evaluated.output[-500:]}"
            )


def cut_short(setup: Setup, root: Path, log: Path) -> Path:
    """Return a run that was killed after an update of which it has told, past its third checkpoint."""

    def work() -> None:
        import neuroanp.training.loop as loop

        loop.REPORT_EVERY_S = 0.0
        launch(setup.config(updates=UPDATES), root, progress=lambda event: _die(event["update"]))

    ended, path = in_child(work, log), run_below(root)
    if ended.code != -signal.SIGKILL or path is None:
        raise SystemExit(f"{setup.label}: was to be cut short, ended with {ended.code}: {ended.output[-500:]}")
    return path


def _die(update: int) -> None:
    if update == CUT_AT:
        os.kill(os.getpid(), signal.SIGKILL)


def wrong(action: str, ended: Ended, run: Path, base: Base, sound: bool, page: str) -> str | None:
    """Say what is wrong with how a command ended, or None."""
    if ended.code is None:
        return f"hung for {PATIENCE_S:.0f} s"
    for word in ("Traceback", "this is a bug"):
        if word in ended.output:
            return f"{word}: {ended.output[-400:]}"
    if ended.code not in (0, 1, 2):
        return f"exit code {ended.code}: {ended.output[-300:]}"
    if ended.code and "error:" not in ended.output:
        return f"exit code {ended.code} without a word"
    if action in ("resume", "train"):
        if ended.code == 0:
            return _end(run, base, ended)
        return f"did not go on: {ended.output[-400:]}" if sound else None
    if action == "report" and ended.code == 0:
        damaged = RunDir.open(run, check_code=False, quiet=True).damage()
        return "the page does not say what is damaged" if damaged and "Not as the runs wrote it" not in page else None
    if action in ("evaluate", "load") and ended.code == 0:
        return _numbers(ended, run, base.evaluated if action == "evaluate" else [base.end["result"]])
    return None


def _numbers(ended: Ended, run: Path, due: list[dict[str, Any]]) -> str | None:
    """Say which of the numbers that a command printed is not the whole run's, with nothing said about it, or None."""
    found = rows(ended.output)
    if len(found) != len(due):
        return f"{len(found)} results where {len(due)} are due: {ended.output[-300:]}"
    told = any(word in ended.output for word in ("error:", "damaged", "not as it was written", "lost"))
    for row, true in zip(found, due, strict=True):
        keys = [key for key in true if key in row and key not in ("run", "update") and row[key] != true[key]]
        if keys and not told and row.get("sealed", True) is not False and not _is_cut(run):
            return f"{keys[0]} is {row[keys[0]]!r:.40}, was {true[keys[0]]!r:.40}, and nothing was said"
    return None


def _is_cut(run: Path) -> bool:
    return "cut" in run.parts[-2]


def _end(run: Path, base: Base, ended: Ended) -> str | None:
    differs = unlike(final(run), base.end)
    if not _is_cut(run) and differs == [
        "weights"
    ]:  # an ended run is shown: its checkpoints are looked at by who reads them
        return None
    if not differs or (differs == ["losses"] and "learning curve is lost" in ended.output + _log(run)):
        return None
    if differs == ["losses"] and "the rows up to here are lost" in ended.output + _log(run):
        return None
    return f"ended with another {', '.join(differs)}: {ended.output[-300:]}"


def _log(run: Path) -> str:
    return "\n".join(RunDir.open(run, check_code=False, quiet=True).manifest["log"])


def sound(run: Path, action: str) -> bool:
    """Return whether what a run cannot do without, or its copy, is whole: then it goes on, come what may.

    That is manifest and configuration, and for `resume` the weights that were given: `train` has them still.
    """
    from neuroanp.errors import NeuroanpError

    try:
        record = RunDir.open(run, quiet=True)
    except NeuroanpError:
        return False
    problems = " ".join(record.damage())
    needed = ("manifest.json", "config.yaml", *["start.safetensors"] * (action == "resume"))
    whole = not any(f"{name}: " in problems and "no whole copy" in problems for name in needed)
    return whole and "config.yaml: not as it was written" not in problems  # an edited one is refused, with the remedy


def with_no_more_rights(work: Callable[[], object], out: Path) -> Callable[[], object]:
    """Return work that is done without root's right to open what was withheld, which hides what users meet."""

    def done() -> None:
        if os.getuid() == 0:
            libc = ctypes.CDLL(None, use_errno=True)
            header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
            libc.capget(header, sets)
            sets[0], sets[1] = sets[0] & ~OVERRIDES, sets[1] & ~OVERRIDES  # effective, permitted
            if libc.capset(header, sets):
                raise OSError(ctypes.get_errno(), "capset")
        os.environ["MPLCONFIGDIR"] = str(out)
        work()

    return done


def trials(budget: Budget, harms: Sequence[Harm] = DAMAGES, label: str = "damaged run directories") -> list[Outcome]:
    """Damage run directories and call commands on them; `harms`: what may be done to a file."""
    rng, outcome = random.Random(budget.seed), Outcome(label, budget.count(USUAL))
    ends = Counter[str]()
    load_all()
    with TemporaryDirectory() as place:
        home = Path(place)
        teacher = undisturbed(BASES[1], home / "teacher", home / "log", seed=2, updates=UPDATES)
        given = Setup("copy, pcm, given weights", COPY, {"profile": "pcm", "network.weights": str(teacher)})
        bases = [Base(setup, home) for setup in (*BASES, given)[: max(outcome.asked, 1)]]
        for trial in range(outcome.asked):
            said, fault, action, code = _trial(trial, bases[trial % len(bases)], rng, home, harms)
            ends[f"{action} {code}"] += 1
            outcome.add(f"trial {trial}, {said}: {fault}" if fault else None)
            if fault:
                budget.tell(outcome.faults[-1])
    outcome.notes = ["commands and their exit codes: " + ", ".join(f"{n} {name}" for name, n in sorted(ends.items()))]
    return [outcome]


def _trial(
    trial: int, base: Base, rng: random.Random, home: Path, harms: Sequence[Harm]
) -> tuple[str, str | None, str, int | None]:
    """Damage one directory and call one command; return what was done, what is wrong, the command, its exit code."""
    short = rng.random() < 0.4
    root = home / f"{'cut' if short else 'whole'}-{trial}"
    source = base.cut if short else base.whole
    run, out = root / source.name, root.with_name(f"out-{trial}")
    out.mkdir()
    shutil.copytree(source, run)
    said, withheld = [base.setup.label, "cut short" if short else "finished"], False
    for _ in range(rng.choice((1, 1, 2, 3))):
        path, harm = target(run, rng), rng.choice(harms)
        if path.is_file():
            harm(path, rng, base.other / path.relative_to(run))
            withheld |= harm is withhold
        said.append(f"{harm.__name__} {path.relative_to(run)}")
    action = rng.choice(ACTIONS)
    is_sound = sound(run, action) and not withheld
    ended = in_child(with_no_more_rights(call(action, run, base, out), out), home / "log")
    page = out / "report.html"
    try:
        fault = wrong(action, ended, run, base, is_sound, page.read_text() if page.exists() else "")
    except Exception as error:  # what was left cannot be looked at: that is a fault too
        fault = f"what was left cannot be read: {type(error).__name__}: {error}"
    shutil.rmtree(root)
    shutil.rmtree(out)
    return f"{', '.join(said)}; {action}", fault, action, ended.code
