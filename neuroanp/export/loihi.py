"""Loihi 2: whole-number weights and decays, in the HDF5 layout that lava-dl's netx loads.

The equations and scales are those of `neuroanp.backends.loihi_numbers`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from neuroanp.backends.loihi import DECAY_ONE, SHIFT, WEIGHT_HIGH
from neuroanp.backends.loihi_numbers import (
    ROOM,
    Peaks,
    Quantised,
    Scales,
    assumed_peaks,
    chip_of,
    decays,
    finest,
    in_thresholds,
    quantise,
    scales,
)
from neuroanp.backends.neuron import LIF
from neuroanp.export.checking.presented import Check, compact
from neuroanp.export.checking.script import HERE
from neuroanp.export.checks import at_once, finite, one_layer_only, refuse, spikes_in_only
from neuroanp.export.model import Model, Traces, reference
from neuroanp.export.netx import write
from neuroanp.export.protocol import ChipExporter, Exported
from neuroanp.units import Plain, format_quantity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.backends.chips import Chip

# one chip, of Intel's technology brief of Loihi 2 (2021)
NEURONS_MOST, SYNAPSES_MOST = 1_000_000, 120_000_000


class Loihi(ChipExporter):
    """Loihi 2: a netx HDF5 file for lava-dl, of 8-bit weights and 12-bit decays."""

    holds: ClassVar[str] = "spiking networks with spikes as inputs, hard reset and at most one step of rest"
    reader: ClassVar[str] = "lava-dl 0.6 with lava-nc 0.10 (Python 3.10)"
    lost: ClassVar[str] = (
        "weights to 8 bits, decays to 1/4096 a step, states cut to whole numbers; biases do not rise, they are there"
    )
    script: ClassVar[Path | None] = HERE / "loihi.py"

    headroom: Annotated[float, Plain("a number of 1 or above", 1.0)] = Field(
        default=2.0, description="how many times the largest state on held-out inputs fits into 24 bits"
    )

    def check(self, model: Model) -> None:
        """Raise InputError for what Loihi's neurons cannot do; see `Exporter.check`."""
        problems = [*finite(model), *one_layer_only(model, "loihi", (LIF,)), *_too_large(model)]
        if model.backend == "loihi" and "headroom" in self.model_fields_set:
            problems.append("headroom: the run learned on the chip's numbers, whose scales are fixed; leave it out")
        if model.spiking:
            problems += [*spikes_in_only(model, "loihi"), *_neuron(model), *_spikes(model)]
        refuse(problems or _weights(model, self.headroom), "loihi")

    def export(self, model: Model, folder: Path, like: Model | None = None) -> Exported:
        """Write network.net; see `ChipExporter.export`.

        Args:
            like: the network whose scales are taken; the model's own if None.
        """
        held = quantise(model, self._scales(like or model))
        traces, state, wrapped = _run(model, held)
        write(folder / "network.net", held.network)
        return Exported(
            files=("network.net",),
            held=_held(model, held),
            traces=traces,
            decays={name: (wanted, 1 - whole / DECAY_ONE) for name, (wanted, whole) in decays(model).items()},
            limits=tuple(_limits(model, held, wrapped)),
            check=self._presented(model, held, traces, state),
            facts=_facts(model, held, wrapped),
        )

    def _presented(self, model: Model, held: Quantised, traces: Traces, state: NDArray[np.int64]) -> Check:
        """Return the first sequences, and what is read of the chip: spikes, and the state that is the output."""
        assert traces.s is not None
        steps, sequences = self.shown(model)
        u, s, out = (part[:steps, :sequences] for part in (model.inputs, traces.s, state))
        return Check(
            stimulus={"inputs": compact(u), "state": np.array(held.reads)},
            expected={"spikes": compact(s), "output_state": out},
        )

    def chip(self, model: Model) -> Chip:
        """Return the chip's neurons and scales for this network; see `ChipExporter.chip`."""
        return chip_of(model, self._scales(model))

    def _scales(self, model: Model) -> Scales:
        return scales(model, peaks_of(model, self.headroom))


def peaks_of(model: Model, headroom: float) -> Peaks:
    """Return what states reach: of a network that learned on the chip what was assumed there.

    Else `headroom` times the largest state and output on the model's inputs.
    """
    if model.backend == "loihi":
        return assumed_peaks(model)
    truth = reference(model)
    loudest = max(float(np.abs(truth.y).max()), 1e-300)
    return Peaks(headroom * _peak(model, truth), headroom * loudest)


def _peak(model: Model, truth: Traces) -> float:
    """Return the largest current k_I J or membrane on the model's inputs, in thresholds."""
    assert truth.s is not None
    assert model.neuron is not None
    a_m, k_e = float(model.step.a_m[0]), float(model.step.k_e[0])
    after = np.concatenate([np.zeros_like(truth.v[:1]), truth.v[:-1] * (1 - truth.s[:-1])])
    current = truth.v - a_m * after - k_e * model.neuron.drive
    return max(float(np.abs(truth.v).max()), float(np.abs(current).max()), 1e-300)


def _run(model: Model, held: Quantised) -> tuple[Traces, NDArray[np.int64], int]:
    """Return what the chip does on the model's inputs in the network's steps and units.

    Then the states of its output units (T, B, O) as they are, and how often a current wrapped.
    """
    import torch

    from neuroanp.backends.loihi import begin, run

    u = torch.from_numpy(model.inputs.astype(np.int64))
    u = torch.cat([u, u.new_zeros((1, *u.shape[1:]))])
    steps, _ = run(held.network, begin(held.network, u.shape[1]), u)
    s, v = (x[:-1].numpy() for x in (steps.s, steps.v))
    state = (steps.u_out if held.reads == "u" else steps.v_out)[1:].numpy()
    traces = Traces(state / held.scale, s, v / (held.threshold * 2.0**SHIFT))
    return traces, state, int(steps.wrapped.sum())


def _held(model: Model, held: Quantised) -> dict[str, NDArray[np.float64]]:
    """Return the chip's weights in the network's own units and shapes."""
    assert model.neuron is not None
    network, neuron, step = held.network, model.neuron, model.step
    per_current = held.threshold * float(step.k_i[0])
    W_in = network.w_in.numpy() / (per_current * neuron.input_gain)
    W_out = network.w_out.numpy() * 2**SHIFT / held.scale
    if model.bias:
        driven = network.hidden.bias.numpy() - held.threshold * float(step.k_e[0]) * neuron.drive
        W_in = np.column_stack([W_in, driven / (per_current * neuron.input_gain)])
        W_out = np.column_stack([W_out, network.output.bias.numpy() * 2**SHIFT / held.scale])
    return {"w_in": W_in, "w": network.w.numpy() / (per_current * neuron.synapse_gain), "w_out": W_out}


def _facts(model: Model, held: Quantised, wrapped: int) -> dict[str, float | int | str]:
    network = held.network
    facts: dict[str, float | int | str] = {"threshold": held.threshold, "output_scale": held.scale}
    facts |= {"largest_weight": int(max(network.w_in.abs().max(), network.w.abs().max())), "currents_wrapped": wrapped}
    assert model.neuron is not None
    if model.neuron.drive and not model.bias:
        facts["drive"] = float(network.hidden.bias[0]) / held.threshold / float(model.step.k_e[0])
    return facts


def _limits(model: Model, held: Quantised, wrapped: int) -> list[str]:
    network = held.network
    said = [
        "outputs come one step late (the dense connection); taken out of the traces",
        f"a weight is an even whole number of units of 1/{held.threshold} thresholds, or {2**SHIFT / held.scale:.3g} "
        f"of an output; output units never spike: read their state {held.reads} and divide by {held.scale:.6g}",
        "lava was not run: check.py runs the file in it, where it is installed, and compares",
    ]
    wanted, _ = in_thresholds(model)
    for name, W, got in zip(("w_in", "w", "w_out"), (*wanted, model.columns("w_out")[0]), network[:3], strict=True):
        lost = int(((W != 0) & (got.numpy() == 0)).sum())
        if lost:
            said.append(f"{name}: {lost} of {W.size} weights are less than half a step, and are 0")
    assert model.neuron is not None
    if model.neuron.drive and not model.bias:
        said.append(f"neuron.drive is {_facts(model, held, 0)['drive']:.4g}, wanted {model.neuron.drive:.4g}")
    if model.bias:
        said.append("biases act in full from the first step; in the network they rise with tau_s and tau_r")
    if wrapped:
        remedy = "" if model.backend == "loihi" else "; raise headroom"
        said.append(f"a current left its 24 bits {wrapped} times and wrapped round{remedy}")
    return said


def _too_large(model: Model) -> list[str]:
    inputs, hidden, outputs = model.sizes
    counts = {
        "neurons": (hidden + outputs, NEURONS_MOST),
        "weights": (hidden * (inputs + hidden + outputs), SYNAPSES_MOST),
    }
    return [
        f"hidden: {count} {what}, one chip has {most}; train with fewer hidden units"
        for what, (count, most) in counts.items()
        if count > most
    ]


def _neuron(model: Model) -> list[str]:
    """Find what of the neuron the chip's neurons cannot do."""
    assert model.neuron is not None
    neuron, problems = model.neuron, []
    if neuron.reset != "hard":
        problems.append(
            f"neuron.reset: '{neuron.reset}', Loihi resets to 0{at_once(neuron)}; train with --set neuron.reset=hard"
        )
    if neuron.refractory_steps(model.dt) > 1:
        rest, dt = (format_quantity(seconds, "s") for seconds in (neuron.refractory, model.dt))
        problems.append(
            f"neuron.refractory: '{rest}' is longer than one step, '{dt}', and lava's neurons have no rest; "
            f"train with --set neuron.refractory='{dt}'"
        )
    if neuron.decoder != "trace":
        problems.append("neuron.decoder: 'count' never forgets; train with --set neuron.decoder=trace")
    taus = {"membrane": "tau_m", "synapse": "tau_s", "readout": "tau_r"}
    longest = format_quantity(DECAY_ONE * model.dt, "s", 3)
    for name, (_, whole) in decays(model).items():
        if whole < 1 and (name != "readout" or neuron.decoder == "trace"):
            tau = format_quantity(getattr(neuron, taus[name]), "s")
            problems.append(
                f"neuron.{taus[name]}: '{tau}' decays by less than 1/{2 * DECAY_ONE} a step and would never; "
                f"train with {taus[name]} up to '{longest}'"
            )
    return problems


def _spikes(model: Model) -> list[str]:
    bad = int((~np.isin(model.inputs, (0.0, 1.0))).sum())
    if model.spikes_in and bad:
        return [f"inputs: {bad} of {model.inputs.size} are neither 0 nor 1; train with --set encoder=poisson"]
    return []


def _weights(model: Model, headroom: float) -> list[str]:
    """Find weights that no threshold brings into range."""
    zero = [name for name in ("w_in", "w_out") if not np.any(model.columns(name)[0])]
    if zero:
        return [f"{name}: all weights are 0; repeat the training" for name in zero]
    weights, biases = in_thresholds(model)
    most, largest = finest(weights, biases), max(float(np.abs(W).max()) for W in weights)
    if most < 1:
        times = 1 / most
        if most * largest <= WEIGHT_HIGH / 2:
            return [f"neuron.drive: a constant current {times:.3g} times too large against the threshold; lower it"]
        return [f"w_in, w: {times:.3g} times too large against the threshold; lower neuron.input_gain or synapse_gain"]
    peaks = peaks_of(model, headroom)
    W_out, _ = model.columns("w_out")
    if not np.rint(W_out * scales(model, peaks).y / 2).any():
        return [
            f"w_out: all weights round to 0 where 24 bits hold an output of {peaks.y:.3g}; use a shorter neuron.tau_r"
        ]
    peak = peaks.state
    most = min(most, ROOM / peak)
    if most * largest < 1:
        return [
            f"w_in, w: the largest adds {largest:.3g} thresholds and rounds to 0 where {peak:.3g} thresholds fit into "
            "24 bits; use a longer tau_m or tau_s, or repeat the training"
        ]
    if most < 1:
        return [f"w_in, w: states reach {peak:.3g} thresholds, 24 bits hold {int(ROOM)}; lower headroom"]
    return []
