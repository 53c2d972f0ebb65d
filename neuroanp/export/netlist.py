"""SPICE text of one array: resistors for devices and line segments, sources, ammeters, weighted sums.

    y_i = sum over tiles of (I+_i - I-_i) / (scale volts),    V_j = volts x_j

Word lines come from the left, bit lines leave at the bottom, as in `substrates.wires`; each plane of each
tile has lines of its own. Node w+i_j is the word line and b+i_j the bit line at the device of output i, input j.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuroanp.substrates.tiling import Tiling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PLANES = ("p", "n")
"""G+ and G-, in names of nodes and elements."""
OPEN = 1e-18
"""Siemens below which a device is left out: a millionth of a millionth of what a device conducts."""


@dataclass(frozen=True)
class Circuit:
    """One array as a circuit.

    Args:
        name: of the array, which is the file's name.
        g: (2, n, m) siemens: G+ and G-; 0 is an open device.
        x: (m,) test vector, in units of the network.
        scale: siemens a unit of weight.
        volts: volts a unit of input.
        r_word, r_bit: ohms a segment; 0 is an ideal line.
        tiling: sizes of the tiles.
    """

    name: str
    g: Array
    x: Array
    scale: float
    volts: float
    r_word: float
    r_bit: float
    tiling: Tiling

    @property
    def wired(self) -> bool:
        """Whether lines have resistance."""
        return self.r_word > 0 or self.r_bit > 0


def plain(text: str, most: int = 80) -> str:
    r"""Return a text that is safe in a comment line: one line of plain ASCII.

    >>> plain("a\n.include /etc/passwd\u2028b")
    'a_.include _etc_passwd_b'
    """
    return re.sub(r"[^A-Za-z0-9 .,:;=+()-]", "_", text[:most])


def netlist(circuit: Circuit, said: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the lines of a netlist that ngspice runs in batch mode.

    Args:
        circuit: the array.
        said: what comment lines at the top say.

    >>> one = Circuit("w", np.full((2, 1, 1), 1e-6), np.ones(1), 1e-4, 0.2, 0.0, 0.0, Tiling((1,), (1,)))
    >>> [line for line in netlist(one) if line.startswith("R")]
    ['Rp0_0 in0 bp0_0 1000000.0', 'Rn0_0 in0 bn0_0 1000000.0', 'Ry0 y0 0 1']
    """
    (_, n, m), x = circuit.g.shape, circuit.x.tolist()
    yield f"* array {circuit.name}: {n} outputs, {m} inputs"
    yield from (f"* {plain(line, 200)}" for line in said)
    yield "* y_i = (I+ - I-) / (scale volts), a node of its own: v(y0), v(y1), ..."
    yield f".param volts={circuit.volts!r} ; volts a unit of input"
    yield f".param scale={circuit.scale!r} ; siemens a unit of weight"
    yield "* the test vector; change it at will"
    yield from (f".param x{j}={value!r}" for j, value in enumerate(x))
    yield from (f"Vx{j} in{j} 0 {{x{j}*volts}}" for j in range(m))
    for plane in range(2):
        yield from _plane(circuit, plane)
    yield "* sums of the tiles' currents, 1 V a unit of output"
    for i in range(n):
        for t in range(len(circuit.tiling.widths)):
            yield f"Fp{i}_{t} 0 y{i} Vp{i}_{t} {{1/(scale*volts)}}"
            yield f"Fn{i}_{t} y{i} 0 Vn{i}_{t} {{1/(scale*volts)}}"
        yield f"Ry{i} y{i} 0 1"
    yield from _control(circuit.name, n)


def _plane(circuit: Circuit, plane: int) -> Iterator[str]:
    """Yield the devices, lines and ammeters of G+ or of G-."""
    letter, g = PLANES[plane], circuit.g[plane].tolist()
    starts = _starts(circuit.tiling.heights)
    ends = (np.cumsum(circuit.tiling.widths) - 1).tolist()
    yield f"* {'G-' if plane else 'G+'}: devices, then word lines, bit lines and an ammeter a bit line"
    for i in range(len(g)):
        tile = 0
        for j, siemens in enumerate(g[i]):
            word, bit = _word(circuit, letter, i, j), _bit(circuit, letter, i, j, ends[tile])
            if siemens:
                yield f"R{letter}{i}_{j} {word} {bit} {1.0 / siemens!r}"
            if circuit.r_word:
                before = f"in{j}" if i in starts else _word(circuit, letter, i - 1, j)
                yield f"Rw{letter}{i}_{j} {before} {word} {circuit.r_word!r}"
            after, last = bit, j == ends[tile]
            if circuit.r_bit:
                after = f"a{letter}{i}_{tile}" if last else _bit(circuit, letter, i, j + 1, ends[tile])
                yield f"Rb{letter}{i}_{j} {bit} {after} {circuit.r_bit!r}"
            if last:
                yield f"V{letter}{i}_{tile} {after} 0 0"
                tile += 1


def _word(circuit: Circuit, letter: str, i: int, j: int) -> str:
    return f"w{letter}{i}_{j}" if circuit.r_word else f"in{j}"


def _bit(circuit: Circuit, letter: str, i: int, j: int, end: int) -> str:
    return f"b{letter}{i}_{j if circuit.r_bit else end}"


def _starts(sizes: tuple[int, ...]) -> list[int]:
    return [sum(sizes[:k]) for k in range(len(sizes))]


def _control(name: str, n: int) -> Iterator[str]:
    outputs = " ".join(f"v(y{i})" for i in range(n))
    yield from (".control", "set numdgt=16", "set wr_vecnames", "set wr_singlescale", "op")
    yield from (f"print {outputs}", f"wrdata {name}.out {outputs}", "quit", ".endc", ".end")


_NUMBER = r"-?\d[\d.]*(?:e[-+]?\d+)?"
_LINES = re.compile(
    "|".join(
        (
            r"\* [A-Za-z0-9 .,:;=+()/'_-]*",
            rf"\.param (?:volts|scale|x\d+)={_NUMBER}(?: ; [A-Za-z ]*)?",
            r"Vx\d+ in\d+ 0 \{x\d+\*volts\}",
            r"V[pn]\d+_\d+ \w+ 0 0",
            rf"R\w+ \w+ \w+ {_NUMBER}",
            r"F[pn]\d+_\d+ \w+ \w+ V[pn]\d+_\d+ \{1/\(scale\*volts\)\}",
        )
    ),
    re.ASCII,
)
"""Lines of a netlist above its commands; ngspice runs any other program that a line asks for."""


def foreign(path: Path) -> list[str]:
    """Find the first line of a netlist that `netlist` does not write, which ngspice might run as a command.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "w.cir"
    ...     _ = path.write_text("* array w\\n.control\\nshell date\\n.endc\\n.end\\n" + 9 * "* \\n")
    ...     foreign(path)
    ["w.cir:2: '.control' is not what neuroanp writes there"]
    """
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    commands = [*_control(path.stem, sum(line.startswith("Ry") for line in lines)), ""]
    above = len(lines) - len(commands)
    for number, line in enumerate(lines, 1):
        known = _LINES.fullmatch(line) is not None if number <= above else line == commands[number - above - 1]
        if not known:
            return [f"{path.name}:{number}: {line[:80]!r} is not what neuroanp writes there"]
    return []
