"""Show how a chip lives on: its loss left alone, and kept by relearning in place."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neuroanp.reporting.plots import decent_log_ticks, legend
from neuroanp.reporting.style import COLOURS, FAINT, GREY, new_figure, plain, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Mapping[str, Any]], suffix: str = ".png") -> bytes:
    """Return the figure of the rows of `training.living.live_on` as the bytes of a .png or .svg file."""
    buffer = io.BytesIO()
    figure(rows).savefig(
        buffer, format=suffix.lstrip("."), dpi=150, metadata={"Date": None} if suffix == ".svg" else {}
    )
    return buffer.getvalue()


@styled
def figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the test loss over the life of a chip: left alone, and as each relearning finds and leaves it."""
    first, later = rows[0], [row for row in rows if row["after_s"] > 0]
    drawn = new_figure(7.2, 3.4)
    axes = drawn.subplots()
    ages = [row["after_s"] / 86_400.0 for row in later]
    axes.plot(ages, [row["unattended"] for row in later], color=GREY, lw=1.8, marker="o", ms=4)
    saw = [(age, row[key]) for age, row in zip(ages, later, strict=True) for key in ("before", "test_loss")]
    axes.plot(*zip(*saw, strict=True), color=COLOURS[0], lw=0.9, ls=(0, (2, 2)))
    axes.plot(ages, [row["test_loss"] for row in later], color=COLOURS[0], ls="", marker="v", ms=6)
    axes.axhline(first["test_loss"], color=GREY, lw=0.8, ls=(0, (1, 2)))
    axes.set(xscale="log", yscale="log", xlabel="days since training", ylabel=f"test loss ({first.get('loss', 'mse')})")
    axes.grid(axis="y", color=FAINT, lw=0.7)
    decent_log_ticks(axes.yaxis, *axes.get_ylim())
    relearned = f"after {later[0]['updates']} updates of {plain(str(first['rule']))}"
    legend(drawn, [
        ("left alone", {"color": GREY, "marker": "o"}), (relearned, {"color": COLOURS[0], "marker": "v", "ls": ""}),
        ("between", {"color": COLOURS[0], "ls": (0, (2, 2))}),
        ("as trained", {"color": GREY, "ls": (0, (1, 2))}),
    ])  # fmt: skip
    return drawn
