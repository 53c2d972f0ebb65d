"""Hold what neuroanp takes leave of to docs/deprecation.md: `python tests/lint/deprecated.py` in `make lint`.

What is public goes in two steps: it warns, with what takes its place and the version it goes in; and it goes in that
version. In neuroanp/ this finds

    @deprecated("old is deprecated and goes in 0.3.0; use new")     of typing_extensions: functions, classes, methods
    warnings.warn("... goes in 0.3.0; use ...", DeprecationWarning)  of options, keys and values

whose words lack one of the two, are no plain text, or name a version that is there already: then the old name is to be
removed, and its line in docs/deprecation.md with it. Each has a line there: | `NAME` | version | `NEW` |.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = "docs/deprecation.md"
WORDS = re.compile(r"(\S.*) is deprecated and goes in (\d+)\.(\d+)\.(\d+); use (\S.*)")


def warnings_of(tree: ast.AST) -> Iterator[tuple[int, str | None]]:
    """Yield line and words of each warning that something goes; None for words that are no plain text.

    >>> code = '@deprecated("a is deprecated and goes in 0.3.0; use b")\\ndef a(): ...\\nwarn(told, DeprecationWarning)'
    >>> list(warnings_of(ast.parse(code)))
    [(1, 'a is deprecated and goes in 0.3.0; use b'), (3, None)]
    """
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        kinds = [*node.args[1:2], *(one.value for one in node.keywords if one.arg == "category")]
        warned = _last(node.func) == "warn" and "DeprecationWarning" in map(_last, kinds)
        if warned or _last(node.func) == "deprecated":
            told = node.args[0] if node.args else None
            yield node.lineno, told.value if isinstance(told, ast.Constant) and isinstance(told.value, str) else None


def _last(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def fault(words: str | None, version: tuple[int, int, int], page: str) -> str | None:
    """Return what is wrong with a warning, or None.

    >>> page = "| `na.old` | 0.3.0 | `na.new` |"
    >>> fault("na.old is deprecated and goes in 0.3.0; use na.new", (0, 2, 9), page)
    >>> fault("na.old is deprecated and goes in 0.3.0; use na.new", (0, 3, 0), page)
    'na.old: 0.3.0 is there: remove it, and its line in docs/deprecation.md'
    """
    found = WORDS.fullmatch(words or "")
    if found is None:
        return f'{words!r}: write "NAME is deprecated and goes in 0.3.0; use NEW", as plain text'
    name, goes = found[1], tuple(map(int, found.groups()[1:4]))
    if goes <= version:
        return f"{name}: {'.'.join(map(str, goes))} is there: remove it, and its line in {PAGE}"
    if f"| `{name}` | {'.'.join(map(str, goes))} |" not in page:
        return f"{name}: no line `| `{name}` | {'.'.join(map(str, goes))} | ...` in {PAGE}"
    return None


def problems(root: Path, version: tuple[int, int, int]) -> list[str]:
    """Return a line for each warning under root/neuroanp that the page would not bear out."""
    page, found = (root / PAGE).read_text("utf-8"), []
    for path in sorted((root / "neuroanp").rglob("*.py")):
        text = path.read_text("utf-8")
        if "deprecated" in text or "DeprecationWarning" in text:
            told = ((line, fault(words, version, page)) for line, words in warnings_of(ast.parse(text)))
            found += [f"{path.relative_to(root)}:{line}: {said}" for line, said in told if said is not None]
    return found


def main() -> int:
    from neuroanp.version import __version__

    major, minor, patch = map(int, __version__.split(".")[:3])
    found = problems(Path(__file__).resolve().parents[2], (major, minor, patch))
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
