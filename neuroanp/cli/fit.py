"""profiles fit: a hardware profile from measurements, with intervals and a figure of the fit against the data."""

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import console, print_json, show, texts
from neuroanp.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from neuroanp.fitting import Fit

LONGEST = 200
"""Bytes of a file's name: file systems take 255, and the name that a file has while it is written is longer."""
EPILOG = "\n\n".join(
    [
        "[bold]Columns of DATA[/], units as you like, those in parentheses optional",
        "telegraph: time_us, voltage_mV or conductance_uS",
        "pulse: (device), direction: 1 up, -1 down, 0 no pulse before this read; conductance_uS",
        "read_noise: device, (time_s since the write), conductance_uS",
        "drift: device, time_s since the write, conductance_uS, (target_uS)",
        "programming: target_uS, actual_uS",
        "[bold]Examples[/]",
        "neuroanp profiles fit trace.csv --kind telegraph --name my_mtj",
        "neuroanp profiles fit pulses.csv --kind pulse -o my_rram.yaml --extends rram_hfo2",
        "neuroanp profiles fit drift.csv --kind drift --t0 '20 s' --g-max '50 uS'",
    ]
)
"""Shown below the options in the command's help."""

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Table of the measurements, units in its header: time_s,voltage_mV",
        show_default=False,
        parser=options.named,
    ),
]
Kind = Annotated[
    str,
    typer.Option("--kind", help="telegraph, pulse, read_noise, drift or programming.", show_default=False),
]
Name = Annotated[
    str | None, typer.Option("--name", help="Name of the profile (default: that of the output).", show_default=False)
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="The profile to write (default: NAME.yaml).",
        show_default=False,
        parser=options.named,
    ),
]
Extends = Annotated[
    str | None,
    typer.Option(
        "--extends", metavar="BASE", show_default=False,
        help="Profile, or file, that has the rest (default: a shipped one that suits the law).",
    ),
]  # fmt: skip
Whole = Annotated[bool, typer.Option("--whole", help="Write all parameters out instead of `extends: BASE`.")]
Law = Annotated[
    str | None,
    typer.Option("--law", help="Fit this law (default: the one that describes the data best).", show_default=False),
]
Column = Annotated[
    str | None,
    typer.Option("--column", metavar="HEADER", help="Column of what was measured.", show_default=False),
]
Low = Annotated[
    str | None,
    typer.Option("--g-min", metavar="G", help="Lower end of the range of conductance: '1 uS'.", show_default=False),
]
High = Annotated[
    str | None,
    typer.Option("--g-max", metavar="G", help="Upper end of the range of conductance: '25 uS'.", show_default=False),
]
T0 = Annotated[
    str | None,
    typer.Option(
        "--t0", metavar="TIME", help="Drift: when the programmed conductance was measured.", show_default=False
    ),
]
ReadTime = Annotated[
    str | None, typer.Option("--t-read", metavar="TIME", help="Read noise: duration of a read.", show_default=False)
]
VoltsPerUnit = Annotated[
    str | None,
    typer.Option(
        "--volts-per-unit", metavar="V", show_default=False,
        help="Telegraph: volts that stand for a pre-activation of 1 (default: as the base profile states).",
    ),
]  # fmt: skip
Missing = Annotated[
    list[str] | None,
    typer.Option(
        "--missing", metavar="CODE", show_default=False,
        help="Number in DATA that stands for none (-999.9): its rows are left out. none: all were measured.",
    ),
]  # fmt: skip
Figure = Annotated[
    Path | None,
    typer.Option(
        "--figure", metavar="FILE", show_default=False, parser=options.named,
        help="Figure of the fit against the data, .png or .svg (default: beside the profile).",
    ),
]  # fmt: skip
NoFigure = Annotated[bool, typer.Option("--no-figure", help="Draw no figure.")]
Anyway = Annotated[
    bool,
    typer.Option("--anyway", help="Write a profile even of a law that does not describe the data; it says so."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]


@guarded
def fit(
    data: Data,
    kind: Kind,
    name: Name = None,
    output: Output = None,
    extends: Extends = None,
    whole: Whole = False,
    law: Law = None,
    column: Column = None,
    g_min: Low = None,
    g_max: High = None,
    t0: T0 = None,
    t_read: ReadTime = None,
    volts_per_unit: VoltsPerUnit = None,
    missing: Missing = None,
    figure: Figure = None,
    no_figure: NoFigure = False,
    anyway: Anyway = False,
    force: Force = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Fit a device law to measurements and write a profile with it, and a figure of the fit.

    Intervals hold the true value in 95 of 100 cases. What the measurements do not tell comes from a
    base profile; `profiles show` says which number is from where. A law that does not describe the
    data gives no profile, and exit code 2: what it says of them is then not true.
    """
    import datetime

    from neuroanp.fitting import Options, fit_file, inherited_notes, profile_text

    output = output or Path(f"{name or data.stem}.yaml")
    name = name or output.stem
    picture = None if no_figure else figure or output.with_suffix(".png")
    _check_outputs(data, output, picture, no_figure and figure is not None, force)
    if len(os.fsencode(name)) > LONGEST:
        raise InputError(
            f"--name: {len(os.fsencode(name)):,} bytes; a profile's name has {LONGEST} at most: shorten it"
        )
    said = Options(
        extends=extends, column=column, law=law,
        g_min=_quantity("--g-min", g_min), g_max=_quantity("--g-max", g_max),
        t0=_quantity("--t0", t0), t_read=_quantity("--t-read", t_read),
        volts_per_unit=_quantity("--volts-per-unit", volts_per_unit), missing=_codes(missing), anyway=anyway,
    )  # fmt: skip
    with _busy(f"fitting {data.name}"):
        found = fit_file(data, kind, said)
    today = datetime.date.today().isoformat()
    files = {output: profile_text(found, name, today, extends, whole, output.parent).encode()}
    if picture is not None:
        from neuroanp.fitting.plots import draw

        files[picture] = draw(found, picture.suffix)
    notes = (*found.notes, *inherited_notes(found, extends))
    _write_all(files)
    if json:
        print_json([_as_dict(found, notes, name, extends, output, picture)])
    else:
        _print(found, notes, extends, output, picture)


def _write_all(files: dict[Path, bytes]) -> None:
    """Write all files or none: a full disk leaves no profile without its figure, and no new figure of an old one."""
    from neuroanp.records import atomic

    before = {path: path.read_bytes() if path.exists() else None for path in files}
    done: list[Path] = []
    try:
        for path, content in files.items():
            atomic.write_bytes(path, content, elsewhere=atomic.OTHER_PLACE, again=atomic.REPEAT)
            done.append(path)
    except BaseException:
        for path in done:
            old = before[path]
            if old is None:
                path.unlink()
            else:
                atomic.write_bytes(path, old, elsewhere=atomic.OTHER_PLACE, again=atomic.REPEAT)
        raise


def _busy(text: str) -> AbstractContextManager[object]:
    """Return a sign of life on a terminal; nothing elsewhere."""
    err = console(error=True)
    return err.status(text) if err.is_terminal else nullcontext()


def _check_outputs(data: Path, output: Path, picture: Path | None, contradiction: bool, force: bool) -> None:
    """Refuse, before anything is computed, files that could not or should not be written."""
    problems = [
        f"{path.name[:40]}...: a file name of {len(os.fsencode(path.name)):,} bytes; {LONGEST} are allowed"
        for path in (output, *([picture] if picture else []))
        if len(os.fsencode(path.name)) > LONGEST
    ]
    if problems:
        raise InputError("the output cannot be written", [*problems, "shorten --name, -o or --figure"])
    if contradiction:
        problems.append("--figure and --no-figure contradict each other; give one of them")
    if output.suffix not in (".yaml", ".yml"):
        problems.append(f"-o {output}: a profile ends in .yaml; write e.g. -o {output.with_suffix('.yaml')}")
    if picture is not None and picture.suffix not in (".png", ".svg"):
        problems.append(f"--figure {picture}: a figure ends in .png or .svg; write e.g. --figure {output.stem}.png")
    for path in (output, *([picture] if picture else [])):
        if path.exists() and data.exists() and path.samefile(data):
            problems.append(f"{path}: holds the measurements; choose another name for the output")
        elif path.is_dir():
            problems.append(f"{path}: a directory; name a file in it")
        elif path.exists() and not force:
            problems.append(f"{path}: exists; replace it with --force, or choose another name with -o")
        elif not path.parent.is_dir():
            problems.append(f"{path.parent}: no such directory; make it first")
    if problems:
        raise InputError("the output cannot be written", problems)


def _quantity(option: str, text: str | None) -> float | None:
    """Read a quantity of the command line into SI."""
    from neuroanp.units import Conductance, PositiveConductance, PositiveTime, PositiveVoltage, dimension_of

    if text is None:
        return None
    of = {"--g-min": Conductance, "--g-max": PositiveConductance, "--volts-per-unit": PositiveVoltage}
    dimension = dimension_of(of.get(option, PositiveTime))
    assert dimension is not None
    try:
        return dimension.parse(text)
    except ValueError as error:
        raise InputError(f"{option}: {error}") from None


def _codes(words: list[str] | None) -> tuple[float, ...] | None:
    """Read the numbers that stand for none; () where all were measured."""
    from neuroanp.tables.numbers import number

    if not words or words == ["none"]:
        return None if not words else ()
    codes = [number(word) for word in words]
    wrong = [word for word, code in zip(words, codes, strict=True) if code is None]
    if wrong:
        raise InputError(f"--missing: '{wrong[0]}' is not a number; write e.g. --missing=-999.9, or --missing=none")
    return tuple(code for code in codes if code is not None)


def _as_dict(
    found: "Fit", notes: tuple[str, ...], name: str, extends: str | None, output: Path, picture: Path | None
) -> dict:
    """Return the fit as plain values, SI numbers."""
    return {
        "profile": name, "path": str(output), "figure": None if picture is None else str(picture),
        "kind": found.kind, "section": found.section, "law": found.law, "extends": extends or found.base,
        "data": {"file": found.source, "sha256": found.digest, "what": found.data},
        "parameters": [parameter.as_dict() for parameter in found.parameters],
        "choices": [{"parameter": c.key, "value": c.value, "source": c.source} for c in found.choices],
        "goodness": [{"test": g.name, "value": g.value, "p": g.p} for g in found.goodness],
        "notes": list(notes), "doubts": list(found.doubts), "read": list(found.account),
    }  # fmt: skip


def _print(found: "Fit", notes: tuple[str, ...], extends: str | None, output: Path, picture: Path | None) -> None:
    """Print the law, its parameters, how good the fit is, what was written and what to do next."""

    head = texts((f"{found.section}: {found.law}", "bold"), f"  fitted to {found.source}, {found.data}")
    first, *others = (test.text for test in found.goodness)
    lines = [f"goodness of fit: {first}", *(f"                 {text}" for text in others)]
    lines += [f"the law does not describe these data: {doubt}" for doubt in found.doubts]
    lines += [f"note: {note}" for note in notes]
    lines += [f"read: {line}" for line in found.account]
    base = extends or found.base
    lines += ["", f"profile: {output} (the rest as in {base})", *([f"figure: {picture}"] if picture else [])]
    show(head, texts(""), _table(found), texts(""), *lines, f"next: neuroanp profiles show {output}")


def _table(found: "Fit") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (("parameter", "left"), ("value", "right"), ("95 % interval", "left"), ("", "left")):
        table.add_column(heading, justify=justify)  # pyright: ignore[reportArgumentType]
    for parameter in found.parameters:
        where = "" if parameter.fitted else "shown only"
        table.add_row(parameter.key, parameter.text, parameter.interval, where)
    return table
