"""The result of a run with what its record holds besides: losses after idle time, and the books of one update."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuroanp.records.run_dir import RunDir

BOOKED = ("energy_J", "time_s", "pulses")
NAMES = {"time_s": "chip_time_s"}
"""What a result calls what the books have."""


def result_of(record: RunDir) -> dict[str, Any] | None:
    """Return a run's result, or None before there is one; InputError if it is damaged.

    Besides the row of result.json it has, by idle time, `test_loss_after` and
    `test_loss_noise_free_after`, and `per_update`: energy_J, chip_time_s and pulses of one update. Where
    units spike, `firing`: rate_Hz, the mean over the units, and silent, the share that never spiked, with `layers`
    where there are several (see `evaluate.firing_of`). Where sequences were kept for it, `validation`: losses, looks
    and what they took of the chip (see `validating.Validator.facts`). Where the profile states the size of its parts,
    `area_m2`. Where outputs were fitted at the end, `refit`
    (see `refitting.Refit.facts`). And `sealed`: whether all files are as the run wrote them (None: it was made by a
    version that sealed nothing), `damage`: what is not.
    """
    row = record.result
    if row is None:
        return None
    area = _part(record.manifest, "ledger").get("area_m2")
    after, each = _part(record.manifest, "after"), _part(_part(record.manifest, "ledger"), "per_update")
    return {
        **row,
        "test_loss_after": {time: found["test_loss"] for time, found in after.items()},
        "test_loss_noise_free_after": {time: found["test_loss_noise_free"] for time, found in after.items()},
        **{key: dict(part) for key in ("firing", "validation", "refit") if (part := _part(record.manifest, key))},
        "per_update": {"chip_time_s" if key == "time_s" else key: value for key, value in each.items()},
        **({} if area is None else {"area_m2": area}),
        "sealed": record.sealed,
        "damage": record.damage(),
    }


def fitted_to(record: RunDir) -> int | None:
    """Return how many sequences a run's outputs are fitted to; None: training left them so, for no fit was better."""
    fit = _part(record.manifest, "refit")
    return None if fit.get("strength") is None else fit["sequences"]


def ledger_of_run(
    first: Mapping[str, Any],
    last: Mapping[str, Any],
    updates: int,
    apart: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the books of a run: its totals, and what the first write and an update (the mean) took of them.

    Args:
        first: what `Ledger.report` said once the first weights were written.
        last: what it says at the end: first + all apart + updates x per_update.
        updates: how many there were.
        apart: what else was a part of learning, by name, with what it took: looks at the validation loss and writing
            the best weights back (validation), fitting the outputs (refit).

    >>> first = {"energy_J": 1.0, "time_s": None, "pulses": 3}
    >>> ledger_of_run(first, {"energy_J": 5.0, "time_s": None, "pulses": 3}, 2)["per_update"]
    {'energy_J': 2.0, 'time_s': None, 'pulses': 0.0}
    """
    known = {key: None not in (first[key], last[key]) for key in BOOKED}
    others = {key: sum(spent[key] for spent in apart.values()) for key in BOOKED}
    each = {key: (last[key] - first[key] - others[key]) / updates if known[key] else None for key in BOOKED if updates}
    told = {name: {key: spent[key] if known[key] else None for key in BOOKED} for name, spent in apart.items()}
    return {**last, "first_write": {key: first[key] for key in BOOKED}, "per_update": each, **told}


def took(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, float]:
    """Return what the books say more than before; nan of what a profile does not state.

    >>> took({"energy_J": 1.0, "time_s": None, "pulses": 3}, {"energy_J": 5.0, "time_s": None, "pulses": 3})
    {'energy_J': 4.0, 'time_s': nan, 'pulses': 0}
    """
    known = {key: None not in (before[key], after[key]) for key in BOOKED}
    return {key: after[key] - before[key] if known[key] else nan for key in BOOKED}


def _part(whole: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = whole.get(key)
    return part if isinstance(part, Mapping) else {}
