"""The books of one chip: energy by kind, time, pulses, reads and wear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from neuroanp.later import fetch

KINDS = (
    "array_reads", "dac", "adc", "writes", "node_noise", "digital", "accumulate", "spikes", "synaptic_events",
    "static",
)  # fmt: skip
"""What energy is spent on; what is static is power that flows all the time."""
SOMETIMES = frozenset({"accumulate", "spikes", "synaptic_events", "static"})
"""Kinds that are named only where the hardware has such a part."""
STORED = tuple(kind for kind in KINDS if kind != "static")
"""Kinds in the order of a checkpoint; what is static has a place of its own, which others lack."""
COUNTS = ("pulses", "reads", "wear", "clipped", "conversions", "spikes", "events", "spiking")
"""What is counted, in the order of a checkpoint."""

STATED, UNSTATED, ABSENT = "stated", "unstated", "absent"


class Ledger:
    """Adds up what a chip spends; what a profile states no figure for is said, never counted as 0.

    A network of rates has neither spikes nor synaptic events. In one that spikes a weight is read by a
    synaptic event: where the profile has a figure for the event, that is all a read of the array costs.

    Args:
        kinds: for each of KINDS "stated", "unstated" (the hardware has it, the profile gives no
            figure) or "absent" (the hardware has none, or it is switched off).
        write_time: whether the profile states how long a pulse takes.
        endurance: pulses a device survives, or None.
        spiking: whether the network spikes; the first booking of spikes says so, too.
        static: watts that flow all the time: every second that is booked takes as many joules.
        area: square metres of the parts that the profile states, or None.

    >>> ledger = Ledger({kind: "unstated" for kind in KINDS} | {"adc": "stated", "dac": "absent"}, True, None)
    >>> ledger.book_energy("adc", 2e-12)
    >>> ledger.energy_J, ledger.energy()["dac"], ledger.energy()["writes"]
    (2e-12, 0.0, None)
    >>> ledger.unstated
    ['array_reads', 'writes', 'node_noise', 'digital', 'accumulate', 'static', 'endurance']
    """

    def __init__(
        self, kinds: Mapping[str, str], write_time: bool, endurance: float | None, spiking: bool = False,
        static: float = 0.0, area: float | None = None,
    ) -> None:  # fmt: skip
        self._kinds = dict(kinds)
        self.spiking = spiking
        self.write_time = write_time
        self.endurance = endurance
        self.static, self.area = static, area
        # what a GPU knows first is a tensor there until somebody looks: see _settle
        self._energy: dict[str, Any] = {kind: 0.0 for kind in KINDS}  # noqa: C420
        self._time: dict[str, float] = {"reads": 0.0, "writes": 0.0}
        self._counts: dict[str, Any] = dict.fromkeys(("pulses", "wear", "clipped", "spikes", "events"), 0)
        self.reads = 0
        self.conversions = 0

    @property
    def kinds(self) -> dict[str, str]:
        """For each of KINDS "stated", "unstated" or "absent", as it is for the network that runs."""
        if not self.spiking:
            return {**self._kinds, "spikes": ABSENT, "synaptic_events": ABSENT}
        by_event = self._kinds["synaptic_events"] == STATED
        return {**self._kinds, "array_reads": ABSENT} if by_event else dict(self._kinds)

    def book_energy(self, kind: str, joules: float | Tensor) -> None:
        """Add joules of one kind; nothing where the profile states no figure for it.

        A sum that a GPU knows first stays there, in float64, until somebody looks: the books are the same to the bit
        whoever looks when.
        """
        if self.kinds[kind] == STATED:
            self._energy[kind] = self._energy[kind] + joules

    def _settle(self) -> None:
        """Fetch what a GPU knows and the books do not, all at once."""
        books = (self._energy, self._counts)
        waiting = {(book, name): x for book in (0, 1) for name, x in books[book].items() if isinstance(x, Tensor)}
        for (book, name), x in fetch(waiting).items():
            books[book][name] = round(x) if book else x

    def _add(self, name: str, count: float | Tensor) -> None:
        self._counts[name] = self._counts[name] + (count if isinstance(count, Tensor) else int(count))

    def _count(self, name: str) -> int:
        self._settle()
        return self._counts[name]

    @property
    def pulses(self) -> int:
        """Pulses of all writes."""
        return self._count("pulses")

    @property
    def wear(self) -> int:
        """Pulses that the most worn cell has had."""
        return self._count("wear")

    @property
    def clipped(self) -> int:
        """Conversions at the converter's limit."""
        return self._count("clipped")

    @property
    def spikes(self) -> int:
        """Spikes of units."""
        return self._count("spikes")

    @property
    def events(self) -> int:
        """Synaptic events."""
        return self._count("events")

    def book_reads(self, reads: int) -> None:
        """Add vector reads (one array, one input vector)."""
        self.reads += int(reads)

    def book_conversions(self, clipped: float | Tensor, conversions: int) -> None:
        """Add analogue-to-digital conversions and how many of them were at the converter's limit."""
        self._add("clipped", clipped)
        self.conversions += int(conversions)

    def book_spikes(self, spikes: float | Tensor, events: float | Tensor) -> None:
        """Add spikes of units, and synaptic events: arrivals of one spike at one synapse."""
        self.spiking = True
        self._add("spikes", spikes)
        self._add("events", events)

    def book_writes(
        self, pulses: float | Tensor, joules: float | Tensor | None, seconds: float, wear: float | Tensor
    ) -> None:
        """Add a write: pulses, energy (None: not stated), chip time, and the most worn cell's pulses so far."""
        self._add("pulses", pulses)
        before = self._counts["wear"]
        if isinstance(wear, Tensor):
            self._counts["wear"] = wear.clamp_min(before)
        else:
            self._counts["wear"] = max(self.wear, int(wear))
        if joules is not None:
            self.book_energy("writes", joules)
        self.book_time("writes", seconds)

    def book_time(self, kind: str, seconds: float) -> None:
        """Add chip time of "reads" or "writes", and the energy of the power that flows meanwhile."""
        self._time[kind] += seconds
        if self.static:
            self.book_energy("static", self.static * seconds)

    def page(self) -> Ledger:
        """Return empty books of the same chip; `add` takes them in."""
        return Ledger(self._kinds, self.write_time, self.endurance, self.spiking, self.static, self.area)

    @contextmanager
    def apart(self) -> Iterator[Ledger]:
        """Yield a page that has, after the block, all that was booked in it, and these books nothing of it.

        >>> books = Ledger({kind: "stated" for kind in KINDS}, False, None)
        >>> with books.apart() as page:
        ...     books.book_reads(3)
        >>> books.reads, page.reads
        (0, 3)
        """
        page, before = self.page(), self._books()
        self._open(page._books())
        try:
            yield page
        finally:
            page._open(self._books())
            self._open(before)

    def _books(self) -> tuple[dict[str, Any], dict[str, float], dict[str, Any], int, int, bool]:
        return self._energy, self._time, self._counts, self.reads, self.conversions, self.spiking

    def _open(self, books: tuple[dict[str, Any], dict[str, float], dict[str, Any], int, int, bool]) -> None:
        self._energy, self._time, self._counts, self.reads, self.conversions, self.spiking = books

    def add(self, page: Ledger) -> None:
        """Add all that another of the chip's books holds; what a GPU knows first stays there.

        >>> books = Ledger({kind: "stated" for kind in KINDS}, False, None)
        >>> page = books.page()
        >>> page.book_energy("adc", 2e-12), page.book_reads(3), books.add(page), books.add(page)
        (None, None, None, None)
        >>> books.energy()["adc"], books.reads
        (4e-12, 6)
        """
        self.spiking = self.spiking or page.spiking
        for kind, joules in page._energy.items():
            self._energy[kind] = self._energy[kind] + joules
        for kind, seconds in page._time.items():
            self._time[kind] += seconds
        self.reads += page.reads
        self.conversions += page.conversions
        for name, count in page._counts.items():
            if name != "wear":
                self._add(name, count)
        worn = page._counts["wear"]
        if isinstance(worn, Tensor) or worn:
            self._counts["wear"] = max(self.wear, page.wear)

    def energy(self) -> dict[str, float | None]:
        """Return joules by kind; None where the profile states no figure, 0.0 where the hardware has no such part.

        Additions between tiles (`accumulate`), spikes and synaptic events are named only where there are any.
        """
        self._settle()
        kinds = self.kinds
        shown = [kind for kind in KINDS if kind not in SOMETIMES or kinds[kind] != ABSENT]
        return {kind: None if kinds[kind] == UNSTATED else self._energy[kind] for kind in shown}

    @property
    def energy_J(self) -> float | None:
        """The sum of the stated kinds, or None where none is stated."""
        self._settle()
        kinds = self.kinds
        stated = [self._energy[kind] for kind in KINDS if kinds[kind] == STATED]
        return sum(stated) if stated else None

    def energy_per(self, count: int) -> float | None:
        """Return the energy of everything but writes over a number of spikes or events, joules.

        None where none happened, or where no kind of energy but writes is stated.
        """
        self._settle()
        kinds = self.kinds
        stated = [self._energy[kind] for kind in KINDS if kinds[kind] == STATED and kind != "writes"]
        return sum(stated) / count if stated and count else None

    @property
    def time_s(self) -> float:
        """Chip time of reads and writes."""
        return self._time["reads"] + self._time["writes"]

    @property
    def clipped_fraction(self) -> float:
        """Share of the conversions that were at the converter's limit."""
        self._settle()
        return self.clipped / self.conversions if self.conversions else 0.0

    @property
    def wear_fraction(self) -> float | None:
        """Share of the endurance that the most worn cell has used, or None where none is stated."""
        return None if self.endurance is None else self.wear / self.endurance

    @property
    def unstated(self) -> list[str]:
        """What the profile gives no figure for: kinds of energy, "write_time", "endurance"."""
        kinds = self.kinds
        missing = [kind for kind in KINDS if kinds[kind] == UNSTATED]
        return missing + ["write_time"] * (not self.write_time) + ["endurance"] * (self.endurance is None)

    def report(self) -> dict[str, Any]:
        """Return the run's totals as plain numbers (JSON-ready); `static_W` and `area_m2` where they are stated."""
        self._settle()
        stated = {"static_W": self.static or None, "area_m2": self.area}
        return {
            "energy_J": self.energy_J,
            "energy": self.energy(),
            "time_s": self.time_s,
            "time": dict(self._time),
            "pulses": self.pulses,
            "reads": self.reads,
            "clipped": self.clipped_fraction,
            "wear": self.wear,
            "wear_fraction": self.wear_fraction,
            "spikes": self.spikes,
            "events": self.events,
            "energy_per_spike_J": self.energy_per(self.spikes),
            "energy_per_event_J": self.energy_per(self.events),
            "unstated": self.unstated,
            **{name: value for name, value in stated.items() if value is not None},
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Return the books as tensors; float64, so that nothing is lost."""
        self._settle()
        static = {"static": torch.tensor([self._energy["static"]], dtype=torch.float64)}
        return {
            **(static if self._kinds.get("static") == STATED else {}),
            "energy": torch.tensor([self._energy[kind] for kind in STORED], dtype=torch.float64),
            "time": torch.tensor([self._time["reads"], self._time["writes"]], dtype=torch.float64),
            "counts": torch.tensor([int(getattr(self, name)) for name in COUNTS], dtype=torch.int64),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the books back."""
        self._energy = dict(zip(STORED, state["energy"].tolist(), strict=True))
        self._energy["static"] = float(state["static"]) if "static" in state else 0.0
        self._time = dict(zip(("reads", "writes"), state["time"].tolist(), strict=True))
        counts: dict[str, int] = dict(zip(COUNTS, state["counts"].tolist(), strict=True))
        self.reads, self.conversions, self.spiking = counts["reads"], counts["conversions"], bool(counts["spiking"])
        self._counts = {name: counts[name] for name in self._counts}
