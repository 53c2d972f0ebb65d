"""One fit over several files: each of a kind of its own, all for one profile with one range of conductance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from neuroanp.errors import InputError, did_you_mean
from neuroanp.fitting.columns import match
from neuroanp.fitting.data import read_table
from neuroanp.fitting.kinds import IDLE, KINDS, fit_file, idle
from neuroanp.fitting.options import Options
from neuroanp.fitting.result import Choice, Fit
from neuroanp.fitting.table import CONDUCTANCE, TIME, VOLTAGE, Column
from neuroanp.tables import read_sheet
from neuroanp.units import Dimension, format_quantity

_ANY = ("extends", "v_read", "missing", "anyway")
"""Options that any kind takes."""


def named(text: str | Path, kind: str | None = None) -> tuple[str | None, Path]:
    """Return kind and path of a file given as `KIND:FILE` or FILE.

    >>> named("pulse:steps.csv"), named("steps.csv"), named("steps.csv", "pulse")
    (('pulse', PosixPath('steps.csv')), (None, PosixPath('steps.csv')), ('pulse', PosixPath('steps.csv')))
    """
    word, mark, rest = str(text).partition(":")
    if mark and rest and word in KINDS and not Path(text).exists():
        return word, Path(rest)
    if mark and rest and not Path(text).exists() and did_you_mean(word, [*KINDS]):
        raise InputError(f"{text}: unknown kind '{word}'{did_you_mean(word, [*KINDS])} (known: {', '.join(KINDS)})")
    return kind, Path(text)


def kind_of(path: str | Path, v_read: float | None = None) -> str:
    """Return the kind of measurement that the columns of a file tell.

    A column `direction` tells pulse, `actual` programming, a voltage telegraph, `target` drift; `device` without a time
    read_noise, a conductance against time without a `device` telegraph.

    Args:
        path: a table.
        v_read: volts at which currents were read.

    Raises:
        InputError: a file that cannot be read, or whose columns do not tell one kind.
    """
    sheet = read_sheet(path)

    def has(name: str, *dimensions: Dimension, called: bool = True) -> bool:
        found, problems = match(sheet, [Column(name, dimensions)], v_read)
        return bool(found) and not problems and not (called and found[0].why)

    if has("direction"):
        return "pulse"
    if has("actual", CONDUCTANCE):
        return "programming"
    if has("target", CONDUCTANCE):
        return "drift"
    if has("voltage", VOLTAGE, called=False):
        return "telegraph"
    timed = has("time", TIME, called=False)
    if has("conductance", CONDUCTANCE, called=False) and has("device") != timed:
        return "read_noise" if has("device") else "telegraph"
    both = has("device") and timed
    which = " or ".join(f"{kind}:{sheet.label}" for kind in (("read_noise", "drift") if both else KINDS))
    says = "repeated reads and drift have the same columns" if both else "its columns tell no kind of measurement"
    raise InputError(f"{sheet.label}: {says}; write {which}, or give --kind")


def fit_files(files: Sequence[str | Path], options: Options | None = None, kind: str | None = None) -> list[Fit]:
    """Fit each of several files, all with one range of conductance.

    Where pulses are among them, and the range is not told, it goes from the smallest conductance of their record to the
    largest of any file; all numbers in device units are in parts of it.

    Args:
        files: FILE or KIND:FILE; the kind of the first form is told by its columns.
        options: what the files do not say; each goes to the kinds that take it.
        kind: of all files that state none; None: as their columns tell.

    Returns: a fit a file; `profile_text` makes one profile of them.

    Raises:
        InputError: two files for one section of a profile, an option that no kind here takes, a file that cannot be
            fitted.
    """
    options = options or Options()
    asked = [named(file, kind) for file in files]
    known = [(of or kind_of(path, options.v_read), path) for of, path in asked]
    if len(known) == 1:
        return [fit_file(known[0][1], known[0][0], options)]
    _check(known, options)
    useless = _useless(known, options)
    ends = _range(known, options)
    low, high = (None if end is None else end[0] for end in ends)
    fits: list[Fit] = []
    for of, path in known:
        told = replace(options, g_min=low, g_max=high, **dict.fromkeys(useless[path], None))
        fit = fit_file(path, of, _for_kind(of, told))
        taken = next((one for one in fits if one.section == fit.section), None)
        if taken is not None:
            raise InputError(f"{taken.source} and {fit.source} both give the section '{fit.section}'; leave one out")
        fits.append(fit)
    return [_in_range(fit, ends, options) for fit in fits]


def _check(known: Sequence[tuple[str, Path]], options: Options) -> None:
    """Refuse two files of one kind, and options that none of the files takes."""
    kinds = [kind for kind, _ in known]
    problems = [
        f"{' and '.join(path.name for of, path in known if of == kind)} are all of kind {kind}: fit one, or put "
        "them into one file"
        for kind in dict.fromkeys(kinds) if kinds.count(kind) > 1
    ]  # fmt: skip
    if options.column is not None:
        problems.append("--column names a column of one file; rename the headers instead")
    if options.law is not None and not any(options.law in KINDS[kind].laws for kind in kinds):
        laws = [law for kind in kinds for law in KINDS[kind].laws]
        problems.append(f"--law: '{options.law}' fits none of the kinds here{did_you_mean(options.law, laws)}")
    for name, value in (("t0", options.t0), ("t_read", options.t_read)):
        takers = [kind for kind in KINDS if name in KINDS[kind].takes]
        if value is not None and not {*takers} & {*kinds}:
            problems.append(f"--{name.replace('_', '-')}: no file here takes it (only: {', '.join(takers)})")
    if problems:
        raise InputError("these files make no profile", problems)


def _useless(known: Sequence[tuple[str, Path]], options: Options) -> dict[Path, list[str]]:
    """Return which options each file makes no use of.

    Raises:
        InputError: none of the files makes use of an option.
    """
    found: dict[Path, list[str]] = {path: [] for _, path in known}
    for kind, path in known if options.v_read or options.volts_per_unit else ():
        own = _for_kind(kind, options)
        table = read_table(path, KINDS[kind].columns(own), KINDS[kind].least, options.missing, options.v_read)
        found[path] = idle(table, options)
    problems = [
        said.format("no file here has") for name, said in IDLE.items() if all(name in each for each in found.values())
    ]
    if problems:
        raise InputError("options that a fit of these files makes no use of", problems)
    return found


def _for_kind(kind: str, options: Options) -> Options:
    """Return what of the options a kind takes."""
    takes = {*_ANY, *KINDS[kind].takes, *(("law",) if options.law in KINDS[kind].laws else ())}
    return replace(options, **{field.name: None for field in fields(options) if field.name not in takes})


def _range(
    known: Sequence[tuple[str, Path]], options: Options
) -> tuple[tuple[float, str] | None, tuple[float, str] | None]:
    """Return both ends of the range, siemens, and the file that has each ("" where it is told); None: as the base."""
    told = [None if value is None else (value, "") for value in (options.g_min, options.g_max)]
    if not any(kind == "pulse" for kind, _ in known) or all(told):
        return told[0], told[1]
    low, high, pulsed = (0.0, ""), (0.0, ""), (0.0, "")
    for kind, path in known:
        if "g_max" not in KINDS[kind].takes:
            continue
        columns = [
            one for one in KINDS[kind].columns(_for_kind(kind, options)) if CONDUCTANCE in one.dimensions
        ]  # fmt: skip
        table = read_table(path, columns, KINDS[kind].least, options.missing, options.v_read)
        values = [table[one.name] for one in columns if one.name in table]
        top = (max(float(value.max()) for value in values), path.name)
        if kind == "pulse":
            low, pulsed = (max(0.0, float(values[0].min())), path.name), top
        high = max(high, top)
    low, high = told[0] or low, told[1] or high
    if high[1] and high[0] + low[0] >= 2 * pulsed[0]:
        ends = [format_quantity(g, "S", 4) for g in (high[0], low[0], pulsed[0], 2 * pulsed[0] - low[0])]
        raise InputError(
            f"{high[1]} reaches {ends[0]}, and the pulses of {pulsed[1]} go from {ends[1]} to {ends[2]}: a range with "
            f"both would have its middle where no pulse leads; leave out of {high[1]} what is above {ends[3]}, record "
            "pulses further up, or fit the files one by one"
        )
    return low, high


def _in_range(fit: Fit, ends: Sequence[tuple[float, str] | None], options: Options) -> Fit:
    """Return a fit that says where the range is from."""
    choices = [choice for choice in fit.choices if not choice.key.startswith("conductance.g_")]
    for key, word, end in (("g_min", "smallest", ends[0]), ("g_max", "largest", ends[1])):
        if end is None:
            continue
        value, file = end
        text = format_quantity(value, "S", 6 if file else None)
        source = f"the {word} conductance of {file}" if file else "the range the fit was told"
        choices.append(Choice(f"conductance.{key}", text, source, "measured" if file else "illustrative"))
    return replace(fit, choices=tuple(choices))
