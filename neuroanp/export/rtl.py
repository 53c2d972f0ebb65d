"""RTL: memory files and a generated Verilog core, with a testbench that Icarus Verilog runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from neuroanp.export import verilog, verilog_guard, verilog_net
from neuroanp.export.checking.presented import Check
from neuroanp.export.checking.script import HERE
from neuroanp.export.checks import at_once_only, finite, refuse
from neuroanp.export.fixed_point import fixed_point, wanted_factors
from neuroanp.export.holdable import bad_inputs, bad_structure, bad_units
from neuroanp.export.model import Traces
from neuroanp.export.protocol import Exported, PresentingExporter
from neuroanp.export.whole_numbers import DECAY_MAX, STATE_MAX, Bits, FixedPoint, labelled

if TYPE_CHECKING:
    from neuroanp.export.model import Model

STIMULUS, EXPECTED = "stimulus.mem", "expected.txt"
MOST_WORDS = 2**24
"""Of a memory: an address stays a whole number of 32 bits; 50 to 80 MB of text."""
MOST_CYCLES = 2**27
"""Weights of all memories: four times as many, which the testbench counts up to, are a number of nine digits."""
MOST_BITS = 2**16
"""Of a vector that every tool takes: IEEE 1364-2005, 4.3.1."""


class Rtl(PresentingExporter):
    """Synthesisable Verilog core in fixed point, with $readmemh memory files and a self-checking testbench."""

    holds: ClassVar[str] = (
        "spiking networks of any layers: any reset, any refractory period, spikes or currents as inputs, biases"
    )
    reader: ClassVar[str] = "Icarus Verilog (iverilog, vvp)"
    lost: ClassVar[str] = "bits of weights, decays and input currents; states round towards minus infinity"
    script: ClassVar[Path | None] = HERE / "rtl.py"

    weight_bits: int = Field(default=8, ge=2, le=16, description="bits of a weight, two's complement")
    state_bits: int = Field(default=32, ge=12, le=STATE_MAX, description="bits of v, I and the outputs")
    decay_bits: int = Field(default=12, ge=4, le=DECAY_MAX, description="bits of the fractions that factors a, k are")
    input_bits: int = Field(default=8, ge=2, le=16, description="bits of an input current, two's complement")
    sequences: int = Field(default=2, ge=1, description="sequences of held-out inputs to simulate, at most all")

    def check(self, model: Model) -> None:
        """Raise InputError for what fixed point, or a memory or vector of Verilog, cannot hold."""
        problems = [*bad_units(model), *bad_structure(model), *finite(model), *bad_inputs(model)]
        refuse([*problems, *at_once_only(model, "rtl"), *self._sizes(model)], "rtl")
        self._fixed(model)

    def _sizes(self, model: Model) -> list[str]:
        """Find memories and vectors that are too large; nothing is allocated for them."""
        (inputs, hidden, outputs), network = model.sizes, model.network
        lane = 1 if model.spikes_in else self.input_bits
        words = {p.name: network.units[p.post] * network.units[p.pre] for p in network.projections}
        units = "network.hidden" if len(network.layers) == 1 else "network.layers"
        problems = [
            f"{name}: {count} weights, a memory holds at most {MOST_WORDS} here; train a smaller network"
            for name, count in words.items()
            if count > MOST_WORDS
        ]
        if (total := sum(words.values())) > MOST_CYCLES:
            problems.append(
                f"{units}: {total} weights in all, one a clock cycle of a step, at most {MOST_CYCLES}; train a smaller "
                "network"
            )
        vectors = {
            "inputs": (inputs * lane, f"{inputs} lines of {lane} bits", ", or take fewer input_bits" * (lane > 1)),
            units: (hidden, f"{hidden} units of 1 bit", ""),
            "outputs": (
                outputs * self.state_bits,
                f"{outputs} words of {self.state_bits} bits",
                ", or take fewer state_bits",
            ),
        }
        return problems + [
            f"{name}: {made} are {bits} bits side by side, a Verilog vector has at most {MOST_BITS}; train a smaller "
            f"network{remedy}"
            for name, (bits, made, remedy) in vectors.items()
            if bits > MOST_BITS
        ]

    @classmethod
    def foreign(cls, folder: Path) -> list[str]:
        """Find Verilog that is not what `export` writes, numbers aside; see `Exporter.foreign`."""
        return verilog_guard.foreign(folder)

    def export(self, model: Model, folder: Path) -> Exported:
        """Write memories, lif_core.v (lif_net.v of several layers), testbench.v, stimulus.mem and expected.txt."""
        fixed = self._fixed(model)
        u = fixed.inputs(model.inputs)
        s, v, y = fixed.run(u)
        steps, sequences = min(self.steps or len(u), len(u)), min(self.sequences, u.shape[1])
        shown = slice(None, steps), slice(None, sequences)
        one = verilog.single(model.network)
        files = {
            **({verilog.CORE: verilog.core(fixed)} if one else {verilog.NET: verilog_net.net(fixed)}),
            verilog.TESTBENCH: verilog.bench(fixed, steps, sequences),
            **verilog.memories(fixed),
            STIMULUS: _stimulus(u[shown], verilog.lane_bits(fixed)),
            EXPECTED: _expected(s[shown], y[shown]),
        }
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        traces = Traces(y * 2.0**-fixed.fraction_y, s, fixed.potentials(v))
        wanted, factors = wanted_factors(model), fixed.factors
        return Exported(
            files=tuple(files), held=fixed.held(), traces=traces,
            decays={name: (x, factors[name] / 2**self.decay_bits) for name, x in wanted.items()},
            limits=_limits(fixed, model, steps, sequences), facts=_facts(fixed, steps, sequences),
            check=Check({"inputs": u[shown]}, {"spikes": s[shown], "outputs": y[shown]}, own=(STIMULUS, EXPECTED)),
        )  # fmt: skip

    def _fixed(self, model: Model) -> FixedPoint:
        return fixed_point(model, Bits(self.weight_bits, self.state_bits, self.decay_bits, self.input_bits))


def _stimulus(u: np.ndarray, bits: int) -> str:
    """Return one word a step, sequence after sequence."""
    width = bits * u.shape[2]
    words = [
        verilog.hexadecimal(verilog.packed(lanes, bits), width) for sequence in u.swapaxes(0, 1) for lanes in sequence
    ]
    return "".join(
        [f"// inputs of each step, {bits} bits a line, line 0 the lowest\n", *(f"{word}\n" for word in words)]
    )


def _expected(s: np.ndarray, y: np.ndarray) -> str:
    """Return one line a step, sequence after sequence: spikes in hexadecimal, outputs as whole numbers."""
    lines = []
    for spikes, outputs in zip(s.swapaxes(0, 1), y.swapaxes(0, 1), strict=True):
        for now, out in zip(spikes, outputs, strict=True):
            lines.append(
                " ".join([verilog.hexadecimal(verilog.packed(now, 1), len(now)), *(str(word) for word in out)])
            )
    return "\n".join(lines) + "\n"


def _limits(fixed: FixedPoint, model: Model, steps: int, sequences: int) -> tuple[str, ...]:
    limits = ["v, I and outputs round towards minus infinity in every step, each by less than one step of its own"]
    for name, W in fixed.weights.items():
        wanted, _ = model.columns(name)
        lost = int(((W.values == 0) & (wanted != 0)).sum())
        if lost:
            limits.append(f"{name}: {lost} of {wanted.size} weights round to 0")
    if fixed.currents:
        limits.append(f"inputs: rounded to {fixed.bits.input} bits; larger ones than the held-out inputs do not fit")
    if model.readout_decay == 1.0:
        limits.append(f"outputs count spikes: they hold {len(model.inputs)} steps from a start")
    if (steps, sequences) != model.inputs.shape[:2]:
        whole = f"{model.inputs.shape[1]} sequences of {len(model.inputs)} steps"
        limits.append(f"stimulus.mem and expected.txt: the first {steps} steps of {sequences} sequences, of {whole}")
    return tuple(limits)


def _facts(fixed: FixedPoint, steps: int, sequences: int) -> dict[str, float | int | str]:
    between = "_" if len(fixed.layers) == 1 else "."
    scales = {f"{name}{between}scale": W.scale for name, W in fixed.weights.items()}
    states: dict[str, int] = {}
    for name, layer in fixed.layers.items():
        states |= labelled(fixed.network, name, {"state_scale": 2**layer.fraction})
    reach = {}
    for name, most in fixed.reach.items():
        layer, dot, state = name.rpartition(".")
        reach[f"{layer}{dot}largest_possible_{state}"] = most
    return {
        **scales, "input_scale": fixed.input_scale, **states, "y_scale": 2**fixed.fraction_y,
        **reach, "weight_memory_bits": fixed.bits.weight * sum(W.values.size for W in fixed.weights.values()),
        "clock_cycles_per_step_at_most": verilog.cycles(fixed),
        "simulated_steps": steps, "simulated_sequences": sequences,
    }  # fmt: skip
