"""Links of a built site, and of pages as the repository shows them: what leads nowhere, and what asks another host."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from website.linked import links, outside_fences

_FETCHED = {
    "img": ("src",),
    "script": ("src",),
    "iframe": ("src",),
    "source": ("src",),
    "video": ("src",),
    "audio": ("src",),
}


class _Page(HTMLParser):
    """What a page names, where it leads, and what a browser fetches for it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.leads, self.fetches = set[str](), list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.leads.append(found["href"])
        self.fetches += [found[name] for name in _FETCHED.get(tag, ()) if name in found]
        if tag == "link" and {"stylesheet", "icon", "preconnect", "preload"} & set(found.get("rel", "").split()):
            self.fetches.append(found.get("href", ""))


def broken(site: Path) -> tuple[list[str], list[str], int]:
    """Return links of a built site that lead nowhere, what comes from other hosts, and how many links there are."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    nowhere, foreign, count = list[str](), list[str](), 0
    for path, page in pages.items():
        if path.name == "404.html":  # its links begin at the root of a host
            continue
        said = path.relative_to(site).as_posix()
        for link in (*page.leads, *page.fetches):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                foreign += [f"{said}: {link}"] if link in page.fetches and parts.scheme != "data" else []
                continue
            count += 1
            target = Path(os.path.normpath(path.parent / unquote(parts.path))) if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].ids):
                nowhere.append(f"{said}: {link}")
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        foreign += [f"{sheet.name}: {url}" for url in re.findall(r"url\([\"']?(https?:[^)\"']+)", text)]
    return nowhere, foreign, count


def slugs(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page.

    >>> import tempfile
    >>> page = Path(tempfile.mkdtemp(), "page.md")
    >>> _ = page.write_text("# A, B\\n## `c` d\\n## A B\\n")
    >>> sorted(slugs(page))
    ['a-b', 'a-b-1', 'c-d']
    """
    found = list[str]()

    def keep(line: str) -> str:
        if heading := re.match(r"#{1,6} (.*)", line):
            found.append(
                re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading[1]).lower()).strip().replace(" ", "-")
            )
        return line

    outside_fences(page.read_text(encoding="utf-8"), keep)
    return set(_numbered(found))


def _numbered(found: Iterable[str]) -> Iterator[str]:
    counts = dict[str, int]()
    for slug in found:
        yield f"{slug}-{counts[slug]}" if slug in counts else slug
        counts[slug] = counts.get(slug, 0) + 1


def broken_in_repository(page: Path) -> list[str]:
    """Return the links of a Markdown page that lead to no file, or to no heading, of the repository."""
    nowhere = list[str]()
    for target, anchor in links(page.read_text(encoding="utf-8")):
        path = page.parent / target
        if not path.exists() or (anchor and path.suffix == ".md" and anchor[1:] not in slugs(path)):
            nowhere.append(target + anchor)
    return nowhere
