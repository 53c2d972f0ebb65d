"""What moves the units beside their inputs: the junctions of a chip, and noise that no device makes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuroanp.devices.protocol import SourceBank
from neuroanp.devices.switched import at_temperature
from neuroanp.errors import InputError
from neuroanp.registry import refuse_incomplete
from neuroanp.substrates.added_noise import Kind, checked
from neuroanp.substrates.periphery import amplifier_variance, dac_sigma, thermal_factor

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.devices.protocol import NodeSource
    from neuroanp.noise import Streams
    from neuroanp.profiles import HardwareProfile


@dataclass(frozen=True)
class NodeDrive:
    """How the pre-activations of a network are perturbed, but for what its reads do.

    Args:
        sigma: standard deviation of noise that no device makes on hidden units, dimensionless; 0 for none.
        output: that on output units; None: sigma.
        scale: coupling of the junctions to the units of layers, one for all or by layer; the outputs get their noise
            as it is.
        kind: of the noise that no device makes; see `neuroanp.substrates.added_noise`.

    Raises:
        InputError: a standard deviation below 0, a number that is not finite, or a kind that is not known.

    >>> NodeDrive(0.1).added(), NodeDrive(0.1, output=0.0).added(), NodeDrive(0.1).added(False)
    ((0.1, 0.1), (0.1, 0.0), (0.0, 0.0))
    """

    sigma: float = 0.0
    output: float | None = None
    scale: float | Mapping[str, float] = 1.0
    kind: Kind = "gaussian"

    def __post_init__(self) -> None:
        checked(self.kind)
        problems = [
            f"perturbation: {what} {sigma:g} is not a finite standard deviation of 0 or more"
            for what, sigma in (("sigma", self.sigma), ("output", self.output or 0.0))
            if not 0 <= sigma < math.inf
        ]
        scales = self.scale.values() if isinstance(self.scale, Mapping) else [self.scale]
        problems += [f"perturbation: a coupling of {s:g} is not finite" for s in scales if not math.isfinite(s)]
        if problems:
            raise InputError("noise on the units cannot be made", problems)

    def coupled(self, layers: Iterable[str]) -> dict[str, float]:
        """Return the coupling of the junctions by layer.

        >>> NodeDrive(scale=2.0).coupled(["hidden"]), NodeDrive(scale={"a": 2.0}).coupled(["a", "b"])
        ({'hidden': 2.0}, {'a': 2.0, 'b': 1.0})
        """
        if isinstance(self.scale, Mapping):
            return {name: self.scale.get(name, 1.0) for name in layers}
        return dict.fromkeys(layers, self.scale)

    def added(self, artificial: bool = True) -> tuple[float, float]:
        """Return the sigma of the added noise on the units of layers and on the outputs; unless `artificial`, 0."""
        if not artificial:
            return 0.0, 0.0
        return self.sigma, self.sigma if self.output is None else self.output


NO_DRIVE = NodeDrive()
"""No noise but the device's own, coupled as it is."""


def junctions_of(
    profile: HardwareProfile, effects: frozenset[str], temperature: float | None = None
) -> NodeSource | None:
    """Return the sources of a chip's node noise at its temperature, or None where there are none or they are off.

    Args:
        profile, effects: the hardware and the non-idealities that are on. temperature: kelvin; None: the profile's own.

    Raises:
        InputError: the law of the sources does not hold at this temperature.

    >>> from neuroanp.profiles.loader import load
    >>> junctions_of(load("smtj_koenders"), frozenset()), junctions_of(load("pcm"), frozenset({"node_noise"}))
    (None, None)
    """
    if "node_noise" not in effects:
        return None
    return at_temperature(profile.stochastic, profile.temperature if temperature is None else temperature)


def banks_of(
    junctions: NodeSource | None, effects: frozenset[str], lines: Mapping[str, int], streams: Streams, like: Tensor
) -> dict[str, SourceBank]:
    """Draw the sources of each group of units from "d2d/junctions/<group>"; {} where all are alike, or "d2d" is off.

    Args: junctions: as of `junctions_of`. lines: units by group. like: gives dtype and device.

    Raises:
        InputError: a source that was drawn cannot be.
    """
    if junctions is None or junctions.bank is None or "d2d" not in effects:
        return {}
    banks = {
        name: junctions.bank(streams.generator(f"d2d/junctions/{name}"), units, like) for name, units in lines.items()
    }
    for bank in banks.values():  # made by a law: no registry has seen it
        refuse_incomplete(bank, SourceBank, f"{type(bank).__name__}, the bank that {type(junctions).__name__} draws,")
    return banks


def perturbs_units(profile: HardwareProfile, effects: frozenset[str], temperature: float | None = None) -> bool:
    """Return whether the hardware's own noise reaches the pre-activations: of reads, lines or junctions.

    Args: as for `junctions_of`.

    >>> from neuroanp.profiles.loader import load
    >>> [perturbs_units(load("pcm"), frozenset(on)) for on in ([], ["read_noise"], ["node_noise"])]
    [False, True, False]
    """
    kelvin = profile.temperature if temperature is None else temperature
    source = junctions_of(profile, effects, kelvin)
    lines = (  # of 1 output unit an ampere: how much of it is a matter of the array
        amplifier_variance(profile, 1.0, effects),
        thermal_factor(profile, 1.0, kelvin, effects),
        dac_sigma(profile, effects),
    )
    reads = profile.read is not None and "read_noise" in effects
    return reads or any(part > 0 for part in lines) or (source is not None and source.node_sigma > 0)
