"""The node circuit of a measured source: what turns its volts into pre-activations. Stated, and never measured.

    sigma = kappa sqrt(n_sources) sd / volts_per_unit

The gain is what a user states (`--volts-per-unit`), or what the base profile states; it does not follow the trace, so
that a signal ten times as large perturbs ten times as much.
"""

from __future__ import annotations

from neuroanp.fitting.options import Options
from neuroanp.fitting.result import Choice
from neuroanp.profiles import HardwareProfile, load
from neuroanp.units import format_quantity
from neuroanp.yaml_io import dotted

OTHERWISE = "smtj_koenders"
"""Profile whose circuit stands in where the base has none."""


def node_circuit(base: HardwareProfile, options: Options, sigma: float) -> tuple[list[Choice], list[str]]:
    """Return how a measured source drives a unit, and a note of what the perturbation follows from.

    Args:
        base: where what is not stated is from.
        options: `volts_per_unit`, or None.
        sigma: standard deviation of the measured signal, volts.
    """
    stated = _stated(base) or _stated(load(OTHERWISE))
    owner = base.name if _stated(base) else OTHERWISE
    kappa, sources = float(stated["kappa"]), int(stated["n_sources"])
    volts, told = float(stated["volts_per_unit"]), f"as in profile {owner}"
    if options.volts_per_unit is not None:
        volts, told = options.volts_per_unit, "the gain that the fit was told"
    kept = f"as in profile {owner}: the node circuit is no measurement of this trace"
    choices = [
        Choice("stochastic.n_sources", sources, kept, fallback=True),
        Choice("stochastic.kappa", kappa, kept, fallback=True),
        Choice(
            "stochastic.volts_per_unit",
            format_quantity(volts, "V", None),
            f"{told}: no measurement of this trace",
            fallback=options.volts_per_unit is None,
        ),
    ]
    perturbs = abs(kappa) * sources**0.5 * sigma / volts
    shown = [format_quantity(x, "V", 3) for x in (sigma, volts)]
    return choices, [
        f"sigma = kappa sqrt(n_sources) sd / volts_per_unit = {kappa:g} x sqrt({sources}) x {shown[0]} / {shown[1]} = "
        f"{perturbs:.3g}: what one unit is perturbed by. The gain, {shown[1]} for a pre-activation of 1, is {told}, "
        "and no measurement: set that of your circuit (--volts-per-unit)"
    ]


def _stated(profile: HardwareProfile) -> dict[str, float]:
    """Return kappa, n_sources and volts_per_unit of a profile's source; {} where it has none, or of another kind."""
    names = ("kappa", "n_sources", "volts_per_unit")
    values = {dotted(leaf.key): leaf.value for leaf in profile.leaves()}
    found = {name: values[f"stochastic.{name}"] for name in names if f"stochastic.{name}" in values}
    return found if len(found) == len(names) else {}
