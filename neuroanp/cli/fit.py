"""profiles fit: a hardware profile from measurements, with intervals and a figure of the fit against the data."""

import os
from collections.abc import Sequence
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
        "neuroanp profiles fit pulses.csv read_noise:reads.csv drift:month.csv -o mine.yaml --v-read '0.2 V'",
    ]
)
"""Shown below the options in the command's help."""

Data = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATA...",
        help="Tables of measurements, units in their headers: time_s,voltage_mV. KIND:DATA says of which kind one is.",
        show_default=False,
        parser=options.named,
    ),
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--kind", show_default=False,
        help="telegraph, pulse, read_noise, drift or programming (default: what the columns of DATA tell).",
    ),
]  # fmt: skip
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
ReadVoltage = Annotated[
    str | None,
    typer.Option("--v-read", metavar="VOLTAGE", help="Voltage that currents in DATA were read at.", show_default=False),
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
    kind: Kind = None,
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
    v_read: ReadVoltage = None,
    volts_per_unit: VoltsPerUnit = None,
    missing: Missing = None,
    figure: Figure = None,
    no_figure: NoFigure = False,
    anyway: Anyway = False,
    force: Force = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Fit device laws to measurements and write a profile with them, and a figure of each fit.

    Several files make one profile with one range of conductance, that of the pulses where there are any.

    Intervals hold the true value in 95 of 100 cases. What the measurements do not tell comes from a
    base profile; `profiles show` says which number is from where. A law that does not describe the
    data gives no profile, and exit code 2: what it says of them is then not true.
    """
    import datetime

    from neuroanp.fitting import Options, fit_files, inherited_notes, profile_text
    from neuroanp.fitting.options import codes
    from neuroanp.fitting.profile_text import base_of
    from neuroanp.fitting.several import named

    files = [named(one)[1] for one in data]
    output = output or Path(f"{name or files[0].stem}.yaml")
    name = name or output.stem
    picture = None if no_figure else figure or output.with_suffix(".png")
    check_outputs(files, output, picture, no_figure and figure is not None, force)
    if len(os.fsencode(name)) > LONGEST:
        raise InputError(
            f"--name: {len(os.fsencode(name)):,} bytes; a profile's name has {LONGEST} at most: shorten it"
        )
    said = Options(
        extends=extends, column=column, law=law,
        g_min=quantity("--g-min", g_min), g_max=quantity("--g-max", g_max),
        t0=quantity("--t0", t0), t_read=quantity("--t-read", t_read), v_read=quantity("--v-read", v_read),
        volts_per_unit=quantity("--volts-per-unit", volts_per_unit), missing=codes(missing), anyway=anyway,
    )  # fmt: skip
    with busy(f"fitting {', '.join(path.name for path in files)}"):
        fits = fit_files(data, said, kind)
    today = datetime.date.today().isoformat()
    pictures = _pictures(picture, fits)
    check_outputs(files, output, None, False, force, [path for path in pictures if path])
    made = {output: profile_text(fits, name, today, extends, whole, output.parent).encode()}
    for found, path in zip(fits, pictures, strict=True):
        if path is not None:
            from neuroanp.fitting.plots import draw

            made[path] = draw(found, path.suffix)
    inherited = inherited_notes(fits, extends)
    write_all(made)
    base = extends or base_of(fits)
    if json:
        print_json(
            [
                _as_dict(found, (*found.notes, *inherited), name, base, output, path)
                for found, path in zip(fits, pictures, strict=True)
            ]
        )
        return
    for found in fits:
        _print(found)
    show(*(f"note: {note}" for note in inherited), "", f"profile: {output} (the rest as in {base})")
    show(*(f"figure: {path}" for path in pictures if path), f"next: neuroanp profiles show {output}")


def _pictures(picture: Path | None, fits: "list[Fit]") -> list[Path | None]:
    """Return where the figure of each fit goes: of several, their kinds are part of the names."""
    if picture is None or len(fits) == 1:
        return [picture] * len(fits)
    return [picture.with_stem(f"{picture.stem}-{fit.kind}") for fit in fits]


def write_all(files: dict[Path, bytes]) -> None:
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


def busy(text: str) -> AbstractContextManager[object]:
    """Return a sign of life on a terminal; nothing elsewhere."""
    err = console(error=True)
    return err.status(text) if err.is_terminal else nullcontext()


def check_outputs(
    data: list[Path],
    output: Path,
    picture: Path | None,
    contradiction: bool,
    force: bool,
    beside: Sequence[Path] = (),
) -> None:
    """Refuse, before anything is computed, files that could not or should not be written.

    Args:
        data: the measurements, which stay.
        output: the profile; picture: its figure; beside: other files that are written with it.
        contradiction: whether a figure is both asked for and not wanted.
        force: whether files that exist are replaced.
    """
    written = [path for path in (output, picture, *beside) if path]
    problems = [
        f"{path.name[:40]}...: a file name of {len(os.fsencode(path.name)):,} bytes; {LONGEST} are allowed"
        for path in written
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
    for path in written:
        if path.exists() and any(one.exists() and path.samefile(one) for one in data):
            problems.append(f"{path}: holds the measurements; choose another name for the output")
        elif path.is_dir():
            problems.append(f"{path}: a directory; name a file in it")
        elif path.exists() and not force:
            problems.append(f"{path}: exists; replace it with --force, or choose another name with -o")
        elif not path.parent.is_dir():
            problems.append(f"{path.parent}: no such directory; make it first")
    if problems:
        raise InputError("the output cannot be written", problems)


def quantity(option: str, text: str | None) -> float | None:
    """Read a quantity of the command line into SI."""
    from neuroanp.fitting.options import quantity as read

    return read(option, text)


def _as_dict(found: "Fit", notes: tuple[str, ...], name: str, base: str, output: Path, picture: Path | None) -> dict:
    """Return the fit as plain values, SI numbers."""
    return {
        "profile": name, "path": str(output), "figure": None if picture is None else str(picture),
        "kind": found.kind, "section": found.section, "law": found.law, "extends": base,
        "data": {"file": found.source, "sha256": found.digest, "what": found.data},
        "parameters": [parameter.as_dict() for parameter in found.parameters],
        "choices": [{"parameter": c.key, "value": c.value, "source": c.source} for c in found.choices],
        "goodness": [{"test": g.name, "value": g.value, "p": g.p} for g in found.goodness],
        "notes": list(notes), "doubts": list(found.doubts), "read": list(found.account),
    }  # fmt: skip


def _print(found: "Fit") -> None:
    """Print the law, its parameters, how good the fit is, and how the file was read."""
    head = texts((f"{found.section}: {found.law}", "bold"), f"  fitted to {found.source}, {found.data}")
    first, *others = (test.text for test in found.goodness)
    lines = [f"goodness of fit: {first}", *(f"                 {text}" for text in others)]
    lines += [f"the law does not describe these data: {doubt}" for doubt in found.doubts]
    lines += [f"note: {note}" for note in found.notes]
    lines += [f"read: {line}" for line in found.account]
    show(head, texts(""), _table(found), texts(""), *lines, texts(""))


def _table(found: "Fit") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (("parameter", "left"), ("value", "right"), ("95 % interval", "left"), ("", "left")):
        table.add_column(heading, justify=justify)  # pyright: ignore[reportArgumentType]
    for parameter in found.parameters:
        where = "" if parameter.fitted else "shown only"
        table.add_row(parameter.key, parameter.text, parameter.interval, where)
    return table
