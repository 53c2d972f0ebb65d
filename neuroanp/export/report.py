"""What an export lost: weights, decays, spikes, outputs and scores against the network it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.export.model import Model, Traces
    from neuroanp.export.protocol import Exported


@dataclass(frozen=True)
class ExportReport:
    """What a format holds of a network, and what was lost.

    Args:
        run, format: names.
        files: in the export's directory, the one to load first.
        weights: by array: largest and rms error, and rms error over the rms weight.
        decays: by name: wanted, held and their difference, factors a step.
        spikes: mismatches between the format's spikes and the network's, `of` how many places, how many spikes the
            network has, the first step that differs (None: none does); None of rates.
        outputs: largest and rms error of the outputs, and rms error over the rms output.
        score: by name, of the network (`before`) and of what the format holds (`after`), on the run's held-out inputs;
            with fine-tuning also of what the format would hold without it (`quantised`). All else is of the fine-tuned
            network then, but `before`.
        limits: sentences: clipped, rounded, left out, delayed.
        facts: other numbers of the format.
        read_back: lines that read the files back.
    """

    run: str
    format: str
    files: tuple[str, ...]
    weights: Mapping[str, Mapping[str, float]]
    decays: Mapping[str, Mapping[str, float]]
    spikes: Mapping[str, int | None] | None
    outputs: Mapping[str, float]
    score: Mapping[str, Mapping[str, float]]
    limits: tuple[str, ...]
    facts: Mapping[str, float | int | str]
    read_back: str

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
    return ExportReport(
        run=model.name,
        format=name,
        files=exported.files,
        weights={key: errors(held, model.weights[key]) for key, held in exported.held.items()},
        decays={
            key: {"wanted": float(wanted), "held": float(held), "error": float(held - wanted)}
            for key, (wanted, held) in exported.decays.items()
        },
        spikes=None if truth.s is None or found.s is None else mismatches(found.s, truth.s),
        outputs=errors(found.y, truth.y),
        score={"before": dict(model.score(truth.y)), "after": dict(model.score(found.y))},
        limits=(*model.notes, *_of_the_device(model, truth), *exported.limits),
        facts=dict(exported.facts),
        read_back=exported.read_back,
    )


def fine_tuned(report: ExportReport, without: ExportReport, facts: Mapping[str, float | int | str]) -> ExportReport:
    """Return the report of an export with fine-tuning.

    Args:
        report: of the fine-tuned network. without: of the network as it was. facts: how it was fine-tuned.
    """
    before, quantised = without.score["before"], without.score["after"]
    score = {"before": before, "quantised": quantised, "after": report.score["after"]}
    said = ["errors of weights, spikes and outputs are against the fine-tuned weights; scores tell what both lost"]
    was, loss = quantised["loss"], score["after"]["loss"]
    if loss > was:
        said.insert(0, f"fine-tuning made the loss worse, {was:.4g} to {loss:.4g}; lower --finetune-lr")
    return replace(report, score=score, facts={**report.facts, **facts}, limits=(*said, *report.limits))


def _of_the_device(model: Model, truth: Traces) -> tuple[str, ...]:
    """Say what the run's own device made of the weights, where its loss is another."""
    loss = model.score(truth.y)["loss"]
    if model.recorded is None or abs(model.recorded - loss) <= 0.01 * abs(loss):
        return ()
    return (
        f"exported are the digital target weights, of loss {loss:.4g}; as the run's own device held them the network "
        f"had {model.recorded:.4g} without noise",
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
