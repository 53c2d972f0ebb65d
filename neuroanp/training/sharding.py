"""Shards of an update: parts of its replicas, each an estimate of its own, that processes can share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neuroanp.learning.cdrge import CDRGE
from neuroanp.learning.echo import Echo
from neuroanp.learning.passes import PassRule
from neuroanp.learning.weight_perturbation import WP
from neuroanp.yaml_io import Problem

if TYPE_CHECKING:
    from neuroanp.training.sections import Compute

LEAST_OF_MEAN = 3
"""K of a shard whose passes are compared with their mean, at least: of fewer passes the mean is mostly one."""
USUAL, USUAL_K = 8, 8
"""Shards at most, where only the number of workers is said, and the K that each has then, where there are as many.

Shards of few passes cost more a pass: with 512 units eight of K 3 took two to three times as long as one of K 24.
"""
SHARE = (
    "processes share the probes of 'cdrge', the perturbations of 'wp' with draw 'pass' and credit 'batch', and shards"
)


def misfits(rule: Any, compute: Compute) -> list[Problem]:
    """Find that processes are to share what they cannot, or that shards do not divide an update."""
    return [*_of_shards(rule, compute.shards), *_of_workers(rule, compute)]


def _of_shards(rule: Any, shards: int) -> list[Problem]:
    if shards == 1:
        return []
    where = ("compute", "shards")
    if not isinstance(rule, PassRule | Echo):
        return [Problem(where, f"{shards} are of the replicas of 'anp', 'np' and 'echo'; leave it out")]
    if isinstance(rule, PassRule) and rule.reference == "running":
        return [Problem(where, f"{shards}, and with reference 'running' an update has one pass; leave it out")]
    if shards not in (possible := shards_of(rule)):
        known = f"possible with this rule.K: {', '.join(map(str, possible))}" if possible else "it can have none"
        least = f", and each its K of {least_of(rule)} at least" if least_of(rule) > 1 else ""
        return [Problem(where, f"{shards} must divide rule.K, {rule.K}{least}; {known}")]
    return []


def _of_workers(rule: Any, compute: Compute) -> list[Problem]:
    workers, where = compute.workers, ("compute", "workers")
    if workers == 1:
        return []
    if compute.device != "cpu":
        said = f"{workers} are processes of the CPU, and compute.device is '{compute.device}'; leave it out"
        return [Problem(where, said)]
    if (most := shared(rule, compute.shards)) is None:
        rule_s = f"updates of this '{rule.name}' cannot be shared"
        return [Problem(where, f"{workers}, and {rule_s}: {SHARE} of 'anp', 'np' and 'echo'; leave it out")]
    what, count = most
    if count == 1 and what == "shards":
        possible = shards_of(rule)
        usual = (
            f"set compute.shards ({', '.join(map(str, possible))})"
            if possible
            else (f"raise rule.K, {rule.K}, to {2 * least_of(rule)} or more, and set it")
        )
        return [Problem(where, f"{workers}, and compute.shards is 1: processes share the shards of an update; {usual}")]
    if workers > count:
        raised = {"shards": "compute.shards"}.get(what, "rule.K")
        said = f"{workers}, and an update has {count} {what} to share; use at most as many, or raise {raised}"
        return [Problem(where, said)]
    return []


def shared(rule: Any, shards: int) -> tuple[str, int] | None:
    """Return what of an update processes share, and how many there are of it; None: nothing.

    >>> shared(CDRGE(K=4), 1), shared(WP(K=2, draw="step"), 1)
    (('probes', 4), None)
    """
    if isinstance(rule, CDRGE):
        return "probes", rule.K
    if isinstance(rule, WP):
        return ("perturbations", rule.K) if rule.draw == "pass" and rule.credit == "batch" else None
    if isinstance(rule, PassRule | Echo):
        return "shards", shards
    return None


def least_of(rule: Any) -> int:
    """Return the least K of a shard."""
    return LEAST_OF_MEAN if isinstance(rule, Echo) or rule.reference == "mean" else 1


def shards_of(rule: Any) -> list[int]:
    """Return the numbers of shards above 1 that an update of a rule can be divided into.

    >>> from neuroanp.learning.anp import ANP
    >>> shards_of(ANP(reference="two", K=6)), shards_of(ANP(reference="mean", K=6)), shards_of(ANP())
    ([2, 3, 6], [2], [])
    """
    return [n for n in range(2, rule.K // least_of(rule) + 1) if rule.K % n == 0]


def usual_shards(rule: Any) -> int:
    """Return how many shards an update gets where only workers are asked for: up to 8, of K 8 at least, or 2; or 1.

    The number does not depend on that of the workers, so that results do not either.

    >>> usual_shards(CDRGE(K=4))
    1
    """
    if not isinstance(rule, PassRule | Echo):
        return 1
    possible = shards_of(rule)
    return max((n for n in possible if n <= USUAL and rule.K // n >= USUAL_K), default=min(possible, default=1))


def rule_of_shard(rule: Any, shards: int) -> Any:
    """Return the rule of one of so many shards: the same, with its part of the replicas."""
    return rule.model_copy(update={"K": rule.K // shards})


OF_SHARDS = ("workers", "shards", "sums")
"""Keys of `compute` that say how an update is shared."""


def alone(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration in plain values of one process and no shards.

    >>> alone({"seed": 0, "compute": {"threads": 1, "workers": 2, "shards": 4}})
    {'seed': 0, 'compute': {'threads': 1}}
    """
    compute = {key: value for key, value in plain["compute"].items() if key not in OF_SHARDS}
    return {**plain, "compute": compute}


def without_workers(compute: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values of `compute` without the number of workers, where no bit of a run depends on it.

    >>> without_workers({"threads": 1, "workers": 2}), without_workers({"workers": 2, "sums": "float"})
    ({'threads': 1}, {'workers': 2, 'sums': 'float'})
    """
    exact = compute.get("sums", "exact") == "exact"
    return {key: value for key, value in compute.items() if key != "workers" or not exact}
