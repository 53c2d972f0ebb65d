"""Show how spiking units fired: mean rate, silent units, and what a spike and a synaptic event took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from neuroanp.reporting.method import Method
from neuroanp.reporting.origins import ENERGY
from neuroanp.reporting.parts import Part
from neuroanp.reporting.pictures import pictured
from neuroanp.reporting.reading import Shown
from neuroanp.reporting.spikes_plots import LAYERS, Panel, drawn, in_thresholds, rasters
from neuroanp.reporting.style import Look, plain
from neuroanp.reporting.tables import Cell, Column, Row, Table, cell, marked, names_of
from neuroanp.reporting.values import SILENT, digits, middle, numbers, quantity

ENERGIES = {"energy_per_spike_J": "spike", "energy_per_event_J": "synaptic event"}
MOST = 4
"""Methods side by side in the figure: narrower rasters cannot be read."""

Runs = Mapping[str, Shown]


def part(group: Sequence[Method], leading: Sequence[Method], runs: Sequence[Shown]) -> Part | None:
    """Return the part of a report about spikes: rasters, membranes, rates and energies, profiles side by side.

    Args:
        group: the methods of one task.
        leading: those that figures show.
        runs: all their runs.

    Returns: the part, or None where no unit of any run spikes.
    """
    by_path = {str(one.run.path): one for one in runs}
    found = table(group, by_path)
    if found is None:
        return None
    chosen, spiking = typical(leading, by_path), [m for m in group if _firing(m, by_path, "rate_Hz")]
    panels = [_panel(m, one, Look(leading)) for m, one in chosen]
    panels = [panel for panel in panels if panel is not None]
    shown = len(panels)
    caption = (
        "The first held-out sequences under the device's noise, laid end to end: input lines, spikes of the first "
        f"{_units(panels)}, membrane potentials v of a few of them, {_scale(panels)}. "
        f"Below, firing rates of {_whose(panels)} over the whole held-out set; the line is their mean."
    )
    if shown < len(spiking):
        caption += f" {shown} of {len(spiking)} methods: for each profile the median seed of its lowest median loss."
    note = (
        "Median over seeds [lowest, highest]. Rates and silent units (which never spiked): on the whole held-out set, "
        "under the device's noise. Spikes and synaptic events (arrivals of one spike at one synapse): of training. "
        "Chip energy / spike, or / event: all the chip's energy but that of writes, over their number; a profile "
        "states what a neuron takes for one."
    )
    drawn = pictured(lambda: rasters(panels), "Spikes, membrane potentials and firing rates", caption)
    return Part("Spikes", found, drawn, [], note)


def table(group: Sequence[Method], runs: Runs) -> Table | None:
    """Build the table of rates, silent units, counts and energies: a method a row; None where no unit spikes."""
    kept = [m for m in group if _firing(m, runs, "rate_Hz")]
    if not kept:
        return None
    named = names_of(kept)
    rows = []
    several = any(_layers(method, runs) for method in kept)
    for i, method in enumerate(kept):
        counts = [cell(_books(method, runs, key)) for key in ("spikes", "events")]
        energies = [_cost(method, _books(method, runs, key)) for key in ENERGIES]
        silent = [100 * share for share in _firing(method, runs, "silent")]
        firing = [cell(_firing(method, runs, "rate_Hz")), cell(silent)]
        layers = _layers(method, runs)
        whole = [Cell("all" if layers else "")] * several
        rows.append(Row("method", (*(Cell(names[i]) for _, names in named), *whole, *firing, *counts, *energies)))
        rows += [
            Row("method", (
                *(Cell("") for _ in named), Cell(f"{layer.name}, {layer.units} unit{'s' * (layer.units != 1)}"),
                cell(layer.rates), cell([100 * share for share in layer.silent]), *[Cell("")] * len(counts + energies),
            ))
            for layer in layers
        ]  # fmt: skip
    heads = ["mean rate (Hz)", "silent units (%)", "spikes", "synaptic events"]
    heads += [f"chip energy / {what}" for what in ENERGIES.values()]
    names = [header for header, _ in named] + ["layer"] * several
    return Table((*(Column(header, numeric=False) for header in names), *map(Column, heads)), tuple(rows))


def sentences(group: Sequence[Method], runs: Sequence[Shown]) -> list[str]:
    """Say for each method whose units spike how much they do, and what a spike and a synaptic event took."""
    by_path = {str(one.run.path): one for one in runs}
    said = []
    for method in group:
        rates, silent = (_firing(method, by_path, key) for key in ("rate_Hz", "silent"))
        if rates:
            share = f", {digits(100 * middle(silent), 2)} % of the units silent" if silent else ""
            costs = {what: _books(method, by_path, key) for key, what in ENERGIES.items()}
            told = [f"{_cost(method, values).text} / {what}" for what, values in costs.items() if values]
            mean = f"{digits(middle(rates))} Hz"
            cost = f"chip energy {', '.join(told) or 'not stated'}"
            said.append(f"{method.label}: mean rate {mean}{share}{_by_layer(_layers(method, by_path))}; {cost}.")
    return said


def silent_layers(group: Sequence[Method], runs: Sequence[Shown]) -> list[str]:
    """Say for each method which of its layers never spiked on the held-out sequences, in how many seeds."""
    by_path = {str(one.run.path): one for one in runs}
    said = []
    for method in group:
        for layer in _layers(method, by_path):
            never, seeds = sum(share == 1 for share in layer.silent), len(layer.silent)
            if never:
                where = f" in {never} of {seeds} seeds" if seeds > 1 else ""
                said.append(
                    f"{method.label}: no unit of layer {layer.name} spiked on the held-out sequences{where}, and what "
                    "it feeds got nothing of it; raise drive, input_gain or synapse_gain of its cell."
                )
    return said


def typical(leading: Sequence[Method], runs: Runs) -> list[tuple[Method, Shown]]:
    """Return (method, run of its median seed) of the lowest median loss of each backend and profile, MOST at most."""
    chosen: list[tuple[Method, Shown]] = []
    for names in dict.fromkeys((m.backend, m.profile) for m in leading):
        here = [m for m in leading if (m.backend, m.profile) == names and m.values("test_loss")]
        here = [m for m in here if _firing(m, runs, "rate_Hz")]
        if here:
            method = min(here, key=lambda m: middle(m.values("test_loss")))
            loss = middle(method.values("test_loss"))
            row = min(method.finished, key=lambda r: abs((r["test_loss"] or 0) - loss))
            chosen.append((method, runs[str(row["run"])]))
    ranked = sorted(chosen, key=lambda pair: middle(pair[0].values("test_loss")))[:MOST]
    kept = [id(method) for method, _ in ranked]
    return [pair for pair in chosen if id(pair[0]) in kept]


def _panel(method: Method, one: Shown, look: Look) -> Panel | None:
    arrays = one.activity()
    if arrays is None:
        return None
    backend, variant = [method.backend] * method.among_backends, [method.variant] * bool(method.variant)
    rest = " · ".join([method.rule, *backend, f"seed {one.result['seed']}", *variant])
    layers = tuple((name, int(about["units"])) for name, about in one.layers.items())
    return Panel(plain(method.profile, 30), plain(rest, 40), look.colour(method), arrays, layers)


def _scale(panels: Sequence[Panel]) -> str:
    known = {in_thresholds(panel.arrays) for panel in panels}
    ours, theirs = (
        "in thresholds (a dot is a spike, the dashed line the unit's threshold)",
        "in volts or as they define it",
    )
    if known == {False}:
        return f"of the user's equations, {theirs} (a dot is a spike)"
    return ours if False not in known else f"{ours}; those of the user's equations {theirs}"


def _units(panels: Sequence[Panel]) -> str:
    most = max((panel.arrays["spikes"].shape[2] for panel in panels), default=0)
    last = dict.fromkeys(panel.last for panel in panels)
    layer = "" if [*last] == [""] else f" of the last layer{f' ({next(iter(last))})' if len(last) == 1 else ''}"
    return f"{most} unit{'s' * (most != 1)}{layer}"


def _whose(panels: Sequence[Panel]) -> str:
    """Say of which units rates are drawn."""
    if not any(panel.layers for panel in panels):
        return "all units"
    every = all(len(panel.rates) == len(drawn(panel.rates)) for panel in panels)
    return "the units of each layer" if every else "the units of the first layers and of the last"


class Layer(NamedTuple):
    """How one layer of a method fires.

    Args:
        name, units: of the layer. rates: mean rate in Hz, a finished run each. silent: share of silent units, likewise.
    """

    name: str
    units: int
    rates: list[float]
    silent: list[float]


def _layers(method: Method, runs: Runs) -> list[Layer]:
    """Return the layers of a method; none where there is but one, or nothing was kept of them."""
    found = [one.layers for r in method.finished if (one := runs.get(str(r["run"])))]
    names = {name: about["units"] for layers in found for name, about in layers.items()}
    return [
        Layer(
            name, units, *(numbers(own[name].get(key) for own in found if name in own) for key in ("rate_Hz", "silent"))
        )
        for name, units in names.items()
    ]


def _by_layer(layers: Sequence[Layer]) -> str:
    """Say how each layer fires; of many the one that fires least.

    >>> _by_layer([Layer("hidden_1", 4, [10.0], [0.25]), Layer("hidden_2", 2, [0.0], [1.0])])
    ' (hidden_1 10 Hz, 1 of 4 silent; hidden_2 0 Hz, 2 of 2 silent)'
    """
    told = [*layers] if len(layers) <= LAYERS else [min(layers, key=lambda layer: middle(layer.rates))]
    said = [
        f"{layer.name} {digits(middle(layer.rates))} Hz, {round(middle(layer.silent) * layer.units, 1):g} of "
        f"{layer.units} silent"
        for layer in told
        if layer.rates and layer.silent
    ]
    return f" ({'least: ' * (len(told) < len(layers))}{'; '.join(said)})" if said else ""


def _firing(method: Method, runs: Runs, key: str) -> list[float]:
    """Return one number of the record of each finished run whose units spike."""
    return numbers(one.firing.get(key) for r in method.finished if (one := runs.get(str(r["run"]))))


def _books(method: Method, runs: Runs, key: str) -> list[float]:
    return numbers(one.ledger.get(key) for r in method.finished if (one := runs.get(str(r["run"]))))


def _cost(method: Method, values: Sequence[float]) -> Cell:
    return marked(_energy(values), method, ENERGY)


def _energy(values: Sequence[float]) -> Cell:
    """Write an energy with a prefix of its own; what a profile does not state is said, never 0.

    >>> str(_energy([])), str(_energy([2.5e-12]))
    ('not stated', '2.50 pJ')
    """
    if not values:
        return Cell(SILENT)
    low, high = quantity(min(values), "J"), quantity(max(values), "J")
    return Cell(quantity(middle(values), "J"), f"[{low}, {high}]" if low != high else "")
