"""Set what a report has only where it was asked for: a transfer, an ablation, retention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neuroanp.reporting import ablation, retention, searching, tables, transfer, tuning
from neuroanp.reporting.method import Method
from neuroanp.reporting.pictures import Figure, pictured
from neuroanp.reporting.reading import Shown


@dataclass(frozen=True)
class Part:
    """A part of a section: a table with a figure and sentences, under a title of its own."""

    title: str
    table: tables.Table
    figure: Figure | None
    sentences: list[str]
    note: str


def of_section(
    runs: Sequence[Shown],
    ablated: Sequence[ablation.Ablation],
    group: Sequence[Method],
    leading: Sequence[Method],
    left_out: str,
    tuned: Sequence[Mapping[str, Any]] = (),
) -> list[Part]:
    """Return the parts that the runs of one task give rise to.

    Args:
        runs: those that are in the table of results.
        ablated: the ablations among all runs of the task.
        group, leading: the methods, and those that figures show.
        left_out: what captions say of the others.
        tuned: what was chosen on seeds that are not reported, a search each.
    """
    return [
        *(part for alike in tuning.alike(tuned) for part in _tuning(alike, group)),
        *_transfers(runs, group),
        *map(_ablation, ablated),
        *_retention(group, leading, left_out),
    ]


def _tuning(tuned: Sequence[Mapping[str, Any]], group: Sequence[Method]) -> list[Part]:
    caption = (
        "Validation loss of the trials: medians over the tuning seeds as lines, seeds as small marks; what was chosen "
        "is ringed. Trials that diverged are not shown."
    )
    note = (
        "Median of the validation loss over the tuning seeds [lowest, highest], of the network as each trial left it. "
        "A trial that diverged counts as infinitely bad; of equal medians the first wins. In bold what was chosen, "
        "with which the runs of the results were made. Validation sequences are neither learned from nor those of the "
        "test."
    )
    if searching.is_drawn(tuned[0]):
        caption = "The lowest median of the validation loss over the tuning seeds, after so many points were tried."
        note = (
            "The best point of each search, and where in its range it lies (0 %: the lower end; of a range marked log, "
            "on a logarithmic scale); its median validation loss over the tuning seeds [lowest, highest]. A trial that "
            "diverged counts as infinitely bad; the runs of the results were made with the best point. Validation "
            "sequences are neither learned from nor those of the test. All trials are in comparison.json."
        )
    drawn = pictured(lambda: tuning.figure(tuned, group[0].loss), "Validation loss by what was tuned", caption)
    return [Part("Tuning", tuning.table(tuned), drawn, tuning.sentences(tuned), note)]


def _transfers(runs: Sequence[Shown], group: Sequence[Method]) -> list[Part]:
    found = transfer.transfers(runs)
    if not found:
        return []
    caption = (
        "Test loss where the weights were trained, once they are programmed, and fine-tuned on the device; right of "
        "the line, learned on it from the untrained network. Small marks: seeds; large: medians."
    )
    note = (
        "Clipped: share of the weights beyond the array's range, which are programmed at its limit. Ex situ: the "
        "loss of the network that was trained off the chip."
    )
    drawn = pictured(lambda: transfer.figure(found, group), "Test loss by stage of the transfer", caption)
    return [
        Part("From training off the chip to the device", transfer.table(found), drawn, transfer.sentences(found), note)
    ]


def _ablation(one: ablation.Ablation) -> Part:
    caption = (
        f"What each non-ideality costs on {one.label}, in test loss: median over seeds as a bar, seeds as dots, their "
        "range as a line. Right of zero it costs."
    )
    if one.seeds < ablation.LEAST:
        caption += " By name: so few seeds make no ranking."
    note = (
        "Loss without it: with all but this one; it costs: how much more the loss is with all on. Loss alone: with "
        "this one and no other; costs alone: how much more than with none. Differences are paired by seed; the last "
        "row names those that change nothing. Each run is trained anew; where no noise of the device reaches the "
        "units, a Gaussian perturbs them (see the log)."
    )
    title = f"What each non-ideality costs: {one.label}"
    drawn = pictured(lambda: ablation.figure(one), title, caption)
    return Part(title, ablation.table(one), drawn, [ablation.headline(one)], note)


def _retention(group: Sequence[Method], leading: Sequence[Method], left_out: str) -> list[Part]:
    found = retention.table(group)
    if found is None:
        return []
    caption = (
        "Test loss after the chip has lain idle: median over seeds, and their range as a band. Left of the line: at "
        f"once. Dotted: without read and node noise, so that what changes is the weights.{left_out}"
    )
    note = (
        "The same network on the same sequences, with the same draws of noise, after the chip has lain idle; the clock "
        "and the books of the run do not count it."
    )
    drawn = pictured(lambda: retention.figure(leading), "Test loss against idle time", caption)
    return [Part("Retention", found, drawn, [], note)]
