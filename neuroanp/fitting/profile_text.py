"""Write a fit as a hardware profile: a YAML file that loads, every number with its source and interval."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError
from neuroanp.fitting.rescale import rescaled
from neuroanp.fitting.result import Fit, Parameter
from neuroanp.profiles import HardwareProfile, load, loads, profile_path
from neuroanp.yaml_io import dotted, dump, key_of

_DIGEST = 12
_LABEL = "the fitted profile"


def profile_text(
    fit: Fit, name: str, date: str, extends: str | None = None, whole: bool = False, folder: str | Path = "."
) -> str:
    """Return a profile that holds the fit and takes the rest from a base profile.

    Args:
        fit: what was fitted.
        name: of the new profile.
        date: of the fit, as the source shall say it.
        extends: the base, a name or a path; None takes the one the fitted law suggests.
        whole: write every parameter out instead of `extends: BASE`.
        folder: where the file will be; a base given by its path is named from there.

    Raises:
        InputError: no such base, a name that is none, or a range that contradicts the base.
    """
    base_name = extends or fit.base
    base = load(base_name)
    content = _content(fit, name, date, base)
    text = dump({"extends": _seen_from(base_name, Path.cwd()), **content})
    try:
        profile = loads(text, _LABEL)
    except InputError as error:
        raise _unfit(error, fit, name) from None
    body = profile.text if whole else dump({"extends": _seen_from(base_name, Path(folder)), **content})
    return "".join(f"# {line}\n" for line in _head(fit, base)) + body


def inherited_notes(fit: Fit, extends: str | None = None) -> tuple[str, ...]:
    """Return what a reader should know of the base profile's numbers where the fit has another range of conductance.

    Args:
        fit: what was fitted.
        extends: the base; None takes the one the fitted law suggests.
    """
    return rescaled(load(extends or fit.base), fit).notes


def _unfit(error: InputError, fit: Fit, name: str) -> InputError:
    """Return what is wrong with a profile that was never written, in words that need no look at it."""
    problems = [re.sub(rf"^{_LABEL}(:\d+)?: ", "", problem) for problem in error.problems]
    if any(problem.startswith("meta.name") for problem in problems):
        return InputError(f"--name: '{name[:40]}' cannot name a profile", problems)
    return InputError(
        f"{fit.source or 'the measurements'}: the fitted numbers and the rest of the base make no profile",
        [*problems, "record more, or state another base with --extends"],
    )


def _head(fit: Fit, base: HardwareProfile) -> list[str]:
    """Return what a reader of the file should know first."""
    tests = "; ".join(test.text for test in fit.goodness)
    data = fit.source or "measurements"
    head = [
        f"Section {fit.section}, law {fit.law}, is fitted to {data}; the rest is as in {base.name}.",
        f"Goodness of fit: {tests}.",
    ]
    doubts = [f"DOES NOT DESCRIBE ITS DATA: {doubt}." for doubt in fit.doubts]
    return [
        line.replace("\n", " ")
        for line in (*doubts, *head, *(f"Note: {note}." for note in (*fit.notes, *rescaled(base, fit).notes)))
    ]


def _content(fit: Fit, name: str, date: str, base: HardwareProfile) -> dict[str, Any]:
    """Return the new profile's own sections as plain data."""
    what = f"{fit.source or 'measurements'}"
    digest = f", SHA-256 {fit.digest[:_DIGEST]}" if fit.digest else ""
    but = ", which it does not describe" if fit.doubts else ""
    meta: dict[str, Any] = {
        "name": name,
        "summary": f"{fit.section} fitted to {what}{but}, the rest as in {base.name}",
        "source": f"{what}{digest}: {fit.data}; fitted {date}",
        "status": _status(fit),
    }
    if base.meta.doi is not None:
        meta["doi"] = None  # the base's publication is not the source of this profile
    content: dict[str, Any] = {"meta": meta, fit.section: {"law": fit.law}}
    kept = _stated(base, fit)
    for parameter in fit.parameters:
        if parameter.fitted:
            _put(content, parameter.key, _mark(parameter, fit, what))
    for choice in fit.choices:
        if not (choice.fallback and choice.key in kept) and (base.periphery or choice.key != "periphery.t_read"):
            _put(content, choice.key, {"value": choice.value, "source": choice.source, "status": choice.status})
    for key, (value, source) in rescaled(base, fit).values.items():
        _put(content, key, {"value": value, "source": source, "status": base.provenance[key].status})
    return content


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


def _seen_from(base: str, folder: Path) -> str:
    """Return a base as a file in `folder` has to name it: shipped profiles by name, files by their way from there."""
    path = profile_path(base)
    if str(path) != base:
        return base  # a shipped profile's name
    way = os.path.relpath(path.resolve(), folder.resolve())
    return way if "/" in way or way.endswith((".yaml", ".yml")) else f"./{way}"
