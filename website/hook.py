"""What MkDocs calls while it builds the site (mkdocs.yml names it)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

import neuroanp
from website import best, commands, formulas, keys, linked, records

_NOT_RUN = re.compile(r"^( *)<!-- not run: (.+?)\.? -->$", re.MULTILINE)
"""A comment of walks above a block, which readers are to see."""
_MARK = re.compile(r"^<!-- generated: (\w+) -->\n\*This part is made when the site is built .*$", re.MULTILINE)
"""A mark, with the line below it by which a reader of the file itself knows that something stands there on the site."""


def on_config(config: Any) -> Any:
    """Put the pages of a folder in the place of the folder's name in the navigation."""
    config.nav = [each for part in config.nav if (each := _filled(part)) is not None]
    return config


def _filled(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    ((title, inside),) = part.items()
    if isinstance(inside, str):
        return part
    pages = list[Any]()
    for each in inside:
        if isinstance(each, str) and each.endswith("/"):
            pages += [page.relative_to(linked.DOCS).as_posix() for page in folder_pages(each)]
        elif (filled := _filled(each)) is not None:
            pages.append(filled)
    return {title: pages} if pages else None


def folder_pages(folder: str) -> list[Path]:
    """Return the pages of a folder of docs: its index first, the others by name."""
    return sorted((linked.DOCS / folder).glob("*.md"), key=lambda path: (path.name != "index.md", path.name))


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each file of the repository that a page links to."""
    pages = [file.src_uri for file in files.documentation_pages()]
    named = re.findall(rf"{linked.FOLDER}/\S+?\.md", str(config.nav))
    for page, path in (linked.outside([*pages, *named]) | {name: linked.origin(name) for name in named}).items():
        files.append(File.generated(config, page, content=linked.shown(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put in what is made at build time, and lead links to files of the repository to their pages.

    A page without sections has no list of them: wide tables get its place.
    """
    if "\n## " not in markdown and not _MARK.search(markdown):
        page.meta.setdefault("hide", []).append("toc")
    markdown = _NOT_RUN.sub(r"\1*Not run by the tests: \2.*\n", linked.moved(markdown, page.file.src_uri))
    return _MARK.sub(lambda found: GENERATED[found[1]](), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Draw the formulas."""
    return formulas.drawn(html)


def _public() -> str:
    names = sorted(set(neuroanp.__all__) - {"__version__"}, key=lambda name: (name[0].isupper(), name))
    return "\n".join(f"::: neuroanp.api.{name}" for name in names)


def _tutorials() -> str:
    """Name the walks, and the page of questions."""
    pages = [*folder_pages("tutorials/"), *folder_pages("how-to/")[:1]]
    lines = [f"- [{_title(page)}]({page.relative_to(linked.DOCS).as_posix()})" for page in pages]
    return "\n".join(["From nothing to a result of your own, step by step:\n", *lines] if lines else [])


def _title(page: Path) -> str:
    found = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else page.stem


DEFAULTS = {"task": "task", "device": "device", "where none is named": "median [lowest .. highest]", "ratio": "ratio",
            "seeds below": "lower on"}  # fmt: skip
WRITES = {"profile, writes": "profile, writes", "perturbation": "perturbation", "noise-free": "noise-free",
          "under its noise": "under its noise", "energy (mJ)": "energy, mJ", "pulses": "pulses",
          "wear": "wear"}  # fmt: skip
GENERATED: dict[str, Callable[[], str]] = {
    "public": _public,
    "commands": commands.pages,
    "config": lambda: keys.tables("config"),
    "profile": lambda: keys.tables("profile"),
    "tutorials": _tutorials,
    "best": best.tables,
    "defaults": lambda: records.columns("defaults", DEFAULTS),
    "writes": lambda: records.columns("device_noise", WRITES),
}
