"""Find code that asks an object for a member which it may not have: `python tests/lint/members.py` in `make lint`.

The protocols of neuroanp list every member, and a registry refuses what lacks one; so nothing has to ask whether a
member is there, and nothing falls back in silence where it is not. In neuroanp/ this finds

    hasattr, getattr, operator.attrgetter, inspect.getattr_static, except AttributeError, typing.runtime_checkable

Objects of others, and fields by a computed name, are listed in tests/lint/members.toml: for each file what is asked,
as it is written there, and why; "x?" is `x` asked with a default, or whether it has something. A line there that
nothing needs any more is an error, too.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

PERMISSIONS = "tests/lint/members.toml"
BANNED = {"getattr", "hasattr", "attrgetter", "getattr_static", "runtime_checkable"}


def asked(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and key of each place in a module that asks for a member by name.

    >>> list(asked(ast.parse("getattr(rule, 'K')\\nhasattr(self.law, name)\\nf = getattr")))
    [(1, 'rule'), (2, 'self.law?'), (3, 'getattr')]
    """
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in ("getattr", "hasattr") and node.args:
            inside.add(node.func)
            told = "?" if _name(node.func) == "hasattr" or len(node.args) > 2 else ""
            yield node.lineno, ast.unparse(node.args[0]) + told
        elif _name(node) in BANNED and node not in inside:
            yield node.lineno, _name(node)  # pyright: ignore[reportAttributeAccessIssue]
        elif isinstance(node, ast.ExceptHandler) and "AttributeError" in map(_name, ast.walk(node.type or node)):
            yield node.lineno, "except AttributeError"


def _name(node: ast.AST) -> str:
    """Return the name that a node uses or imports, the last part of a dotted one; "" of other nodes."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else node.name if isinstance(node, ast.alias) else ""


def problems(root: Path, allowed: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return a line for each place under root/neuroanp that is not allowed, and for each permission without a place.

    Args:
        root: of the repository. allowed: by file, relative to the root, what may be asked there and why.
    """
    found, used = [], set()
    for path in sorted((root / "neuroanp").rglob("*.py")):
        name = path.relative_to(root).as_posix()
        for line, key in sorted(asked(ast.parse(path.read_text(encoding="utf-8"), name))):
            used.add((name, key))
            if key not in allowed.get(name, {}):
                found.append(
                    f"{name}:{line}: asks `{key.removesuffix('?')}` for a member by name; list the member in its "
                    f"protocol, where None can be an answer, or, of an object of others, '{key}' in {PERMISSIONS}"
                )
    for name, entries in allowed.items():
        for key, reason in entries.items():
            if (name, key) not in used:
                found.append(f"{PERMISSIONS}: {name}: nothing there asks `{key}` any more; drop the line")
            if len(reason.split()) < 3:
                found.append(f"{PERMISSIONS}: {name}: `{key}` has no reason; say whose object it is")
    return found


def main() -> int:
    """Print what is wrong; return 1 where something is."""
    root = Path(__file__).resolve().parents[2]
    with (root / PERMISSIONS).open("rb") as file:
        wrong = problems(root, tomllib.load(file))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
