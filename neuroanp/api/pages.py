"""Pages: the report of runs, and what a device does."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from neuroanp.api.compared import Comparison
from neuroanp.api.loading import loaded
from neuroanp.api.run import Anywhere, Run, place_of
from neuroanp.api.telling import noted
from neuroanp.comparing import record as comparison
from neuroanp.errors import InputError
from neuroanp.files import no_directory
from neuroanp.records.manifest import is_there
from neuroanp.records.places import check_file
from neuroanp.records.run_dir import RunDir
from neuroanp.records.store import Store
from neuroanp.training.arguments import LARGEST_SEED, names, path_of, whole

if TYPE_CHECKING:
    from neuroanp.characterizing.experiments import Characterization
    from neuroanp.profiles.schema import HardwareProfile


@noted
def characterize(
    profile: Anywhere | HardwareProfile,
    output: Anywhere | None = None,
    *,
    seed: int = 0,
    devices: int = 10_000,
    only: Any = None,
) -> Characterization:
    """Measure a device: moments against closed forms, and curves.

    Args:
        profile: a shipped profile's name, a file, or a loaded profile.
        output: an HTML file to write, or None.
        seed, devices: of the samples.
        only: names of experiments; None: all that the profile has something for.

    Returns: moments and curves of each experiment: `.measurements`, `.checked`.

    Raises:
        InputError: no such profile or experiment, or the file cannot be written.

    >>> found = characterize("pcm", devices=1000, only="drift")
    >>> [one.name for one in found.measurements], all(abs(moment.z) < 5 for moment in found.checked)
    (['drift'], True)
    """
    from neuroanp.characterizing.experiments import characterize as measure
    from neuroanp.reporting.characterization import render

    place = None if output is None else path_of("output", output)
    if place is not None:
        check_file(place)
    seed, devices = whole("seed", seed, 0, LARGEST_SEED), whole("devices", devices, 2, 1_000_000)
    found = measure(loaded(profile), seed=seed, devices=devices, only=None if only is None else names("only", only))
    if place is not None:
        render(found, place)
    return found


@noted
def report(paths: Any, output: Anywhere | None = None) -> Path:
    """Write one HTML file for runs, or for all finished runs of stores; return where it is.

    Args:
        paths: runs, comparisons, their directories, or stores; one or many.
        output: the file; report.html in the first directory if not given.

    Raises:
        InputError: there is no such run, or none with a result; or the file cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     report(Path(folder) / "nothing")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: .../nothing: no such directory; name a run that `neuroanp train` made, ...
    """
    from neuroanp.reporting.html import render

    places, tuning = _places(paths)
    records: list[RunDir] = []
    for path in places:
        if not path.is_dir():
            remedy = "name a run that `neuroanp train` made, or the folder of several"
            raise InputError(f"{path}: {no_directory(path)}; {remedy}")
        if is_there(path):
            records.append(RunDir.open(path, check_code=False))
        elif comparison.is_there(path):
            found = comparison.read(path)
            records.extend(RunDir.open(path.parent / name, check_code=False) for name in found.runs)
            tuning = [*tuning, *found.tuning]
        else:
            records.extend(Store(path).runs())
            for message in Store(path).broken():
                logging.getLogger("neuroanp").warning("left out: %s", message)
    without = [record.path for record in records if record.result is None]
    records = [record for record in records if record.result is not None]
    if not records:
        remedy = f"go on with: neuroanp resume {without[0]}" if without else "train one, or name another directory"
        raise InputError(f"{', '.join(map(str, places))}: no run with a result; {remedy}")
    if output is None:
        return render(records, places[0] / "report.html", None, tuning=tuning)
    page = path_of("output", output)
    check_file(page)
    return render(records, page, None, tuning=tuning)


def _places(paths: Any) -> tuple[list[Path], list[Mapping[str, Any]]]:
    """Return directories of runs, stores and comparisons, and what was tuned for comparisons that are not by path."""
    if isinstance(paths, Comparison):
        return [run.path for run in paths.runs], [one.to_dict() for one in paths.tuning]
    if isinstance(paths, str | PathLike | Run | RunDir):
        return [place_of(paths)], []
    if not isinstance(paths, Iterable) or isinstance(paths, bytes | Mapping):
        raise InputError(f"paths: {paths!r:.80} is no run; pass runs, their directories, or a store")
    found = [_places(one) for one in cast("Iterable[Any]", paths)]
    places = [place for some, _ in found for place in some]
    if not places:
        raise InputError("paths: empty; name a run that `neuroanp train` made, or the folder of several")
    return places, [one for _, some in found for one in some]
