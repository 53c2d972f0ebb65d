"""What a learner remembers of what units heard, where their own innovation is of arrays that they identify."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from neuroanp.learning.anp import ANP
from neuroanp.learning.echo import Echo
from neuroanp.learning.identification import errors_of, heard, listened, reached, with_errors

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.learning.protocol import State
    from neuroanp.network.network import Network
    from neuroanp.trajectory import PassPlan, Trajectory, Weights


def identifies(rule: Any) -> bool:
    """Return whether units identify the arrays before them."""
    return isinstance(rule, ANP | Echo) and rule.weights == "identified"


def first_sums(rule: Any, weights: Weights) -> State:
    """Return what is remembered at the start of a run; {}: weights are held."""
    if not identifies(rule):
        return {}
    network, found = weights.network, dict[str, "Tensor"]()
    for name, m in _listening(network).items():
        found[f"A {name}"] = weights.like.new_zeros(network.lines[name], m, dtype=torch.float64)
        found[f"G {name}"] = weights.like.new_zeros(m, m, dtype=torch.float64)
    return found


def numbers_remembered(rule: Any, network: Network) -> int:
    """Return how many numbers (float64) that is."""
    return sum((network.lines[name] + m) * m for name, m in _listening(network).items()) if identifies(rule) else 0


class Identifying:
    """The weights that units know in one update, and what they hear in it.

    Args:
        state: the learner's, as it was before. held: weights, as activity meets them. plan: the passes.
        forget: what is left of the sums.
    """

    def __init__(self, state: State, held: Weights, plan: PassPlan, forget: float) -> None:
        self.plan, self.network, self.forget = plan, held.network, forget
        self._before = {kind: {name: state[f"{kind} {name}"] for name in _listening(held.network)} for kind in "AG"}
        self._errors = {
            name: reached(held.network, name, errors_of(A, self._before["G"][name]))
            for name, A in self._before["A"].items()
        }
        self.weights = with_errors(held, self._errors)
        self._sums = {kind: {n: torch.zeros_like(x) for n, x in each.items()} for kind, each in self._before.items()}

    @classmethod
    def of(cls, rule: Any, state: State, held: Weights, plan: PassPlan) -> Identifying | None:
        """Return it for an update, or None where units go by weights that are held."""
        return cls(state, held, plan, rule.weights_forget) if identifies(rule) else None

    def add(self, chunk: Trajectory, i: Mapping[str, Tensor]) -> None:
        """Note what units heard in a chunk, and what of their changes the weights they know left, (T, R, B, lines)."""
        for name in self._errors:
            x = heard(self.network, name, chunk, self.plan).flatten(0, -2).double()
            self._sums["A"][name] += i[name].flatten(0, -2).double().T @ x
            self._sums["G"][name] += x.T @ x

    def done(self) -> State:
        """Return what is remembered after the update: what held weights leave, not those that were known."""
        found = dict[str, "Tensor"]()
        for name, E in self._errors.items():
            G = self._sums["G"][name]
            found[f"A {name}"] = self.forget * self._before["A"][name] + self._sums["A"][name] + E @ G
            found[f"G {name}"] = self.forget * self._before["G"][name] + G
        return found


def _listening(network: Network) -> dict[str, int]:
    """Return how many lines each layer hears, of those that hear any."""
    of = {each.name: sum(network.units[p.pre] for p in listened(network, each.name)) for each in network.layers}
    return {name: m for name, m in of.items() if m}
