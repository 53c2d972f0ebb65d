"""Find comparisons of floating-point numbers whose absolute tolerance nobody wrote down.

    python tests/lint/tolerances.py neuroanp tests ...

`pytest.approx(x, rel=...)` keeps an absolute 1e-12, `isclose` and `allclose` of numpy and torch keep 1e-8, and
`torch.testing.assert_close` 1e-7: picojoules and nanoamperes are then compared with nothing, and 0 J passes. Tests
write `close(x)` of tests/close.py; all others say `abs=` or `atol=`, be it 0. What has no such floor by itself
(`math.isclose`, `numpy.testing.assert_allclose`) needs nothing said. Exit code 1 if anything was found, 2 if there was
nothing to look at.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

# Where each function takes its absolute tolerance: by this keyword, or at this place (None: by keyword alone).
FLOORS: dict[str, tuple[str, int | None]] = {
    "pytest.approx": ("abs", 2),
    "numpy.isclose": ("atol", 3),
    "numpy.allclose": ("atol", 3),
    "torch.isclose": ("atol", 3),
    "torch.allclose": ("atol", 3),
    "torch.testing.assert_close": ("atol", None),
}
METHODS: dict[str, tuple[str, int | None]] = {"isclose": ("atol", 2), "allclose": ("atol", 2)}  # of a tensor
# These count digits after the point, which is an absolute tolerance whatever is said.
DIGITS = {"assert_almost_equal", "assert_array_almost_equal", "assertAlmostEqual", "assertNotAlmostEqual"}


def imports(tree: ast.AST) -> dict[str, str]:
    """Return what each imported name stands for, written out: {"np": "numpy", "near": "torch.allclose"}."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                head = alias.name if alias.asname else alias.name.split(".")[0]
                names[alias.asname or head] = head
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def written_out(node: ast.expr, names: dict[str, str]) -> str | None:
    """Return the full name of what is imported, or None for anything else."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = written_out(node.value, names)
        return owner and f"{owner}.{node.attr}"
    return None


def says(call: ast.Call, keyword: str, place: int | None) -> bool:
    """Say whether a call states this argument; None asks for the default, and a star hides what it hands over."""
    given = [k.value for k in call.keywords if k.arg == keyword]
    if place is not None and not any(isinstance(a, ast.Starred) for a in call.args):
        given += call.args[place : place + 1]
    return any(not (isinstance(value, ast.Constant) and value.value is None) for value in given)


def problems(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and message of each comparison whose absolute tolerance is unsaid."""
    tree = ast.parse(source)
    names = imports(tree)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load):
            continue
        full = written_out(node, names)
        last = node.attr if isinstance(node, ast.Attribute) else (full or "").rpartition(".")[2]
        if last in DIGITS:
            yield node.lineno, f"{last} compares digits after the point: use a relative tolerance"
            continue
        takes = FLOORS.get(full) if full else METHODS.get(last)
        if takes is None:
            continue
        keyword, place = takes
        call = calls.get(id(node))
        if call is None:
            yield node.lineno, f"{full or last} is handed on: call it where its {keyword}= can be read"
        elif not says(call, keyword, place):
            instead = "close(...) of tests/close.py" if full == "pytest.approx" else f"{keyword}=0, or what is meant"
            yield node.lineno, f"{full or last} with an absolute tolerance by default: write {instead}"


def main(places: list[str]) -> int:
    """Print what is found in these files and folders as path:line; return the exit code."""
    files = [f for place in map(Path, places) for f in (sorted(place.rglob("*.py")) if place.is_dir() else [place])]
    missing = [place for place in map(Path, places) if not place.exists()]
    if missing or not files:
        print(f"nothing to look at: {', '.join(map(str, missing)) or 'no Python file'}", file=sys.stderr)
        return 2
    found = [(file, *problem) for file in files for problem in sorted(problems(file.read_text(encoding="utf-8")))]
    for file, line, message in found:
        print(f"{file}:{line}: {message}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
