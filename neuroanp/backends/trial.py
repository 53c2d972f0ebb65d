"""Build users' equations first in a process of their own, within limits of time and memory.

What SymPy multiplies out, and what a compiler is then given, can fill any memory; a look at the text cannot tell for
sure. The process (`python -m neuroanp.backends.trial`, the task as JSON on stdin) runs in a group of its own, which
is ended with all its compilers. Compiled code stays in Cython's cache, so the simulation finds it done.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from neuroanp.backends.equations import Equations, Handed
from neuroanp.backends.execution import Execution
from neuroanp.backends.growth import EXPANDING, largest
from neuroanp.errors import InputError, NeuroanpError, RunError

MEMORY = 512 * 2**20
"""Bytes a trial may take beyond what its imports took."""

PREPARE, COMPILE = 4.0, 20.0
"""Processor time for SymPy, and then for each compiler, in units of the time that the imports took (2 to 5 s).

AdEx by rk4, the dearest of the shipped neurons, takes a tenth of one; three linear equations by method exact, whose
matrix SymPy compares with random numbers, take about one; what takes longer than four is multiplied out."""

WALL_S = 600.0
"""Seconds after which a trial is ended, however little of a busy machine it got."""

STATM = Path("/proc/self/statm")
"""How much memory this process has taken, in pages: on Linux."""

_PASSED: set[str] = set()
"""Tasks that ended well in this process."""


def tried(neuron: Equations, dt: float, how: Execution, wall_s: float = WALL_S) -> None:
    """Build a neuron of two units elsewhere; only once in this process for the same equations.

    Args:
        neuron: the equations. dt: seconds a step.
        how: target and recurrence decide what is compiled.
        wall_s: seconds it may take by the clock.

    Raises:
        InputError: Brian2 refuses the equations, or they take too much time or memory; it names the line.
        RunError: no such process can be run here.
    """
    synapses = how.recurrence == "synapses"
    task = json.dumps({"given": neuron.handed()._asdict(), "dt": dt, "target": how.target, "synapses": synapses})
    if task in _PASSED:
        return
    said = _outcome(task, wall_s)
    if "refused" in said:
        raise InputError(said["refused"])
    if "limit" in said:
        raise InputError(f"neuron.model ({neuron.name}): {said['limit']}; {_advice(neuron)}")
    _PASSED.add(task)


def _advice(neuron: Equations) -> str:
    """Name the line that grows most, and say what to do."""
    name = largest(neuron.variables, neuron.known)
    line = f"d{name}/dt = {neuron.variables[name].right}"
    line = line if len(line) <= 100 else f"{line[:97]}..."
    remedy = "use lower powers and fewer products of sums, and name less inside one another"
    other = ", or take method euler" if neuron.method in EXPANDING else ""
    return f"the longest once it is written out is '{line}'; {remedy}{other}"


def _outcome(task: str, wall_s: float) -> Mapping[str, str]:
    """Do a task elsewhere; return that it is "done", what was "refused", or which "limit" it met."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "neuroanp.backends.trial"], text=True, start_new_session=True,
            env={**os.environ, **one, "PYTHONPATH": path},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise RunError(f"no process to try the equations in can be started: {error.strerror}") from None
    try:
        out, err = process.communicate(task, timeout=wall_s)
    except subprocess.TimeoutExpired:
        return {"limit": f"it is not ready after {wall_s:g} s"}
    finally:
        with suppress(ProcessLookupError):  # compilers that it left behind
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    lines = out.splitlines()
    last: Mapping[str, str] = json.loads(lines[-1]) if lines else {}
    if not last.keys().isdisjoint(("done", "refused", "limit")):
        return last
    if process.returncode == -signal.SIGXCPU and "stage" in last:
        return {"limit": f"{last['stage']} takes more than {last['seconds']} s of computing"}
    if process.returncode == -signal.SIGKILL and "stage" in last:
        why = f"more than {last['seconds']} s of computing, or no memory left"
        return {"limit": f"{last['stage']} was ended by the system: {why}"}
    why = (err.strip().splitlines() or [f"it ended with {process.returncode}"])[-1]
    raise RunError(f"the equations could not be tried in a process of their own: {why}")


def limit(cpu_s: float, memory: int | None = None) -> None:
    """Let this process compute for so many seconds more, each that it starts as long, and take so many bytes more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(used.ru_utime + used.ru_stime + cpu_s + 1)
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
    if memory is not None and STATM.exists():  # not on macOS, which does not hold to this limit either
        taken = int(STATM.read_text().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = taken + memory if hard == resource.RLIM_INFINITY else min(taken + memory, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def build(task: Mapping[str, Any], stage: Any) -> None:
    """Build what a task asks for: in numpy, for which SymPy has to do all it does, then as it will run.

    Args:
        task: see `tried`. stage: called with the name of what begins, and its share of time.
    """
    import torch

    from neuroanp.backends.spiking import EquationsPopulation

    given, two, dt = Handed(**task["given"]), torch.ones(2), task["dt"]
    stage("preparing the equations", PREPARE)
    EquationsPopulation(given, two, 1, dt=dt, target="numpy", loop="run", recurrence="dense")
    if task["target"] != "numpy":
        stage("compiling the equations", COMPILE)
        recurrence = "synapses" if task["synapses"] else "dense"
        EquationsPopulation(given, two, 1, dt=dt, target=task["target"], loop="run", recurrence=recurrence)


def main() -> None:
    """Do the task on stdin; say on stdout, a JSON object a line, which stage begins and how it ended."""
    with os.fdopen(os.dup(1), "w") as report:
        os.dup2(2, 1)  # whatever else is printed

        def tell(**said: Any) -> None:
            print(json.dumps(said), file=report, flush=True)

        def stage(name: str, share: float) -> None:
            seconds = share * max(imported, 1.0)
            limit(seconds, MEMORY if share == PREPARE else None)
            tell(stage=name, seconds=round(seconds))

        from neuroanp.backends import spiking  # noqa: F401

        imported = time.process_time()
        try:
            build(json.load(sys.stdin), stage)
        except (NeuroanpError, MemoryError) as error:
            if _out_of_memory(error):
                tell(limit=f"it takes more than {MEMORY >> 20} MB to prepare")
            else:
                tell(refused=str(error))
        else:
            tell(done=True)


def _out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__
    return False


if __name__ == "__main__":
    main()
