"""Networks as memristive crossbars: a SPICE netlist an array, and the conductances.

Of a device that holds conductances, those it holds now: programming errors, faults and drift are in them. Else

    G+- = g_min + max(+-W, 0) scale,    scale = (g_max - g_min) / max|W|        y = (I+ - I-) / scale  (1 V an input)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from neuroanp.backends.neuron import LIF
from neuroanp.errors import InputError
from neuroanp.export.checking.crossbar import ALL, allowed
from neuroanp.export.checking.presented import Check
from neuroanp.export.checking.script import HERE
from neuroanp.export.checks import finite, refuse
from neuroanp.export.driven import lines_of, vector
from neuroanp.export.model import reference
from neuroanp.export.netlist import OPEN, Circuit, foreign, netlist
from neuroanp.export.protocol import DeviceExporter, Exported
from neuroanp.substrates.tiling import Tiling, through_wires
from neuroanp.training.build import holds_weights
from neuroanp.units import Conductance, Resistance, format_quantity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.export.model import Model
    from neuroanp.substrates.chip import DeviceChip

NAME = re.compile(r"[A-Za-z0-9_]{1,80}")
MOST_WIRED, MOST = 64 * 64, 512 * 512
"""Weights of an array that ngspice solves in about 20 s, with and without resistance of lines."""


@dataclass(frozen=True)
class Conductances:
    """The conductances of one array.

    Args:
        g: (2, n, m) siemens, G+ and G-: what resistors can have.
        scale: siemens a unit of weight.
        volts: volts a unit of input.
        span: g_min and g_max, siemens.
        wires: ohms a segment of word and bit lines.
        tiling: sizes of the tiles.
        devices: planes that are memory; in offset coding G- is a reference.
        lost: devices below 0 S, which are left out.
    """

    g: NDArray[np.float64]
    scale: float
    volts: float
    span: tuple[float, float]
    wires: tuple[float, float]
    tiling: Tiling
    devices: int = 2
    lost: int = 0

    def weights(self) -> NDArray[np.float64]:
        """Return the weights (n, m) that currents at the ends of the lines show."""
        import torch

        seen = self.g
        if any(self.wires):
            seen = through_wires(torch.from_numpy(self.g), *self.wires, self.tiling, "exact")[0].numpy()
        return (seen[0] - seen[1]) / self.scale

    def circuit(self, name: str, x: NDArray[np.float64]) -> Circuit:
        """Return the array as a circuit that inputs x (m,) drive."""
        return Circuit(name, self.g, x, self.scale, self.volts, *self.wires, self.tiling)


class Crossbar(DeviceExporter):
    """Memristive crossbar: a SPICE netlist an array, and the conductances (npz).

    From the run's own device where that holds conductances; digital weights are mapped to illustrative ones.
    """

    holds: ClassVar[str] = "rate and spiking networks: the matrices, not the units"
    reader: ClassVar[str] = "ngspice"
    lost: ClassVar[str] = (
        "what the device made of the weights and what lines take; read noise and converters are left out"
    )
    script: ClassVar[Path | None] = HERE / "crossbar.py"

    source: Literal["auto", "device", "weights"] = Field(
        default="auto",
        description="those of the run's device, or weights mapped to g_min..g_max; auto: the device's, if it has any",
    )
    g_min: Conductance = Field(default=1e-6, description="lowest conductance of mapped weights; 1 uS is illustrative")
    g_max: Conductance = Field(default=100e-6, description="highest of mapped weights; 100 uS is illustrative")
    wire: Resistance | None = Field(
        default=None, description="resistance of a segment of all lines; if not given the device's, if it states any"
    )
    vector: int | None = Field(
        default=None,
        ge=0,
        description="step of the first held-out sequence that drives the sources; if not given the most active",
    )
    arrays: tuple[str, ...] | None = Field(
        default=None, strict=False, min_length=1, description="arrays to write, by name; all if left out"
    )
    large: bool = Field(default=False, description="write arrays that take ngspice minutes, too")

    def check(self, model: Model) -> None:
        """Raise InputError for weights, conductances, options and sizes that make no circuit."""
        problems = finite(model)
        if not np.isfinite(model.inputs).all():
            problems.append("inputs: held-out inputs are not finite; correct the task's data")
        steps = len(model.inputs)
        if self.vector is not None and self.vector >= steps:
            problems.append(f"vector: step {self.vector} is beyond the {steps} of a sequence; give 0 to {steps - 1}")
        refuse(_no_lif(model) + problems + self._unknown(model) + self._range(model), "crossbar")
        found = {name: self._held(model, name) for name in self._names(model)}
        refuse([line for name, held in found.items() for line in self._array(name, held)], "crossbar")

    def check_tuning(self, model: Model) -> None:
        """Raise InputError for weights that are mapped, which no device's writes went wrong with."""
        chip = model.chip
        if chip is None:
            raise InputError("--finetune: the network comes without a device to learn on; export it from its run")
        name = chip.profile.name
        if not analogue(chip):
            raise InputError(
                f"--finetune: device {name} stores digital weights, of which writing loses nothing; write them to a "
                "device that holds conductances and export that run: neuroanp train RUN/config.yaml --profile pcm "
                f"--updates 0 --set network.weights=RUN{' --backend lif' if holds_weights(model.backend) else ''}"
            )
        if self.source == "weights":
            raise InputError(
                f"--finetune: source: 'weights' leaves out device {name}, on which it learns; leave --set "
                "source=weights out"
            )

    def unseen(self, model: Model) -> tuple[str, ...]:
        """Say where the lines of the netlists are others than those of the device."""
        assert model.chip is not None
        given = self.wire
        if given is None or all(lines(model.chip, name) == (given, given) for name in self._names(model)):
            return ()
        return ("fine-tuning learned through the device's own lines, not through those of --set wire",)

    def _unknown(self, model: Model) -> list[str]:
        """Find arrays that are asked for and not there, and names that no file should have."""
        known = [*model.network.shapes]
        odd = [name for name in self._names(model) if not NAME.fullmatch(name)]
        return [
            *(f"arrays: {name!r:.80} is none of this network; it has {', '.join(known)}"
              for name in dict.fromkeys(self.arrays or ()) if name not in known),
            *(f"projection {name!r:.80}: names a file; letters, digits and _ alone can be in it" for name in odd),
        ]  # fmt: skip

    def _range(self, model: Model) -> list[str]:
        """Find options that do not go together with the device, and weights that cannot be mapped."""
        chip, given = self._device(model), self.model_fields_set & {"g_min", "g_max"}
        if self.source == "device" and model.chip is None:
            return ["source: 'device', but the network comes without one; use --set source=weights"]
        if chip is not None:
            lines = [
                f"{name}: the conductances are those of profile {chip.profile.name}; leave it out, or map the weights "
                "with --set source=weights"
                for name in sorted(given)
            ]
            if any(array.v_0 is not None for array in chip.arrays.values()):
                lines.append(
                    f"conductance.v_0: the devices of profile {chip.profile.name} are not ohmic, and netlists have "
                    "resistors; map the weights with --set source=weights, or train without nonlinear_iv"
                )
            shapes = {name: (tuple(chip.arrays[name].shape), model.weights[name].shape) for name in self._names(model)}
            return lines + [
                f"{name}: the device holds {held}, the network {wanted}; export from the run that trained it"
                for name, (held, wanted) in shapes.items()
                if held != wanted
            ]
        low, high = (format_quantity(g, "S") for g in (self.g_min, self.g_max))
        lines = [] if self.g_min > 0 else [f"g_min: {low} is no resistor; give one above 0 S, e.g. 1 uS"]
        if not self.g_min < self.g_max < np.inf:
            lines.append(f"g_max: {high} is not above g_min, {low}; raise g_max or lower g_min")
        peaks = {name: float(np.abs(model.weights[name]).max(initial=0.0)) for name in self._names(model)}
        return lines + [
            f"{name}: largest weight {peak:g} gives no scale; train it, or leave it out: --set arrays=..."
            for name, peak in peaks.items()
            if np.isfinite(peak) and not 1e-100 < peak < 1e100
        ]

    def _array(self, name: str, held: Conductances) -> list[str]:
        """Find what is wrong with the conductances of one array."""
        _, n, m = held.g.shape
        lines = []
        if not np.isfinite(held.g).all():
            lines.append(
                f"{name}: {int((~np.isfinite(held.g)).sum())} conductances are not finite; repeat the training"
            )
        elif not held.g.any():
            lines.append(f"{name}: no device conducts; leave it out: --set arrays=...")
        wired = any(held.wires)
        most = MOST_WIRED if wired else MOST
        if n * m > most and not self.large:
            shorter = ", lines without resistance (--set wire='0 ohm')" if wired else ""
            lines.append(
                f"{name}: {n} x {m} weights{' with wires' * wired} take ngspice minutes or more, at most {most} are "
                f"written; use --set large=true{shorter}, or other arrays (--set arrays=...)"
            )
        return lines

    @classmethod
    def foreign(cls, folder: Path) -> list[str]:
        """Find netlists with lines that `export` does not write; see `Exporter.foreign`."""
        return [line for path in sorted(folder.glob("*.cir")) for line in foreign(path)]

    def export(self, model: Model, folder: Path) -> Exported:
        """Write a netlist an array, and the conductances with inputs and outputs that they stand for."""
        found = {name: self._held(model, name) for name in self._names(model)}
        weights = {name: held.weights() for name, held in found.items()}
        traces = reference(replace(model, weights={**model.weights, **weights}))
        step, driven = vector(replace(model, weights={**model.weights, **weights}), traces, self.vector)
        lines = {name: driven[name] for name in found}
        said = (f"run {model.name}", self._origin(model), f"inputs: step {step} of the first held-out sequence")
        ports = {name: told for name in found if (told := lines_of(model.network, name))}
        data: dict[str, NDArray[Any]] = {}
        facts: dict[str, float | int | str] = {"source": self._origin(model), "vector": step}
        for name, held in found.items():
            more = (f"outputs: {ports[name]}",) if name in ports else ()
            text = "\n".join(netlist(held.circuit(name, lines[name]), (*said, *more))) + "\n"
            (folder / f"{name}.cir").write_text(text, encoding="ascii", newline="\n")
            data |= {f"{name}.{key}": part for key, part in _stored(held, lines[name], weights[name]).items()}
            numbers = _facts(held, weights[name] - model.weights[name])
            facts |= {f"{name}.{key}": number for key, number in numbers.items()}
            facts |= {f"{name}.lines": ports[name]} if name in ports else {}
        np.savez(folder / "conductances.npz", **data)  # pyright: ignore[reportArgumentType]
        return Exported(
            files=("conductances.npz", *(f"{name}.cir" for name in found)),
            held=weights,
            traces=traces,
            limits=(*self._limits(model, found), *_silent(lines, step)),
            check=_presented(data),
            facts=facts,
            of_device=self._device(model) is not None,
            origin=None if self._device(model) is None else self._origin(model),
        )

    def _names(self, model: Model) -> list[str]:
        """Return the arrays to write, in the order of the network."""
        return [name for name in model.network.shapes if self.arrays is None or name in self.arrays]

    def _device(self, model: Model) -> DeviceChip | None:
        """Return the chip whose conductances are exported, or None where weights are mapped."""
        chip = model.chip
        if chip is None or self.source == "weights":
            return None
        return chip if self.source == "device" or analogue(chip) else None

    def _held(self, model: Model, name: str) -> Conductances:
        chip = self._device(model)
        if chip is not None:
            return from_device(chip, name, self.wire)
        return mapped(model.weights[name], self.g_min, self.g_max, self.wire or 0.0)

    def _origin(self, model: Model) -> str:
        """Say where the conductances are from."""
        chip = self._device(model)
        if chip is not None:
            return f"conductances of device {chip.profile.name} at {chip.now:g} s of its time, without read noise"
        why = (
            f"; device {model.chip.profile.name} stores digital weights" if self.source == "auto" and model.chip else ""
        )
        return f"weights mapped to an illustrative range of conductance{why}"

    def _limits(self, model: Model, found: Mapping[str, Conductances]) -> list[str]:
        said = ["units are not in the netlists: each array multiplies one vector"]
        chip = self._device(model)
        if chip is None:
            said.append("the range of conductance is illustrative; devices land on their targets")
        else:
            said.append("read noise, converters and amplifiers are left out; inputs are amplitudes of voltages")
        said += [f"{name}: {held.lost} devices below 0 S are left out" for name, held in found.items() if held.lost]
        return said


def _no_lif(model: Model) -> list[str]:
    """Find spiking units whose spikes, which drive the arrays, have no equations in float64 here."""
    return [
        f"{layer.name}: what units {type(layer.cell).__name__} send is not known here; train with cell lif, or with "
        "rate cells alone"
        for layer in model.network.layers
        if model.spiking and not isinstance(layer.cell, LIF)
    ]


def analogue(chip: DeviceChip) -> bool:
    """Return whether a chip stores conductances.

    Not where its profile states no read voltage, which is of digital weights, nor where writes never err: latches do
    that, whatever currents they switch.
    """
    law, span = chip.device.programming, chip.device.span
    if chip.profile.periphery is None:
        return False
    if law is None:
        return True
    import torch

    return bool(law.sigma(torch.linspace(span.g_min, span.g_max, 65, dtype=torch.float64), span.g_max).any())


def from_device(chip: DeviceChip, name: str, wire: float | None = None) -> Conductances:
    """Return the conductances that an array of a chip has now, read noise aside.

    Args:
        chip: the device. name: of the array.
        wire: ohms a segment instead of the profile's.
    """
    array, span, periphery = chip.arrays[name], chip.device.span, chip.profile.periphery
    g = chip.device.conductance(array.cells, chip.now).detach().double().cpu().numpy()
    planes = len(g)
    if planes == 1:  # each weight is read against a device in the middle of the range
        g = np.concatenate([g, np.full_like(g, span.middle)])
        if "dead" in array.cells:
            g = np.where(array.cells["dead"].cpu().numpy(), 0.0, g)
    return Conductances(
        g=np.where(g < OPEN, 0.0, g),
        scale=1.0 / (array.slope * chip.factor(name)),
        volts=1.0 if periphery is None else periphery.v_read,
        span=(span.g_min, span.g_max),
        wires=lines(chip, name) if wire is None else (wire, wire),
        tiling=array.tiling,
        devices=planes,
        lost=int((g < 0).sum()),
    )


def lines(chip: DeviceChip, name: str) -> tuple[float, float]:
    """Return ohms a segment of the word and the bit lines of an array; 0 where the chip has none."""
    own = chip.arrays[name].wires
    return (0.0, 0.0) if own is None else (own.r_word, own.r_bit)


def mapped(W: NDArray[np.float64], g_min: float, g_max: float, wire: float = 0.0) -> Conductances:
    """Return conductances for weights, the largest of which spans the range.

    Args:
        W: (n, m). g_min, g_max: siemens. wire: ohms a segment.

    >>> held = mapped(np.array([[0.5, -1.0]]), 1e-6, 101e-6)
    >>> np.round(1e6 * held.g, 6).tolist(), held.weights().round(9).tolist()
    ([[[51.0, 1.0]], [[1.0, 101.0]]], [[0.5, -1.0]])
    """
    scale = (g_max - g_min) / float(np.abs(W).max())
    g = g_min + np.stack([np.maximum(W, 0.0), np.maximum(-W, 0.0)]) * scale
    return Conductances(g, scale, 1.0, (g_min, g_max), (wire, wire), Tiling((len(W),), (W.shape[1],)))


def _stored(held: Conductances, x: NDArray[np.float64], W: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Return what the file of conductances holds of one array, with its outputs for the test vector and for ones."""
    tiles = {"heights": held.tiling.heights, "widths": held.tiling.widths}
    ones = np.ones_like(x)  # lines that are at rest in the test vector would show nothing of their devices
    parts = {
        "g": held.g, "x": x, "y": W @ x, "x_all": ones, "y_all": W @ ones,
        "scale": held.scale, "volts": held.volts, "wires": held.wires, **tiles,
    }  # fmt: skip
    return {key: np.asarray(part) for key, part in parts.items()}


def _presented(data: Mapping[str, NDArray[Any]]) -> Check:
    """Return what conductances.npz has of each array's test vector, and of ones."""
    x, y, most = {}, {}, {}
    arrays = [key.removesuffix(".g") for key in data if key.endswith(".g")]
    for array, end, part in [(array, *which) for which in (("", ""), (ALL, "_all")) for array in arrays]:
        name = f"{array}{end}"
        x[name], y[name] = data[f"{array}.x{part}"], data[f"{array}.y{part}"]
        most[name] = allowed(data[f"{array}.g"], x[name], data[f"{array}.scale"])
    return Check(x, y, most, own=("conductances.npz", "conductances.npz"))


def _silent(lines: Mapping[str, NDArray[np.float64]], step: int) -> list[str]:
    """Say of which arrays all sources are at 0 V."""
    return [
        f"{name}: nothing drives it at step {step}; choose another step (--set vector=...)"
        for name, x in lines.items()
        if not x.any()
    ]


def _facts(held: Conductances, error: NDArray[np.float64]) -> dict[str, float | int]:
    """Return numbers worth a record; a device within a millionth of a limit is at it."""
    cells, (low, high) = held.g[: held.devices], held.span
    near = 1e-6 * (high - low)
    return {
        "scale_siemens": held.scale,
        "volts_per_input": held.volts,
        "g_lowest_siemens": float(cells.min()),
        "g_highest_siemens": float(cells.max()),
        "wire_word_ohm": held.wires[0],
        "wire_bit_ohm": held.wires[1],
        "weight_rms_error": float(np.sqrt(np.mean(error**2))),
        "devices": int(cells.size),
        "devices_at_g_min": int((cells <= low + near).sum()),
        "devices_at_g_max": int((cells >= high - near).sum()),
    }
