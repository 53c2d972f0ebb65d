"""The settings that a configuration is looked at with: its rule with other numbers of passes, other noise levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from neuroanp.errors import InputError
from neuroanp.training.configure import configure
from neuroanp.training.sharding import alone

if TYPE_CHECKING:
    from neuroanp.diagnosing.asked import Asked
    from neuroanp.substrates.chip import DeviceChip
    from neuroanp.training.config import RunConfig
    from neuroanp.training.trainer import Trainer

T = TypeVar("T")
USUAL_K = (1, 4, 16)
"""Replicas that are looked at besides the rule's own, where nothing is said."""
REPLICAS, LEVEL = "rule.K", "perturbation.sigma"


@dataclass(frozen=True)
class Setting:
    """A configuration to look at.

    Args:
        config: with K and sigma in it. K: replicas; None: the rule has no such option.
        sigma: of the Gaussian on the units; None: the noise is the device's own, or there is none.
        own: whether K and sigma are those of the configuration that was given.
    """

    config: RunConfig
    K: int | None
    sigma: float | None
    own: bool

    def __str__(self) -> str:
        parts = [("K", self.K), ("sigma", self.sigma)]
        return ", ".join(f"{name}={value:g}" for name, value in parts if value is not None)


def settings_of(config: RunConfig, asked: Asked, trainer: Trainer) -> list[Setting]:
    """Return all settings that are asked for, noise levels first.

    Args:
        config: the configuration. asked: K and sigma to look at. trainer: of the configuration, whose chip is looked
            at.

    Raises:
        InputError: the rule has no K, nothing reads a noise level, or one of them is out of range.
    """
    own_K, own_sigma = replicas(config), gaussian(trainer)
    if asked.K is not None and own_K is None:
        raise InputError(
            f"--K: rule '{config.rule_name}' has no option K, and one number of passes, {trainer.learner.passes}; "
            "leave --K out"
        )
    if asked.sigma is not None and own_sigma is None:
        raise InputError(f"--sigma: {_no_gaussian(config, trainer)}")
    usual = None if own_K is None else tuple(sorted({*USUAL_K, own_K}))
    levels, counts = (_each("--sigma", asked.sigma, (own_sigma,)), _each("--K", asked.K, usual or (None,)))
    return [
        Setting(_changed(config, K, None if sigma == own_sigma else sigma), K, sigma, (K, sigma) == (own_K, own_sigma))
        for sigma in levels
        for K in counts
    ]


def replicas(config: RunConfig) -> int | None:
    """Return K of a configuration's rule, or None where it has no such option."""
    found: Any = dict(config.rule).get("K")
    return found if isinstance(found, int) else None


def gaussian(trainer: Trainer) -> float | None:
    """Return sigma of the Gaussian that perturbs the units, or None where none does."""
    return cast("DeviceChip", trainer.substrate).drive.sigma or None


def _no_gaussian(config: RunConfig, trainer: Trainer) -> str:
    """Say why there is no noise level to set."""
    if config.perturbation.name == "none":
        return "no Gaussian is added (perturbation.name is none); leave it out, or set perturbation.name=gaussian"
    assert cast("DeviceChip", trainer.substrate).perturbs_units
    return (
        f"the units are perturbed by profile '{config.profile}' itself, at a level of its own; leave it out, or add a "
        "Gaussian with --set perturbation.name=gaussian"
    )


def _each(option: str, given: Sequence[T] | None, usual: Sequence[T]) -> Sequence[T]:
    """Return what is given, or else what is usual; InputError for nothing at all, or the same twice."""
    if given is None:
        return usual
    if not given or len(set(given)) < len(given):
        wrong = "nothing is in it; name one at least" if not given else "a number is in it twice; name each once"
        raise InputError(f"{option}: {wrong}")
    return given


def _changed(config: RunConfig, K: int | None, sigma: float | None) -> RunConfig:
    """Return the configuration with K replicas and a noise level; what is None stays."""
    changes = {key: value for key, value in ((REPLICAS, K), (LEVEL, sigma)) if value is not None}
    if not changes:
        return config
    return _renamed(lambda: configure(alone(config.to_plain()), changes))


def _renamed(make: Callable[[], RunConfig]) -> RunConfig:
    """Call, and name options of this command in what is wrong."""
    try:
        return make()
    except InputError as error:
        names = {f"--set {REPLICAS}=": "--K ", f"--set {LEVEL}=": "--sigma "}
        lines = [*error.problems] or [error.message]
        for said, ours in names.items():
            lines = [line.replace(said, ours) for line in lines]
        raise (InputError(lines[0]) if len(lines) == 1 else InputError("settings are wrong", lines)) from None
