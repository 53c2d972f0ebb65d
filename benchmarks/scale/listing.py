"""How long a store of ten thousand runs takes to list: cold, from the cache, filtered, and by the command.

    python -m benchmarks.scale.listing [--runs 10000]

The runs are copies of two that were trained (finished, and killed half way), with seeds, names, results and seals of
their own, as whole as any. "cold": the cache is removed before; the files are in the memory of the system.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import keep, table, verdict
from benchmarks.faults.common import COPY, Setup, load_all, undisturbed
from benchmarks.faults.damage import cut_short
from neuroanp.api.listed import chosen
from neuroanp.records.listing import CACHE
from neuroanp.records.manifest import NAME
from neuroanp.records.seal import Seal, of_fields

MOST_S = 2.0


def store_of(count: int, home: Path) -> Path:
    """Make a store of so many runs."""
    setup = Setup("copy", COPY, {"profile": "pcm"})
    whole, cut = undisturbed(setup, home / "one", home / "log", updates=8), cut_short(setup, home / "cut", home / "log")
    store = home / "store"
    store.mkdir()
    fields = {path: json.loads((path / NAME).read_bytes()) for path in (whole, cut)}
    row = json.loads((whole / "result.json").read_bytes())
    for n in range(count):
        base = cut if n % 10 == 9 else whole
        _copy(base, dict(fields[base]), row if base == whole else None, store, n)
    return store


def _copy(base: Path, fields: dict[str, Any], row: dict[str, Any] | None, store: Path, n: int) -> None:
    name = f"copy-pcm-anp-s{n}-{n:016x}"
    run = store / name
    run.mkdir()
    shutil.copy(base / "config.yaml", run)
    fields["seeds"], fields["identity"] = {"seed": n}, f"{n:016x}"
    fields["started"] = f"2026-{n % 12 + 1:02d}-01T00:00:00+00:00"
    if row is not None:
        data = json.dumps({**row, "seed": n, "test_loss": n / 1e6, "run": name}).encode()
        (run / "result.json").write_bytes(data)
        fields["seals"] = {**fields["seals"], "result.json": Seal.of(data).plain()}
    fields["seal"] = of_fields(fields)
    (run / "copies").mkdir()
    for path in (run / NAME, run / "copies" / NAME):
        path.write_text(json.dumps(fields, indent=1))


def timed(store: Path, cold: bool, **filters: Any) -> tuple[float, int, int]:
    """Return seconds, runs that were chosen, and runs that were read anew."""
    if cold:
        (store / CACHE).unlink(missing_ok=True)
    given: dict[str, Any] = dict.fromkeys(("task", "profile", "backend", "rule", "status", "seed", "since", "sort"))
    began = time.perf_counter()
    found = chosen(store, **{**given, "where": (), **filters})
    return time.perf_counter() - began, len(found.rows), found.read


def command(store: Path, *words: str) -> tuple[float, int]:
    """Return the seconds of the command, from start to end, and how many runs it lists."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "neuroanp", "runs", "list", str(store), *words, "--json"],
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - began, len(json.loads(done.stdout)["results"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="runs of the store (default %(default)s)")
    options = parser.parse_args()
    load_all()
    with TemporaryDirectory() as place:
        store = store_of(options.runs, Path(place))
        filters: dict[str, Any] = {"status": "finished", "where": "test_loss < 0.005", "sort": "-test_loss"}
        rows, most = [], 0.0
        for label, cold, chosen_by in (
            ("no cache yet", True, {}), ("from the cache", False, {}), ("from the cache, filtered and sorted", False,
            filters),
        ):  # fmt: skip
            took, count, read = min(timed(store, cold, **chosen_by) for _ in range(3))
            rows.append([label, f"{took:.2f} s", f"{count:,}", f"{read:,}"])
            most = max(most, took)
        took, count = min(command(store) for _ in range(3))
        rows.append(["`neuroanp runs list --json`, all of it", f"{took:.2f} s", f"{count:,}", "0"])
        words = ("--status", "finished", "--where", "test_loss < 0.005", "--sort=-test_loss")
        took, count = min(command(store, *words) for _ in range(3))
        rows.append(["`neuroanp runs list --status --where --sort`", f"{took:.2f} s", f"{count:,}", "0"])
        most = max(most, took)
        claim = f"{options.runs:,} runs are read and filtered in {most:.2f} s at most, <= {MOST_S:g} s"
        body = "\n\n".join([
            table(["least of three", "time", "runs listed", "read anew"], rows), f"- {verdict(claim, most <= MOST_S)}",
        ])  # fmt: skip
    keep("listing", f"Listing a store of {options.runs:,} runs", body, __spec__.name)


if __name__ == "__main__":
    main()
