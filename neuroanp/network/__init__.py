"""The network as a value: layers of units, and the projections between them."""

from neuroanp.network.cell import CELLS, Cell, RateCell
from neuroanp.network.network import INPUT, OUTPUT, Layer, Network, Projection

__all__ = ["CELLS", "INPUT", "OUTPUT", "Cell", "Layer", "Network", "Projection", "RateCell"]
