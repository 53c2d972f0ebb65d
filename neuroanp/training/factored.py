"""Factors of an update over time, which shards share where they are fewer numbers than its matrices.

With a silent pass the presynaptic activity is the same in all shards, and the sum over these goes before the product:

    dW = 1/(B K) sum_{t,b} (sum_s A^s_tb) pre_tb^T,    A^s_tb = sum of c d gain over the differences of shard s

T B lines numbers for each group of units, in place of its matrices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from neuroanp.training.kept import Rows
from neuroanp.training.outer_products import OuterProducts

if TYPE_CHECKING:
    from neuroanp.learning.protocol import State
    from neuroanp.network.network import Network
    from neuroanp.trajectory import PassPlan


class Factors:
    """Postsynaptic factors and presynaptic activity of one shard, chunk after chunk, where products would be formed.

    Args:
        network: that learns. steps: T.
    """

    def __init__(self, network: Network, steps: int) -> None:
        self.network, self._at = network, 0
        self._factors, self._pre = Rows(steps), Rows(steps)

    def add(self, factors: Mapping[str, Tensor], pre: Mapping[str, Tensor]) -> None:
        """Keep a chunk: factors A (T, B, lines) and presynaptic activity (T, B, m) of the arrays that learn."""
        steps, done = 0, set[str]()
        for name, x in pre.items():
            key = key_of(self.network, name)
            if key not in done:  # arrays to the same units share them
                self._factors.put(key, self._at, factors[name])
                done.add(key)
            self._pre.put(name, self._at, x)
            steps = len(x)
        self._at += steps

    def done(self) -> State:
        """Return no sums: none was formed."""
        return {}

    @property
    def found(self) -> dict[str, Tensor]:
        """Factors by the units that they are of, (T, B, lines) each."""
        return self._factors.of

    def products(self, factors: Mapping[str, Tensor], sums: State, batch: int) -> State:
        """Return the outer products of factors, which others may have a part in, with this shard's activity."""
        of_arrays = {name: factors[key_of(self.network, name)] for name in self._pre.of}
        formed = OuterProducts(sums, batch)
        formed.add(of_arrays, self._pre.of)
        return formed.done()


def key_of(network: Network, name: str) -> str:
    """Return what pre-activations an array reaches, as text."""
    p = network.projection(name)
    ports = network.ports(p)
    return f"{p.post} {ports.start} {ports.stop}"


def numbers_of(network: Network, names: Sequence[str], steps: int, batch: int) -> int:
    """Return how many numbers the factors of some arrays are."""
    lines = {key_of(network, name): network.shapes[name][0] for name in names}
    return steps * batch * sum(lines.values())


def silent(plan: PassPlan) -> bool:
    """Return whether the presynaptic activity is that of a pass without noise, which is the same in every shard."""
    return plan.pre is not None and plan.noise[plan.pre] == 0.0
