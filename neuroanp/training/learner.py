"""What learns: from a lab and a state to the new state and a weight update; what every learner offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import BaseModel

from neuroanp.registry import Registry

if TYPE_CHECKING:
    from neuroanp.learning.protocol import State
    from neuroanp.network.network import Network
    from neuroanp.training.lab import Lab
    from neuroanp.trajectory import Weights, WeightUpdate


class Learner(Protocol):
    """Learns from one batch after the other; its state goes in and comes out, and is in the checkpoint.

    Local rules are run by the learner "passes", baselines that differentiate by "gradient". A learner of one's own
    has `options`, a model with the members of `neuroanp.method.Method`, and is then chosen as rules are:
    `rule: {name: mine}`.

    Args: rule: the options, or the rule that it runs.

    >>> from neuroanp.learning.node_perturbation import NP
    >>> from neuroanp.training.build import Experiment, build_trainer
    >>> from neuroanp.training.configure import configure
    >>> tiny = {"task": "copy", "network": {"hidden": 4}, "training": {"batch": 2}, "rule": "np"}
    >>> trainer = build_trainer(Experiment.of(configure(tiny)))
    >>> learner, lab = make_learner(NP(K=2)), trainer.lab()
    >>> learner.passes, learner.noisy, learner.takes, learner.numbers_kept(lab.network)
    (4, True, ('data', 'worlds'), 28)
    >>> state, update = learner.learn(learner.init(lab.read()), lab)
    >>> {name: tuple(dW.shape) for name, dW in update.arrays.items()}, sorted(state)
    ({'w_in': (4, 5), 'w': (4, 4), 'w_out': (4, 4)}, [])
    """

    options: ClassVar[type[BaseModel] | None]
    """The model of its options where it is a method of its own; None: it runs rules that have models of their own."""
    takes: ClassVar[tuple[str, ...]]
    """What it learns from: "data", "worlds" that answer the outputs, or both; with "actions" worlds alone whose
    outputs choose among actions (`World.shared`)."""
    passes: int
    """Presentations of each sequence in one update: what an update takes of the chip's time."""
    noisy: bool
    """Whether any of them has noise."""

    def __init__(self, rule: Any) -> None:
        """Take the options, or the rule that it runs."""
        ...

    def numbers_kept(self, network: Network) -> int:
        """Return how many numbers a step of one sequence leaves to store, at most, in such a network."""
        ...

    def init(self, weights: Weights) -> State:
        """Return the state at the start of a run, named tensors; {}: none.

        Args: weights: the matrices that it begins with.
        """
        ...

    def learn(self, state: State, lab: Lab) -> tuple[State, WeightUpdate]:
        """Present the batch as often as needed; return the new state and a descent direction, `loss` its diagnostic.

        Args: state: as the last update left it. lab: the batch, and the chip to present it to.
        """
        ...


LEARNERS: Registry[type[Learner]] = Registry("learner", "neuroanp.learners", Learner)


def own_learners() -> list[str]:
    """Return the names of learners that are methods of their own."""
    return [name for name in LEARNERS.names() if LEARNERS.get(name).options is not None]


def make_learner(rule: Any) -> Learner:
    """Return what runs a rule, a baseline or the options of a learner of one's own: the model says which."""
    return LEARNERS.get(rule.learner)(rule)
