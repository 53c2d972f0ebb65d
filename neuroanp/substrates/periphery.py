"""Converters around an array and the noise of its drivers and amplifiers, in units of inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroanp.profiles.sections import MOST_BENT
from neuroanp.substrates.protocol import Quantiser

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile
    from neuroanp.profiles.sections import Adc, Dac

X_MAX = 1.0
"""Full scale of the inputs x_m: the activity that drives a line with v_read."""
BOLTZMANN = 1.380649e-23
"""k_B, joules a kelvin (exact in the SI)."""


def codes(bits: int) -> int:
    """Return the codes on either side of zero in sign and magnitude: 2^(bits-1) - 1, at least one.

    >>> codes(8), codes(1)
    (127, 1)
    """
    return max(1, 2 ** (bits - 1) - 1)


def quantiser(bits: int, coding: str | None, full_scale: float) -> Quantiser:
    """Return the quantiser of a converter.

    Args:
        bits: sign included.
        coding: sign_magnitude (or None): +-(2^(bits-1) - 1) codes of full_scale / (2^(bits-1) - 1);
            offset: -2^(bits-1) .. 2^(bits-1) - 1 codes of full_scale / 2^(bits-1).
        full_scale: in the units of the signal.

    >>> quantiser(3, "sign_magnitude", 3.0), quantiser(3, "offset", 4.0)
    (Quantiser(step=1.0, limit=3.0, low=None), Quantiser(step=1.0, limit=3.0, low=-4.0))
    """
    if coding != "offset":
        return Quantiser(full_scale / codes(bits), full_scale)
    step = full_scale / 2 ** (bits - 1)
    return Quantiser(step, full_scale - step, -full_scale)


def driver(profile: HardwareProfile) -> Dac | None:
    """Return the profile's DAC, or None."""
    return None if profile.periphery is None else profile.periphery.dac


def sensor(profile: HardwareProfile) -> Adc | None:
    """Return the profile's ADC, or None."""
    return None if profile.periphery is None else profile.periphery.adc


def dac(profile: HardwareProfile, effects: frozenset[str]) -> Quantiser | None:
    """Return the quantiser of the inputs, full scale x_m = 1, or None where there is none or it is off.

    >>> from neuroanp.profiles.loader import load
    >>> dac(load("pcm"), frozenset({"dac"})), dac(load("pcm"), frozenset())  # 8 bits of [-1, 1]
    (Quantiser(step=0.007874015748031496, limit=1.0, low=None), None)
    """
    figures = driver(profile)
    return None if figures is None or "dac" not in effects else quantiser(figures.bits, figures.coding, X_MAX)


def dac_sigma(profile: HardwareProfile, effects: frozenset[str]) -> float:
    """Return the standard deviation of a driver's noise in units of x: x_m V_rms / v_read.

    >>> from neuroanp.profiles.loader import load
    >>> dac_sigma(load("pcm"), frozenset({"dac_noise"}))  # it states none
    0.0
    """
    figures = driver(profile)
    if figures is None or not figures.noise or "dac_noise" not in effects:
        return 0.0
    assert profile.periphery is not None
    return X_MAX * figures.noise / profile.periphery.v_read


def serial_bits(profile: HardwareProfile, effects: frozenset[str]) -> int:
    """Return the magnitude bits read one after the other: 0 where an input takes one read.

    Without the effect `dac` inputs are not rounded, and so have no bits to be read by.

    >>> from neuroanp.profiles.loader import load
    >>> serial_bits(load("pcm"), frozenset({"dac"}))  # a voltage, read at once
    0
    """
    figures = driver(profile)
    if figures is None or figures.inputs != "bit_serial" or "dac" not in effects:
        return 0
    return max(1, figures.bits - (figures.coding != "offset"))  # the lowest code of offset coding takes one bit more


def adc(profile: HardwareProfile, k: float, effects: frozenset[str]) -> Quantiser | None:
    """Return the quantiser of an array's outputs, full scale k I_FS, or None.

    Args:
        profile: gives bits, coding and full-scale current.
        k: output units per ampere of this array.
        effects: without `adc`, None.

    >>> from neuroanp.profiles.loader import load
    >>> found = adc(load("pcm"), 1e5, frozenset({"adc"}))  # 40 uS V at 1e5 an ampere
    >>> round(found.limit, 6), round(found.limit / found.step)
    (4.0, 127)
    """
    figures = sensor(profile)
    if figures is None or "adc" not in effects:
        return None
    return quantiser(figures.bits, figures.coding, k * figures.full_scale)


def amplifier_variance(profile: HardwareProfile, k: float, effects: frozenset[str]) -> float:
    """Return the variance of the amplifiers' noise on an output, (k sigma_amp)^2, in squared output units.

    >>> from neuroanp.profiles.loader import load
    >>> amplifier_variance(load("pcm"), 1.0, frozenset({"amplifier_noise"}))  # it states none
    0.0
    """
    periphery = profile.periphery
    if periphery is None or not periphery.amplifier_noise or "amplifier_noise" not in effects:
        return 0.0
    return (k * periphery.amplifier_noise) ** 2


def thermal_factor(profile: HardwareProfile, k: float, temperature: float, effects: frozenset[str]) -> float:
    """Return the variance of an output that one siemens on its bit lines causes, k^2 4 k_B T B.

    Source: Johnson, Phys. Rev. 32, 97 (1928); Nyquist, Phys. Rev. 32, 110 (1928).

    >>> from neuroanp.profiles.loader import load
    >>> thermal_factor(load("pcm"), 1.0, 300.0, frozenset({"thermal_noise"}))  # it states no bandwidth
    0.0
    """
    periphery = profile.periphery
    if periphery is None or not periphery.bandwidth or "thermal_noise" not in effects:
        return 0.0
    return k**2 * 4.0 * BOLTZMANN * temperature * periphery.bandwidth


def bent(x: Tensor, v_0: float) -> Tensor:
    """Return V_0 sinh(x / V_0), the drive that takes a current to ohmic devices which x takes to bent ones.

    No driver gives more than MOST_BENT V_0: beyond, numbers would leave the floats' range.

    Args:
        x: any shape, in units of inputs. v_0: in the same units.

    >>> bent(torch.tensor([0.0, 1.0, -2.0]), 1.0).tolist()
    [0.0, 1.175201177597046, -3.6268603801727295]
    """
    return torch.sinh((x / v_0).clamp_(-MOST_BENT, MOST_BENT)).mul_(v_0)


def quantise(x: Tensor, q: Quantiser, out: Tensor | None = None) -> Tensor:
    """Clip to the quantiser's range and round to multiples of its step (half to even).

    Args:
        x: any shape.
        q: the converter in the units of x.
        out: where to put the result; x itself quantises in place.

    >>> quantise(torch.tensor([0.26, -0.9, 2.0]), Quantiser(0.5, 1.0)).tolist()
    [0.5, -1.0, 1.0]
    """
    out = torch.clamp(x, q.floor, q.limit, out=out)
    return out.div_(q.step).round_().mul_(q.step) if q.step else out
