"""Reward-modulated Hebbian learning: noise that was there when a reward came is made to come again.

    e_t  = gamma e_{t-1} + d_t x_t^T                    d_t the noise of the units, or their activity less its average
    delta = (R - Rbar) / max(|R|, 1)
    W   <- W + lr 1/B sum_b delta_b e_b

There is one pass, a noisy one, and it acts. It needs larger noise than rules that compare passes: the noise itself
must change what is done. difference = average takes what a unit knows without its noise: its activity less a running
average of its own, which is slow against noise and fast against what inputs bring.

Sources: Legenstein, Chase, Schwartz, Maass, J. Neurosci. 30, 8400 (2010) (exploratory Hebb rule);
the baseline of Garcia Fernandez, Ahmad, van Gerven, arXiv 2503.23972 (2025), and its code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from neuroanp.errors import InputError
from neuroanp.learning import requirements
from neuroanp.learning.node_perturbation import unknown_noise
from neuroanp.losses.surprise import AVERAGE, AVERAGES
from neuroanp.network.network import OUTPUT
from neuroanp.trajectory import PassPlan
from neuroanp.yaml_io import Section

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.network.network import Network
    from neuroanp.trajectory import Trajectory


class RMHL(Section):
    """Reward-modulated Hebbian learning: pre activity x noise of the unit x the return.

    >>> RMHL().plan().passes
    1
    """

    learner: ClassVar[str] = "rmhl"
    local: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    feedback: ClassVar[str] = "S"

    name: Literal["rmhl"] = "rmhl"
    difference: Literal["average", "noise"] = Field(
        default="average",
        description="average: a unit's activity less a running average of it; noise: the noise itself, which is known",
    )
    follow: float = Field(
        default=AVERAGE, gt=0, le=1, description="difference average: weight of a unit's newest activity in its average"
    )
    gamma: float = Field(default=1.0, ge=0, le=1, description="what a step leaves of the eligibility traces")
    average: float = Field(default=AVERAGE, gt=0, le=1, description=AVERAGES)

    @property
    def needs(self) -> tuple[str, ...]:
        """What hardware must provide."""
        own = requirements.KNOWN_NOISE if self.difference == "noise" else requirements.memory_per_unit("1")
        return (requirements.RETURN, requirements.TRACE, own)

    @property
    def keep(self) -> str:
        """What trajectories must carry; see `neuroanp.backends.protocol.Request`."""
        return "noise" if self.difference == "noise" else "all"

    def check(self, spiking: bool) -> None:
        """Do nothing: traces of spikes have an average, too."""

    def plan(self) -> PassPlan:
        """Say which passes see an episode: one."""
        return PassPlan((1.0,), (0,), "mean")

    def explored(
        self, chunk: Trajectory, averages: Mapping[str, Tensor], network: Network
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return d of each group of units in a chunk of one step, (1, B, n), and the averages after it.

        Args:
            chunk: of one pass. averages: of the activity before it, (B, n) by group; {}: of none, which counts as 0.

        Raises:
            InputError: the noise must be known, and is not.
        """
        if self.difference == "noise":
            if chunk.noise is None or not any((chunk.noise_sigma or {}).values()):
                raise InputError(unknown_noise(self.name))
            known = {name: noise[:, 0] for name, noise in chunk.noise.items()}
            missing = {n: chunk.y.new_zeros(*chunk.y.shape[:1], chunk.y.shape[2], k) for n, k in network.lines.items()}
            return {**missing, **known}, {}
        now = {name: (did.h if did.z is None else did.z)[:, 0] for name, did in chunk.activities.items()}
        now[OUTPUT] = chunk.y[:, 0]
        d, after = {}, {}
        for name, a in now.items():
            before = averages.get(name, a.new_zeros(a.shape[1:]))
            after[name] = before + self.follow * (a[-1] - before)
            d[name] = a - after[name]
        return d, after
