"""Tell Verilog that `export` writes from a stranger's: a simulator opens and writes any file that a module asks for."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from neuroanp.export.templates import pattern
from neuroanp.export.verilog import CORE, NET, OF_INPUTS, OF_RESETS, TESTBENCH

_INSIDE = {
    "<array>": "w(?:_[A-Za-z0-9_]{1,60})?",
    "<number>": "[0-9]{1,9}",
    "<sized>": "[0-9]{1,2}'d[0-9]{1,9}",
    "<words>": r"(?:(?:INPUTS|UNITS) \* (?:UNITS|OUTPUTS)|UNITS|[0-9]{1,9})",
    "<kind>": "(?:CURRENT|SPREAD|READ|UPDATE|FADE)",
}
LINES = {
    "ARRAYS": r'    memory_file #\(\.NAME\("(?:<array>|constants_j)\.mem"\), \.WIDTH\((?:WEIGHT|STATE)\), '
    r"\.WORDS\(<words>\)\) (?:<array>|constants_j) \(\);",
    "MEMORIES": r"    reg signed \[WEIGHT-1:0\] <array> \[0:<number>\];",
    "FILES": r'        \$readmemh\("<array>\.mem", <array>\);',
    "STAGES": r" {12}<sized>: \{kind, of_input, from, lines, to, posts, shift\} = \{<kind>(?:, <sized>){6}\}; "
    r"// [A-Za-z0-9_: ]{1,200}",
    "WEIGHTS": r"        stage == <sized> \? <array>\[address\] :",
    "LAYERS": r" {12}<sized>: \{factor, hold, subtract, delayed, raised\} = \{<sized>(?:, <sized>){4}\}; "
    r"// [A-Za-z0-9_]{1,60}",
}
"""What each line of a table may be."""


def foreign(folder: Path) -> list[str]:
    """Find Verilog that is not a core or testbench written here, whatever the numbers and tables in it."""
    return [
        f"{name}: is not what neuroanp writes, numbers aside; run your own in a simulator of your own"
        for name in (CORE, NET, TESTBENCH)
        if (folder / name).exists()
        and _pattern(name).fullmatch((folder / name).read_text(encoding="utf-8", errors="replace")) is None
    ]


@cache
def _pattern(name: str) -> re.Pattern[str]:
    texts = {**OF_INPUTS, **OF_RESETS, "CORE": (CORE.removesuffix(".v"), NET.removesuffix(".v"))}
    may_be = {key: "|".join(map(re.escape, each)) for key, each in texts.items()}
    may_be |= {key: f"(?:{_spelt(line)}\n)+" for key, line in LINES.items()}
    return pattern(name, {**may_be, "CURRENTS": "1'd[01]", "LAST": _INSIDE["<sized>"]})


def _spelt(line: str) -> str:
    return re.sub("|".join(_INSIDE), lambda word: _INSIDE[word[0]], line)
