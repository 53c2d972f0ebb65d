"""Hardware profiles: one device a file, every number with its unit and its source."""

from neuroanp.profiles.diff import Difference, diff
from neuroanp.profiles.laws import LAWS, Law
from neuroanp.profiles.loader import Summary, available, load, loads, profile_path, summaries
from neuroanp.profiles.provenance import STATUSES, Provenance
from neuroanp.profiles.schema import HardwareProfile

__all__ = [
    "LAWS",
    "STATUSES",
    "Difference",
    "HardwareProfile",
    "Law",
    "Provenance",
    "Summary",
    "available",
    "diff",
    "load",
    "loads",
    "profile_path",
    "summaries",
]
