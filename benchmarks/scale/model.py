"""What an update takes on W workers: bytes by formula, time by a closed form and by a simulation of the all-reduce.

A worker does ceil(S/W) of S shards, then all add what they found, then each takes the step by itself:

    t(W) = ceil(S/W)/S p + s + c(W, bytes)        p: the shards of an update on one worker, s: what all repeat
    ring: c = 2 (W - 1) (a + bytes / (W b))       a: seconds a message, b: bytes a second
    tree: c = 2 ceil(log2 W) (a + bytes / b)      for a few bytes

The simulation lets each worker's shards take a time of their own (lognormal, of a measured spread) and follows the
ring message by message: a message goes when it is there and the neighbour is ready. p and s are counted in
multiply-accumulates: p = M B T P, s = c_s P (sums in whole numbers, the optimizer's step, the write).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

INPUTS, OUTPUTS = 8, 8


class Machine(NamedTuple):
    """What the model takes for a machine and its network.

    Args:
        mac_s: seconds a multiply-accumulate of a presentation. repeat_s: seconds a weight of what all repeat.
        message_s: a. bytes_s: b. spread: standard deviation of the logarithm of a worker's time.
    """

    mac_s: float
    repeat_s: float
    message_s: float
    bytes_s: float
    spread: float


class Size(NamedTuple):
    """A run: units, steps, replicas, sequences.

    Args: N: units. T: steps. K: replicas. B: sequences.
    """

    N: int
    T: int
    K: int
    B: int

    @property
    def weights(self) -> int:
        """P, of one layer that sees itself."""
        return self.N * (self.N + INPUTS + OUTPUTS)


RULES = ("anp two, matrices", "anp silent, factors", "np two, matrices", "echo, matrices", "wp", "cdrge")
LAGS = 32


def passes(rule: str, size: Size, shards: int) -> int:
    """Return M, presentations of an update."""
    if rule.startswith("echo"):
        return size.K + shards
    if "silent" in rule:
        return size.K + shards
    return size.K + 1 if rule == "wp" else 2 * size.K


def bytes_of_rule(rule: str, size: Size, exact: bool = True) -> int:
    """Return what a worker gives to a sum in an update."""
    each = 8 if exact else 4
    if rule == "wp":
        return 8 * (size.K + 1)
    if rule == "cdrge":
        return 8 * 2 * size.K
    if rule == "anp silent, factors":
        return each * size.T * size.B * (size.N + OUTPUTS)
    more = 2 * LAGS * OUTPUTS * size.N + size.N if rule.startswith("echo") else 0
    return each * (size.weights + more)


def closed(rule: str, size: Size, shards: int, workers: int, machine: Machine, exact: bool = True) -> float:
    """Return the seconds of an update by the closed form."""
    own, all_repeat, told = _parts(rule, size, shards, workers, machine, exact)
    return own + all_repeat + messages(told, workers, machine)


def messages(told: int, workers: int, machine: Machine) -> float:
    """Return the seconds of an all-reduce by the better of a ring and a tree."""
    if workers == 1:
        return 0.0
    ring = 2 * (workers - 1) * (machine.message_s + told / (workers * machine.bytes_s))
    tree = 2 * math.ceil(math.log2(workers)) * (machine.message_s + told / machine.bytes_s)
    return min(ring, tree)


def simulated(
    rule: str, size: Size, shards: int, workers: int, machine: Machine, updates: int = 5, seed: int = 0
) -> float:
    """Return the mean seconds of an update by simulation: every worker, every message."""
    own, all_repeat, told = _parts(rule, size, shards, workers, machine, True)
    rng = np.random.default_rng(seed)
    ready = np.zeros(workers)
    for _ in range(updates):
        ready = ready + own * rng.lognormal(-0.5 * machine.spread**2, machine.spread, workers)
        ready = _ring(ready, told, machine) if _rings(told, workers, machine) else _tree(ready, told, machine)
        ready = ready + all_repeat
    return float(ready.max() / updates)


def _parts(rule: str, size: Size, shards: int, workers: int, machine: Machine, exact: bool) -> tuple[float, float, int]:
    units = size.K if rule in ("wp", "cdrge") else shards
    share = math.ceil(units / min(workers, units)) / units
    work = passes(rule, size, shards) * size.B * size.T * size.weights * machine.mac_s
    return share * work, size.weights * machine.repeat_s, bytes_of_rule(rule, size, exact)


def _rings(told: int, workers: int, machine: Machine) -> bool:
    if workers == 1:
        return False
    ring = 2 * (workers - 1) * (machine.message_s + told / (workers * machine.bytes_s))
    return ring < 2 * math.ceil(math.log2(workers)) * (machine.message_s + told / machine.bytes_s)


def _ring(ready: np.ndarray, told: int, machine: Machine) -> np.ndarray:
    """Return when each worker has the sum: 2 (W - 1) messages, each of which waits for both of its ends."""
    workers = len(ready)
    each = machine.message_s + told / (workers * machine.bytes_s)
    for _ in range(2 * (workers - 1)):
        ready = np.maximum(ready, np.roll(ready, 1)) + each
    return ready


def _tree(ready: np.ndarray, told: int, machine: Machine) -> np.ndarray:
    """Return when each worker has the sum: pairs, pairs of pairs, and back."""
    workers, each = len(ready), machine.message_s + told / machine.bytes_s
    ready, step = ready.copy(), 1
    if workers == 1:
        return ready
    while step < workers:
        low = np.arange(0, workers - step, 2 * step)
        ready[low] = np.maximum(ready[low], ready[low + step]) + each
        step *= 2
    while step > 1:
        step //= 2
        low = np.arange(0, workers - step, 2 * step)
        ready[low + step] = np.maximum(ready[low], 0.0) + each
    return ready
