"""What a chip burns and takes up whatever it does: static power and area, by part."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuroanp.substrates.chip_reads import ReadChip


def static_power(chip: ReadChip) -> dict[str, float]:
    """Return watts by part, those that the profile states or the law of its junctions knows.

        P = sum over arrays (m P_row + n tiles P_column) + units (P_node + n_sources P_junction)

    m word lines, n bit lines in each of the tiles along the inputs; a line of a pair counts once. All units have
    their junctions, those of the outputs among them, and none where node noise is off.
    """
    energy = chip.profile.energy
    found = {} if energy is None else _of_lines(chip, energy.static_row, energy.static_column, energy.static_node)
    law = chip.junctions
    if law is not None:
        own = law.static_power if energy is None or energy.static_junction is None else energy.static_junction
        found["junctions"] = None if own is None else own * law.n_sources * _units(chip)
    return _stated(found)


def area_of(chip: ReadChip) -> dict[str, float]:
    """Return square metres by part, those that the profile states: devices, and what `static_power` counts."""
    energy = chip.profile.energy
    if energy is None:
        return {}
    devices = sum(chip.device.planes * n * m for n, m in (array.shape for array in chip.arrays.values()))
    found = {"devices": _times(energy.area_device, devices)}
    found |= _of_lines(chip, energy.area_row, energy.area_column, energy.area_node)
    if chip.junctions is not None:
        found["junctions"] = _times(energy.area_junction, chip.junctions.n_sources * _units(chip))
    return _stated(found)


def _of_lines(chip: ReadChip, row: float | None, column: float | None, node: float | None) -> dict[str, float | None]:
    """Return a figure of each word line, bit line and unit, times how many there are."""
    rows = sum(array.shape[1] for array in chip.arrays.values())
    columns = sum(array.shape[0] * len(array.tiling.widths) for array in chip.arrays.values())
    return {"rows": _times(row, rows), "columns": _times(column, columns), "nodes": _times(node, _units(chip))}


def _units(chip: ReadChip) -> int:
    return sum(chip.network.lines.values())


def _times(figure: float | None, count: int) -> float | None:
    return None if figure is None else figure * count


def _stated(found: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in found.items() if value is not None}
