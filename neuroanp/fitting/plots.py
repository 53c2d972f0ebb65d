"""Draw a fit against the data it rests on, one figure a kind."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.fitting.result import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

DATA, MODEL, SECOND = "#616E7C", "#D55E00", "#0072B2"
"""Measurements grey; the fitted law, and what needs a second colour, from the palette of Okabe and Ito."""
LIGHT, FAINT = "#C3CAD2", "#E4E7EB"

_STYLE: Any = {
    "font.size": 10, "axes.titlesize": 10, "axes.titlelocation": "left", "axes.titleweight": "bold",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": DATA, "legend.frameon": False,
    "xtick.color": DATA, "ytick.color": DATA, "svg.fonttype": "path", "svg.hashsalt": "neuroanp",
}  # fmt: skip
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"))
MOST_POINTS = 5000
PHONE = 4.1
"""Inches of the width of a figure for a phone."""


def draw(fit: Fit, suffix: str = ".png", phone: bool = False) -> bytes:
    """Return the figure of a fit as the bytes of a .png or .svg file; phone: as of `figure`."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure(fit, phone).savefig(
            buffer, format=suffix.lstrip("."), dpi=150, metadata={"Date": None} if suffix == ".svg" else {}
        )
    return buffer.getvalue()


def figure(fit: Fit, phone: bool = False) -> Figure:
    """Return the figure of a fit: measurements in grey, the fitted law in colour.

    Args:
        fit: of any kind. phone: panels lie below one another, as wide as a phone.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels, drawing = _KINDS[fit.kind]
    with mpl.rc_context(_STYLE):
        size = (PHONE, 3.1 * panels) if phone else (1.2 + 4.1 * panels, 3.6)
        made = Figure(figsize=size, layout="constrained")
        drawing(fit, made)
    return made


def _panels(made: Figure, *widths: float) -> Any:
    """Return panels of relative widths in a row, or below one another where the figure is for a phone."""
    if made.get_figwidth() == PHONE:
        return made.subplots(len(widths), 1)
    return made.subplots(1, len(widths), width_ratios=widths)


def _fluctuators(fit: Fit, made: Figure) -> None:
    """Draw the trace, its distribution and its spectrum, the last two with the law's."""
    s, unit = fit.series, "V" if fit.section == "stochastic" else "S"
    quantity = "voltage" if unit == "V" else "conductance"
    trace, histogram, spectrum = _panels(made, 1.6, 1, 1.3)
    size, name = prefix(float(np.abs(s["edges"]).max()), unit)
    second, seconds = prefix(float(s["t"][-1]), "s")
    trace.plot(s["t"] / second, s["piece"] / size, color=DATA, lw=0.5)
    trace.set(xlabel=f"time ({seconds})", ylabel=f"{quantity} ({name})", title="trace")
    trace.margins(x=0.01)
    edges = s["edges"] / size
    counts = s["share"] / np.diff(edges)
    histogram.stairs(counts, edges, fill=True, color=FAINT)
    histogram.stairs(counts, edges, color=DATA, lw=0.8)
    histogram.plot(s["x"] / size, s["density"] * size, color=MODEL, lw=1.5)
    histogram.set(xlabel=f"{quantity} ({name})", ylabel=f"density (1/{name})", title="levels")
    spectrum.loglog(s["f"], s["power"], color=DATA, lw=0.8, label="measured")
    spectrum.loglog(s["f"], s["law"], color=MODEL, lw=1.5, label="fitted")
    spectrum.set(xlabel="frequency (Hz)", ylabel=f"power ({unit}^2/Hz)", title="spectrum")
    spectrum.legend()


def _telegraph(fit: Fit, made: Figure) -> None:
    """Draw the trace with its likeliest levels, its distribution and its memory, or what `_fluctuators` does."""
    if fit.law == "fluctuators":
        _fluctuators(fit, made)
        return
    s, unit = fit.series, "V" if fit.section == "stochastic" else "S"
    quantity = "voltage" if unit == "V" else "conductance"
    trace, histogram, memory = _panels(made, 1.6, 1, 1.3)
    size, name = prefix(float(np.abs(s["levels"]).max()), unit)
    second, seconds = prefix(float(s["t"][-1]), "s")
    trace.plot(s["t"] / second, s["piece"] / size, color=DATA, lw=0.7, label="measured")
    trace.plot(
        s["t"] / second, s["decoded"] / size, color=MODEL, lw=1.2, drawstyle="steps-mid", label="likeliest level"
    )
    trace.set(xlabel=f"time ({seconds})", ylabel=f"{quantity} ({name})", title="trace")
    trace.margins(x=0.01)
    _legend_above(trace)
    width = max(float(s["sigma"][0]) / 2.5, float(np.ptp(s["samples"])) / 200)
    bins = max(10, int(np.ptp(s["samples"]) / width))
    counts, edges = np.histogram(s["samples"] / size, bins=bins, density=True)
    histogram.stairs(counts, edges, fill=True, color=FAINT)
    histogram.stairs(counts, edges, color=DATA, lw=0.8)
    v = np.linspace(edges[0], edges[-1], 400)
    low, high, sigma = (*s["levels"] / size, float(s["sigma"][0]) / size)
    p = float(s["occupancy"][0])
    density = sum(w * np.exp(-0.5 * ((v - m) / sigma) ** 2) for w, m in ((1 - p, low), (p, high)))
    histogram.plot(v, density / (sigma * np.sqrt(2 * np.pi)), color=MODEL, lw=1.5)
    histogram.set(xlabel=f"{quantity} ({name})", ylabel=f"density (1/{name})", title="levels")
    lag, lags = prefix(float(s["lags"][-1]), "s")
    scale = float(s["model"][0]) or 1.0
    memory.plot(s["lags"] / lag, s["correlation"] / scale, ".", color=DATA, ms=4, label="measured")
    memory.plot(s["lags"] / lag, s["model"] / scale, color=MODEL, lw=1.5, label="fitted")
    memory.axhline(0, color=FAINT, lw=0.8, zorder=0)
    memory.set(xlabel=f"lag ({lags})", ylabel="covariance over the fitted first", title="memory")
    memory.legend()


def _pulse(fit: Fit, made: Figure) -> None:
    s = fit.series
    curve, steps = _panels(made, 1.2, 1)
    size, name = prefix(float(np.abs(s["g"]).max()), "S")
    shown = int(s["shown"][0])
    pulses = np.arange(len(s["g"]))
    others = [i for i in range(s["g"].shape[1]) if i != shown][:30]
    curve.plot(pulses, s["g"][:, others] / size, color=LIGHT, lw=0.8, zorder=1)
    if others:
        curve.plot([], [], color=LIGHT, lw=2, label="other devices")
    curve.plot(pulses, s["g"][:, shown] / size, ".", color=DATA, ms=2.5, label="measured", zorder=2)
    curve.plot(pulses, s["curve"] / size, color=MODEL, lw=1.5, label="fitted mean steps", zorder=3)
    curve.set(xlabel="pulse", ylabel=f"conductance ({name})", title="trains")
    curve.margins(x=0.01)
    _legend_above(curve, columns=3)
    rises = np.abs(s["steps"][s["used"]])
    step_size, step_name = prefix(float(rises.mean()), "S")
    for sign, colour, word in ((1, MODEL, "up"), (-1, SECOND, "down")):
        chosen = (s["direction"] == sign) & s["used"]
        before = s["before"][chosen]
        x, y, error = binned(before, s["steps"][chosen])
        label = f"{word}, measured"
        steps.errorbar(
            x / size, y / step_size, error / step_size, fmt="o", ms=3.5, color=colour, lw=1, label=label
        )  # fmt: skip
        steps.plot(x / size, binned(before, s["predicted"][chosen])[1] / step_size, color=colour, lw=1.5)
    steps.axhline(0, color=FAINT, lw=0.8, zorder=0)
    steps.set(xlabel=f"conductance before the pulse ({name})", ylabel=f"mean step ({step_name})", title="steps")
    _legend_above(steps)


def _read_noise(fit: Fit, made: Figure) -> None:
    s = fit.series
    noise, ratio = _panels(made, 1, 1)
    size, name = prefix(float(s["g"].max()), "S")
    sd_size, sd_name = prefix(float(s["sd"].max()), "S")
    noise.errorbar(
        s["g"] / size, s["sd"] / sd_size, s["error"] / sd_size, fmt="o", ms=3.5, color=DATA, lw=1, label="measured"
    )
    noise.plot(s["grid"] / size, s["sigma"] / sd_size, color=MODEL, lw=1.5, label=f"fitted, law {fit.law}")
    noise.set(
        xscale="log",
        yscale="log",
        xlabel=f"conductance ({name})",
        ylabel=f"standard deviation ({sd_name})",
        title="read noise",
    )
    noise.legend()
    ratio.errorbar(
        s["g"] / size, s["sd"] / s["fitted"], s["error"] / s["fitted"], fmt="o", ms=3.5, color=DATA, lw=1,
    )  # fmt: skip
    ratio.axhline(1, color=MODEL, lw=1.5)
    ratio.set(xscale="log", xlabel=f"conductance ({name})", ylabel="measured / fitted", title="one by one")
    for axes in (noise, ratio):
        _plain_ticks(axes.xaxis, *axes.get_xlim())
    _plain_ticks(noise.yaxis, *noise.get_ylim())


def _drift(fit: Fit, made: Figure) -> None:
    s = fit.series
    curves, exponents = _panels(made, 1, 1)
    devices = np.unique(s["device"])
    chosen = devices[np.linspace(0, len(devices) - 1, min(60, len(devices))).astype(int)]
    for device in chosen:
        rows = s["device"] == device
        curves.plot(s["t"][rows], s["g"][rows], color=DATA, lw=0.5, alpha=0.5)
    t = np.geomspace(s["t"].min(), s["t"].max(), 50)
    for quantile, style in ((0.5, "-"), (0.1, "--"), (0.9, "--")):
        label = "fitted exponents: median" if quantile == 0.5 else "10 % and 90 %" if quantile == 0.1 else None
        curves.plot(t, t ** -np.quantile(s["nu"], quantile), color=MODEL, lw=1.5, ls=style, label=label)
    curves.set(xscale="log", yscale="log", xlabel="time / t0", ylabel="conductance / conductance at t0", title="drift")
    _plain_ticks(curves.yaxis, *curves.get_ylim())
    curves.legend()
    exponents.errorbar(s["r"], s["nu"], s["error"], fmt=".", ms=4, color=DATA, lw=0.6, alpha=0.6, label="devices")
    exponents.plot(s["grid"], s["mu"], color=MODEL, lw=1.8, label="fitted mean")
    exponents.fill_between(
        s["grid"], s["mu"] - s["s"], s["mu"] + s["s"], color=MODEL, alpha=0.2, lw=0, label="fitted spread, 1 sd"
    )
    exponents.set(xscale="log", xlabel="r = conductance / g_max", ylabel="exponent nu", title="exponents")
    _plain_ticks(exponents.xaxis, *exponents.get_xlim())
    exponents.legend()


def _programming(fit: Fit, made: Figure) -> None:
    s = fit.series
    errors, spread = _panels(made, 1, 1)
    size, name = prefix(float(s["target"].max()), "S")
    off = s["actual"] - s["target"]
    error_size, error_name = prefix(float(np.abs(off).max()), "S")
    every = slice(None, None, max(1, len(off) // MOST_POINTS))
    errors.plot(s["target"][every] / size, off[every] / error_size, ".", color=DATA, ms=2, alpha=0.5, label="writes")
    for factor in (-2, 2):
        label = "fitted +-2 sigma" if factor == 2 else None
        cut = np.maximum(factor * s["sigma"], -s["grid"])
        errors.plot(s["grid"] / size, cut / error_size, color=MODEL, lw=1.5, label=label)
    errors.set(xlabel=f"target ({name})", ylabel=f"actual - target ({error_name})", title="errors")
    _legend_above(errors)
    sigma = np.interp(s["target"], s["grid"], s["sigma"])
    whole = s["target"] > 2.5 * sigma  # nearer to 0 S the cut there narrows what is measured
    x, y, error = binned(s["target"][whole], off[whole], spread=True)
    if len(x):
        bars = {"fmt": "o", "ms": 3.5, "color": DATA, "lw": 1, "label": "measured"}
        spread.errorbar(x / size, y / error_size, error / error_size, **bars)
    spread.plot(s["grid"] / size, s["sigma"] / error_size, color=MODEL, lw=1.5, label=f"fitted, law {fit.law}")
    spread.set(xlabel=f"target ({name})", ylabel=f"standard deviation ({error_name})", title="spread")
    spread.set_ylim(bottom=0)
    spread.legend()


def binned(
    x: np.ndarray, y: np.ndarray, spread: bool = False, bins: int = 15
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean x, mean y (or standard deviation of y) and its standard error in bins of equal number.

    One value alone has no spread, and makes no bin.

    >>> [part.tolist() for part in binned(np.arange(8.0), np.ones(8), bins=2)]
    [[1.5, 5.5], [1.0, 1.0], [0.0, 0.0]]
    >>> [part.tolist() for part in binned(np.ones(1), np.ones(1))]
    [[], [], []]
    """
    if len(x) < 2:
        return np.empty(0), np.empty(0), np.empty(0)
    order = np.argsort(x, kind="stable")
    parts = np.array_split(order, max(1, min(bins, len(x) // 4)))
    counts = np.array([len(part) for part in parts])
    sd = np.array([y[part].std(ddof=1) for part in parts])
    middle = np.array([x[part].mean() for part in parts])
    if spread:
        return middle, sd, sd / np.sqrt(2 * (counts - 1))
    return middle, np.array([y[part].mean() for part in parts]), sd / np.sqrt(counts)


def prefix(size: float, unit: str) -> tuple[float, str]:
    """Return the factor and the unit with the prefix in which a quantity of this size is written.

    >>> prefix(2.5e-5, "S")
    (1e-06, 'uS')
    """
    for factor, letter in _PREFIXES:
        if size >= factor * 0.999:
            return factor, letter + unit
    return 1.0, unit


def _legend_above(axes: Axes, columns: int = 2) -> None:
    """Put the legend above the axes, right of the title, where no data are; on a phone there is no room."""
    figure = axes.get_figure()
    if figure is not None and figure.bbox.width == PHONE * figure.dpi:
        axes.legend(loc="best", fontsize=8)
        return
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 0.985),
        ncols=columns,
        borderaxespad=0.1,
        handlelength=1.2,
        columnspacing=1.0,
        fontsize=9,
    )


def _plain_ticks(axis: Axis, low: float, high: float) -> None:
    """Write the ticks of a logarithmic axis of few decades as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if high > 1000 * low:
        return
    subs = (1, 2, 3, 5, 7) if high < 5 * low else (1, 2, 5) if high < 50 * low else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


_KINDS: dict[str, tuple[int, Callable[[Fit, Figure], None]]] = {
    "telegraph": (3, _telegraph),
    "pulse": (2, _pulse),
    "read_noise": (2, _read_noise),
    "drift": (2, _drift),
    "programming": (2, _programming),
}
