"""What a user may say about a measurement beside the file itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """Settings of a fit; None where the file or the base profile says it.

    Args:
        extends: the base profile, a name or a path; None takes the one the fitted law suggests.
        column: header of the measured quantity.
        law: name of the law to fit; None compares those that the kind knows.
        g_min, g_max: the range of conductance a weight uses, siemens.
        t0: time after a write at which the programmed conductance counts as measured, seconds.
        t_read: duration of one read, seconds.
        v_read: voltage that devices were read at, volts: currents over it are conductances.
        volts_per_unit: of the node circuit that a measured voltage drives, volts that stand for a pre-activation of 1.
        missing: numbers in the file that stand for none; None: what looks like one is refused.
        anyway: return the fit even of a law that does not describe the data; its `doubts` say why.
    """

    extends: str | None = None
    column: str | None = None
    law: str | None = None
    g_min: float | None = None
    g_max: float | None = None
    t0: float | None = None
    t_read: float | None = None
    v_read: float | None = None
    volts_per_unit: float | None = None
    missing: tuple[float, ...] | None = None
    anyway: bool = False
