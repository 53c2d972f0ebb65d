"""Verilog of a fixed-point network of several layers: one core that goes through the stages of a step.

A stage is one of

    CURRENT  E += (W u[line]) << shift            lines of the input that are currents
    SPREAD   I += (W line) << shift               lines that spiked, of the input, a layer below or the layer itself
    UPDATE   V, I, spike, refractory              units of a layer
    FADE     Y <- ((a Y) >>> d) + C_y             outputs
    READ     Y += (W line) << shift               lines that spiked

Layer after layer: what arrives at once, the step of the units, what the layer's own spikes and those that come a step
later do to I; then the outputs. The order is all that tells a delay of 0 from one of 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from neuroanp.export.templates import filled
from neuroanp.export.verilog import FACTORS, NET, OF_INPUTS, lane_bits
from neuroanp.network.network import INPUT, OUTPUT

if TYPE_CHECKING:
    from neuroanp.export.whole_numbers import FixedPoint
    from neuroanp.network.network import Network, Projection


class Stage(NamedTuple):
    """One stage of a step.

    Args:
        kind: what is done. group: to which layer, or the output.
        array: whose weights are added; None: states take their step.
    """

    kind: str
    group: str
    array: Projection | None = None


def stages(network: Network, currents: bool) -> list[Stage]:
    """Return the stages of a step, in their order.

    Args:
        network: of LIF layers. currents: whether inputs are currents; spikes move the membrane of the next step.

    >>> from neuroanp.backends.neuron import LIF
    >>> from neuroanp.network.compose import Stacked, stack
    >>> two = stack(1, [Stacked(LIF(), 3), Stacked(LIF(), 2, recurrent=False)], 1)
    >>> [(stage.kind, stage.array.name if stage.array else stage.group) for stage in stages(two, True)][:4]
    [('CURRENT', 'w_in'), ('UPDATE', 'hidden_1'), ('SPREAD', 'w_1'), ('SPREAD', 'w_1_2')]
    """
    found = []
    for layer in network.layers:
        into = [p for p in network.projections if p.post == layer.name]
        late = [p for p in into if p.delay or (p.pre == INPUT and not currents)]
        found += [Stage("CURRENT" if p.pre == INPUT else "SPREAD", layer.name, p) for p in into if p not in late]
        found += [Stage("UPDATE", layer.name), *(Stage("SPREAD", layer.name, p) for p in late)]
    return [*found, Stage("FADE", OUTPUT), *(Stage("READ", OUTPUT, p) for p in network.feed(OUTPUT))]


def net(fixed: FixedPoint) -> str:
    """Return lif_net.v."""
    network, order = fixed.network, stages(fixed.network, fixed.currents)
    I, N, O = network.inputs, network.hidden, network.outputs  # noqa: E741
    widths = {
        "WAIT": max(1, *(layer.hold.bit_length() for layer in fixed.layers.values())),
        "INDEX": max(I, N, O).bit_length(),
        "ADDRESS": max(W.values.size for W in fixed.weights.values()).bit_length(),
        "FACTOR": (len(FACTORS) * len(network.layers)).bit_length(),
        "STAGE": len(order).bit_length(),
    }
    names = {
        "MODE": OF_INPUTS["MODE"][fixed.currents], "INPUTS": I, "UNITS": N, "OUTPUTS": O, "LANE": lane_bits(fixed),
        "STATE": fixed.bits.state, "WEIGHT": fixed.bits.weight, "DECAY": fixed.bits.decay,
        "FACTORS": len(FACTORS) * len(network.layers) + 1, "CURRENTS": f"1'd{int(fixed.currents)}",
        "LAST": f"{widths['STAGE']}'d{len(order) - 1}", **widths, **_tables(fixed, order, widths),
    }  # fmt: skip
    return filled(NET, names)


def _tables(fixed: FixedPoint, order: list[Stage], widths: dict[str, int]) -> dict[str, str]:
    """Return the lines of the core that are one an array, one a stage and one a layer."""
    network = fixed.network
    numbers = [f"{widths['STAGE']}'d{number}" for number in range(len(order))]
    arrays = [(name, W.values.size) for name, W in fixed.weights.items()]
    sweeps = [(number, stage.array.name) for number, stage in zip(numbers, order, strict=True) if stage.array]
    steps = [(number, stage.group) for number, stage in zip(numbers, order, strict=True) if stage.kind == "UPDATE"]
    assert [name for _, name in steps] == [layer.name for layer in network.layers]
    pad = 12 * " "
    return {
        "MEMORIES": "".join(f"    reg signed [WEIGHT-1:0] {name} [0:{size - 1}];\n" for name, size in arrays),
        "FILES": "".join(f'        $readmemh("{name}.mem", {name});\n' for name, _ in arrays),
        "STAGES": "".join(
            f"{pad}{number}: {_swept(fixed, stage, widths)}\n" for number, stage in zip(numbers, order, strict=True)
        ),
        "WEIGHTS": "".join(f"        stage == {number} ? {name}[address] :\n" for number, name in sweeps),
        "LAYERS": "".join(
            f"{pad}{number}: {_common(fixed, name, at, widths)}\n" for at, (number, name) in enumerate(steps)
        ),
    }


def _swept(fixed: FixedPoint, stage: Stage, widths: dict[str, int]) -> str:
    """Return what a stage goes over, as a line of the core."""
    network, p, index = fixed.network, stage.array, widths["INDEX"]
    start, lines, shift, said = 0, 1, 0, stage.group
    if p is not None:
        start, lines, shift = _first(network, p.pre), network.units[p.pre], fixed.shift(p)
        said = f"{p.name}: {p.pre} to {p.post}"
    parts = [
        stage.kind, f"1'd{int(p is not None and p.pre == INPUT)}", f"{index}'d{start}", f"{index}'d{lines}",
        f"{index}'d{_first(network, stage.group)}", f"{index}'d{network.units[stage.group]}", f"6'd{shift}",
    ]  # fmt: skip
    return f"{{kind, of_input, from, lines, to, posts, shift}} = {{{', '.join(parts)}}}; // {said}"


def _common(fixed: FixedPoint, name: str, at: int, widths: dict[str, int]) -> str:
    """Return what the units of a layer have in common, as a line of the core."""
    layer = fixed.layers[name]
    flags = [f"1'd{int(flag)}" for flag in (layer.subtract, layer.delayed, layer.raised)]
    parts = [f"{widths['FACTOR']}'d{len(FACTORS) * at}", f"{widths['WAIT']}'d{layer.hold}", *flags]
    return f"{{factor, hold, subtract, delayed, raised}} = {{{', '.join(parts)}}}; // {name}"


def _first(network: Network, group: str) -> int:
    """Return the number of a group's first unit among those of all layers; 0 of the input and the output."""
    if network.layer(group) is None:
        return 0
    names = [layer.name for layer in network.layers]
    return sum(layer.units for layer in network.layers[: names.index(group)])
