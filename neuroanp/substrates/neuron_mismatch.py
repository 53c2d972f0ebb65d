"""How the spiking neurons of one chip differ from one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from neuroanp.devices.cmos import LognormalMismatch
from neuroanp.profiles.sections import Neurons

if TYPE_CHECKING:
    import numpy as np

    from neuroanp.profiles import HardwareProfile


def neuron_factors(
    profile: HardwareProfile, effects: frozenset[str], units: int, rng: np.random.Generator, like: Tensor
) -> dict[str, Tensor]:
    """Draw what each neuron's threshold and time constants are multiplied by: lognormal factors of mean 1.

    The same random numbers are drawn whatever the profile states and whatever effects are on.

    Args:
        profile: the hardware.
        effects: those that are on; "neuron_mismatch" among them, or nothing differs.
        units: number of neurons N.
        rng: device-to-device draws.
        like: gives dtype and device.

    Returns: (N,) factors of "threshold", "tau_m" and "tau_s"; what is missing is the same in all neurons.

    >>> import numpy as np, torch
    >>> from neuroanp.profiles import load
    >>> on, rng = frozenset({"neuron_mismatch"}), np.random.default_rng(0)
    >>> found = neuron_factors(load("mixed_signal_neurons"), on, 100_000, rng, torch.empty(0))
    >>> {name: (round(float(f.mean()), 2), round(float(f.std()), 2)) for name, f in found.items()}
    {'threshold': (1.0, 0.1), 'tau_m': (1.0, 0.2), 'tau_s': (1.0, 0.2)}
    >>> neuron_factors(load("ideal"), on, 2, rng, torch.empty(0))
    {}
    """
    spreads = (Neurons() if profile.neurons is None else profile.neurons).spreads
    drawn = {name: LognormalMismatch(cv=cv or 0.0).sample((units,), rng, like) for name, cv in spreads.items()}
    if "neuron_mismatch" not in effects:
        return {}
    return {name: factor for name, factor in drawn.items() if spreads[name] is not None}


def combined(drawn: Mapping[str, Tensor], own: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
    """Return the factors of neurons that differ by themselves, on a chip whose neurons differ.

    Args:
        drawn: of the chip. own: of the neurons, in any precision; both (N,), by name. like: gives the device.

    >>> import torch
    >>> own = {"tau_m": torch.tensor([2.0]), "tau_s": torch.tensor([0.5])}
    >>> combined({"tau_m": torch.tensor([1.5])}, own, torch.empty(0))
    {'tau_m': tensor([3.]), 'tau_s': tensor([0.5000])}
    """
    own = {name: factor.to(like.device) for name, factor in own.items()}
    both = {name: factor * own[name].to(factor) if name in own else factor for name, factor in drawn.items()}
    return {**both, **{name: factor for name, factor in own.items() if name not in drawn}}
