"""What structures of networks a chip can hold: where spikes come a step later, and where arrays can lie.

On a chip each connection takes a step: spikes of a layer move membranes of the next one step after them, as within a
layer. A network says so with `delay: 1` in the layers above the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroanp.network.network import INPUT, OUTPUT

if TYPE_CHECKING:
    from neuroanp.network.network import Network, Projection


def unheld(network: Network, chip: str, skips: bool) -> list[str]:
    """Return why a chip cannot hold such a network, a sentence for each reason with its remedy; []: it can.

    Args:
        network: layers and projections. chip: its name.
        skips: whether arrays may pass layers by; else each group feeds the next alone.

    >>> from neuroanp.network.compose import Stacked, stack
    >>> from neuroanp.backends.neuron import LIF
    >>> two = [Stacked(LIF(), 5), Stacked(LIF(), 4, delay=1)]
    >>> unheld(stack(3, two, 2), "loihi", skips=False), len(unheld(stack(3, two, 2, skip=True), "loihi", skips=False))
    ([], 1)
    """
    groups, said = network.groups, []
    early = [p.post for p in network.projections if not p.delay and p.pre != INPUT and p.post != OUTPUT]
    if early:
        said.append(
            f"{', '.join(dict.fromkeys(early))}: on {chip} each connection takes a step, so that spikes of the layer "
            "below come one step later; give these layers delay: 1"
        )
    past = [p.name for p in network.projections if groups.index(p.post) - groups.index(p.pre) > 1]
    straight = [p.name for p in network.projections if (p.pre, p.post) == (INPUT, OUTPUT)]
    if past and not skips:
        said.append(
            f"{', '.join(past)}: {chip} holds layers one after the other, and these arrays pass one by; "
            "train with network.skip: false"
        )
    elif straight:
        said.append(f"{', '.join(straight)}: {chip} has no way from the input to the output but through units")
    return said + [
        f"{', '.join(biases)}: {post} has one bias on {chip}, and these are several; keep one of them"
        for post in network.noisy
        if len(biases := [p.name for p in network.feed(post) if p.bias]) > 1
    ]


def biased(network: Network, post: str) -> Projection | None:
    """Return the array whose last column is the bias of a group, or None."""
    return next((p for p in network.feed(post) if p.bias), None)


def of_inputs(p: Projection) -> bool:
    """Return whether an array is fed by input lines, whose currents have another gain than those of spikes."""
    return p.pre == INPUT


def spans(network: Network) -> dict[str, slice]:
    """Return which of the chip's hidden units those of each layer are.

    >>> from neuroanp.network.compose import Stacked, stack
    >>> from neuroanp.network.tanh import Tanh
    >>> spans(stack(1, [Stacked(Tanh(), 3), Stacked(Tanh(), 2)], 1))
    {'hidden_1': slice(0, 3, None), 'hidden_2': slice(3, 5, None)}
    """
    found, start = {}, 0
    for layer in network.layers:
        found[layer.name] = slice(start, start + layer.units)
        start += layer.units
    return found
