"""Find public objects whose docstring lacks something: `python -m tests.lint.docstrings` in `make lint`.

What is public says tests/lint/surface.py. Of each object the docstring has

- a first line that ends as a sentence does and, of functions and methods, begins with what it does ("Return ...");
- `Args:` that name every argument, of arrays with their shape, (T, B, I), of real numbers with a unit, or what they are
  a share, a rate or a multiple of;
- what is returned: `Returns:`, or a first line that says it ("Return ...", "Tell ...");
- the error, where its own code raises InputError;
- an example, `>>>`, which pytest runs. A method or property may leave that to its class, if the example there has it.

It prints how many are complete, and a line for each that is not; the exit code is 1 if any is not.
"""

from __future__ import annotations

import ast
import doctest
import re
import sys
from collections import Counter
from collections.abc import Iterator

from tests.lint.surface import Definition, Public, surface

SAYS = re.compile(
    r"(Return|Yield|Iterate|List|Tell|Say|Give|Read|Load|Open|Make|Draw|Do |Find|Take|Count|Name)|return|yield"
)
"""First lines that say what comes back."""
NOUNS = {"A", "An", "The", "This", "These", "It", "Its", "Whether", "What", "How", "Which"}
"""First words that name a thing, and do nothing."""
ARRAY = re.compile(r"\b(Tensor|ndarray|NDArray)\b")
SHAPE = re.compile(r"\([^()]*(,|\.\.\.)[^()]*\)|\bshape|\bone number|\blike\b|\bas (in|of)\b|gives dtype")
"""Words by which the shape of an array is known."""
UNITS = re.compile(
    r"second|\bs\b|siemens|volt|ampere|watt|joule|kelvin|ohm|hertz|\bHz\b|\bnm\b|metre|degree|dimensionless|share|"
    r"rate|fraction|factor|relative|standard deviation|number|multiple|\brange\b|probability|loss|decade|times|"
    r"step size|discount|tolerance|weight|units?\b|scale|\bas (in|of)\b|\bsd\b|steps?\b|variance|\bz\b"
)
"""Words by which it is known what a real number counts."""


def sections(text: str) -> dict[str, str]:
    """Return what a docstring says under Args, Returns, Yields and Raises, by these names.

    >>> sections("Add.\\n\\nArgs:\\n    a, b: numbers.\\n\\nReturns: the sum.\\n\\n>>> 1\\n1")
    {'Args': 'a, b: numbers.', 'Returns': 'the sum.'}
    """
    found: dict[str, str] = {}
    for part in re.split(r"\n\s*\n", text):
        if head := re.match(r"(Args|Returns|Yields|Raises):\s*", part.strip()):
            found[head[1]] = part.strip()[head.end() :].strip()
    return found


def told(args: str) -> dict[str, str]:
    """Return what `Args:` say of each argument, by its name.

    >>> told("a, b: numbers. c: (T, B), of\\n    one. **words: as in `train`.")
    {'a': 'numbers.', 'b': 'numbers.', 'c': '(T, B), of\\n    one.', 'words': 'as in `train`.'}
    """
    head = re.compile(r"(?:^|(?<=\s))((?:\*{0,2}\w+,\s+)*\*{0,2}[A-Za-z]\w*):(?=\s)")
    heads = [*head.finditer(args)]
    ends = [*(one.start() for one in heads[1:]), *([len(args)] if heads else [])]
    found: dict[str, str] = {}
    for one, end in zip(heads, ends, strict=True):
        for name in re.findall(r"\w+", one[1]):
            found.setdefault(name, args[one.end() : end].strip())
    return found


def arguments(public: Public) -> dict[str, str]:
    """Return the annotations of a function's arguments, or of what makes a class, as text by name."""
    node = public.node
    if isinstance(node, ast.ClassDef):
        made = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
        if made is None:
            return fields(node)
        node = made
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    every += [one for one in (node.args.vararg, node.args.kwarg) if one is not None]
    return {
        one.arg: "" if one.annotation is None else ast.unparse(one.annotation)
        for one in every
        if one.arg not in ("self", "cls") and not one.arg.startswith("_")
    }


def fields(node: ast.ClassDef) -> dict[str, str]:
    """Return the fields of a class that stand in its body, but for those that say what they are beside themselves."""
    found: dict[str, str] = {}
    for one, after in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(one, ast.AnnAssign) or not isinstance(one.target, ast.Name):
            continue
        beside = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if beside or "description=" in ast.unparse(one) or "ClassVar" in ast.unparse(one.annotation):
            continue
        chosen_by = one.target.id == "name" and ast.unparse(one.annotation).startswith("Literal")
        if not one.target.id.startswith("_") and not chosen_by:
            found[one.target.id] = ast.unparse(one.annotation)
    return found


def uses(text: str) -> set[str]:
    """Return the names and members that the examples of a docstring use.

    >>> sorted(uses(">>> run.path.name, train(1)"))
    ['name', 'path', 'run', 'train']
    """
    found: set[str] = set()
    for example in doctest.DocTestParser().get_examples(text):
        for node in ast.walk(ast.parse(example.source)):
            found |= (
                {node.attr} if isinstance(node, ast.Attribute) else {node.id} if isinstance(node, ast.Name) else set()
            )
    return found


def raises(node: Definition) -> bool:
    """Tell whether a function's own code, or what makes a class, raises InputError."""
    if isinstance(node, ast.ClassDef):
        made = ("__init__", "__post_init__")
        return any(raises(one) for one in node.body if isinstance(one, ast.FunctionDef) and one.name in made)
    inner = {id(one) for part in ast.walk(node) if part is not node and isinstance(part, Definition | ast.Lambda)
             for one in ast.walk(part)}  # fmt: skip
    return any(
        isinstance(one, ast.Raise) and one.exc is not None and "InputError" in ast.unparse(one.exc).partition("(")[0]
        for one in ast.walk(node)
        if id(one) not in inner
    )


def lacks(public: Public) -> Iterator[str]:
    """Yield what the docstring of a public object lacks."""
    text = ast.get_docstring(public.node) or ""
    if not text:
        yield "a docstring"
        return
    first, of = text.partition("\n")[0], sections(text)
    does = public.kind in ("function", "method")
    if not first.endswith((".", ":", "?")) or (does and (first.split()[0] in NOUNS or not first[0].isupper())):
        yield "a first line that says what it does"
    if public.kind != "property":
        named = {**told(of.get("Args", ""))}
        for name, annotation in arguments(public).items():
            said = named.get(name, _in_words(name, text) if public.kind != "class" else None)
            if said is None:
                yield f"argument {name}"
            elif ARRAY.search(annotation) and "Mapping" not in annotation and not SHAPE.search(said):
                yield f"shape of {name}"
            elif re.search(r"\bfloat\b", annotation) and "[" not in annotation and not UNITS.search(said):
                yield f"unit of {name}"
    if isinstance(public.node, ast.FunctionDef) and does:
        given = "None" if public.node.returns is None else ast.unparse(public.node.returns)
        if given not in ("None", "NoReturn") and not {"Returns", "Yields"} & of.keys() and not SAYS.search(first):
            yield "what it returns"
    if raises(public.node) and "InputError" not in text:
        yield "InputError"
    if ">>>" not in text:
        name = public.node.name
        if public.owner is None or name not in uses(ast.get_docstring(public.owner) or ""):
            yield "an example"


def _in_words(name: str, text: str) -> str | None:
    """Return the sentence before any section that names an argument: first lines may say what they take."""
    before = re.split(r"\n\s*(?:Args|Returns|Raises):|>>>", text)[0]
    return before if re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", before) else None


def main() -> int:
    """Print what is complete and what lacks; return the exit code."""
    found = surface()
    wrong = {name: [*lacks(one)] for name, one in found.items()}
    short = {name: some for name, some in wrong.items() if some}
    for name, some in short.items():
        print(f"{name}: lacks {', '.join(some)}")
    kinds = Counter(one.kind for one in found.values())
    said = ", ".join(f"{count} {kind}s" for kind, count in kinds.items()).replace("classs", "classes")
    said = said.replace("propertys", "properties")
    print(f"public: {len(found)} ({said}); complete: {len(found) - len(short)}")
    if not found:
        print("nothing to look at: no public object", file=sys.stderr)
        return 2
    return int(bool(short))


if __name__ == "__main__":
    sys.exit(main())
