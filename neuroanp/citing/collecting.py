"""Collect what is to be cited: of a rule, of a profile, of a task, and of a run with all that it used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.citing.bibtex import Entry
from neuroanp.citing.sources import in_docstrings, is_publication, parts_of
from neuroanp.version import __version__

if TYPE_CHECKING:
    from pydantic import BaseModel

    from neuroanp.profiles.schema import HardwareProfile

LAWS = ("programming", "read", "drift", "update", "variability", "stochastic")
TOOLS = {"spiking": ("brian2",)}
"""Packages that simulate, by backend, beside torch."""
DATA = {"digits": ("scikit-learn",), "gym": ("gymnasium",)}
"""Packages that bring the data of a task, or its world."""
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~/?&=:+-]+")


def of_rule(name: str) -> list[Entry]:
    """Return what a rule names as its sources; InputError where there is no such rule."""
    from neuroanp.training.filling import METHODS

    return _of_code(f"rule {name}", METHODS.get(name))


def of_task(name: str) -> list[Entry]:
    """Return what a task names as its sources, and the package that brings its data; InputError for none."""
    from neuroanp.tasks.protocol import TASKS

    packages = [_tool(f"data of task {name}", one, None) for one in DATA.get(name, ())]
    return [*_of_code(f"task {name}", TASKS.get(name)), *packages]


def of_profile(name: str | Path) -> list[Entry]:
    """Return what a profile names as the sources of its numbers, and what its laws do; InputError for none."""
    from neuroanp.profiles import load

    return _of_loaded(load(name))


def _of_loaded(profile: HardwareProfile) -> list[Entry]:
    of = f"profile {profile.name}"
    texts = dict.fromkeys(
        text for origin in profile.provenance.values() for text in _publications(origin.source)
    )  # the same source stands at many numbers
    about, named = profile.meta, profile.meta.doi is not None or is_publication(profile.meta.source)
    found = [Entry.of_text(of, about.source, about.doi)] if named else []
    found += [Entry.of_text(of, text) for text in texts if text not in parts_of(about.source)]
    for section in LAWS:
        law = dict(profile)[section]
        if law is not None:
            found += _of_code(f"{of}, {section} law", type(law))
    return found


def _publications(source: str) -> Iterator[str]:
    """Iterate over the publications in the source of a number, which may list several."""
    yield from (part for part in parts_of(source) if is_publication(part))


def of_run(path: Path) -> list[Entry]:
    """Return what to cite of a run: neuroanp, its rule, profile, task, cells and units, and what simulated it.

    Args: path: its directory.

    Raises:
        InputError: no run, or one of packages that are not installed.
    """
    from neuroanp.backends.protocol import BACKENDS
    from neuroanp.profiles import loads
    from neuroanp.records.run_dir import RunDir
    from neuroanp.training.configure import load_config

    record = RunDir.open(path, check_code=False)
    config, fields = load_config(record.config_path), record.manifest
    versions: Mapping[str, Any] = {name: value for name, value in fields.items() if isinstance(value, str)}
    profile = loads(str(fields.get("profile", {}).get("text", "")), f"{path}: profile")
    found = [_tool("neuroanp", "neuroanp", str(fields["code"]).partition("+")[0])]
    found += of_rule(config.rule_name) + _of_loaded(profile) + of_task(config.task_name)
    for unit in _units(config):
        found += _of_code("cells", type(unit))
    if config.neuron is not None:
        found += _of_code("neuron", type(config.neuron))
    found += _of_code(f"backend {config.backend}", BACKENDS.get(config.backend))
    tools = ("torch", *TOOLS.get(config.backend, ()))
    return found + [_tool(f"simulated with {one}", one, versions.get(one)) for one in tools]


def _units(config: Any) -> list[BaseModel]:
    layers = config.network.layers or []
    return [layer.cell for layer in layers if layer.cell is not None]


def _of_code(of: str, thing: Any) -> list[Entry]:
    return [Entry.of_text(of, text) for text in in_docstrings(thing)]


def _tool(of: str, package: str, version: str | None) -> Entry:
    """Return the entry of a package, from what it says of itself; version: that was used, if it is known."""
    fields = {"title": package}
    if package == "neuroanp":
        return Entry(of, "software", {**fields, "version": version or __version__})
    with suppress(PackageNotFoundError):
        said = metadata(package)
        version = version or said["Version"]
        address = next(iter(_ADDRESS.findall(" ".join(_links(said)))), None)
        fields |= {"url": address} if address else {}
    return Entry(of, "software", {**fields, **({"version": version} if version else {})})


def _links(said: Any) -> list[str]:
    return [str(link) for name in ("Home-page", "Project-URL") for link in said.get_all(name) or []]
