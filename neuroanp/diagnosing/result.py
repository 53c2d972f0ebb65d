"""What a diagnosis returns: a row for each moment, setting and array, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neuroanp.diagnosing.statistics import Alignment, Estimate


class Row(NamedTuple):
    """How the updates of one array stand to its gradient, at one moment with one setting.

    Args:
        update: of the training. K: replicas, or None. sigma: of the Gaussian, or None. passes: of one update.
        array: its name, or that of all together. own: whether the setting is the configuration's own.
        found: the estimates.
    """

    update: int
    K: int | None
    sigma: float | None
    passes: int
    array: str
    own: bool
    found: Alignment

    @property
    def setting(self) -> dict[str, float | None]:
        """What it is a row of, by name, but for the array."""
        return {"update": self.update, "sigma": self.sigma, "K": self.K, "passes": self.passes}

    @property
    def one(self) -> Estimate:
        """Median, lowest and highest cosine of a single update; no value where there is none."""
        cosines = self.found.cosines[np.isfinite(self.found.cosines)]
        if self.found.why is not None or not len(cosines):
            return Estimate(None, 0.0, 0.0)
        return Estimate(float(np.median(cosines)), float(cosines.min()), float(cosines.max()))

    def plain(self) -> dict[str, Any]:
        """Return it as a flat mapping; what is not resolved, or not there, is None (its interval says how far)."""
        found, gone = self.found, self.found.why is not None

        def ends(name: str, estimate: Estimate, low: str = "low", high: str = "high") -> dict[str, float | None]:
            low_, high_ = (None if gone or not np.isfinite(end) else float(end) for end in estimate[1:])
            return {name: estimate.value, f"{name}_{low}": low_, f"{name}_{high}": high_}

        return {
            "update": self.update,
            "K": self.K,
            "sigma": self.sigma,
            "passes": self.passes,
            "array": self.array,
            "own": self.own,
            "weights": found.weights,
            "draws": found.draws,
            **ends("cosine", self.one, "lowest", "highest"),
            **ends("mean_cosine", found.cosine),
            **ends("scale", found.scale),
            **ends("bias", found.bias),
            **ends("variance", found.variance),
            "signal_to_noise": None if gone or not np.isfinite(found.signal) else found.signal,
            "note": found.why,
        }


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """How good the updates of a rule are.

    Args:
        about: task, profile, backend, rule, seed, batch, updates of the training; gradient, "exact" or "surrogate";
            run, its directory, or None; within and most, when drawing ended.
        rows: what was found.

    >>> import neuroanp as na
    >>> task = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8}
    >>> found = na.diagnose({"task": task, "rule": "bptt", "network": {"hidden": 6}}, draws=4, progress=False)
    >>> found, [round(row["cosine"], 6) for row in found.table()], len(found.plain()["rows"])
    (Diagnosis(copy · ideal · bptt · seed 0: 4 rows), [1.0, 1.0, 1.0, 1.0], 4)
    """

    about: dict[str, Any]
    rows: tuple[Row, ...]

    def plain(self) -> dict[str, Any]:
        """Return all of it as JSON's types."""
        return {**self.about, "rows": self.table()}

    def table(self) -> list[dict[str, Any]]:
        """Return the rows as flat mappings, for pandas.DataFrame or a file."""
        return [row.plain() for row in self.rows]

    def __repr__(self) -> str:
        what = " · ".join(str(self.about[key]) for key in ("task", "profile", "rule"))
        return f"Diagnosis({what} · seed {self.about['seed']}: {len(self.rows)} rows)"

    def _repr_html_(self) -> str:
        from neuroanp.markup import lines, table

        head = ("update", "K", "sigma", "array", "cosine", "mean_cosine", "bias", "variance", "signal_to_noise", "note")
        rows = [[_shown(row[key]) for key in head] for row in self.table()]
        return lines([repr(self)]) + table(head, rows)


def _shown(value: float | str | None) -> str:
    """Write a value of a row; what is not resolved is nothing.

    >>> _shown(0.12345), _shown(400), _shown(None)
    ('0.123', '400', '')
    """
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
