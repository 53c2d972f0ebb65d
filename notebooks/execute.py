"""Execute the notebooks and write each beside its source: `make notebooks`, or `python notebooks/execute.py NAME ...`.

A source is a script in jupytext's percent format; NAME.ipynb has its cells and what they printed and drew. Each runs in
a kernel and an empty folder of its own. A cell tagged "parameters" has the sizes; `--small` puts those of `SMALL` after
it, as tests do, and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jupytext
import nbclient
import nbformat
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
PACKAGES: Mapping[str, str] = {"own_device": "own_device_package"}
"""Packages beside the notebooks that some of them import."""
SMALL: Mapping[str, str] = {
    "01_first_run": "UPDATES, HIDDEN, K = 20, 12, 2",
    "02_trace_to_verdict": "UPDATES, SEEDS = 6, 3",
    "03_rate_and_spiking": "UPDATES, K = 4, 2",
    "04_compare_profiles": 'UPDATES, SEEDS, PROFILES = 6, 2, ("ideal", "pcm", "ecram")',
    "05_export_and_read_back": "UPDATES, K = 4, 2",
    "06_the_paper": 'EXPERIMENTS, SEEDS = ("copy_fixed",), 1',
}
"""What tests put in place of the sizes of a notebook; others take their seconds as they are."""
LONGEST_S = 1800
LARGEST = 1 << 20
"""Bytes of a notebook with its outputs."""
PLACES = re.compile(r"/(?:home|root|Users|tmp|work|mnt|var|usr|opt|private)/[\w.-]+|site-packages|ipykernel_\d+")
"""What tells of the machine that executed a notebook."""


def sources() -> list[Path]:
    """Return the scripts that are notebooks, in order."""
    return [path for path in sorted(HERE.glob("*.py")) if path.name != Path(__file__).name]


def read(source: Path) -> NotebookNode:
    """Return a notebook without outputs; the same source, the same notebook."""
    book = jupytext.read(source)
    book.metadata = NotebookNode(kernelspec=book.metadata["kernelspec"], language_info={"name": "python"})
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number:02}"
    return book


def smaller(book: NotebookNode, values: str) -> NotebookNode:
    """Return the notebook with a cell that sets other sizes, after the one tagged "parameters".

    Raises:
        ValueError: it has no such cell, or that has not these names.
    """
    at = next((k for k, cell in enumerate(book.cells) if "parameters" in cell.metadata.get("tags", [])), None)
    if at is None:
        raise ValueError('no cell is tagged "parameters"')
    names = [name.strip() for name in values.split("=")[0].split(",")]
    if unknown := [name for name in names if not re.search(rf"^{name} = ", book.cells[at].source, re.MULTILINE)]:
        raise ValueError(f"{', '.join(unknown)}: not in the cell of parameters")
    book.cells.insert(at + 1, nbformat.v4.new_code_cell(values))
    return book


@contextmanager
def surroundings(name: str, keep: Path | None = None) -> Iterator[tuple[Path, dict[str, str]]]:
    """Give a notebook a folder, an empty one unless it is kept, and an environment with the package that it imports."""
    with TemporaryDirectory(prefix="notebook-") as folder:
        environment = dict(os.environ)
        if name in PACKAGES:
            library = Path(folder) / ".library"
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            quiet = ["--no-build-isolation", "--no-index", "--target", str(library), str(HERE / PACKAGES[name])]
            subprocess.run([*command, *quiet], check=True)
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(library), environment.get("PYTHONPATH")]))
        here = (Path(folder) if keep is None else keep) / name
        here.mkdir(parents=True, exist_ok=True)
        yield here, environment


def execute(book: NotebookNode, name: str, keep: Path | None = None) -> NotebookNode:
    """Run all cells; return the notebook with their outputs, and nothing that the next time would be otherwise.

    Args: book: it. name: of its source. keep: a folder that its runs stay in, and are taken from; None: they are not.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an error.
    """
    with surroundings(name, keep) as (folder, environment):
        client = nbclient.NotebookClient(
            book, timeout=LONGEST_S, kernel_name="python3", coalesce_streams=True,
            resources={"metadata": {"path": str(folder)}}, record_timing=False,
        )  # fmt: skip
        client.execute(env=environment)
    book.metadata = NotebookNode(kernelspec=book.metadata["kernelspec"], language_info={"name": "python"})
    return book


def retold(book: NotebookNode, written: NotebookNode) -> NotebookNode:
    """Return a notebook with the outputs of the one that was written, whose code is the same: only text is new.

    Raises:
        ValueError: some code is new too.
    """
    new, old = ([cell for cell in each.cells if cell.cell_type == "code"] for each in (book, written))
    if [cell.source for cell in new] != [cell.source for cell in old]:
        raise ValueError("its code has changed: execute it")
    for cell, before in zip(new, old, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    return book


def cells(book: NotebookNode) -> list[tuple[str, str, Any]]:
    """Return what a notebook and its source have in common."""
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in book.cells]


def problems(path: Path) -> Iterator[str]:
    """Say what a written notebook has that none should: errors, warnings of code, places of a machine, bulk."""
    text = path.read_text(encoding="utf-8")
    if len(text.encode()) > LARGEST:
        yield f"{len(text) >> 10} KiB; at most {LARGEST >> 10}"
    book = nbformat.reads(text, as_version=4)
    nbformat.validate(book)
    for number, cell in enumerate(book.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                yield f"cell {number}: {output.ename}: {output.evalue}"
            for said in _texts(output):
                yield from (f"cell {number}: {found[0]}" for found in PLACES.finditer(said))
                yield from (f"cell {number}: {found[0]}" for found in re.finditer(r"\w*Warning: .*", said))
        if cell.cell_type == "code" and cell.execution_count is None:
            yield f"cell {number}: was not run"


def _texts(output: NotebookNode) -> list[str]:
    if output.output_type == "stream":
        return [output.text]
    kinds = output.get("data", {})
    return [said for kind, said in kinds.items() if kind.startswith("text/") or kind.endswith("svg+xml")]


def main(words: Sequence[str] | None = None) -> None:
    """Execute the notebooks that are named, or all."""
    known = {path.stem: path for path in sources()}
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--small", action="store_true", help="at the sizes of tests; nothing is written")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="where runs stay: after a failure they are not repeated"
    )
    parser.add_argument("--text", action="store_true", help="take new text alone, and leave outputs as they are")
    asked = parser.parse_args(words)
    if unknown := [name for name in asked.names if name not in known]:
        parser.error(f"no notebook is called {', '.join(unknown)} (there are {', '.join(known)})")
    for name in asked.names or known:
        since, path = time.perf_counter(), HERE / f"{name}.ipynb"
        book = read(known[name])
        if asked.text:
            nbformat.write(retold(book, nbformat.read(path, as_version=4)), path)
        elif asked.small:
            execute(smaller(book, SMALL[name]) if name in SMALL else book, name)
        else:
            nbformat.write(execute(book, name, asked.keep), path)
        for problem in () if asked.small else problems(path):
            print(f"{path.name}: {problem}", file=sys.stderr)
        print(f"{name}: {time.perf_counter() - since:.0f} s", flush=True)


if __name__ == "__main__":
    main()
