"""Write a fit as a hardware profile: a YAML file that loads, every number with its source and interval."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError
from neuroanp.files import real
from neuroanp.fitting.rescale import rescaled
from neuroanp.fitting.result import Fit, Parameter
from neuroanp.profiles import HardwareProfile, load, loads, profile_path
from neuroanp.yaml_io import dotted, dump, key_of

_DIGEST = 12
_LABEL = "the fitted profile"


def profile_text(
    fit: Fit | Sequence[Fit], name: str, date: str, extends: str | None = None, whole: bool = False,
    folder: str | Path = ".",
) -> str:  # fmt: skip
    """Return a profile that holds a fit, or several of different sections, and takes the rest from a base profile.

    Args:
        fit: what was fitted.
        name: of the new profile.
        date: of the fit, as the source shall say it.
        extends: the base, a name or a path; None takes the one the fitted law suggests, that of pulses first.
        whole: write every parameter out instead of `extends: BASE`.
        folder: where the file will be; a base given by its path is named from there.

    Raises:
        InputError: no such base, a name that is none, or a range that contradicts the base.
    """
    fits = _listed(fit)
    base_name = extends or base_of(fits)
    base = load(base_name)
    content = {"meta": _meta(fits, name, date, base), **contents_of(fits, base)}
    text = dump({"extends": as_base(base_name, Path.cwd()), **content})
    try:
        profile = loads(text, _LABEL)
    except InputError as error:
        raise _unfit(error, fits, name) from None
    body = profile.text if whole else dump({"extends": as_base(base_name, Path(folder)), **content})
    return "".join(f"# {line}\n" for line in _head(fits, base)) + body


def base_of(fits: Sequence[Fit]) -> str:
    """Return the shipped profile that has the rest: the one of pulses where there are any, else that of the first."""
    return next((fit.base for fit in fits if fit.section == "update"), fits[0].base)


def inherited_notes(fit: Fit | Sequence[Fit], extends: str | None = None) -> tuple[str, ...]:
    """Return what a reader should know of the base profile's numbers where the fit has another range of conductance.

    Args:
        fit: what was fitted.
        extends: the base; None takes the one the fitted law suggests.
    """
    fits = _listed(fit)
    return rescaled(load(extends or base_of(fits)), *fits).notes


def _listed(fit: Fit | Sequence[Fit]) -> list[Fit]:
    return [fit] if isinstance(fit, Fit) else [*fit]


def _unfit(error: InputError, fits: Sequence[Fit], name: str) -> InputError:
    """Return what is wrong with a profile that was never written, in words that need no look at it."""
    problems = [re.sub(rf"^{_LABEL}(:\d+)?: ", "", problem) for problem in error.problems]
    if any(problem.startswith("meta.name") for problem in problems):
        return InputError(f"--name: '{name[:40]}' cannot name a profile", problems)
    files = ", ".join(fit.source for fit in fits if fit.source) or "the measurements"
    return InputError(
        f"{files}: the fitted numbers and the rest of the base make no profile",
        [*problems, "record more, or state another base with --extends"],
    )


def _head(fits: Sequence[Fit], base: HardwareProfile) -> list[str]:
    """Return what a reader of the file should know first."""
    sections = "; ".join(f"section {fit.section}, law {fit.law}, is fitted to {_source(fit)}" for fit in fits)
    head = [f"{sections[0].upper()}{sections[1:]}; the rest is as in {base.name}."]
    for fit in fits:
        of = f", {fit.section}" if len(fits) > 1 else ""
        head.append(f"Goodness of fit{of}: {'; '.join(test.text for test in fit.goodness)}.")
    doubts = [f"DOES NOT DESCRIBE ITS DATA: {doubt}." for fit in fits for doubt in fit.doubts]
    notes = dict.fromkeys((*(note for fit in fits for note in fit.notes), *rescaled(base, *fits).notes))
    return [line.replace("\n", " ") for line in (*doubts, *head, *(f"Note: {note}." for note in notes))]


def _meta(fits: Sequence[Fit], name: str, date: str, base: HardwareProfile) -> dict[str, Any]:
    """Return the profile's name, and where its own numbers are from."""
    summaries = [
        f"{fit.section} fitted to {_source(fit)}{', which it does not describe' if fit.doubts else ''}" for fit in fits
    ]
    sources = []
    for fit in fits:
        digest = f", SHA-256 {fit.digest[:_DIGEST]}" if fit.digest else ""
        sources.append(f"{_source(fit)}{digest}: {fit.data}")
    meta: dict[str, Any] = {
        "name": name,
        "summary": f"{', '.join(summaries)}, the rest as in {base.name}",
        "source": f"{'; '.join(sources)}; fitted {date}",
        "status": "illustrative" if any(fit.doubts for fit in fits) else "fitted",
    }
    if base.meta.doi is not None:
        meta["doi"] = None  # the base's publication is not the source of this profile
    return meta


def contents_of(fits: Sequence[Fit], base: HardwareProfile) -> dict[str, Any]:
    """Return the sections of fits as plain data, with what they change of their base."""
    content: dict[str, Any] = {}
    for fit in fits:
        content[fit.section] = {"law": fit.law}
        kept = _stated(base, fit)
        for parameter in fit.parameters:
            if parameter.fitted:
                _put(content, parameter.key, _mark(parameter, fit, _source(fit)))
        for choice in fit.choices:
            if not (choice.fallback and choice.key in kept) and (base.periphery or choice.key != "periphery.t_read"):
                _put(content, choice.key, {"value": choice.value, "source": choice.source, "status": choice.status})
    for key, (value, source) in rescaled(base, *fits).values.items():
        _put(content, key, {"value": value, "source": source, "status": base.provenance[key].status})
    return content


def _source(fit: Fit) -> str:
    return fit.source or "measurements"


def _mark(parameter: Parameter, fit: Fit, what: str) -> dict[str, Any]:
    value = parameter.stored if parameter.unit else float(parameter.stored)
    where = f"{what}, which the law does not describe" if fit.doubts else what
    return {"value": value, "source": f"fitted to {where}; 95 % interval {parameter.interval}", "status": _status(fit)}


def _status(fit: Fit) -> str:
    """Return the status of the numbers: those of a law that does not describe its data are no fit."""
    return "illustrative" if fit.doubts else "fitted"


def _stated(base: HardwareProfile, fit: Fit) -> set[str]:
    """Return the keys of the fitted section that a base with the same law states."""
    values = {dotted(leaf.key): leaf for leaf in base.leaves()}
    law = values.get(f"{fit.section}.law")
    return {key for key, leaf in values.items() if leaf.stated} if law and law.value == fit.law else set()


def _put(content: dict[str, Any], key: str, value: Any) -> None:
    """Put a value at a dotted key; lists on the way grow by what comes."""
    way = key_of(key)
    assert way is not None
    inside: Any = content
    for part, after in pairwise(way):
        empty: Any = [] if isinstance(after, int) else {}
        if isinstance(part, int) and part == len(inside):
            inside.append(empty)
        inside = inside[part] if isinstance(part, int) else inside.setdefault(part, empty)
    inside[way[-1]] = value


def as_base(base: str, folder: Path) -> str:
    """Return a base as a file in `folder` has to name it: shipped profiles by name, files by their way from there."""
    path = profile_path(base)
    if str(path) != base:
        return base  # a shipped profile's name
    way = os.path.relpath(real(path), real(folder))
    return way if "/" in way or way.endswith((".yaml", ".yml")) else f"./{way}"
