"""What is said of each layer of a network on a Xylo, and where its arrays lie among the chip's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroanp.backends.xylo_numbers import Array, Wanted, place

if TYPE_CHECKING:
    from neuroanp.backends.xylo import Network
    from neuroanp.export.model import Model
    from neuroanp.network.network import Layer, Projection


def named(model: Model, layer: Layer, name: str) -> str:
    """Return what is said of a layer, with its name where there are several."""
    return name if len(model.network.layers) == 1 else f"{layer.name} {name}"


def part_of(model: Model, wanted: Wanted, p: Projection) -> Array:
    """Return the block (post, pre) of the wanted numbers that an array is."""
    part, where = place(model.network, p)
    return getattr(wanted, part)[where]


def integers(model: Model, net: Network, p: Projection) -> Array:
    """Return the block (post, pre) of the chip's whole numbers that an array is, without their shift."""
    part, where = place(model.network, p)
    matrix = {"w_in": net.w_in[..., 0], "w_rec": net.w_rec[..., 0], "w_out": net.w_out}[part]
    return matrix.numpy().T[where]
