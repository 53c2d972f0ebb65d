"""Find circles of imports: `python tests/lint/circles.py` in `make lint`.

A module that is imported by what it imports can be read, tested and moved only together with it. An import counts
wherever it stands: at the top, inside a function, for type checkers alone; what `import_module` is given is not seen.
An import of a module runs the packages that it lies in, too, but for those that both lie in. What import-linter holds
is the order of the rooms; this looks inside them as well.

Each circle is told by its shortest way round, with the lines that make it.
"""

from __future__ import annotations

import ast
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

Graph = Mapping[str, Mapping[str, int]]
"""What each module imports, with the line where it does so first."""


def graph(root: Path, package: str = "neuroanp") -> dict[str, dict[str, int]]:
    """Return what the modules of root/package import of one another."""
    modules = {_name(path.relative_to(root)): path for path in sorted((root / package).rglob("*.py"))}
    packages = {name for name, path in modules.items() if path.name == "__init__.py"}
    found: dict[str, dict[str, int]] = {}
    for name, path in modules.items():
        home = name if name in packages else name.rpartition(".")[0]
        found[name] = edges = {}
        for line, wanted in sorted(asked(ast.parse(path.read_text(encoding="utf-8"), str(path)), home)):
            for i, each in enumerate(_run(wanted, modules)):
                around = i > 0 and name.startswith(f"{each}.")  # this very import runs while that package does
                if each != name and not around:
                    edges.setdefault(each, line)
    return found


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def asked(tree: ast.AST, home: str) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything that a module in package `home` imports.

    >>> list(asked(ast.parse("import a.b as c, d\\nfrom .e import f"), "x.y"))
    [(1, 'a.b'), (1, 'd'), (2, 'x.y.e.f')]
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = home.split(".")[: len(home.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*parts, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


def _run(wanted: str, modules: Mapping[str, object]) -> Iterator[str]:
    """Yield the modules that an import of a name runs: the longest part of it that is one, and its packages."""
    while wanted and wanted not in modules:
        wanted = wanted.rpartition(".")[0]
    while wanted:
        yield wanted
        wanted = wanted.rpartition(".")[0]


def circles(found: Graph) -> list[list[str]]:
    """Return for each module that reaches itself the shortest way round, each way once.

    >>> circles({"a": {"b": 1}, "b": {"c": 1, "a": 2}, "c": {}})
    [['a', 'b']]
    """
    ways = {}
    for start in sorted(found):
        way = _round(found, start)
        if way:
            ways.setdefault(frozenset(way), way)
    return sorted(ways.values(), key=lambda way: (len(way), way))


def _round(found: Graph, start: str) -> list[str]:
    """Return the modules on the shortest way from one back to itself, or nothing."""
    before: dict[str, str] = {}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        for there in found[here]:
            if there == start:
                way = [here]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return way[::-1]
            if there not in before:
                before[there] = here
                queue.append(there)
    return []


def told(way: list[str], found: Graph) -> str:
    """Return a line for a circle: a (line 3) -> b (line 1) -> a."""
    steps = (f"{one} (line {found[one][two]})" for one, two in zip(way, [*way[1:], way[0]], strict=True))
    return f"circle of imports: {' -> '.join(steps)} -> {way[0]}; move what both need into a module of its own"


def main(root: Path) -> int:
    """Print the circles of root/neuroanp; return 1 where there are any, 2 where there is nothing to look at."""
    found = graph(root)
    if not found:
        print(f"nothing to look at: no Python file in {root / 'neuroanp'}", file=sys.stderr)
        return 2
    for way in circles(found):
        print(told(way, found))
    return int(bool(circles(found)))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).resolve().parents[2]))
