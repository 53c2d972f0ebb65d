"""The plain neuron of users' equations, with lines of a test's own."""

from __future__ import annotations

from benchmarks.faults.mutated_equations import BASE
from neuroanp.backends.equations import Equations


def with_lines(*lines: str, method: str = "euler", **values) -> Equations:
    return Equations(**{**BASE, "model": "\n".join([BASE["model"], *lines]), "method": method, **values})
