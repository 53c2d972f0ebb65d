"""How Brian2 is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Execution:
    """How Brian2 is run: changes speed, and results in rounding only.

    Args:
        recurrence: synapses, dense or sparse products; auto takes what is fastest for the size.
        loop: fast steps Brian2's objects directly; run calls net.run; auto: fast where it is safe.
        target: of Brian2's code; auto: cython where there is a compiler.
    """

    recurrence: Literal["auto", "synapses", "dense", "sparse"] = "auto"
    loop: Literal["auto", "fast", "run"] = "auto"
    target: Literal["auto", "cython", "numpy"] = "auto"
