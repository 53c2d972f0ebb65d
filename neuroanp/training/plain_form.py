"""Which updates of a local rule are plain, so that a few compiled calls make them.

Plain: one layer of tanh units that sees itself, in single precision on a CPU, small enough for one thread, arrays that
are read at once by the moments of their noise, and the credit of each sample. All else takes the general path of
`neuroanp.training.pass_learner`, which the compiled one is held to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from neuroanp.backends.compiled_passes import WIDEST
from neuroanp.backends.rate import RateBackend
from neuroanp.kernels.precision import single
from neuroanp.learning.anp import ANP
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.network.tanh import Tanh
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.read_fast import FastReader
from neuroanp.training.outer_products import block_steps

if TYPE_CHECKING:
    from neuroanp.learning.protocol import LearningRule
    from neuroanp.network.network import Network
    from neuroanp.substrates.protocol import ReadPlan, White
    from neuroanp.training.lab import Lab
    from neuroanp.trajectory import PassPlan


MOST_KEPT = 1 << 26
"""Numbers that a stretch of time may leave to keep: no option for memory cuts it."""
LARGEST = 40_000_000
"""Multiply-accumulates a step: beyond, all but the products is a tenth of an update, and threads can share those."""


class Form:
    """What all plain updates of a network have in common.

    Args:
        rule, plan: of the learner. network: that learns. batch: B.
    """

    def __init__(self, rule: ANP, plan: PassPlan, network: Network, batch: int) -> None:
        self.network, self.batch = network, batch
        into, back, out = network.projections
        self.names, self.layer, self.bias = (into.name, back.name, out.name), network.layers[0].name, into.bias
        self.M, self.R, self.n, self.outputs = plan.passes, plan.differences, network.hidden, network.outputs
        self.most = block_steps(batch)  # steps of a stretch
        self.instantaneous, self.whole, self.discount = rule.instantaneous, rule.loss == "trial", rule.discount
        self.hears_errors, self.told, self.readout = rule.hears_errors, rule.errors == "told", rule.readout
        self.bias_out = out.bias
        self.pairs = np.array(() if plan.pairs == "mean" else plan.pairs, dtype=np.int64).reshape(-1, 2)
        self.which = -1 if plan.pre is None else plan.pre
        self.norms = _norms(rule, network, batch * plan.differences)
        self.streams, self.factors = np.array(plan.stream, dtype=np.int64), np.array(plan.noise)
        self.noisy = sum(factor != 0 for factor in plan.noise)
        self.plan = plan

    @classmethod
    def of(cls, rule: LearningRule, plan: PassPlan, lab: Lab) -> Form | None:
        """Return it; None where an update is not plain."""
        if type(rule) is not ANP or rule.difference != "activity" or rule.activity == "z":
            return None
        if rule.credit != "sample" or rule.control_variate != "none" or not one_layer(lab.network):
            return None
        n = lab.network.hidden
        small = n <= WIDEST and plan.passes * lab.batch * n**2 <= LARGEST
        kept = block_steps(lab.batch) * lab.batch * plan.differences * (n + lab.network.outputs)  # of a stretch
        small = small and kept <= MOST_KEPT
        return cls(rule, plan, lab.network, lab.batch) if small else None

    def source(self, white: White | None) -> tuple[tuple[int, int], int, np.ndarray, np.ndarray]:
        """Return where the loops find white noise: its key, update, streams and factors; None: of no noise."""
        if white is None:
            return (0, 0), 0, self.streams, np.zeros(self.M, np.float32)
        return white.at.keys, white.at.update, self.streams, (self.factors * white.sigma).astype(np.float32)


def one_layer(network: Network) -> bool:
    """Return whether a network is one layer of tanh units that sees its input and itself."""
    if len(network.layers) != 1 or len(network.projections) != 3 or type(network.layers[0].cell) is not Tanh:
        return False
    into, back, out = network.projections
    name = network.layers[0].name
    ends = [(p.pre, p.post, p.delay) for p in (into, back, out)]
    return ends == [(INPUT, name, 0), (name, name, 1), (name, OUTPUT, 0)] and not back.bias


def plain(lab: Lab) -> bool:
    """Return whether the chip and the simulator of an update are plain, the network aside."""
    return (
        type(lab.backend) is RateBackend
        and type(lab.substrate) is DeviceChip
        and isinstance(lab.source, Tensor)
        and single(lab.source)
        and all(exact(read) or _by_moments(read) for read in lab.reads.values())
    )


def _by_moments(read: ReadPlan) -> bool:
    """Return whether an array is read by the moments of its noise, by loops."""
    return not read.sampled and read.process is None and read.decorrelation is None and FastReader.possible(read)


def exact(read: ReadPlan) -> bool:
    """Return whether an array is read without noise and converters."""
    noisy = read.sigma2 is not None or read.process is not None or read.dac_sigma or read.amplifies_noise
    converted = read.dac is not None or read.adc is not None or read.bits or read.pulse_width
    matched = read.gain is None and read.offset is None
    return matched and read.linear and not noisy and not converted and not read.widths and read.decorrelation is None


def _norms(rule: ANP, network: Network, share: int) -> np.ndarray:
    """Return what `products` takes for norms; share: what every sum is divided by."""
    units, outputs = network.layers[0].name, OUTPUT
    worth, damping = rule.worth(network), rule.damped(network)
    of_credit = worth[units] / share, worth[outputs] / share
    return np.array([rule.norm == "global", *of_credit, damping[units], damping[outputs], rule.eps], dtype=np.float32)
