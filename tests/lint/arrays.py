"""Find arrays that are called by a literal name: `python tests/lint/arrays.py` in `make lint`.

Which arrays a network has is said by its projections: code that asks for "w_in", "w" or "w_out" works for networks of
one layer alone. The names stand in neuroanp/network, where they are given; elsewhere loops go over the projections.
Matrices that a chip or a file of others has, and keys that are no arrays, are listed below, with the reason. Examples
in docstrings are not looked at. The exit code is 1 if there is one, 2 if there was nothing to look at.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

NAMES = frozenset({"w_in", "w", "w_out"})
HOME = "neuroanp/network/"
"""Where the names are given."""
OTHERS = {
    "neuroanp/backends/compiling.py": "a file is opened to write",
    "neuroanp/backends/spiking.py": "a variable of Brian2's synapses",
    "neuroanp/backends/trial.py": "a file is opened to write",
    "neuroanp/backends/xylo.py": "matrices of the chip",
    "neuroanp/backends/xylo_numbers.py": "matrices of the chip",
    "neuroanp/devices/pulsed.py": "the state of a pulsed device",
    "neuroanp/devices/verifying.py": "the state of a pulsed device",
    "neuroanp/devices/writing.py": "the state of a pulsed device",
    "neuroanp/export/checking/crossbar.py": "a file is opened to write",
    "neuroanp/export/checking/xylo.py": "matrices of the chip",
    "neuroanp/export/netlist.py": "a file is opened to write",
    "neuroanp/export/netx.py": "a file is opened to write",
    "neuroanp/export/nir_file.py": "a field of NIR's nodes",
    "neuroanp/export/nir_layers_file.py": "a field of NIR's nodes",
    "neuroanp/export/nir_own.py": "a field of NIR's nodes",
    "neuroanp/export/nir_units.py": "a field of NIR's nodes",
    "neuroanp/export/nir_unsaid.py": "a field of NIR's nodes",
    "neuroanp/export/onnx_names.py": "what names of arrays begin with",
    "neuroanp/export/xylo.py": "matrices of the chip",
    "neuroanp/export/xylo_layers.py": "matrices of the chip",
}


def literals(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of each literal that is one of the names.

    >>> [*literals('W = weights["w_in"]')]
    [(1, 'w_in')]
    """
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in NAMES:
            yield node.lineno, node.value


def problems(root: Path) -> Iterator[str]:
    """Yield a line for each literal name of an array, and for each exception that is none any more."""
    for path in sorted((root / "neuroanp").rglob("*.py")):
        where = path.relative_to(root).as_posix()
        found = [] if where.startswith(HOME) else [*literals(path.read_text(encoding="utf-8"))]
        if where in OTHERS and not found:
            yield f"tests/lint/arrays.py: {where}: has no such literal any more; drop the line"
        for line, name in found if where not in OTHERS else ():
            yield f"{where}:{line}: array '{name}' by a literal; take the network's projections"
    for where in OTHERS:
        if not (root / where).exists():
            yield f"tests/lint/arrays.py: {where} is not there any more; drop the line"


def main(root: Path) -> int:
    """Print the problems of a checkout; return the exit code."""
    if not any((root / "neuroanp").rglob("*.py")):
        print(f"nothing to look at in {root}", file=sys.stderr)
        return 2
    found = [*problems(root)]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parents[2]))
