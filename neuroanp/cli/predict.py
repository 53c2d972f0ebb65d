"""predict: inputs presented to the network that a run scored, on its own device as training left it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import console, log_to_stderr, print_json, show


@guarded
def predict(
    run: options.Run,
    inputs: Annotated[
        Path | None,
        typer.Option("--inputs", "-i", metavar="FILE", show_default=False, parser=options.named,
                     help=".npy (T, B, I) or (T, I), .csv or .parquet of one sequence; not given: the held-out ones."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", show_default=False, parser=options.named,
                     help=".npy, .csv of one sequence, or .npz with the inputs beside the outputs."),
    ] = None,
    noise_free: Annotated[bool, typer.Option("--noise-free", help="Leave out all noise of reads and units.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that is there.")] = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:  # fmt: skip
    """Present inputs to the network that was scored, on its run's own chip; the run is left as it is.

    Without --inputs the held-out sequences are presented: the loss is the reported one, to the last bit (of a
    run from before streams 2 the noise-free one: its noise is drawn anew, which is said).
    A table of inputs is read as the one that the run learned from: columns by name and in their units, times, codes for
    missing values, filling. The outputs are then in the target's unit, nan for rows apart that lack a value. Arrays
    hold the network's own numbers.
    """
    from neuroanp import api
    from neuroanp.cli.arrays import check_fits, check_output, write_arrays
    from neuroanp.errors import InputError
    from neuroanp.training.from_file import read_inputs

    if inputs is not None and output is None:
        raise InputError("-o: name a file for the outputs, e.g. -o y.csv")
    if output is not None:
        check_output(output, force)
    with log_to_stderr(console(error=True)):
        opened = api.load_run(run)
        batch, file = None, None
        if inputs is None:
            batch = opened.held_out()
            given = batch.inputs
        else:
            file = read_inputs(inputs, opened.config)
            given = file.values
        if output is not None:
            check_fits(output, given)
        y = opened.predict(given if file is None else file.presented(), noise=not noise_free)
        y = y if file is None else file.in_units(y)
    row: dict[str, Any] = {"run": str(opened.path), "noise": not noise_free, "shape": list(y.shape)}
    arrays = {"outputs": y, "inputs": given}
    task = None if file is None else file.task
    if task is not None:
        row |= {"columns": list(task.columns), "target": task.target, "ahead": task.ahead}
    if batch is not None:
        row |= {"loss": batch.loss(y), "score": batch.score(y), "loss_name": batch.loss_name}
        arrays |= {"targets": batch.targets, "mask": batch.mask}
    if output is not None:
        write_arrays(output, arrays, () if task is None else task.named, None if file is None else file.times)
        row["output"] = str(output)
    if json:
        print_json([row])
    else:
        show(*_on_screen(row))


def _on_screen(row: dict[str, Any]) -> list[str]:
    """Return what a terminal shows of a prediction."""
    sizes = ", ".join(
        f"{size} {what}{'' if size == 1 else 's'}"
        for size, what in zip(row["shape"], _axes(len(row["shape"])), strict=True)
    )
    from neuroanp.losses import SQUARED_ERROR

    lines = [f"{'under the noise of the device' if row['noise'] else 'noise-free'}: {sizes}"]
    if "loss" in row:
        scores = {"loss": row["loss"], **{k: v for k, v in row["score"].items() if k != "loss"}}
        told = [f"{name} {value:.6g}" for name, value in scores.items()]
        told[0] += "" if row["loss_name"] == SQUARED_ERROR.label else f" ({row['loss_name']})"
        lines.append("held-out sequences: " + ", ".join(told))
    if "target" in row:
        ahead = f"{row['ahead']} row{'s' * (row['ahead'] != 1)} ahead of its own"
        lines.append(
            f"inputs: {', '.join(row['columns'])}; output: {row['target']}, {ahead}, in the units of the table"
        )
    if "output" in row:
        lines.append(f"outputs: {row['output']}")
    return lines


def _axes(dimensions: int) -> list[str]:
    return ["step", "sequence", "output"] if dimensions == 3 else ["step", "output"]
