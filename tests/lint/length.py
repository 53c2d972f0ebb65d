"""Find modules that are too long: `python tests/lint/length.py` in `make lint`.

A module that does one thing has about 150 lines, and none has more than 450; in neuroanp/ half of them have at most
150. What is over is to be split by what it does. The longest of each folder is printed; the exit code is 1 if anything
is too long, 2 if there was nothing to look at.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

MOST = 450
MIDDLE = {"neuroanp": 150}
"""Folders whose median is held to, and to what."""
FOLDERS = ("neuroanp", "tests", "benchmarks", "examples", "notebooks", "website")


def lengths(folder: Path) -> dict[str, int]:
    """Return the lines of every module below a folder, by path from where that lies; empty files are none."""
    found = {
        path.relative_to(folder.parent).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted(folder.rglob("*.py"))
    }
    return {path: lines for path, lines in found.items() if lines}


def problems(found: Mapping[str, int], middle: float | None) -> Iterator[str]:
    """Yield a line for each module over MOST, and one if the median is over `middle` (None: any will do).

    >>> list(problems({"a/b.py": 451, "a/c.py": 450}, None))
    ['a/b.py: 451 lines, at most 450: split it by what it does']
    >>> list(problems({"a/b.py": 10, "a/c.py": 30, "a/d.py": 40}, 25))
    ['half of the modules have more than 30 lines, which may be 25 at most: split those that do several things']
    """
    for path, lines in found.items():
        if lines > MOST:
            yield f"{path}: {lines} lines, at most {MOST}: split it by what it does"
    if middle is not None and median(found.values()) > middle:
        yield (
            f"half of the modules have more than {median(found.values()):g} lines, which may be {middle:g} at most: "
            "split those that do several things"
        )


def main(root: Path) -> int:
    """Print what is too long and the longest of each folder; return the exit code."""
    code = 0
    for name in FOLDERS:
        found = lengths(root / name)
        if not found:
            print(f"nothing to look at: no Python file in {root / name}", file=sys.stderr)
            return 2
        wrong = [*problems(found, MIDDLE.get(name))]
        longest = max(found, key=lambda path: found[path])
        half = f"; median {median(found.values()):g} of {MIDDLE[name]}" if name in MIDDLE else ""
        print(*wrong, f"longest of {name}: {longest}, {found[longest]} of {MOST} lines{half}", sep="\n")
        code |= bool(wrong)
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).resolve().parents[2]))
