"""Write an export whole or not at all: a directory that appears under its name when all is in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from neuroanp.export.directory import check_free, whole
from neuroanp.export.model import reference
from neuroanp.export.protocol import EXPORTERS, ChipExporter, Exporter
from neuroanp.export.report import ExportReport, compare, fine_tuned
from neuroanp.records.atomic import write_text
from neuroanp.records.json_io import write_object
from neuroanp.yaml_io import Document, assign, validate

if TYPE_CHECKING:
    from neuroanp.export.finetune import Tuned
    from neuroanp.export.model import Model

REPORT, READ_BACK = "report.json", "READ_BACK.txt"


def exporter(name: str, options: Mapping[str, Any] | None = None) -> Exporter:
    """Return an exporter with its options; text is read as YAML would read it, None leaves the default.

    Raises:
        InputError: no such format, or an option that it does not know or take.

    >>> exporter("onnx", {"sequences": "2"}).sequences
    2
    >>> exporter("onyx")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: unknown export format 'onyx'; did you mean 'onnx'? (known: ...)
    """
    kind = EXPORTERS.get(name)
    document = Document(f"export format {name}", {})
    for key, value in (options or {}).items():
        if isinstance(value, str):
            document = assign(document, [f"{key}={value}"])
        elif value is not None:
            document.data[key] = list(value) if isinstance(value, tuple) else value
    return validate(document, kind)


def write(
    model: Model,
    name: str,
    chosen: Exporter,
    folder: Path,
    force: bool = False,
    tune: Callable[[Model], Tuned] | None = None,
) -> ExportReport:
    """Export a network into a new directory.

    Args:
        model: the network. name: of the format. chosen: its exporter.
        folder: where the files go; it must not exist yet, or be empty.
        force: replace it where it does.
        tune: fine-tunes the network on the chip of the format, or on the run's own device; None: export it as it is.

    Returns: the report, which lies in the directory too.

    Raises:
        InputError: the format cannot hold the network, or the directory is there already. Nothing was written.
    """
    chosen.check(model)
    folder = Path(folder)
    check_free(folder, force)
    tuned = None if tune is None else tune(model)
    with whole(folder, force) as building:
        report = (
            _export(model, name, chosen, building) if tuned is None else _tuned(model, name, chosen, building, tuned)
        )
        write_object(building / REPORT, report.plain())
        write_text(building / READ_BACK, _how_to_read_back(report, chosen))
    return report


def _export(model: Model, name: str, chosen: Exporter, folder: Path, **keeps: Model) -> ExportReport:
    """Export into a folder, with the files that check it, and compare."""
    exported = chosen.export(model, folder, **keeps)
    if (exported.check is None) != (chosen.script is None):
        raise ValueError(f"{name}: a script without a stimulus, or a stimulus without a script")
    if exported.check is not None and chosen.script is not None:
        exported.check.write(folder, chosen.script)
    return compare(model, reference(model), name, exported)


def _how_to_read_back(report: ExportReport, chosen: Exporter) -> str:
    """Return lines for a reader and for a shell: what lies there, and the command that checks it."""
    lines = [f"weights: {' '.join(report.origin.split())}", f"{', '.join(report.files)}: for {chosen.reader}"]
    if report.check is None:
        return "".join(f"# {line}\n" for line in [*lines, "the format brings no check"])
    shown = ", ".join(f"{name} {tuple(shape)}" for name, shape in report.check["presented"].items())
    lines += [
        f"{report.check['stimulus']}: what is presented: {shown}",
        f"{report.check['expected']}: what it gives in neuroanp's arithmetic of the format: "
        f"{', '.join(report.check['compared'])}",
        "presents it in the reader, and prints PASS or FAIL (neuroanp export --check does the same):",
    ]
    return "".join(f"# {line}\n" for line in lines) + f"{report.check['command']}\n"


def _tuned(model: Model, name: str, chosen: Exporter, folder: Path, tuned: Tuned) -> ExportReport:
    """Export the fine-tuned network, with the scales of the one before, whose scores stand beside its own.

    A device has scales of its own.
    """
    with TemporaryDirectory(dir=folder) as scratch:  # on the disk that the export is for
        without = _export(model, name, chosen, Path(scratch))
    after = tuned.model
    keeps = {"like": model} if isinstance(chosen, ChipExporter) else {}
    report = _export(after, name, chosen, folder, **keeps)
    return fine_tuned(report, without, tuned.facts, tuned.limits)
