"""What a chip burns and takes up whatever it does: static power and area, by part."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuroanp.devices.protocol import NodeSource
    from neuroanp.profiles import HardwareProfile
    from neuroanp.substrates.crossbar import Crossbar


def static_power(
    profile: HardwareProfile,
    arrays: Mapping[str, Crossbar],
    lines: Mapping[str, int],
    junctions: NodeSource | None,
    banks: Mapping[str, NodeSource] = MappingProxyType({}),
) -> dict[str, float]:
    """Return watts by part, those that the profile states or the law of its junctions knows.

        P = sum over arrays (m P_row + n tiles P_column) + units (P_node + n_sources P_junction)

    m word lines, n bit lines in each of the tiles along the inputs; a line of a pair counts once. All units have
    their junctions, those of the outputs among them.

    Args:
        profile, arrays: of the chip. lines: pre-activations by group, of outputs too.
        junctions: the sources of node noise, or None: there are none, or they are off.
        banks: those of groups where they are not alike: each group burns what its own do.
    """
    energy, units = profile.energy, sum(lines.values())
    found = {}
    if energy is not None:
        found = _of_lines(arrays, units, energy.static_row, energy.static_column, energy.static_node)
    if junctions is not None:
        stated = None if energy is None else energy.static_junction
        if stated is None and banks:
            each = [_times(law.static_power, law.n_sources * lines[name]) for name, law in banks.items()]
            known = [watts for watts in each if watts is not None]
            found["junctions"] = sum(known) if known else None
        else:
            watts = junctions.static_power if stated is None else stated
            found["junctions"] = _times(watts, junctions.n_sources * units)
    return _stated(found)


def area_of(
    profile: HardwareProfile, arrays: Mapping[str, Crossbar], lines: Mapping[str, int], junctions: NodeSource | None
) -> dict[str, float]:
    """Return square metres by part, those that the profile states: devices, and what `static_power` counts.

    Args: as there.
    """
    energy, units = profile.energy, sum(lines.values())
    if energy is None:
        return {}
    devices = sum(array.device.planes * array.shape[0] * array.shape[1] for array in arrays.values())
    found = {"devices": _times(energy.area_device, devices)}
    found |= _of_lines(arrays, units, energy.area_row, energy.area_column, energy.area_node)
    if junctions is not None:
        found["junctions"] = _times(energy.area_junction, junctions.n_sources * units)
    return _stated(found)


def _of_lines(
    arrays: Mapping[str, Crossbar], units: int, row: float | None, column: float | None, node: float | None
) -> dict[str, float | None]:
    """Return a figure of each word line, bit line and unit, times how many there are."""
    rows = sum(array.shape[1] for array in arrays.values())
    columns = sum(array.shape[0] * len(array.tiling.widths) for array in arrays.values())
    return {"rows": _times(row, rows), "columns": _times(column, columns), "nodes": _times(node, units)}


def _times(figure: float | None, count: int) -> float | None:
    return None if figure is None else figure * count


def _stated(found: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in found.items() if value is not None}
