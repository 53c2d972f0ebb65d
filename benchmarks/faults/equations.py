"""Mutated equations: both targets of Brian2 (and the torch twin, where it is one) agree, or the neuron is refused.

python -m benchmarks.faults.equations [--number 500] [--seed 0] [--minutes 600]

Every mutant is built and run in a child of its own, forked from a process that has imported Brian2, under the limits
that users' equations are tried under; time and memory are measured from outside, with all compilers, whose cache is new
and holds what the mutants before have in common with one, as a user's does after the first run. A disagreement is
anything but: the same spikes and states to 1e-6, or an InputError or RunError from both.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections import Counter
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.common import keep, table, verdict
from benchmarks.faults.mutated_equations import Mutant, mutants
from neuroanp.backends import spiking
from neuroanp.backends.equations import Equations
from neuroanp.backends.lif import LIFPopulation
from neuroanp.backends.neuron import LIF, coefficients
from neuroanp.backends.population import Population, Recurrence, Steps
from neuroanp.backends.trial import COMPILE, MEMORY, PREPARE, limit
from neuroanp.errors import InputError, NeuroanpError

ROWS, UNITS, STEPS, DT, TOLERANCE = 2, 8, 60, 1e-3, 1e-6
MOST_S, MOST_BYTES = 10.0, 2**30


def run(population: Population) -> Steps:
    """Present the same input to any simulator of the neurons."""
    rng = np.random.default_rng(0)
    W = torch.from_numpy(rng.normal(size=(UNITS, UNITS)))
    current = torch.from_numpy(1.5 + rng.normal(size=(STEPS, ROWS, UNITS)))
    population.begin()
    return population.run(current, Recurrence(W, lambda t, s: s @ W), None, True)


def outcome(neuron: dict[str, Any], target: Any, imports_s: float) -> Steps | NeuroanpError:
    """Build and run equations with one target, under the limits of a trial."""
    share = PREPARE if target == "numpy" else COMPILE
    limit(share * imports_s, MEMORY if target == "numpy" else None)
    like = torch.ones(UNITS, dtype=torch.float64)
    try:
        return run(spiking.EquationsPopulation(Equations(**neuron), like, ROWS, dt=DT, target=target))
    except NeuroanpError as error:
        return error
    except ValueError as error:  # how a config's error arrives here
        return InputError(str(error))


def differs(a: Steps, b: Steps) -> str:
    """Return what differs between two simulations; empty where nothing does."""
    if not torch.equal(a.s, b.s):
        return f"{int((a.s != b.s).sum())} of {a.s.numel()} spikes differ"
    parts = [name for name in ("h", "z", "v") if not close(getattr(a, name), getattr(b, name))]
    return f"{', '.join(parts)} differ" if parts else ""


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


def judged(mutant: Mutant, imports_s: float) -> tuple[str, str]:
    """Return a verdict, "agree", "refused" or "DISAGREE", and why."""
    first = outcome(mutant.neuron, "numpy", imports_s)
    if isinstance(first, InputError) and "validation error" in str(first):
        return "refused", str(first).split("\n")[2].strip().partition(" [type=")[0]
    second = outcome(mutant.neuron, "cython", imports_s)
    if isinstance(first, NeuroanpError) and isinstance(second, NeuroanpError):
        return "refused", f"{type(second).__name__}: {second}"
    for which, found in (("numpy", first), ("cython", second)):
        if isinstance(found, NeuroanpError):
            return "DISAGREE", f"{which} alone refuses: {found}"
    assert isinstance(first, Steps)
    assert isinstance(second, Steps)
    why = differs(first, second)
    if mutant.plain and not why:
        step = coefficients(LIF(), DT, torch.ones(UNITS, dtype=torch.float64))
        why = differs(run(LIFPopulation(step, ROWS)), second)
        why = f"the twin: {why}" if why else ""
    return ("DISAGREE", why) if why else ("agree", f"{int(second.s.sum())} spikes")


def child(mutant: Mutant, imports_s: float, wall_s: float = 600.0) -> dict[str, Any]:
    """Judge a mutant in a forked child; return the verdict with processor seconds and bytes, as seen from outside."""
    reading, writing = os.pipe()
    began = time.monotonic()
    number = os.fork()
    if number == 0:
        os.setsid()
        signal.alarm(int(wall_s))
        try:
            found = judged(mutant, imports_s)
        except BaseException as error:
            found = ("DISAGREE", f"crash: {type(error).__name__}: {error}")
        os.write(writing, json.dumps(found).encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status, usage = os.wait4(number, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        found = ("refused", "limit: time") if name == "SIGXCPU" else ("DISAGREE", f"died of {name}")
    else:
        found = json.loads(said)
    return {
        "kind": mutant.kind, "verdict": found[0], "why": found[1], "cpu_s": usage.ru_utime + usage.ru_stime,
        "bytes": usage.ru_maxrss * 1024, "wall_s": time.monotonic() - began,
    }  # fmt: skip


REASONS = {
    "has a meaning already": "the name means something", "cannot be a name": "no name", "is no equation": "no name",
    "is not an expression": "no name", "is no assignment": "no name", "is no condition": "no name",
    "divides by zero": "division by zero, seen before it runs", "divide by zero": "division by zero, when it runs",
    "float division": "division by zero, when it runs",
    "they divide": "division by zero, when it runs", "zero": "division by zero, when it runs",
    "multiplies it out": "too many terms", "a power of": "powers too high", "limit": "limit of time or memory",
    "more than": "limit of time or memory", "left the finite numbers": "diverges",
    "integer": "a number for an integer", "boolean": "a number for a boolean", "bounds of clip": "bounds of clip",
    "use euler or rk4": "the method cannot",
}  # fmt: skip
"""What a message says, and what the table calls it; the first that fits."""


def reason(why: str) -> str:
    """Return what a table calls the reason of a refusal."""
    return next((short for words, short in REASONS.items() if words in why), "other: Brian2 refuses it")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=500, help="mutants (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutants (default %(default)s)")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no other one after (default %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    imports_s = time.process_time()
    with TemporaryDirectory() as cache:
        os.environ["CYTHON_CACHE_DIR"] = cache
        spiking.brian2.CythonCodeObject.is_available()  # compiles a line, once on a machine
        rows = judge(options, imports_s)
    keep("equations", f"{len(rows)} mutated neurons of users' equations", report(rows, options), __spec__.name)


def judge(options: argparse.Namespace, imports_s: float) -> list[dict[str, Any]]:
    """Return what became of each mutant, until the time is over; what disagrees is printed at once."""
    began, rows = time.monotonic(), []
    for mutant in mutants(options.number, options.seed):
        if time.monotonic() - began > 60 * options.minutes:
            break
        rows.append(child(mutant, imports_s))
        last = rows[-1]
        if last["verdict"] == "DISAGREE" or "other" in reason(last["why"]):
            print(f"\n{last}\n{mutant.neuron}", file=sys.stderr)
        print(f"\r{len(rows)} of {options.number}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rows


def report(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """Return the tables: verdicts by kind of mutation, reasons of refusals, the largest of time and memory."""
    kinds = sorted({row["kind"] for row in rows})
    counts = Counter((row["kind"], row["verdict"]) for row in rows)
    verdicts = ("agree", "refused", "DISAGREE")
    lines = [[kind, *(str(counts[kind, name]) for name in verdicts)] for kind in kinds]
    lines.append(["all", *(str(sum(counts[kind, name] for kind in kinds)) for name in verdicts)])
    reasons = Counter(reason(row["why"]) for row in rows if row["verdict"] == "refused")
    slow, large = (sum(row[key] > most for row in rows) for key, most in (("cpu_s", MOST_S), ("bytes", MOST_BYTES)))
    disagree = [f"- {row['kind']}: {row['why']}" for row in rows if row["verdict"] == "DISAGREE"]
    slowest = [f"- {row['cpu_s']:.1f} s: {row['kind']}: {row['why']}" for row in rows if row["cpu_s"] > MOST_S]
    done = f"{len(rows)} of {options.number} mutants, seed {options.seed}; the rest were not begun in time"
    return "\n\n".join([
        *([done] if len(rows) < options.number else []),
        table(["mutation", *verdicts], lines),
        table(["refused because of", "times"], [[name, str(n)] for name, n in reasons.most_common()]),
        f"most of one child: {max(row['cpu_s'] for row in rows):.1f} s of processor time, "
        f"{max(row['wall_s'] for row in rows):.0f} s by the clock ({os.cpu_count()} cores), "
        f"{max(row['bytes'] for row in rows) / 2**20:.0f} MB",
        "\n".join([
            f"- {verdict('both targets agree, or both refuse', not disagree)}", *disagree,
            f"- {verdict(f'no child over {MOST_S:g} s of processor time: {slow}', not slow)}", *slowest,
            f"- {verdict(f'no child over 1 GB: {large}', not large)}",
        ]),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
