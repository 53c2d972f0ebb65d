"""Write a fit as a hardware profile: a YAML file that loads, every number with its source and interval."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from neuroanp.fitting.result import Fit, Parameter
from neuroanp.profiles import HardwareProfile, load, loads, profile_path
from neuroanp.yaml_io import dotted, dump

_DIGEST = 12


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
    profile = loads(text, "the fitted profile")
    body = profile.text if whole else dump({"extends": _seen_from(base_name, Path(folder)), **content})
    return "".join(f"# {line}\n" for line in _head(fit, base)) + body


def _head(fit: Fit, base: HardwareProfile) -> list[str]:
    """Return what a reader of the file should know first."""
    tests = "; ".join(test.text for test in fit.goodness)
    data = fit.source or "measurements"
    head = [
        f"Section {fit.section}, law {fit.law}, is fitted to {data}; the rest is as in {base.name}.",
        f"Goodness of fit: {tests}.",
    ]
    return [line.replace("\n", " ") for line in (*head, *(f"Note: {note}." for note in fit.notes))]


def _content(fit: Fit, name: str, date: str, base: HardwareProfile) -> dict[str, Any]:
    """Return the new profile's own sections as plain data."""
    what = f"{fit.source or 'measurements'}"
    digest = f", SHA-256 {fit.digest[:_DIGEST]}" if fit.digest else ""
    meta: dict[str, Any] = {
        "name": name,
        "summary": f"{fit.section} fitted to {what}, the rest as in {base.name}",
        "source": f"{what}{digest}: {fit.data}; fitted {date}",
        "status": "fitted",
    }
    if base.meta.doi is not None:
        meta["doi"] = None  # the base's publication is not the source of this profile
    content: dict[str, Any] = {"meta": meta, fit.section: {"law": fit.law}}
    kept = _stated(base, fit)
    for parameter in fit.parameters:
        if parameter.fitted:
            _put(content, parameter.key, _mark(parameter, what))
    for choice in fit.choices:
        if not (choice.fallback and choice.key in kept) and (base.periphery or choice.key != "periphery.t_read"):
            _put(content, choice.key, {"value": choice.value, "source": choice.source, "status": choice.status})
    return content


def _mark(parameter: Parameter, what: str) -> dict[str, Any]:
    value = parameter.stored if parameter.unit else float(parameter.stored)
    return {"value": value, "source": f"fitted to {what}; 95 % interval {parameter.interval}", "status": "fitted"}


def _stated(base: HardwareProfile, fit: Fit) -> set[str]:
    """Return the keys of the fitted section that a base with the same law states."""
    values = {dotted(leaf.key): leaf for leaf in base.leaves()}
    law = values.get(f"{fit.section}.law")
    return {key for key, leaf in values.items() if leaf.stated} if law and law.value == fit.law else set()


def _put(content: dict[str, Any], key: str, value: Any) -> None:
    section, _, name = key.partition(".")
    content.setdefault(section, {})[name] = value


def _seen_from(base: str, folder: Path) -> str:
    """Return a base as a file in `folder` has to name it: shipped profiles by name, files by their way from there."""
    path = profile_path(base)
    if str(path) != base:
        return base  # a shipped profile's name
    way = os.path.relpath(path.resolve(), folder.resolve())
    return way if "/" in way or way.endswith((".yaml", ".yml")) else f"./{way}"
