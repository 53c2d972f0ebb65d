"""What an export lost: weights, decays, spikes, outputs and scores against the network it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.export.protocol import EXPORTERS, DeviceExporter
from neuroanp.export.resources import resources
from neuroanp.training.build import holds_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.export.model import Model, Traces
    from neuroanp.export.protocol import Exported

SAME = 1e-4
"""Losses that differ by less, relative, are of the same network: what is left is the precision of sums."""


@dataclass(frozen=True)
class ExportReport:
    """What a format holds of a network, and what was lost.

    Args:
        run, format: names.
        origin: which of the run's weights are exported, a phrase: its digital targets, or what its device made of them.
        reference: which weights the network has that errors and the score `before` are of.
        recorded: noise-free loss of the network that was scored, on the run's own device; None where there is none.
        files: in the export's directory, the one to load first.
        weights: by array: largest and rms error, and rms error over the rms weight.
        decays: by name: wanted, held and their difference, factors a step.
        spikes: mismatches between the format's spikes and the network's, `of` how many places, how many spikes the
            network has, the first step that differs (None: none does); None of rates.
        outputs: largest and rms error of the outputs, and rms error over the rms output.
        score: by name, of the network of the weights of `reference` in float64 without any device (`before`) and of
            what the format holds (`after`), on the run's held-out inputs;
            with fine-tuning also of what the format would hold without it (`quantised`). All else is of the fine-tuned
            network then, but `before`.
        limits: sentences: clipped, rounded, left out, delayed.
        facts: what it takes (`neuroanp.export.resources`), and other numbers of the format.
        check: which files check it in a reader of others, the command, and what is presented and compared; None: none.

    >>> from tempfile import TemporaryDirectory
    >>> import neuroanp as na
    >>> tiny = {"task": {"name": "copy", "test_size": 4}, "network": {"hidden": 4}, "training": {"controls": False}}
    >>> with TemporaryDirectory() as folder:
    ...     report = na.train(tiny, updates=1, runs=folder, report=False, progress=False).export("onnx")
    >>> report.weights["w"]["max"] < 1e-6, report.plain()["files"] == report.files  # ONNX has float32
    (True, True)
    """

    run: str
    format: str
    origin: str
    reference: str
    recorded: float | None
    files: tuple[str, ...]
    weights: Mapping[str, Mapping[str, float]]
    decays: Mapping[str, Mapping[str, float]]
    spikes: Mapping[str, int | None] | None
    outputs: Mapping[str, float]
    score: Mapping[str, Mapping[str, float]]
    limits: tuple[str, ...]
    facts: Mapping[str, float | int | str]
    check: Mapping[str, Any] | None

    def __repr__(self) -> str:
        before, after = (self.score[key]["loss"] for key in ("before", "after"))
        lost = f"loss {before:.4g}, as {self.format} {after:.4g}; {len(self.limits)} limits"
        return f"ExportReport({self.run} as {self.format}: {lost}; {', '.join(self.files)})"

    def _repr_html_(self) -> str:
        from neuroanp.markup import lines, listed, table

        rows = [[when, *(f"{value:.4g}" for value in scores.values())] for when, scores in self.score.items()]
        told = [f"weights: {self.origin}"]
        if self.spikes is not None:
            told.append(f"spikes that differ: {self.spikes['mismatches']:,} of {self.spikes['of']:,} places")
        told += [f"outputs differ by at most {self.outputs['max']:.3g}", *self.limits]
        return lines([repr(self)]) + table(["", *next(iter(self.score.values()))], rows) + listed(told)

    def plain(self) -> dict[str, Any]:
        """Return it as values that JSON takes."""
        return asdict(self)


def compare(model: Model, truth: Traces, name: str, exported: Exported) -> ExportReport:
    """Compare what a format holds with the network.

    Args:
        model: the network. truth: what it does on its inputs.
        name: of the format. exported: what the exporter returned.

    Raises:
        ValueError: traces of other shapes than the network's: an exporter that does not keep its word.
    """
    found = exported.traces
    if found.y.shape != truth.y.shape:
        raise ValueError(f"{name}: outputs are {found.y.shape}, those of the network {truth.y.shape}")
    before, after = dict(model.score(truth.y)), dict(model.score(found.y))
    return ExportReport(
        run=model.name,
        format=name,
        origin=exported.origin or model.origin,
        reference=model.origin,
        recorded=model.recorded,
        files=exported.files,
        weights={key: errors(held, model.weights[key]) for key, held in exported.held.items()},
        decays={
            key: {"wanted": float(wanted), "held": float(held), "error": float(held - wanted)}
            for key, (wanted, held) in exported.decays.items()
        },
        spikes=None if truth.s is None or found.s is None else mismatches(found.s, truth.s),
        outputs=errors(found.y, truth.y),
        score={"before": before, "after": after},
        limits=(*model.notes, *_of_the_run(model, name, exported, before["loss"], after["loss"]), *exported.limits),
        facts={**resources(model, exported), **exported.facts},
        check=None if exported.check is None else exported.check.plain(),
    )


def fine_tuned(
    report: ExportReport,
    without: ExportReport,
    facts: Mapping[str, float | int | str],
    limits: tuple[str, ...] = (),
) -> ExportReport:
    """Return the report of an export with fine-tuning.

    Args:
        report: of the fine-tuned network. without: of the network as it was. facts: how it was fine-tuned.
        limits: what was not in the loop, in sentences.
    """
    before, quantised = without.score["before"], without.score["after"]
    score = {"before": before, "quantised": quantised, "after": report.score["after"]}
    said = ["errors of weights, spikes and outputs are against the fine-tuned weights; scores tell what both lost"]
    was, loss = quantised["loss"], score["after"]["loss"]
    if loss > was:
        errs = ", or leave it: every write errs anew" if "finetune_write" in facts else ""
        said.insert(0, f"fine-tuning made the loss worse, {was:.6g} to {loss:.6g}; lower --finetune-lr{errs}")
    updates = facts["finetune_updates"]
    origin = f"{report.origin}, after {updates} update{'s' * (updates != 1)} of fine-tuning"
    known = {"origin": origin, "reference": without.reference, "recorded": without.recorded}
    return replace(
        report, **known, score=score, facts={**report.facts, **facts}, limits=(*said, *limits, *report.limits)
    )


def _of_the_run(model: Model, name: str, exported: Exported, before: float, after: float) -> tuple[str, ...]:
    """Say how far the loss of what is exported is from that of the network that was scored, and why."""
    had, loss = model.recorded, after if exported.of_device else before
    if model.backend == name:
        said = (
            f"the run learned on whole numbers: before, {before:.4g}, is of its unrounded weights in float64, which it "
            "never ran",
        )
        if had is None or abs(had - after) <= SAME * abs(had):
            return said
        return (
            *said,
            f"the run had a loss of {had:.4g}, what is exported {after:.4g}, though it learned with the same numbers: "
            "states reached the ends of their bits, where the order of spikes within a step counts",
        )
    if had is None or abs(had - loss) <= SAME * abs(loss):
        return ()
    if exported.of_device:
        return (
            f"the run's own noise-free loss, {had:.4g}, has what surrounds the arrays in it, as converters and a fast "
            f"model of wires; what is exported has not, and its loss is {after:.4g}",
        )
    if model.as_held:
        whole = f"backend {model.backend} computes in whole numbers" if holds_weights(model.backend) else ""
        why = "; ".join(filter(None, [*model.beside, whole])) or "its sums were rounded to the run's own precision"
        return (
            f"the network that was scored had a loss of {had:.4g} without noise, these weights alone have "
            f"{before:.4g}: {why}",
        )
    holder = f"backend {model.backend} rounded" if holds_weights(model.backend) else "the run's own device held"
    other = "" if issubclass(EXPORTERS.get(name), DeviceExporter) else "; --weights as_held exports what it held"
    return (
        f"exported are the {model.origin}, of loss {before:.4g}; as {holder} them the network had {had:.4g} "
        f"without noise{other}",
    )


def errors(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> dict[str, float]:
    """Return the largest and rms difference, and the rms difference over the rms of what is wanted.

    >>> errors(np.array([1.0, 2.5]), np.array([1.0, 2.0]))["max"]
    0.5
    """
    apart = found - wanted
    rms, size = (float(np.sqrt(np.mean(np.square(part)))) for part in (apart, wanted))
    return {"max": float(np.abs(apart).max()), "rms": rms, "relative": rms / size if size else float(rms > 0)}


def mismatches(found: NDArray[np.int64], wanted: NDArray[np.int64]) -> dict[str, int | None]:
    """Count the places (step, sequence, unit) where two rasters differ.

    >>> mismatches(np.array([[[1, 0]]]), np.array([[[1, 1]]]))
    {'mismatches': 1, 'of': 2, 'spikes': 2, 'first_step': 0}
    """
    if found.shape != wanted.shape:
        raise ValueError(f"spikes are {found.shape}, those of the network {wanted.shape}")
    apart = found != wanted
    steps = np.flatnonzero(apart.any((1, 2)))
    first = int(steps[0]) if steps.size else None
    return {"mismatches": int(apart.sum()), "of": apart.size, "spikes": int(wanted.sum()), "first_step": first}
