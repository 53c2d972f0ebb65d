"""Take from run directories what a report shows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

from neuroanp.errors import InputError
from neuroanp.losses import SQUARED_ERROR
from neuroanp.records.metrics import Metrics
from neuroanp.records.result import RESULT_KEYS
from neuroanp.records.run_dir import RunDir
from neuroanp.reporting import networks
from neuroanp.reporting.origins import origins_of
from neuroanp.training.results import result_of

if TYPE_CHECKING:
    import numpy as np

LOG = logging.getLogger("neuroanp")
NAMED = ("seed", "profile", "backend", "task", "rule.name")
"""Options that a method is named by, or grouped over: they make no variant."""
INERT = ("training.log_every",)
"""Options that no number of a result depends on."""
BY_WAY = ("network.weights", "training.updates", "optimizer.lr")
"""Options that the way to the weights implies: it is named instead of them where the ways differ."""
SCRATCH, PROGRAMMED, TUNED = "from scratch", "programmed", "fine-tuned"
"""Ways to the weights: learned on the device alone; trained elsewhere and written; and then trained on."""


@dataclass(frozen=True)
class Shown:
    """One run as a report needs it.

    Args:
        run: its directory.
        result: its row, `score` by name where the manifest has the names; made from the configuration,
            without numbers, where it has none yet; `origins`, on what the figures of its device rest; `loss`, what its
            losses are.
        metrics: its columns.
        options: the configuration, flat, by dotted key; with the code, and the content of profile and data,
            under keys of their own, for runs that differ in these are no seeds of one method.
        damage: sentences on files that are not as the run wrote them.
        network: the section of the configuration, every layer with its cell.
    """

    run: RunDir
    result: dict[str, Any]
    metrics: Metrics
    options: dict[str, str]
    damage: tuple[str, ...] = ()
    network: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ledger(self) -> Mapping[str, Any]:
        """The books of its chip; empty before it has ended."""
        return _mapping(self.run.manifest.get("ledger"))

    @property
    def health(self) -> Mapping[str, Any]:
        """How far its chip was from its limits at the end; empty before it has ended."""
        return _mapping(self.run.manifest.get("health"))

    @property
    def firing(self) -> Mapping[str, Any]:
        """Mean rate (Hz) and share of silent units on the held-out sequences; empty where units do not spike."""
        return _mapping(self.run.manifest.get("firing"))

    @property
    def layers(self) -> Mapping[str, Mapping[str, Any]]:
        """The same two numbers of each layer, with its `units`, by name; empty of a network of one layer."""
        return _mapping(self.firing.get("layers"))

    @property
    def start(self) -> Mapping[str, Any]:
        """The stored weights that it started from: path, origin, clipped shares; empty if it drew its own."""
        return _mapping(self.run.manifest.get("start"))

    @property
    def way(self) -> str:
        """SCRATCH, PROGRAMMED or TUNED."""
        if not self.start:
            return SCRATCH
        return PROGRAMMED if self.options.get("training.updates") == "0" else TUNED

    @property
    def effects(self) -> frozenset[str] | None:
        """The non-idealities that its chip had and were on, or None where the record does not say."""
        on = _mapping(self.run.manifest.get("device")).get("effects_on")
        return frozenset(map(str, on)) if isinstance(on, list) else None

    @property
    def command(self) -> str:
        """What to type to repeat it: the command that made it or, where a Python program did, its configuration."""
        return typed(self.run.manifest.get("argv")) or join(["neuroanp", "train", str(self.run.path / "config.yaml")])

    @property
    def loss(self) -> str:
        """What its losses are: "mean squared error"."""
        return loss_of(self.run)

    @property
    def task(self) -> str:
        """The task with all its options, which decide what may be compared."""
        return f"{self.result['task']}: {self.task_options}"

    @property
    def task_options(self) -> str:
        """The task's options that are set, as text."""
        options = {key[5:]: value for key, value in self.options.items() if key.startswith("task.")}
        if self.loss != SQUARED_ERROR.label:  # by its name in words, and where it is no option, too
            options["loss"] = self.loss
        return ", ".join(f"{name} {value}" for name, value in options.items() if name != "name" and value != "None")

    def predictions(self) -> dict[str, np.ndarray] | None:
        """Its arrays y (T, B, O), target (T, B, O) and mask (T,), or None where it has none that fit.

        Outputs are in the targets' own units; logits are shown as the probabilities that they are.
        """
        arrays = self._arrays("predictions")
        if arrays is None or not {"y", "target", "mask"} <= set(arrays):
            return None
        shape = arrays["target"].shape
        fits = len(shape) == 3 and arrays["y"].shape == shape and arrays["mask"].shape == shape[:1]
        return {**arrays, "y": arrays.get("as_targets", arrays["y"])} if fits else None

    def episodes(self) -> dict[str, np.ndarray] | None:
        """What came of a world, or None where it has none that fit.

        episode/inputs (T, S, I), episode/y (T, S, O) and episode/rewards (T, S) of the first test episodes, nan after
        the end of one; returns (B,) of all.
        """
        arrays = self._arrays("predictions")
        names = ("episode/inputs", "episode/y", "episode/rewards")
        if arrays is None or not {*names, "returns"} <= set(arrays):
            return None
        dims, leads = [arrays[name].ndim for name in names], {arrays[name].shape[:2] for name in names}
        return arrays if dims == [3, 3, 2] and len(leads) == 1 and arrays["episode/rewards"].size else None

    def activity(self) -> dict[str, np.ndarray] | None:
        """What its units did in the first held-out sequences, or None where nothing was kept that fits.

        spikes (T, S, N), v (T, S, U) in thresholds, v_threshold (U,), inputs (T, S, I), rate_Hz of all units and
        dt_s (1,).
        """
        arrays = self._arrays("activity")
        if arrays is None or not {"spikes", "v", "v_threshold", "inputs", "rate_Hz", "dt_s"} <= set(arrays):
            return None
        dims = [arrays[name].ndim for name in ("spikes", "v", "inputs", "rate_Hz")]
        if dims != [3, 3, 3, 1] or arrays["v_threshold"].shape != arrays["v"].shape[2:] or arrays["dt_s"].size != 1:
            return None
        lengths = {arrays[name].shape[:2] for name in ("spikes", "v", "inputs")}
        return arrays if len(lengths) == 1 and arrays["spikes"].size else None

    def _arrays(self, name: str) -> dict[str, np.ndarray] | None:
        try:
            return self.run.load_arrays(name)
        except InputError as error:  # the page says it too: `damage` knows every file that was sealed
            LOG.warning("%s; left out", error)
            return None


def shown(run: RunDir) -> Shown:
    """Read one run; what is damaged in it is said, and shown from its copy or left out.

    Raises:
        InputError: its configuration cannot be read, or the result of a run that has no seals.
    """
    config = _config(run)
    options = {key: value for key, value in flat(config).items() if key not in INERT} | _made_from(run)
    result = result_of(run) or _unfinished(run, options)
    scores = run.manifest.get("scores")  # by name, the headline first; the result has the headline's value alone
    result = {**result, "score": scores} if isinstance(scores, Mapping) else result
    told = {"loss": loss_of(run), "feedback": str(run.manifest.get("feedback", ""))}
    result = {**result, "origins": origins_of(run.manifest.get("profile"), run.manifest.get("instrument")), **told}
    damage = list(result.get("damage", ()))
    try:
        metrics = run.metrics()
    except InputError as error:
        LOG.warning("%s; the learning curve is left out", error)
        metrics = Metrics({})
        damage += [] if damage else [f"{error}; the learning curve is left out"]
    return Shown(run, result, metrics, options, tuple(damage), networks.section_of(config))


def loss_of(run: RunDir) -> str:
    """Return what the losses of a run are, "mean squared error": so they were before there was a choice."""
    return str(run.manifest.get("loss", SQUARED_ERROR.label))


def kinds_of_loss(runs: Sequence[Shown]) -> list[str]:
    """Say where runs of one task have losses of several kinds, whose numbers do not compare; a sentence a task."""
    kinds: dict[str, dict[str, None]] = {}
    for one in runs:
        kinds.setdefault(str(one.result["task"]), {})[one.loss] = None
    return [
        f"{task}: losses of several kinds ({'; '.join(losses)}); numbers of one do not compare with those of another."
        for task, losses in kinds.items()
        if len(losses) > 1
    ]


def _made_from(run: RunDir) -> dict[str, str]:
    """Return what else decided the run's numbers: the code and the content of profile and data, shortened."""
    profile = run.manifest.get("profile")
    content = profile.get("hash") if isinstance(profile, Mapping) else None
    found = {"code": run.manifest["code"], "profile.hash": content, "data": run.manifest.get("data")}
    made = {key: str(value) if key == "code" else str(value)[:8] for key, value in found.items() if value}
    origin = _mapping(run.manifest.get("start")).get("origin")  # no path, no seed: seeds of one method share it
    return made | ({"network.weights": str(origin)} if origin else {})


def typed(argv: Any) -> str | None:
    """Return a command line as one would type it, or None if it was not one of neuroanp's.

    >>> typed(["/venv/bin/neuroanp", "train", "my file.yaml"]), typed(["sweep.py", "--fast"])
    ("neuroanp train 'my file.yaml'", None)
    """
    if not isinstance(argv, list | tuple) or not argv or Path(str(argv[0])).name not in ("neuroanp", "__main__.py"):
        return None
    return join(["neuroanp", *map(str, argv[1:])])


def variants(runs: Sequence[Shown]) -> list[str]:
    """Name for each run what tells it from runs of the same profile, rule and backend, or "".

    That is the way to its weights, where there are several, the network, if they differ, and the options that do.
    Seeds never differ here; an option that all such runs share is not named.

    A network is said in the words of `networks.names`.
    """
    families: dict[tuple[Any, ...], list[Shown]] = {}
    for one in runs:
        families.setdefault(_family(one), []).append(one)
    named = {id(one): name for members in families.values() for one, name in _named(members)}
    return [named[id(one)] for one in runs]


def _named(members: Sequence[Shown]) -> Iterator[tuple[Shown, str]]:
    """Yield each run of a family with what tells it from the others."""
    ways: dict[str, list[Shown]] = {}
    for one in members:
        ways.setdefault(one.way, []).append(one)
    keys = dict.fromkeys(key for one in members for key in one.options if not _is_name(key))
    by_way = set(ways) != {SCRATCH}
    if by_way:  # options that are constant within each way are said by its name
        told = [key for key in BY_WAY if all(len({o.options.get(key) for o in way}) == 1 for way in ways.values())]
        keys = [key for key in keys if key not in told]
    said = network_names(members)
    keys = [key for key in keys if len({one.options.get(key) for one in members}) > 1 and not _of_network(key)]
    for one, network in zip(members, said, strict=True):
        rest = [f"{key} {one.options.get(key, 'unset')}" for key in keys]
        yield one, ", ".join([*([one.way] * by_way), *([network] * bool(network)), *rest])


def network_names(runs: Sequence[Shown]) -> list[str]:
    """Return the name of each run's network, or "" for all of them where they do not differ in it."""
    found = networks.names([one.network for one in runs])
    return found if len({*found}) > 1 else [""] * len(runs)


def _of_network(key: str) -> bool:
    return key.startswith(networks.SAID)


def differing(runs: Sequence[Shown]) -> list[dict[str, str]]:
    """Return for each run the options in which not all of them agree, by dotted key: what its row does not name.

    An option that a run does not have, such as one of another rule, is left out. The content of profiles and data is
    named only where one name stands for several; the seed never is. Networks of layers are told apart by their names,
    under "network".
    """
    keys = dict.fromkeys(key for one in runs for key in one.options if key not in NAMED)
    said = [key for key in keys if len({one.options.get(key) for one in runs}) > 1]
    for key, name in (("profile.hash", "profile"), ("data", "task")):
        named = {(one.result[name], one.options.get(key)) for one in runs}
        if key in said and len(named) == len({one.result[name] for one in runs}):
            said.remove(key)
    named = network_names(runs) if any("layers" in one.network for one in runs) else [""] * len(runs)
    if any(named):
        said = [key for key in said if not _of_network(key)]
    return [
        ({"network": network} if network else {}) | {key: one.options[key] for key in said if key in one.options}
        for one, network in zip(runs, named, strict=True)
    ]


def flat(data: Mapping[str, Any], before: str = "", depth: int = 8) -> dict[str, str]:
    """Return nested options as text by dotted key.

    >>> flat({"task": {"name": "copy", "length": 3}, "bias": True})
    {'task.name': 'copy', 'task.length': '3', 'bias': 'True'}
    >>> flat({"layers": [{"cell": {"name": "gru"}, "units": 4}]})
    {'layers.0.cell.name': 'gru', 'layers.0.units': '4'}
    """
    found = {}
    for key, value in data.items():
        if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            value = {str(place): one for place, one in enumerate(value)}
        if isinstance(value, Mapping) and depth:
            found |= flat(value, f"{before}{key}.", depth - 1)
        else:
            found[f"{before}{key}"] = str(value)[:200]
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_name(key: str) -> bool:
    return key in NAMED or key.startswith("task.")


def _family(one: Shown) -> tuple[Any, ...]:
    return one.task, *(one.result[name] for name in ("profile", "backend", "rule"))


def _config(run: RunDir) -> dict[str, Any]:
    from neuroanp.yaml_io import read

    return read(run.config_path).data


def _unfinished(run: RunDir, options: Mapping[str, str]) -> dict[str, Any]:
    """Return the row of a run that has no result: what it was to be, and its status."""
    profile = run.manifest.get("profile")
    name = profile.get("name") if isinstance(profile, Mapping) else None
    known = {
        "task": options.get("task.name", options.get("task", "unknown")),
        "profile": name or options.get("profile", "unknown"),
        "backend": options.get("backend", "rate"),
        "rule": options.get("rule.name", options.get("rule", "unknown")),
        "seed": options.get("seed"),
        "status": run.manifest["status"],
        "controls": {},
        "run": str(run.path),
    }
    besides: dict[str, Any] = {
        "test_loss_after": {},
        "test_loss_noise_free_after": {},
        "per_update": {},
        "sealed": run.sealed,
        "damage": run.damage(),
    }
    return dict.fromkeys(RESULT_KEYS) | known | besides
