"""Files of ours that hostile ones are made of: runs of several kinds, a comparison, exports, weights."""

from __future__ import annotations

import random
from functools import cached_property
from pathlib import Path

from benchmarks.faults.common import COPY, XOR, Setup, command, in_child, undisturbed
from benchmarks.faults.damage import cut_short

PLAIN = Setup("copy", COPY, {"profile": "pcm"})


class Material:
    """The files, each made when it is first asked for.

    Args: home: an empty folder. log: takes what is printed as they are made.
    """

    def __init__(self, home: Path, log: Path) -> None:
        self.home, self.log = home, log
        home.mkdir()

    @cached_property
    def run(self) -> Path:
        """A run that has ended."""
        return undisturbed(PLAIN, self.home / "run", self.log, updates=8)

    @cached_property
    def cut(self) -> Path:
        """One that was killed."""
        return cut_short(PLAIN, self.home / "cut", self.log)

    @cached_property
    def spiking(self) -> Path:
        """One of LIF units."""
        setup = Setup("xor", XOR, {"profile": "ideal", "backend": "lif", "target": "nir"})
        return undisturbed(setup, self.home / "spiking", self.log, updates=8)

    @cached_property
    def weather(self) -> Path:
        """One on a table of somebody's."""
        table, rng = self.home / "table.csv", random.Random(0)
        rows = "".join(f"{n},{rng.random():.3f},{rng.random():.3f}\n" for n in range(400))
        table.write_text("time,a,voltage_mV\n" + rows)
        task = {"name": "weather", "path": str(table), "target": "voltage_mV", "window": 8, "horizon": 1, "washout": 2}
        return undisturbed(Setup("weather", task, {"profile": "ideal"}), self.home / "weather", self.log, updates=8)

    @cached_property
    def store(self) -> Path:
        """A store with the runs of a comparison, and its record."""
        store, config = self.home / "store", str(self.run / "config.yaml")
        self._done("compare", config, "--seeds", "2", "--workers", "1", "--runs", str(store))
        return store

    @cached_property
    def nir(self) -> Path:
        """An export for NIR."""
        self._done("export", str(self.spiking), "--format", "nir", "-o", str(self.home / "nir"))
        return next((self.home / "nir").glob("*.nir"))

    @cached_property
    def netx(self) -> Path:
        """An export for Loihi."""
        setup = Setup("loihi", XOR, {"profile": "ideal", "target": "loihi"})
        run = undisturbed(setup, self.home / "loihi", self.log, updates=8)
        self._done("export", str(run), "--format", "loihi", "-o", str(self.home / "netx"))
        return next((self.home / "netx").glob("*.net"))

    @cached_property
    def safetensors(self) -> Path:
        """The weights of `run`."""
        path = self.home / "weights.safetensors"
        _weights(self.run, path)
        return path

    def _done(self, *words: str) -> None:
        ended = in_child(command(*words), self.log)
        if ended.code != 0:
            raise SystemExit(f"{' '.join(words)} ended with {ended.code}: {ended.output[-500:]}")


def _weights(run: Path, path: Path) -> None:
    from safetensors.torch import save_file

    import neuroanp as na

    save_file({name: W.contiguous() for name, W in na.load_run(run).weights().arrays.items()}, path)
