"""What of a file's arrays does not fit a network by name or shape, a line each with the nearest remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from neuroanp.network.cell import CELLS
from neuroanp.network.compose import BACK, INTO
from neuroanp.training.alike import key_of
from neuroanp.training.layers import UNITS_FIELD

if TYPE_CHECKING:
    from neuroanp.network.network import Network

Shapes = Mapping[str, tuple[int, ...]]


def of_names(found: Shapes, network: Network, by_layers: bool) -> Iterator[str]:
    """Find arrays of a file that a network has not, and those that it lacks.

    Args:
        found: shapes of a file's arrays. network: the configuration's, `by_layers` or by hidden.

    What nothing uses is refused as well: it was learned along with the rest, which does something else without it.

    >>> from neuroanp.network.compose import Stacked, stack
    >>> from neuroanp.network.tanh import Tanh
    >>> one, two = [stack(3, [Stacked(Tanh(), 5)] * k, 2) for k in (1, 2)]
    >>> print(*of_names(stack(3, [Stacked(Tanh(), 5)] * 2, 2, skip=True).shapes, two, True))
    holds w_in_2, w_1_out, which this network has not: set network.skip to true
    >>> print(*of_names(two.shapes, one, False))
    holds w_1, w_1_2, w_2, of 2 layers, this network has 1: set network.layers like those of their run (5 and 5 units)
    """
    missing = [name for name in network.shapes if name not in found]
    left = sorted({*found} - {*network.shapes}, key=lambda name: (not name.startswith(INTO), name))  # files have none
    there, here = _layers(found), len(network.layers)
    if there and there != here:
        sizes, some = _sizes(found, there), ", ".join(left or found)
        many, units = f"{there} layer{'s' * (there > 1)}", f" ({sizes} units)" if sizes else ""
        yield f"holds {some}, of {many}, this network has {here}: set network.layers like those of their run{units}"
        return
    yield from _of_structure("holds {}, which this network has not", left, "true")
    yield from _of_structure("no {}", missing if found and by_layers else [], "false")
    rest = [name for name in left if not _structural(name)]
    if rest:
        yield f"holds {', '.join(rest)}, which this network has not; save {', '.join(network.shapes)} alone"
    rest = [name for name in missing if not (found and by_layers and _structural(name))]
    if rest:
        holds, arrays = ", ".join(sorted(found)[:8]) or "nothing", ", ".join(network.shapes)
        yield f"no {', '.join(rest)} of floating-point numbers (it holds {holds}); save the arrays {arrays}"


_BETWEEN, _OWN = re.compile(r"w_[0-9]{1,3}_([0-9]{1,3})"), re.compile(r"w(_[0-9]{1,3})?")
_SKIP = re.compile(r"w_in_[0-9]{1,3}|w_[0-9]{1,3}_out")


def _structural(name: str) -> bool:
    """Return whether an option of a network says whether there is an array of that name."""
    return bool(_SKIP.fullmatch(name) or _OWN.fullmatch(name))


def _of_structure(says: str, names: list[str], value: str) -> Iterator[str]:
    past = [name for name in names if _SKIP.fullmatch(name)]
    if past:
        yield f"{says.format(', '.join(past))}: set network.skip to {value}"
    for name in names:
        if _OWN.fullmatch(name):
            k = int(name[2:] or 1) - 1
            yield f"{says.format(name)}: set network.layers[{k}].recurrent to {value}"


def _layers(found: Shapes) -> int:
    """Return of how many layers the arrays of these names are; 0 where they do not tell."""
    many = max((int(between[1]) for name in found if (between := _BETWEEN.fullmatch(name))), default=0)
    return many or int(BACK in found)


def _sizes(found: Shapes, layers: int) -> str:
    """Name the units of each layer, where the arrays of layers to themselves tell."""
    own = [found.get(f"w_{k}" if layers > 1 else BACK, ()) for k in range(1, layers + 1)]
    return " and ".join(f"{shape[1]}" for shape in own) if all(len(shape) == 2 for shape in own) else ""


def of_shapes(found: Shapes, network: Network, by_layers: bool) -> Iterator[str]:
    """Find arrays of another shape than a network's.

    Args:
        found: shapes of a file's arrays. network: the configuration's, `by_layers` or by hidden.
    """
    if _layers(found) not in (0, len(network.layers)):
        return  # shapes follow from that
    wrong = [name for name, shape in network.shapes.items() if name in found and found[name] != shape]
    alike = all(network.projection(name).pre != network.projection(name).post for name in wrong)
    alike = alike and not all(name in found and name not in wrong for name in network.readout)  # they tell of a bias
    said: set[str] = set()
    for name in wrong:
        remedy = _of_units(name, found[name], network, by_layers) or (
            _of_bias(name, found[name], network) if alike else ""
        )
        yield (
            f"{name} is {found[name]}, the configuration needs {network.shapes[name]}{'' if remedy in said else remedy}"
        )
        said.add(remedy)


def _of_units(name: str, have: tuple[int, ...], network: Network, by_layers: bool) -> str:
    """Return the remedy where an array says that the units of its layer are others, or of another number."""
    p = network.projection(name)
    layer = network.layer(p.post)
    if layer is None or len(have) != 2 or not have[0]:
        return ""
    own, k = network.recurrence(layer.name), network.layers.index(layer)
    if own is None:  # the lines of the array from below are all that tells
        lines = len(layer.cell.feed)
        told = have[0] != network.shapes[name][0] and have[0] % lines == 0
        return f": set {key_of(network, k, 'units', by_layers)} to {have[0] // lines}" if told else ""
    if p != own:
        return ""
    there, here = have[0] // max(have[1], 1), len(layer.cell.recurrent)
    if have[0] != there * have[1]:
        return ""
    if there != here:
        cells = [cell for cell in CELLS.names() if len(CELLS.get(cell).recurrent) == there]
        known = f", as {' and '.join(cells)} {'has' if len(cells) == 1 else 'have'}" if cells else ""
        cell = UNITS_FIELD.name_of(layer.cell)  # pyright: ignore[reportArgumentType]
        return (
            f": it reaches {there} pre-activation{'s' * (there > 1)} of a unit{known}, and {here} of a unit {cell}; "
            f"set {key_of(network, k, 'cell', by_layers)} to the cell that it was trained with"
        )
    return f": set {key_of(network, k, 'units', by_layers)} to {have[1]}" if have[1] != layer.units else ""


def _of_bias(name: str, have: tuple[int, ...], network: Network) -> str:
    want, p = network.shapes[name], network.projection(name)
    if len(have) == 2 and have[0] == want[0]:
        if have[1] == want[1] + 1 and not p.bias:
            return ": it has a bias line; set network.bias to true"
        if have[1] == want[1] - 1 and p.bias:
            return ": it has no bias line; set network.bias to false"
    return ""
