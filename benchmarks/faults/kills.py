"""SIGKILL at random moments: a command that is repeated ends bit for bit as one that nobody disturbed.

Two forms. Runs of many kinds, each killed in a process of its own one to three times and taken up again. And commands
as users give them (`COMMANDS`): a process of theirs is chosen and killed,
the driver or a worker; the driver's processes
must be gone after 5 s, what lies in the store whole or absent, and the same command then does what is missing and
nothing twice. A command that loses a worker goes on by itself.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.faults.clusters import Cluster, by_hand, hand_worker, scheduler
from benchmarks.faults.common import (
    COPY,
    SETUPS,
    Setup,
    final,
    in_child,
    load_all,
    taken_up,
    trained,
    undisturbed,
    unlike,
)  # fmt: skip
from benchmarks.faults.outcome import Budget, Clock, Outcome
from benchmarks.faults.trees import Choose, Started, driver, start, worker
from neuroanp.errors import NeuroanpError
from neuroanp.records.json_io import read_object
from neuroanp.records.manifest import ENDED, is_there
from neuroanp.records.run_dir import RunDir
from neuroanp.records.tensors import Damaged, read_sealed

USUAL, PATIENCE_S = 20, 180.0


@dataclass(frozen=True)
class Command:
    """A command that is killed at a random moment.

    Args:
        label: in the table. words: the command; {config} and {store} stand for a configuration and a store.
        victim: who dies. goes_on: whether the command is to end well although its victim died; None: well, or
            with a message and exit code 1.
        by_hand: whether it is given a cluster that was started by hand, {cluster}, whose processes may die too.
    """

    label: str
    words: tuple[str, ...]
    victim: Choose
    goes_on: bool | None = False
    by_hand: bool = False


TRAIN = ("neuroanp", "train", "{config}", "--runs", "{store}", "--no-report")
SWEEP = (
    "neuroanp", "compare", "{config}", "--profiles", "ideal,pcm", "--seeds", "2", "--runs", "{store}", "--no-report",
)  # fmt: skip
COMPARE = (*SWEEP, "--workers", "2")
LOCAL = (*COMPARE, "--cluster", "local")
HAND = (*SWEEP, "--cluster", "{cluster}")
SHARDS = ("--set", "rule.K=16", "--set", "compute.shards=2")
SHARED = (*TRAIN, "--workers", "2", *SHARDS)
TORCHRUN = (
    sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2",
    "--max-restarts", "3", "-m", *TRAIN, *SHARDS,
)  # fmt: skip
COMMANDS = (
    Command("kills: `neuroanp train`", TRAIN, driver),
    Command("kills: a worker of `neuroanp compare`", COMPARE, worker, goes_on=True),
    Command("kills: the driver of `neuroanp compare`", COMPARE, driver),
)
CLUSTERS = (
    Command("kills: a run's process of `neuroanp compare --cluster local`", LOCAL, worker, goes_on=True),
    Command("kills: the driver of `neuroanp compare --cluster local`", LOCAL, driver),
    Command("kills: a worker of `neuroanp compare --cluster tcp://...`", HAND, hand_worker, goes_on=True, by_hand=True),
    Command("kills: the driver of `neuroanp compare --cluster tcp://...`", HAND, driver, by_hand=True),
    Command("kills: the scheduler of `neuroanp compare --cluster tcp://...`", HAND, scheduler, None, by_hand=True),
)
SHARED_RUNS = (
    Command("kills: a process of `neuroanp train --workers 2`", SHARED, worker, goes_on=None),
    Command("kills: the leader of `neuroanp train --workers 2`", SHARED, driver),
    Command("kills: a process of `torchrun -m neuroanp train`", TORCHRUN, worker, goes_on=True),
    Command("kills: torchrun of `torchrun -m neuroanp train`", TORCHRUN, driver),
)
"""What is killed: on one machine, on clusters, and of runs that processes share; another one is another entry."""


def trials(budget: Budget, commands: tuple[Command, ...] = COMMANDS) -> list[Outcome]:
    """Kill runs of many kinds and the commands of one machine."""
    load_all()
    return [_runs(budget), *of_commands(budget, commands)]


def of_commands(budget: Budget, commands: tuple[Command, ...]) -> list[Outcome]:
    """Kill what commands start."""
    load_all()
    return [_command(one, budget) for one in commands]


def _runs(budget: Budget) -> Outcome:
    """Kill runs, each in a fork of this process; a trial is a kill that strikes."""
    rng, outcome = random.Random(budget.seed), Outcome("kills: runs of 11 kinds", budget.count(3 * USUAL))
    runs = 0
    with TemporaryDirectory() as place:
        home, whole = Path(place), dict[str, tuple[dict[str, Any], float]]()
        while outcome.trials < outcome.asked and runs < 10 * outcome.asked:
            setup = SETUPS[runs % len(SETUPS)]
            if setup.label not in whole:
                started = time.monotonic()
                path = undisturbed(setup, home / "whole" / setup.label, home / "log")
                whole[setup.label] = final(path), time.monotonic() - started
            wanted, takes_s = whole[setup.label]
            root, struck, said = home / f"cut-{runs}", 0, None
            runs += 1
            for _ in range(rng.choice((1, 1, 2, 3))):
                ended = in_child(trained(setup.config(), root), home / "log", kill_after=rng.uniform(0, 1.05 * takes_s))
                struck += ended.code == -signal.SIGKILL
                if ended.code not in (0, -signal.SIGKILL):  # nobody did anything to it
                    said = f"run {runs}, {setup.label}: it ended by itself with {ended.code}: {ended.output[-200:]}"
            said = said or taken_up(setup, root, home / "log", f"run {runs}, {setup.label}", wanted)
            if said:
                budget.tell(said)
            for n in range(max(min(struck, outcome.asked - outcome.trials), said is not None)):
                outcome.add(said if n == 0 else None)
    outcome.notes = [f"{runs} runs of {len(whole)} kinds were killed once to three times each"]
    return outcome


def _command(one: Command, budget: Budget) -> Outcome:
    """Kill a command so many times, each time in a new store, and repeat it."""
    with by_hand() if one.by_hand else nullcontext() as cluster:
        return _killed(one, budget, cluster)


def _killed(one: Command, budget: Budget, cluster: Cluster | None) -> Outcome:
    rng, outcome, clock = random.Random(f"{budget.seed} {one.label}"), Outcome(one.label, budget.count(USUAL)), Clock()
    finished = attempts = 0
    with TemporaryDirectory() as place:
        home = Path(place)
        config = home / "config.yaml"
        config.write_text(Setup("", COPY, {"profile": "pcm"}).config(updates=200).to_yaml())
        began = time.monotonic()
        undone = start(_words(one, config, home / "whole", cluster), home / "log")
        if undone.wait(PATIENCE_S) != 0:
            raise SystemExit(f"{one.label}: undisturbed it did not end well: {undone.output[-500:]}")
        takes_s, wanted = time.monotonic() - began, ends(home / "whole")
        while outcome.trials < outcome.asked and attempts < 5 * outcome.asked:
            attempts += 1
            store, log = home / f"store-{attempts}", home / "log"
            running = start(_words(one, config, store, cluster), log)
            struck = _strike(running, one.victim, rng.uniform(0.0, 0.95) * takes_s, rng, cluster)
            if not struck:
                code = running.wait(PATIENCE_S)
                takes_s = min(takes_s, time.monotonic() - running.began)  # the machine may have less to do by now
                running.clear()
                if code != 0:  # nobody did anything to it
                    outcome.add(f"undisturbed it ended with {code}: {running.output[-300:]}")
                    budget.tell(f"{one.label}: {outcome.faults[-1]}")
                continue
            finished += len(_finished(store))
            fault = _after(one, running, store, config, wanted, cluster)
            outcome.add(f"kill {outcome.trials + 1}: {fault}" if fault else None)
            if fault:
                budget.tell(f"{one.label}: {outcome.faults[-1]}")
    outcome.notes = [
        f"undisturbed it takes {takes_s:.0f} s and makes {len(wanted)} runs; {finished} of them were finished when the "
        f"kills came, none of which was repeated; {clock}"
    ]  # fmt: skip
    return outcome


def _words(one: Command, config: Path, store: Path, cluster: Cluster | None) -> list[str]:
    address = "" if cluster is None else cluster.address
    return [word.format(config=config, store=store, cluster=address) for word in one.words]


def _strike(running: Started, victim: Choose, began_s: float, rng: random.Random, cluster: Cluster | None) -> bool:
    """Kill the victim at a moment, or as soon after it as there is one; return whether it was there."""
    while time.monotonic() - running.began < began_s and running.process.poll() is None:
        time.sleep(0.01)
    while running.process.poll() is None:
        chosen = victim([*running.tree(), *([] if cluster is None else cluster.tree())], rng)
        if chosen is not None:
            try:
                os.kill(chosen.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            return True
        time.sleep(0.02)
    return False


def _after(
    one: Command, running: Started, store: Path, config: Path, wanted: dict[str, Any], cluster: Cluster | None
) -> str | None:
    """Look at what is left, repeat the command, and say what is wrong, or None."""
    if one.goes_on is not False:
        code = running.wait(PATIENCE_S)
        if code not in ((0,) if one.goes_on else (0, 1)) or "Traceback" in running.output:
            return f"it did not go on without its victim (exit code {code}): {running.output[-300:]}"
    left = [*running.orphans(), *([] if cluster is None else cluster.left())]
    if cluster is not None:
        cluster.mend()
    if left:
        return f"{len(left)} processes were left after 5 s: {left[0].line[:100]}"
    torn = halves(store)
    if torn:
        return f"neither whole nor absent: {torn[0]}"
    kept = _finished(store)
    again = start(_words(one, config, store, cluster), running.log)
    code = again.wait(PATIENCE_S)
    if code != 0:
        return f"repeated, it ended with {code}: {again.output[-300:]}"
    if again.orphans():
        return "repeated, it left processes behind"
    after = _finished(store)
    repeated = [name for name, facts in kept.items() if after.get(name) != facts]
    if repeated:
        return f"repeated what was finished: {repeated[0]}"
    found = ends(store)
    if set(found) != set(wanted):
        return f"{len(found)} runs where {len(wanted)} are due"
    apart = {name: unlike(found[name], wanted[name]) for name in wanted}
    said = [f"{name} differs in {', '.join(names)}" for name, names in apart.items() if names]
    return said[0] if said else None


def directories(store: Path) -> list[Path]:
    """Return the runs of a store."""
    there = sorted(store.iterdir()) if store.is_dir() else []
    return [path for path in there if not path.name.startswith(".") and is_there(path)]


def ends(store: Path) -> dict[str, Any]:
    """Return how the runs of a store ended, by name."""
    return {path.name: final(path) for path in directories(store)}


def _finished(store: Path) -> dict[str, Any]:
    """Return what tells whether a finished run was done again: when it began, and its result and weights as files."""
    found = {}
    for path in directories(store):
        fields = read_object(path / "manifest.json") if (path / "manifest.json").exists() else {}
        if fields.get("status") in ENDED and (path / "result.json").exists():
            files = [path / "result.json", *sorted((path / "checkpoints").glob("*.safetensors"))]
            found[path.name] = fields["started"], [(file.stat().st_ino, file.stat().st_mtime_ns) for file in files]
    return found


def halves(store: Path) -> list[str]:
    """Return the files of a store that are neither whole nor absent; what a writer was at has another name."""
    wrong = []
    for path in sorted(store.rglob("*")) if store.is_dir() else ():
        hidden = any(part.startswith(".") for part in path.relative_to(store).parts)
        if path.is_dir() or hidden:
            continue
        try:
            if path.suffix == ".json":
                read_object(path)
            elif path.suffix == ".safetensors":
                read_sealed(path)
            elif path.name == "report.html" and "</html>" not in path.read_text(encoding="utf-8")[-200:]:
                wrong.append(f"{path.name}: cut short")
        except (NeuroanpError, Damaged, ValueError) as error:
            wrong.append(f"{path.relative_to(store)}: {error}")
    for path in directories(store):
        try:
            wrong += RunDir.open(path, check_code=False, quiet=True).damage()
        except NeuroanpError as error:
            wrong.append(str(error))
    return wrong
