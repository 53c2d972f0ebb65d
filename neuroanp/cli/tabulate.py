"""profiles tabulate: a hardware profile whose pulses are a table of measurements."""

from pathlib import Path
from typing import Annotated

import typer

from neuroanp.cli import fit, options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import print_json, show

EPILOG = "\n\n".join(
    [
        "[bold]Tables[/], one for each direction: the cumulative distribution of dG at each G",
        "CrossSim: a line of conductances, one of probabilities, then the changes, a line for each probability",
        "xbtorch: NAME_cdf.txt, with NAME_axis_level_G.txt and NAME_axis_level_dG.txt beside it",
        "[bold]Examples[/]",
        "neuroanp profiles tabulate dG_increasing.txt dG_decreasing.txt -o my_ecram.yaml --extends ecram",
        "neuroanp profiles tabulate 1.5V_set_cdf.txt 1.5V_reset_cdf.txt --name my_rram",
    ]
)
"""Shown below the options in the command's help."""

Up = Annotated[
    Path, typer.Argument(metavar="UP", help="Table of the pulses that raise.", show_default=False, parser=options.named)
]
Down = Annotated[
    Path,
    typer.Argument(metavar="DOWN", help="Table of the pulses that lower.", show_default=False, parser=options.named),
]
Unit = Annotated[str, typer.Option("--unit", help="Unit of the conductances and changes; the tables hold none.")]
Base = Annotated[str, typer.Option("--extends", metavar="BASE", help="Profile, or file, that has the rest.")]


@guarded
def tabulate(
    up: Up,
    down: Down,
    name: fit.Name = None,
    output: fit.Output = None,
    unit: Unit = "S",
    extends: Base = "rram_hfo2",
    g_min: fit.Low = None,
    g_max: fit.High = None,
    force: fit.Force = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Write a profile whose pulses are drawn from measured tables, and beside it the file with their numbers.

    Each pulse changes a device by a draw from the distribution at its conductance; a profile stays within the tables.
    """
    import datetime

    from neuroanp.fitting import tabulate as made_of
    from neuroanp.units import format_quantity

    output = output or Path(f"{name or 'table'}.yaml")
    name, table = name or output.stem, output.with_suffix(".csv")
    fit.check_outputs([up, down], output, None, False, force, [table])
    low, high = (fit.quantity(flag, value) for flag, value in (("--g-min", g_min), ("--g-max", g_max)))
    found = made_of(
        up, down, name, datetime.date.today().isoformat(), unit=unit, extends=extends, g_min=low, g_max=high,
        folder=output.parent, table=table.name,
    )  # fmt: skip
    fit.write_all({table: found.table.encode(), output: found.profile.encode()})
    law, span = found.law, found.span
    facts = {
        "g_min": span.g_min, "g_max": span.g_max, "mean_step": law.nominal(span),
        "conductances": [len(law.up.g), len(law.down.g)],
    }  # fmt: skip
    if json:
        print_json(
            [{"profile": name, "path": str(output), "table": str(table), "extends": extends, **facts,
              "notes": [*found.notes]}]
        )  # fmt: skip
        return
    shown = [format_quantity(g, "S", 4) for g in (*span, law.nominal(span))]
    show(
        f"update: measured  {len(law.up.g)} conductances up, {len(law.down.g)} down; {unit} was taken as the unit",
        f"range: {shown[0]} to {shown[1]}, mean step {shown[2]}",
        *(f"note: {note}" for note in found.notes),
        "",
        f"profile: {output} (the rest as in {extends}), table: {table}",
        f"next: neuroanp profiles show {output}",
    )
