"""What of neuroanp is public: the one list of objects whose docstrings, types and names others lean on.

Nothing is listed by hand but WORDS and CONTRACTS. Public are

- the words, `neuroanp.__all__`, and the classes they return, and those that the methods of these return;
- what an extension derives from or implements: the protocol of every registry, CONTRACTS, and the types that their
  methods take and return;
- what the templates of `neuroanp new` import, and what docs/, examples/*.py and CONTRIBUTING.md, where it speaks of
  extensions, import or name;

each class with its public methods and properties, inherited ones too, as far as they are neuroanp's own.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WORDS = "neuroanp"
"""The module whose `__all__` are the words."""
CONTRACTS = (
    "neuroanp.substrates.protocol:Substrate",
    "neuroanp.tasks.acting:Environment",
    "neuroanp.registry:Registry",
    "neuroanp.errors:InputError",
    "neuroanp.errors:RunError",
    "neuroanp.errors:DivergedError",
)
"""What is implemented, called or raised, and that no registry has and no page names beside its module."""
ABOUT_EXTENSIONS = re.compile(r"^## (Add |Begin a thing|What a thing)")
"""Headings of CONTRIBUTING.md below which it speaks to people with a package of their own."""
PAGES = ("CONTRIBUTING.md", "docs/**/*.md", "neuroanp/scaffolding/templates/**/*.txt", "examples/*.py")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Public:
    """One public object.

    Args:
        name: where it is defined, "neuroanp.api.run.Run.predict". kind: function, class, method or property.
        node: its definition. owner: the class that it is a member of, or None.
    """

    name: str
    kind: str
    node: Definition
    owner: ast.ClassDef | None = None

    @property
    def room(self) -> str:
        """The folder or module below neuroanp that it lies in."""
        return self.name.split(".")[1]


@cache
def tree_of(module: str) -> ast.Module:
    """Return the parsed source of a module."""
    return ast.parse(Path(inspect.getfile(import_module(module))).read_text(encoding="utf-8"))


def find(module: str, qualname: str) -> Definition | None:
    """Return the definition of a name such as "Run.predict" in a module; None: it is not defined there so."""
    body: list[ast.stmt] = tree_of(module).body
    found: Definition | None = None
    for part in qualname.split("."):
        here = [one for one in body if isinstance(one, Definition) and one.name == part]
        if not here:
            return None
        found, body = here[-1], here[-1].body
    return found


@cache
def _later_imports(module: str) -> dict[str, tuple[str, str]]:
    """Return what a module imports from neuroanp anywhere, for type checkers too: module and name by name."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("neuroanp")
        for alias in node.names
    }  # pyright: ignore[reportReturnType]


def resolve(module: str, name: str) -> Any:
    """Return the object that a name means in a module, None where it is no class or function of neuroanp."""
    found = vars(import_module(module)).get(name)
    if found is None and name in _later_imports(module):
        home, own = _later_imports(module)[name]
        found = getattr(import_module(home), own)
    found = inspect.unwrap(found) if callable(found) and not isinstance(found, type) else found
    own = isinstance(found, type | FunctionType) and found.__module__.startswith("neuroanp")
    return found if own else None


def _named(module: str, annotation: ast.expr | None) -> Iterator[type]:
    """Yield the classes of neuroanp that an annotation names."""
    for node in ast.walk(annotation) if annotation is not None else ():
        texts = [node.id] if isinstance(node, ast.Name) else []
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            texts = [node.value]
        for text in texts:
            if isinstance(found := resolve(module, text), type):
                yield found


def members(cls: type) -> Iterator[tuple[str, str, ast.ClassDef, Definition]]:
    """Yield the public methods and properties of a class: module, qualified name, class and definition."""
    for one in cls.__mro__:
        if not one.__module__.startswith("neuroanp"):
            continue
        owner = find(one.__module__, one.__qualname__)
        if isinstance(owner, ast.ClassDef):
            for node in owner.body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                    yield one.__module__, f"{one.__qualname__}.{node.name}", owner, node


def _types(cls: type, taken: bool) -> Iterator[type]:
    """Yield what the public members of a class return and, if `taken`, take."""
    for module, _, _, node in members(cls):
        assert isinstance(node, ast.FunctionDef)
        yield from _named(module, node.returns)
        for arg in [*node.args.args, *node.args.kwonlyargs] if taken else ():
            yield from _named(module, arg.annotation)


def _words() -> Iterator[Any]:
    homes = import_module(WORDS), import_module(f"{WORDS}.api")
    for name in homes[0].__all__:
        thing = getattr(homes[name != "__version__"], name)  # neuroanp.export is a room, too
        if isinstance(thing, type | FunctionType):
            yield inspect.unwrap(thing) if isinstance(thing, FunctionType) else thing


def _registries() -> Iterator[type]:
    """Yield the protocol of every registry that a module of neuroanp has."""
    from neuroanp.registry import Registry

    for path in sorted((ROOT / "neuroanp").rglob("*.py")):
        if not re.search(r"^[A-Z]\w*: .*Registry", text := path.read_text(encoding="utf-8"), re.M):
            continue
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for name in re.findall(r"^([A-Z]\w*): .*Registry", text, re.M):
            there = vars(module)[name]
            for one in there.values() if isinstance(there, dict) else [there]:
                if isinstance(one, Registry) and one.protocol is not None:
                    yield one.protocol


def pages(root: Path) -> Iterator[str]:
    """Yield the texts that tell people what to import."""
    for path in sorted(one for place in PAGES for one in root.glob(place)):
        text = path.read_text(encoding="utf-8")
        if path.parent == root:
            parts = re.split(r"^(?=## )", text, flags=re.M)
            text = "\n\n".join(part for part in parts if ABOUT_EXTENSIONS.match(part))
        yield text


def mentioned(text: str, root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Yield module and name of what a text imports from neuroanp, or names.

    Named are `neuroanp.a.b.name`, and `Name` in a paragraph that has its module as a path, `a/b.py` (a bare
    `c.py` lies beside the path before it).

    >>> list(mentioned("from neuroanp.a import b, c as d"))
    [('neuroanp.a', 'b'), ('neuroanp.a', 'c')]
    >>> list(mentioned("It derives from `RateCell` (`network/cell.py`)."))
    [('neuroanp.network.cell', 'RateCell')]
    """
    for module, names in re.findall(r"^\s*from (neuroanp[\w.]*) import ([\w, ]+)", text, re.M):
        for name in names.split(","):
            yield module, name.split(" as ")[0].strip()
    for module, name in re.findall(r"`(neuroanp(?:\.\w+)+)\.(\w+)`", text):
        yield module, name
    for paragraph in text.split("\n\n"):
        homes, folder = [], Path()
        for path in re.findall(r"`(?:neuroanp/)?([\w/]+\.py)`", paragraph):
            places = [path, (folder / path).as_posix()]
            there = next((one for one in places if (root / "neuroanp" / one).is_file()), None)
            if there is not None:
                homes.append(".".join(("neuroanp", *Path(there).with_suffix("").parts)))
                folder = Path(there).parent
        for name in re.findall(r"`([A-Za-z]\w*)`", paragraph):
            yield from ((home, name) for home in homes if find(home, name))


def _on_pages(root: Path) -> Iterator[Any]:
    for text in pages(root):
        for module, name in mentioned(text):
            try:
                found = resolve(module, name)
            except ModuleNotFoundError as error:
                if not (error.name or "").startswith("neuroanp"):
                    raise
                continue  # neuroanp.rules is a group of entry points, and no module
            if found is not None:
                yield found


def _contracts() -> Iterator[type]:
    yield from _registries()
    for place in CONTRACTS:
        module, _, name = place.partition(":")
        yield vars(import_module(module))[name]


def objects(root: Path = ROOT) -> list[Any]:
    """Return the public classes and functions, each once."""
    words = [*_words()]
    first = [one for one in words if isinstance(one, type)]
    for word in words:
        if isinstance(word, FunctionType) and isinstance(node := find(word.__module__, word.__qualname__), Definition):
            first += _named(word.__module__, getattr(node, "returns", None))
    second = [found for one in first for found in _types(one, taken=False)]
    contracts = [*_contracts()]
    around = [found for one in contracts for found in _types(one, taken=True)]
    found = {id(one): one for one in (*words, *first, *second, *contracts, *around, *_on_pages(root))}
    return list(found.values())


def _kind(node: Definition, owner: ast.ClassDef | None) -> str:
    if isinstance(node, ast.ClassDef):
        return "class"
    if owner is None:
        return "function"
    return "property" if any(ast.unparse(one).endswith("property") for one in node.decorator_list) else "method"


def surface(root: Path = ROOT) -> dict[str, Public]:
    """Return all public objects by their full name, classes before their members."""
    found: dict[str, Public] = {}
    for thing in objects(root):
        node = find(thing.__module__, thing.__qualname__)
        if node is None:  # made at run time, or inside a function
            continue
        name = f"{thing.__module__}.{thing.__qualname__}"
        found[name] = Public(name, _kind(node, None), node)
        for module, qualname, owner, member in members(thing) if isinstance(thing, type) else ():
            full = f"{module}.{qualname}"
            found.setdefault(full, Public(full, _kind(member, owner), member, owner))
    return dict(sorted(found.items()))


def listed(names: Iterable[str]) -> str:
    """Return names, one a line."""
    return "\n".join(names)


if __name__ == "__main__":
    print(listed(surface()))
    sys.exit(0)
