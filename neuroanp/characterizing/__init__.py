"""Measure the devices of a hardware profile by sampling them, and hold what is found to closed forms."""

from neuroanp.characterizing.experiments import EXPERIMENTS, Characterization, characterize, chosen
from neuroanp.characterizing.result import Measurement, Moment

__all__ = ["EXPERIMENTS", "Characterization", "Measurement", "Moment", "characterize", "chosen"]
