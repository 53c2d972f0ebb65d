"""What decorrelation asks of a learner: D x as presynaptic activity, its second moments, and the next D."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from neuroanp.learning.decorrelation import Decorrelation, step
from neuroanp.learning.echo import Echo
from neuroanp.learning.passes import PassRule
from neuroanp.learning.weight_perturbation import WP
from neuroanp.network.lines import through
from neuroanp.network.network import INPUT
from neuroanp.training.outer_products import OuterProducts
from neuroanp.trajectory import Weights, WeightUpdate

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.network.network import Network
    from neuroanp.training.lab import Lab


DIGITAL = (
    "decorrelation: a digital matrix of each layer stands between its units and the word lines; its products are in no "
    "book, and converters clip and round what it makes"
)
FOLDED = "activity is decorrelated by a digital matrix D in the run; weights are exported as W D"


def decorrelation_of(rule: Any) -> Decorrelation | None:
    """Return how a rule decorrelates activity; None: not, or it has no such option."""
    return rule.decorrelation if isinstance(rule, PassRule | WP | Echo) else None


def decorrelated_groups(rule: Any, network: Network) -> tuple[str, ...]:
    """Return the groups of units whose activity a rule decorrelates before it goes to the arrays; (): none."""
    option = decorrelation_of(rule)
    if option is None:
        return ()
    usual = not isinstance(rule, Echo) and rule.preset == "smtj"
    inputs = (INPUT,) if (usual if option.inputs is None else option.inputs) else ()
    return (*inputs, *(layer.name for layer in network.layers))


def matrices(lab: Lab) -> dict[str, Tensor]:
    """Return the matrix D of each group of units as the arrays are read in an update; {}: there are none."""
    of = {p.pre: lab.reads[p.name].decorrelation for p in lab.network.projections}
    return {name: D for name, D in of.items() if D is not None}


def folded(weights: Weights, D: Mapping[str, Tensor]) -> Weights:
    """Return weights as activity meets them, W D; the same object where nothing is decorrelated.

    Args:
        weights: W. D: by layer.
    """
    if not D:
        return weights
    network = weights.network
    arrays = {name: through(W, D.get(network.projection(name).pre)) for name, W in weights.items()}
    return Weights(arrays, network)


def held_weights(lab: Lab) -> Weights:
    """Return the weights that are held digitally, as activity meets them in an update."""
    return folded(lab.substrate.weights, matrices(lab))


def known_weights(lab: Lab) -> Weights:
    """Return the weights that own innovations of an update are told by: those that are held, or identified."""
    return held_weights(lab) if lab.identifying is None else lab.identifying.weights


class Decorrelating:
    """Second moments of the activity of each layer in one update, and what follows from them.

    D moves where all arrays learn: the control of a frozen recurrence has none.

    Args:
        rule: with its option. lab: of the update.
    """

    def __init__(self, rule: Any, lab: Lab) -> None:
        self.option, self.trailing = decorrelation_of(rule), isinstance(rule, Echo) or rule.preset != "paper"
        self.D = matrices(lab)
        self.rows = lab.steps * lab.batch
        self.moves = self.option is not None and bool(self.D) and lab.learning is None
        self.products = OuterProducts({name: torch.zeros_like(D) for name, D in self.D.items()}, lab.batch)

    @classmethod
    def of(cls, rule: Any, lab: Lab) -> Decorrelating | None:
        """Return it where a lab has matrices D; None elsewhere."""
        return cls(rule, lab) if matrices(lab) else None

    def add(self, x: Mapping[str, Tensor]) -> None:
        """Add the activity (T, B, n) of each group of units in a chunk of time."""
        if self.moves:
            mine = {name: x[name] for name in self.D}
            self.products.add(mine, mine)

    def done(self, update: WeightUpdate, network: Network, rows: int | None = None) -> WeightUpdate:
        """Return an update whose presynaptic factors were x as that of D x, with the next D; `rows`: see `next`."""
        arrays = {name: self._decorrelated(dW, self.D.get(network.projection(name).pre))
                  for name, dW in update.arrays.items()}  # fmt: skip
        return replace(update, arrays=arrays, decorrelation=self.next(rows))

    def next(self, rows: int | None = None) -> dict[str, Tensor]:
        """Return the next D of each layer; {}: it stays.

        Args:
            rows: steps of sequences that were heard, of a world as far as its episodes went; None: T B.
        """
        if not self.moves or self.option is None:
            return {}
        S, lr = self.products.done(), self.option.lr
        trailing = self.trailing if self.option.trailing is None else self.option.trailing
        return {name: step(D, S[name] / (rows or self.rows), lr, trailing) for name, D in self.D.items()}

    @staticmethod
    def _decorrelated(dW: Tensor, D: Tensor | None) -> Tensor:
        """Return sum e (D x)^T from sum e x^T; the column of a bias line stays."""
        return dW if D is None else torch.cat([dW[:, : len(D)] @ D.mT, dW[:, len(D) :]], 1)
