"""Take a profile as Python code has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neuroanp.profiles.schema import HardwareProfile


def loaded(profile: Any) -> HardwareProfile:
    """Return a profile by name, by file or as it is; InputError for what is none."""
    from neuroanp.profiles.loader import load
    from neuroanp.training.arguments import profile as named

    return profile if isinstance(profile, HardwareProfile) else load(named(profile, Path("runs")))
