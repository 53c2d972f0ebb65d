"""Find code that sets attributes of an object that is not its own: `python tests/lint/outside.py` in `make lint`.

What an object is, its constructor is told; what changes later, its own methods change. A change is another object
(dataclasses.replace), a result is returned. In neuroanp/ this finds every attribute that is set or deleted of anything
but `self` and `cls`, however it is written:

    x.a = 1, x.a += 1, x.a: int = 1, (x.a, b) = c, for x.a in c, with c as x.a, del x.a, setattr, delattr,
    object.__setattr__, vars(x)["a"] = 1, x.__dict__.update(a=1)

Objects of others are listed in tests/lint/outside.toml: for each file what is set, as it is written there, and why. A
line there that nothing needs any more is an error, too.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

PERMISSIONS = "tests/lint/outside.toml"
SETTERS = {"setattr", "delattr", "__setattr__", "__delattr__"}
CHANGES = {"update", "setdefault", "pop", "popitem", "clear", "__setitem__", "__delitem__"}
"""Methods that change a dictionary."""


def assigned(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and key of each place in a module that sets an attribute of what is not its own.

    >>> list(assigned(ast.parse("chip.now = self.now = 1\\nsetattr(chip, name, 1)\\nvars(chip)['now'] = 1")))
    [(1, 'chip.now'), (2, 'chip'), (3, 'vars(chip)')]
    """
    called: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            if isinstance(node, ast.Attribute) and not _own(node.value):
                yield node.lineno, ast.unparse(node)
            elif isinstance(node, ast.Subscript) and _others_namespace(node.value):
                yield node.lineno, ast.unparse(node.value)
        elif isinstance(node, ast.Call) and _name(node.func) in SETTERS:
            called.add(node.func)
            target = _set_by(node)
            if not _own(target):
                yield node.lineno, ast.unparse(target)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
            if _others_namespace(node.func.value):
                yield node.lineno, ast.unparse(node.func.value)
        elif _name(node) in SETTERS and node not in called:
            yield node.lineno, _name(node)  # pyright: ignore[reportAttributeAccessIssue]


def _own(node: ast.expr) -> bool:
    """Return whether code speaks of its own object or class."""
    if isinstance(node, ast.Call):
        return _name(node.func) == "super"
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _others_namespace(node: ast.expr) -> bool:
    """Return whether this is the dictionary of another object's attributes: vars(x) or x.__dict__."""
    if isinstance(node, ast.Call) and _name(node.func) == "vars" and node.args:
        return not _own(node.args[0])
    return isinstance(node, ast.Attribute) and node.attr == "__dict__" and not _own(node.value)


def _set_by(call: ast.Call) -> ast.expr:
    """Return the object that setattr(x, ...), object.__setattr__(x, ...) or x.__setattr__(...) is of."""
    func = call.func
    if isinstance(func, ast.Attribute) and func.attr.startswith("__") and not _is_class(func.value):
        return func.value
    return call.args[0] if call.args else func


def _is_class(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and (node.id in ("object", "type") or node.id[:1].isupper())


def _name(node: ast.AST) -> str:
    """Return the name that a node uses or imports, the last part of a dotted one; "" of other nodes."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else node.name if isinstance(node, ast.alias) else ""


def problems(root: Path, allowed: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return a line for each place under root/neuroanp that is not allowed, and for each permission without a place.

    Args:
        root: of the repository. allowed: by file, relative to the root, what may be set there and why.
    """
    found, used = [], set()
    for path in sorted((root / "neuroanp").rglob("*.py")):
        name = path.relative_to(root).as_posix()
        for line, key in sorted(assigned(ast.parse(path.read_text(encoding="utf-8"), name))):
            used.add((name, key))
            if key not in allowed.get(name, {}):
                found.append(
                    f"{name}:{line}: sets `{key}` from outside; tell the constructor, take dataclasses.replace, return "
                    f"it, or let a method of its class do it; an object of others: '{key}' in {PERMISSIONS}"
                )
    for name, entries in allowed.items():
        for key, reason in entries.items():
            if (name, key) not in used:
                found.append(f"{PERMISSIONS}: {name}: nothing there sets `{key}` any more; drop the line")
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
