"""The kinds of measurement, and the one function that fits any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from neuroanp.errors import InputError, did_you_mean
from neuroanp.fitting import drift, programming, pulse, read_noise, telegraph
from neuroanp.fitting.data import read_table
from neuroanp.fitting.estimate import Undetermined
from neuroanp.fitting.options import Options
from neuroanp.fitting.result import Fit
from neuroanp.fitting.table import VOLTAGE, Column, Table
from neuroanp.profiles import HardwareProfile, load


@dataclass(frozen=True)
class Kind:
    """A kind of measurement.

    Args:
        summary: what it is, in a few words.
        laws: those it can be fitted with.
        takes: options that mean something to it.
        base: shipped profile whose numbers fill in while fitting.
        columns: what its file must hold.
        fit: the fit itself.
        least: fewest rows.
    """

    summary: str
    laws: tuple[str, ...]
    takes: tuple[str, ...]
    base: str
    columns: Callable[[Options], list[Column]]
    fit: Callable[[Table, HardwareProfile, Options], Fit]
    least: int


KINDS: dict[str, Kind] = {
    "telegraph": Kind(
        "a voltage or conductance in time: levels, and noise about them",
        telegraph.LAWS, ("volts_per_unit",), telegraph.BASE, telegraph.columns, telegraph.fit, telegraph.LEAST_SAMPLES,
    ),
    "pulse": Kind(
        "conductance after each of many up and down pulses",
        pulse.LAWS, ("g_min", "g_max"), pulse.BASE, pulse.columns, pulse.fit, pulse.LEAST,
    ),
    "read_noise": Kind(
        "repeated reads of devices at several conductances",
        read_noise.LAWS, ("g_min", "g_max", "t_read"), read_noise.BASE, read_noise.columns, read_noise.fit,
        read_noise.LEAST_READS * read_noise.LEAST_DEVICES,
    ),
    "drift": Kind(
        "conductance of many devices against the time since their write",
        drift.LAWS, ("g_min", "g_max", "t0"), drift.BASE, drift.columns, drift.fit,
        drift.LEAST_TIMES * drift.LEAST_DEVICES,
    ),
    "programming": Kind(
        "targets and what writing them left",
        programming.LAWS, ("g_min", "g_max"), programming.BASE, programming.columns, programming.fit,
        programming.LEAST,
    ),
}  # fmt: skip
"""By the name that `--kind` takes."""


IDLE = {
    "v_read": "--v-read: {} currents that it would make conductances of; leave it out, or state the unit of the "
    "column (current_uA)",
    "volts_per_unit": "--volts-per-unit: {} voltages that would drive a unit, so that nothing is scaled by it; "
    "leave it out",
}
"""What is said of an option that no column of a file makes use of."""


def idle(table: Table, options: Options) -> list[str]:
    """Return the options that are stated and that no column of a table makes use of."""
    used = {"v_read": bool(table.currents), "volts_per_unit": VOLTAGE.unit in table.units.values()}
    stated = {"v_read": options.v_read, "volts_per_unit": options.volts_per_unit}
    return [name for name, value in stated.items() if value is not None and not used[name]]


def fit_file(path: str | Path, kind: str, options: Options | None = None) -> Fit:
    """Fit a law to a file of measurements.

    Args:
        path: a table with units in its header; what it must hold is said in the module of the kind.
        kind: telegraph, pulse, read_noise, drift or programming.
        options: what the file does not say.

    Returns: the fit; `profile_text` makes a profile of it, `neuroanp.fitting.plots.figure` a figure.

    Raises:
        InputError: what is wrong with the file or the options, with file and line; or which tests the
            law fails on these data, unless `options.anyway`.
    """
    options = options or Options()
    chosen = _chosen(kind, options)
    base = load(options.extends or chosen.base)
    table = read_table(path, chosen.columns(options), chosen.least, options.missing, options.v_read)
    if problems := [IDLE[name].format(f"{table.label} has no") for name in idle(table, options)]:
        raise InputError(f"{table.label}: options that a fit of it makes no use of", problems)
    try:
        found = chosen.fit(table, base, options)
    except Undetermined as error:
        text = f"the data do not determine the law ({error}); record more, over a wider range"
        raise table.failed(f"{table.label}: {text}") from None
    if found.doubts and not options.anyway:
        raise InputError(
            f"{table.label}: law {found.law} does not describe these data; no profile is made of them",
            [*found.doubts, "fit another kind or --law, cut out the piece that follows the law, or take it --anyway"],
        )
    return replace(found, source=Path(path).name, digest=table.digest, account=table.account)


def _chosen(kind: str, options: Options) -> Kind:
    """Return the kind; InputError for an unknown one, a law it does not know, or an option it does not take."""
    if kind not in KINDS:
        raise InputError(f"--kind: unknown kind '{kind}'{did_you_mean(kind, [*KINDS])} (known: {', '.join(KINDS)})")
    chosen = KINDS[kind]
    if options.law is not None and options.law not in chosen.laws:
        hint = did_you_mean(options.law, chosen.laws)
        raise InputError(f"--law: '{options.law}' does not fit kind {kind}{hint} (it knows: {', '.join(chosen.laws)})")
    for name in ("g_min", "g_max", "t0", "t_read", "volts_per_unit"):
        if getattr(options, name) is not None and name not in chosen.takes:
            takers = [word for word, one in KINDS.items() if name in one.takes]
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag}: kind {kind} does not take it (only: {', '.join(takers)}); leave it out")
    if options.g_min is not None and options.g_max is not None and options.g_min >= options.g_max:
        raise InputError("--g-min is not below --g-max; exchange them or widen the range")
    return chosen
