"""What every learning rule offers: a plan of passes, their comparison, a modulation of each step, an update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

from neuroanp.method import Method
from neuroanp.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.network.network import Network
    from neuroanp.trajectory import Compared, Credit, PassPlan, Trajectory, Weights, WeightUpdate

State = dict[str, "Tensor"]


class LearningRule(Method, Protocol):
    """A rule is a frozen model of its options with pure methods.

    Local means: `compare` sees one chunk of forward activity, and `modulate` what it kept of it and the credit of its
    steps. The learner forms the outer products of what that returns with the presynaptic activity, in one place.

    One step of one unit and one output, whose passes differ by .1 and .2, at a loss that is .3 higher: n dL d / |d|^2.

    >>> import torch
    >>> from neuroanp.trajectory import LayerActivity, Trajectory, Weights
    >>> def two(a, b):
    ...     return torch.tensor([a, b], dtype=torch.float64).reshape(1, 2, 1, 1)  # T 1, M 2, B 1, n 1
    >>> one, rule = torch.ones(1, 1, dtype=torch.float64), RULES.get("anp")(preset="default")
    >>> weights, plan = Weights.one_layer({"w_in": one, "w": one, "w_out": one}), rule.plan()
    >>> layer = LayerActivity(two(0.6, 0.5), two(0.6, 0.5).tanh(), two(0.0, 0.0)[0])
    >>> chunk = Trajectory(two(1.0, 1.0)[:, 0], {"hidden": layer}, two(0.4, 0.2), t0=0, dt=1e-3)
    >>> compared, credit = rule.compare(chunk, weights, plan), rule.assign(two(0.8, 0.5)[..., 0], plan, 1e-3)
    >>> A = rule.modulate(compared, credit, weights.network)
    >>> {name: round(A[name].item(), 6) for name in A}
    {'w_in': 1.2, 'w': 1.2, 'w_out': 2.4}
    >>> state = rule.init(weights)
    >>> state["w_in"] += A["w_in"].item()  # times the input, 1
    >>> rule.finish(state, plan, batch=1).arrays["w_in"].item()
    1.2
    >>> rule.readout, rule.errors, rule.hears_errors, rule.forget, rule.ridge, rule.keep, rule.instantaneous
    ('perturb', 'told', False, 0.99, 0.0001, 'changes', False)
    """

    needs_noise: ClassVar[bool]
    """Whether trajectories must carry the noise sample."""

    @property
    def hears_errors(self) -> bool:
        """Whether anything learns by the signed errors of the outputs, beside the scalar loss."""
        ...

    @property
    def errors(self) -> str:
        """How they are known: "told", or "inferred" from the loss (`neuroanp.learning.readouts.inferred`)."""
        ...

    @property
    def readout(self) -> str:
        """How the arrays to the outputs learn: "perturb", by this rule, or one of `neuroanp.learning.readouts`."""
        ...

    @property
    def forget(self) -> float:
        """What `rls` remembers from update to update, where that is the readout."""
        ...

    @property
    def ridge(self) -> float:
        """What `rls` adds to the diagonal of its sums, over their mean."""
        ...

    @property
    def keep(self) -> str:
        """What trajectories must carry: "all" that layers did, the "noise" as well, or the "changes" of h alone."""
        ...

    @property
    def instantaneous(self) -> bool:
        """Whether the credit of a step needs no other step's loss."""
        ...

    def plan(self) -> PassPlan:
        """Say which passes one update takes and how they become differences."""
        ...

    def assign(self, losses: Tensor, plan: PassPlan, dt: float) -> Credit:
        """Turn losses of a whole sequence (any stretch if instantaneous) into credit.

        Args: losses: (T, M, B). plan: the passes. dt: seconds a step.

        Returns: credit of hidden units and of outputs, (T, R, B) each.
        """
        ...

    def init(self, weights: Weights) -> State:
        """Return the state at the start of an update: sums of outer products, by array.

        Args: weights: the matrices; sums have their shapes.
        """
        ...

    def compare(self, chunk: Trajectory, weights: Weights, plan: PassPlan) -> Compared:
        """Return how the passes of a chunk differ: all that is kept of it until its credit is known.

        Args:
            chunk: what every layer did, (T, M, B, n), in all M passes. weights: the matrices as they are held.
            plan: which passes are compared.
        """
        ...

    def modulate(self, compared: Compared, credit: Credit, network: Network) -> Mapping[str, Tensor]:
        """Return the postsynaptic factor A (T, B, lines) of each array, summed over the differences.

        Args: compared: what `compare` kept. credit: of its steps. network: says which lines an array reaches.
        """
        ...

    def finish(self, state: State, plan: PassPlan, batch: int) -> WeightUpdate:
        """Turn the sums into a descent direction, dW.

        Args: state: the sums, by array. plan: the passes. batch: B, sequences that were summed over.

        Returns: dW by array, of the weights' shapes.
        """
        ...


RULES: Registry[type[LearningRule]] = Registry("rule", "neuroanp.rules", LearningRule)
