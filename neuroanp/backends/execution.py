"""How spiking units are run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Execution:
    """How spiking units are run: changes speed, and results in rounding only.

    Args:
        recurrence: of Brian2: synapses, dense or sparse products; auto takes what is fastest for the size.
        loop: of Brian2: fast steps its objects directly; run calls net.run; auto: fast where it is safe.
        target: of Brian2's code; auto: cython where there is a compiler.
        execution: event_loop is the compiled loop for leaky integrate-and-fire units on the CPU; simulator what the
            backend is named for, Brian2 or torch; auto: the loop where it can, unless it is said how Brian2 is run.
    """

    recurrence: Literal["auto", "synapses", "dense", "sparse"] = "auto"
    loop: Literal["auto", "fast", "run"] = "auto"
    target: Literal["auto", "cython", "numpy"] = "auto"
    execution: Literal["auto", "event_loop", "simulator"] = "auto"

    @property
    def of_brian2(self) -> list[str]:
        """The options that say how Brian2 is run, and are said.

        >>> Execution(loop="run").of_brian2
        ['loop']
        """
        return [name for name in ("recurrence", "loop", "target") if vars(self)[name] != "auto"]
