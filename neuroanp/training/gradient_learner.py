"""The learner of baselines that differentiate a digital twin of the network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from neuroanp.errors import InputError
from neuroanp.trajectory import PassPlan, Weights, WeightUpdate

if TYPE_CHECKING:
    from neuroanp.backends.protocol import Backend
    from neuroanp.baselines.methods import GradientMethod
    from neuroanp.baselines.protocol import Outputs
    from neuroanp.learning.protocol import State
    from neuroanp.network.network import Network
    from neuroanp.substrates.protocol import Neurons
    from neuroanp.training.lab import Lab


class GradientLearner:
    """Runs a baseline that differentiates a digital twin with the weights the array holds.

    The chip is read once, which the ledger books; what the twin computes costs the chip nothing.
    The twin is the backend's `differentiable`; where it has none, InputError.
    """

    options: ClassVar[None] = None
    takes: ClassVar[tuple[str, ...]] = ("data",)
    plan = PassPlan(noise=(0.0,), stream=(0,), pairs="mean")
    passes = 1
    noisy = False

    def __init__(self, method: GradientMethod) -> None:
        self.method = method

    def numbers_kept(self, network: Network) -> int:
        """Return 0: no trajectory of the chip is stored."""
        return 0

    def init(self, weights: Weights) -> State:
        """Return the state at the start of a run: none."""
        return {}

    def learn(self, state: State, lab: Lab) -> tuple[State, WeightUpdate]:
        """Return the gradient of the loss over the batch."""
        for _ in lab.run(self.plan, "loss") if lab.books else ():
            pass  # only the reads are wanted
        outputs = twin(lab.backend, lab.network, lab.substrate.neurons)
        batch = cast("Any", lab)  # tensors serve where it expects arrays
        return state, self.method.gradient(lab.read(), batch, outputs, loss=lab.loss)


def twin(backend: Backend, network: Network, neurons: Neurons) -> Outputs:
    """Return what of a backend gradient methods differentiate.

    Args:
        backend: the simulator. network: layers and projections. neurons: how its units differ.

    Raises:
        InputError: it has none.
    """
    outputs = backend.differentiable(network)
    if outputs is None:
        raise InputError(
            f"rule: backend '{backend.name}' has no network of its units that can be differentiated (of neurons by "
            "equations none is known); use a local rule"
        )
    return cast("Outputs", partial(outputs, neurons=neurons)) if network.spikes else outputs
