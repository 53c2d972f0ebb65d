"""Fine-tuning with the chip in the loop: score before, as the chip holds the network, and after 100 more updates.

python benchmarks/finetuning.py [--seeds 3] [--workers 2]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import arguments, keep, rows_of_networks, spread, table, verdict

from neuroanp import api
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch

UPDATES = 100
RATES = (1.0, 0.25)
"""Learning rates of fine-tuning, in learning rates of the training: all are in the table, none was chosen by it."""
CONTROL, NONE = 1e-9, 0.0
COPY: dict[str, Any] = {
    "task": {"name": "copy"},
    "network": {"hidden": 40},
    "rule": {"name": "anp", "reference": "mean", "K": 3},
    "optimizer": {"lr": 2e-3},
    "training": {"updates": 400, "batch": 32, "controls": False},
}
XOR: dict[str, Any] = {
    "task": {"name": "xor"},
    "network": {"hidden": 20},
    "rule": {"name": "anp", "K": 8},
    "optimizer": {"lr": 1e-2},
    "training": {"updates": 300, "batch": 8, "controls": False},
}
MORE = 400
"""Updates of controls without fine-tuning: as many as training and fine-tuning have together."""


@dataclass(frozen=True)
class Network:
    """A network to train, export and fine-tune.

    Args:
        label: what it stands as in the table. format: of the export.
        base, overrides: its configuration. write_to: a device that the trained weights are then written to, or None.
        rates: of fine-tuning, in those of the training; NONE: no fine-tuning.
        options: of the format.
    """

    label: str
    format: str
    base: Mapping[str, Any]
    overrides: Mapping[str, Any]
    write_to: str | None = None
    rates: tuple[float, ...] = RATES
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """What fine-tuning did to one seed's network.

    Args:
        label: of the network. rate: of fine-tuning. pulses: that it sent, None where there are no devices.
        loss, accuracy: before, as the chip held it, after. limits: of the report.
    """

    label: str
    rate: float
    pulses: int | None
    loss: tuple[float, float, float]
    accuracy: tuple[float, float, float]
    limits: tuple[str, ...] = field(default=(), compare=False)


OTHER_DECAYS: Mapping[str, Any] = {
    "backend": "lif", "encoder": "poisson", "neuron.reset": "subtract", "neuron.refractory": "0 ms",
}  # fmt: skip
WRITTEN = (*RATES, CONTROL)
NETWORKS = [
    *(
        network
        for chip in ("xylo", "loihi")
        for network in (
            Network(f"xor, 20 LIF, target {chip}", chip, XOR, {"target": chip, "backend": "lif"}),
            Network(f"xor, 20 LIF, target {chip}, {MORE} updates", chip, XOR,
                    {"target": chip, "backend": "lif", "training.updates": MORE}, rates=(NONE,)),
            Network(f"xor, 20 LIF, {MORE} updates on backend {chip}", chip, XOR,
                    {"target": chip, "training.updates": MORE}, rates=(NONE,)),
        )
    ),
    Network("xor, 20 LIF, other decays, xylo --quantize-decay", "xylo", XOR, OTHER_DECAYS,
            options={"quantize_decay": True}),
    Network("copy, 40 tanh, trained on ideal, written to pcm", "crossbar", COPY, {}, "pcm", WRITTEN),
    Network("copy, 40 tanh, trained on ideal, written to rram_hfo2", "crossbar", COPY, {}, "rram_hfo2", WRITTEN),
    Network("copy, 40 tanh, trained on pcm (verify)", "crossbar", COPY, {"profile": "pcm"}),
    Network("copy, 40 tanh, trained on rram_hfo2 (verify)", "crossbar", COPY, {"profile": "rram_hfo2"}),
    Network("copy, 40 tanh, trained on ecram (pulses)", "crossbar", COPY,
            {"profile": "ecram", "hardware.write": "pulse"}),
    Network("xor, 20 LIF, trained on pcm (verify)", "crossbar", XOR, {"profile": "pcm", "backend": "lif"}),
]  # fmt: skip


def rows_of(job: tuple[Network, int, Path]) -> list[Row]:
    """Train one network on one seed, and export it with fine-tuning at each rate."""
    torch.set_num_threads(1)
    network, seed, store = job
    root = store / f"{NETWORKS.index(network)}-{seed}"
    config = configure(network.base, network.overrides, seed=seed)
    path = launch(config, root).path
    if network.write_to is not None:
        changes = {"profile": network.write_to, "training.updates": 0, "network.weights": str(path)}
        path = launch(configure(path / "config.yaml", changes), root).path
    return [tuned(network, path, rate, config.optimizer.lr) for rate in network.rates]


def tuned(network: Network, path: Path, rate: float, lr: float) -> Row:
    """Export a run with fine-tuning; after it is what it was, where there is none."""
    if rate == NONE:
        report = api.export(path, network.format, path / "plain", **network.options)
        loss, accuracy = (
            (report.score["before"][key], report.score["after"][key], report.score["after"][key])
            for key in ("loss", "accuracy")
        )
        return Row(network.label, rate, None, loss, accuracy, report.limits)
    rate = rate if rate == CONTROL else rate * lr
    report = api.export(
        path, network.format, path / f"tuned-{rate:g}", finetune=UPDATES, finetune_lr=rate, **network.options
    )
    loss, accuracy = (
        tuple(report.score[when][key] for when in ("before", "quantised", "after")) for key in ("loss", "accuracy")
    )
    pulses = report.facts.get("finetune_pulses")
    sent = pulses if isinstance(pulses, int) else None
    return Row(network.label, rate, sent, loss, accuracy, report.limits)  # pyright: ignore[reportArgumentType]


def line(seeds: Sequence[Row]) -> list[str]:
    """Write the rows of all seeds as one line of the table."""
    row = seeds[0]
    sent = [each.pulses for each in seeds if each.pulses is not None]
    scores = [spread([getattr(each, key)[i] for each in seeds]) for key in ("loss", "accuracy") for i in range(3)]
    control = " (control: learns nothing)" if row.rate == CONTROL else ""
    if row.rate == NONE:
        return [row.label, "none", "-", *scores[:2], "-", *scores[3:5], "-", "-"]
    return [
        row.label, f"{row.rate:g}{control}", f"{median(sent):.3g}" if sent else "-", *scores,
        f"{sum(each.loss[2] > each.loss[1] for each in seeds)} of {len(seeds)}",
    ]  # fmt: skip


def words(seeds: Sequence[Row]) -> str:
    """Say in plain words what fine-tuning did to one network at one rate."""
    row, name = seeds[0], f"{seeds[0].label}, lr {seeds[0].rate:g}"
    if row.rate == NONE:
        return f"- {row.label}, no fine-tuning: loss as the chip holds it {spread([each.loss[1] for each in seeds])}"
    worse = [f"seed {i}: {each.loss[1]:.3g} to {each.loss[2]:.3g}" for i, each in enumerate(seeds)
             if each.loss[2] > each.loss[1]]  # fmt: skip
    change = f"loss as the chip held it times {spread([each.loss[2] / each.loss[1] for each in seeds])}"
    idle = sum(each.pulses == 0 for each in seeds)
    wrote = "" if not idle else f"; on {idle} of {len(seeds)} seeds no device was written, all changes being too small"
    if row.rate == CONTROL:
        return f"- control, {name}: {change}{wrote}: this is what time on the chip does without learning"
    said = "better on every seed" if not worse else f"WORSE on {len(worse)} of {len(seeds)} ({'; '.join(worse)})"
    return f"- {name}: {said}; {change}{wrote}"


def claims(groups: Mapping[tuple[str, float], Sequence[Row]]) -> list[str]:
    """Say which of the numbers hold what fine-tuning is for."""
    found = []
    for network in (each for each in NETWORKS if each.write_to is not None):
        seeds = groups[network.label, max(rate for label, rate in groups if label == network.label)]
        lost = [each.loss[1] - each.loss[0] for each in seeds]
        back = [(each.loss[1] - each.loss[2]) / gone for each, gone in zip(seeds, lost, strict=True)]
        share = f"{100 * median(back):.3g} % of what writing took [{100 * min(back):.3g} .. {100 * max(back):.3g}]"
        found.append(verdict(f"{network.write_to}: writing made the loss worse on every seed", min(lost) > 0))
        found.append(verdict(f"{network.write_to}: fine-tuning brought back {share}; all seeds > 0", min(back) > 0))
    for network in (each for each in NETWORKS if each.options):
        seeds = groups[network.label, max(rate for label, rate in groups if label == network.label)]
        now, was = (median(each.loss[i] for each in seeds) for i in (2, 1))
        found.append(
            verdict(f"{network.label}: median loss after {now:.3g} <= as the chip held it {was:.3g}", now <= was)
        )
    return found


HEADERS = [
    "network", "lr of fine-tuning", "pulses", "loss: before", "as the chip holds it", "after", "accuracy: before",
    "as the chip holds it", "after", "loss worse",
]  # fmt: skip
NOTES = f"""{UPDATES} updates of ANP on sequences that training has not had, with the chip in the loop. Scores are on
held-out sequences, noise-free, median [lowest .. highest] over seeds. "Other decays" are of 20 and 5 ms, which Xylo has
not: the export takes the nearest. "Before" is the float64 network of xylo and loihi, and of crossbars the digital
target weights. Networks that learned on a device have grown used to what it makes of its targets: there "before" is no
network that ever ran, and can be the worst of the three. "As the chip holds it" is what an export without fine-tuning
has. Rows of {MORE} updates have no fine-tuning: as many updates in all, without a chip, or on the chip's own numbers
from the start. "Pulses": sent to devices by fine-tuning, the median. Rates: those of the training and a quarter of
them, fixed beforehand; the control's is {CONTROL:g}."""


def main() -> None:
    """Train, export with fine-tuning, and keep the table."""
    options = arguments(__doc__ or "")
    found: list[Row] = rows_of_networks(rows_of, NETWORKS, options)
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in found:
        groups.setdefault((row.label, row.rate), []).append(row)
    body = [
        table(HEADERS, [line(seeds) for seeds in groups.values()]),
        "\n".join(words(seeds) for seeds in groups.values()),
        NOTES,
        "\n".join(f"- {claim}" for claim in claims(groups)),
    ]
    keep("finetuning", f"Fine-tuning with the chip in the loop, seeds 0 .. {options.seeds - 1}", "\n\n".join(body))


if __name__ == "__main__":
    main()
