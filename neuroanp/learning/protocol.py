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
        """Turn losses (T, M, B) of a whole sequence (any stretch if instantaneous) into credit; dt: seconds a step."""
        ...

    def init(self, weights: Weights) -> State:
        """Return the state at the start of an update: sums of outer products, by array."""
        ...

    def compare(self, chunk: Trajectory, weights: Weights, plan: PassPlan) -> Compared:
        """Return how the passes of a chunk differ: all that is kept of it until its credit is known."""
        ...

    def modulate(self, compared: Compared, credit: Credit, network: Network) -> Mapping[str, Tensor]:
        """Return the postsynaptic factor A (T, B, lines) of each array, summed over the differences."""
        ...

    def finish(self, state: State, plan: PassPlan, batch: int) -> WeightUpdate:
        """Turn the sums into a descent direction."""
        ...


RULES: Registry[type[LearningRule]] = Registry("rule", "neuroanp.rules", LearningRule)
