"""Phase-change memory whose read noise is new at every read: what sampled devices of `pcm` are not."""

from __future__ import annotations

from neuroanp.devices.gaussian import GaussianRead
from neuroanp.profiles import HardwareProfile, load


def white_pcm(relative: float = 0.05) -> HardwareProfile:
    """Return pcm with read noise of a share of the conductance, white."""
    return load("pcm").model_copy(update={"read": GaussianRead(sigma_absolute=0.0, sigma_relative=relative)})
