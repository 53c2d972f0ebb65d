"""How long a store of ten thousand runs takes to list: cold, from the cache, filtered, and by the command.

    python -m benchmarks.scale.listing [--runs 10000]

The runs are copies of two that were trained (finished, and killed half way), with seeds, names, results and seals of
their own, as whole as any. "cold": the cache is removed before; the files are in the memory of the system.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
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


def timed(store: Path, cold: bool, **filters: Any) -> tuple[float, float, int, int]:
    """Return seconds by the clock and of the processor, runs that were chosen, and runs that were read anew."""
    if cold:
        (store / CACHE).unlink(missing_ok=True)
    given: dict[str, Any] = dict.fromkeys(("task", "profile", "backend", "rule", "status", "seed", "since", "sort"))
    began, spent = time.perf_counter(), time.process_time()
    found = chosen(store, **{**given, "where": (), **filters})
    return time.perf_counter() - began, time.process_time() - spent, len(found.rows), found.read


def command(store: Path, cold: bool, *words: str) -> tuple[float, float, int, None]:
    """Return the same of the command, from its start to its end; it does not say what it read anew."""
    if cold:
        (store / CACHE).unlink(missing_ok=True)
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "neuroanp", "runs", "list", str(store), *words, "--json"],
        capture_output=True,
        check=True,
    )
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    count = len(json.loads(done.stdout)["results"])
    return took, spent, count, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="runs of the store (default %(default)s)")
    options = parser.parse_args()
    load_all()
    words = ("--status", "finished", "--where", "test_loss < 0.005", "--sort=-test_loss")
    filters: dict[str, Any] = {"status": "finished", "where": "test_loss < 0.005", "sort": "-test_loss"}
    with TemporaryDirectory() as place:
        store = store_of(options.runs, Path(place))
        cases: list[tuple[str, Callable[[], tuple[float, float, int, int | None]]]] = [
            ("no cache yet", partial(timed, store, True)), ("from the cache", partial(timed, store, False)),
            ("from the cache, filtered and sorted", partial(timed, store, False, **filters)),
            ("`neuroanp runs list --json`, no cache yet", partial(command, store, True)),
            ("`neuroanp runs list --json`", partial(command, store, False)),
            ("`neuroanp runs list --status --where --sort --json`", partial(command, store, False, *words)),
        ]  # fmt: skip
        rows, most = [], dict[str, float]()
        for label, case in cases:
            took, spent, count, read = min(case() for _ in range(5))
            rows.append([label, f"{took:.2f} s", f"{spent:.2f} s", f"{count:,}", "-" if read is None else f"{read:,}"])
            most[label] = took
    first, again = (
        max(took for label, took in most.items() if ("no cache" in label) == cold) for cold in (True, False)
    )
    body = "\n\n".join([
        table(["least of five", "by the clock", "of the processor", "runs listed", "read anew"], rows),
        *(
            f"- {verdict(f'{options.runs:,} runs listed {how} in {took:.2f} s, <= {MOST_S:g} s', took <= MOST_S)}"
            for how, took in (("from the cache", again), ("without one", first))
        ),
        f"- load while it was measured: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
    ])  # fmt: skip
    keep("listing", f"Listing a store of {options.runs:,} runs", body, __spec__.name)


if __name__ == "__main__":
    main()
