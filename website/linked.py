"""Files of the repository that pages link to: each becomes a page of the site, which so needs no other place."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from website import notebook

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
FOLDER = "source"
"""Folder of the site that shows what lies outside of docs."""

LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".csv": "text", ".sv": "systemverilog", "": "text"}
_LINK = re.compile(r"(\]\()(?!https?:|mailto:|data:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
_FENCE = re.compile(r"^ *(```+|~~~+)")


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """Return the text with `change` applied to the lines that are no code.

    >>> print(outside_fences("a\\n```\\na\\n```\\na", str.upper))
    A
    ```
    a
    ```
    A
    """
    lines, fence = list[str](), ""
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if found and not fence:
            fence = found[1]
        elif found and line.strip() == fence:
            fence = ""
        elif not fence:
            line = change(line)
        lines.append(line)
    return "\n".join(lines)


def links(text: str) -> list[tuple[str, str]]:
    """Return target and anchor of each link of a page that leads neither to a host nor into the page itself.

    >>> links("[a](b.md#c), [d](https://e.f), [g](#h), ![i](data:image/png;base64,AA)")
    [('b.md', '#c')]
    """
    found = list[tuple[str, str]]()

    def keep(line: str) -> str:
        found.extend((each[2], each[3] or "") for each in _LINK.finditer(line))
        return line

    outside_fences(text, keep)
    return found


def place(path: Path) -> str:
    """Return where the site shows a file or a folder of the repository: the source of a page, or a picture of docs.

    >>> place(ROOT / "CONTRIBUTING.md"), place(ROOT / "docs" / "scale.md"), place(ROOT / "examples" / "xor.yaml")
    ('source/CONTRIBUTING.md', 'scale.md', 'source/examples/xor.yaml.md')
    """
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    there = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        return f"{FOLDER}/{there}/index.md"
    return f"{FOLDER}/{there}" if path.suffix == ".md" else f"{FOLDER}/{there}.md"


def origin(page: str) -> Path:
    """Return what a page of the site is made of."""
    folder, _, rest = page.partition("/")
    if folder != FOLDER:
        return DOCS / page
    path = ROOT / (rest.removesuffix("/index.md") if rest.endswith("/index.md") else rest)
    return path if path.exists() else path.with_suffix("")


def moved(text: str, page: str) -> str:
    """Return the text of a page with its links to files of the repository led to the pages that show them."""
    beside, here = origin(page).parent, PurePosixPath(page).parent

    def lead(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(beside / found[2]))
        if not target.exists():
            return found[0]  # MkDocs tells it
        return f"{found[1]}{os.path.relpath(place(target), here)}{found[3] or ''}"

    return outside_fences(text, lambda line: _bars(_LINK.sub(lead, line)))


def _bars(line: str) -> str:
    r"""Write a bar in code in a table as it is: GitHub wants it escaped, Python-Markdown shows the backslash.

    >>> _bars(r"| `a\|b` | \| |")
    '| `a|b` | \\| |'
    """
    return re.sub(r"`[^`]*`", lambda code: code[0].replace(r"\|", "|"), line) if line.startswith("|") else line


def shown(path: Path) -> str:
    """Return the text of the page that shows a file or a folder of the repository."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    head = f"---\nsearch: {{exclude: true}}\n---\n\n# {name}\n\n"
    if path.is_dir():
        return head + "\n".join(_entry(each) for each in sorted(path.iterdir()) if each.name[0] not in "_.") + "\n"
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return notebook.of_notebook(text)
    if path.suffix == ".py" and "\n# %%" in text:
        return notebook.of_script(text)
    fence = "`" * (3 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{head}{fence}{LANGUAGES.get(path.suffix, 'text')}\n{text.rstrip()}\n{fence}\n"


def _entry(path: Path) -> str:
    """Return a line of a folder's list, with what a module says first of itself."""
    said = ""
    source = path / "__init__.py" if path.is_dir() else path
    if source.suffix == ".py" and source.is_file():
        said = (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    return f"- `{path.name}{'/' if path.is_dir() else ''}`" + (f": {said}" if said else "")


def outside(pages: list[str]) -> dict[str, Path]:
    """Return the pages that show what these pages link to outside of docs, and what those link to in turn."""
    wanted, seen = list(pages), dict[str, Path]()
    while wanted:
        source = origin(wanted.pop())
        if source.suffix != ".md":
            continue
        for target, _ in links(source.read_text(encoding="utf-8")):
            path = Path(os.path.normpath(source.parent / target))
            if path.exists() and not path.is_relative_to(DOCS) and place(path) not in seen:
                seen[place(path)] = path
                wanted.append(place(path))
    return seen
