"""Train what a chip can hold in the place of a run that it cannot, from Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from neuroanp.api.run import Anywhere, Progress, Run, opened, trained
from neuroanp.api.telling import noted
from neuroanp.training.arguments import given


@noted
def adapt(
    run: Anywhere | Run,
    target: str,
    *,
    overrides: Mapping[str, Any] | None = None,
    runs: Anywhere | None = None,
    force: bool = False,
    report: bool = True,
    progress: Progress = None,
    workers: int | None = None,
    callbacks: Any = None,
    argv: Iterable[str] | None = None,
    **how: Any,
) -> Run:
    """Train the network of a run as one that a chip can hold: its configuration with what the chip needs.

    Reset, refractory period, decays (the nearest that the chip has), delays between layers and spikes as inputs become
    the chip's, and its own arithmetic is in the loop where it has a backend. Learning begins at the run's weights where
    they mean the same: the same task and inputs, the same structure, units that spike in both. Units of another kind
    become spiking ones with their usual settings, and learn from the beginning. The log of the new run begins with the
    one that it is in the place of, and a line for each thing that is another. Refused are networks that are too large,
    rules that do not train spiking units, and, on the chip's own arithmetic (Loihi, Xylo), profiles with arrays of
    their own and rules that move weights by less than a whole number: say backend="lif", or profile="ideal".
    `neuroanp export --format TARGET` takes the new run.

    Args:
        run: a run, its directory, or its name in `runs`. target: nir, loihi or xylo.
        overrides, **how: as of `train`, laid over all: `updates`, `network`, ...
        runs: the store; None: that of the run, whose name is looked for in runs/.
        force, report, progress, workers, callbacks, argv: as of `train`.

    Returns: the new run, with its result.

    Raises:
        InputError: the target is unknown or the run's own already, or what is left does not fit. RunError: as of
            `train`.

    >>> from tempfile import TemporaryDirectory
    >>> import neuroanp as na
    >>> tiny = {"task": {"name": "xor", "test_size": 4}, "network": {"hidden": 6}, "backend": "lif"}
    >>> tiny["training"] = {"updates": 2, "batch": 2, "controls": False}
    >>> with TemporaryDirectory() as folder:
    ...     said = {"report": False, "progress": False}
    ...     held = adapt(na.train(tiny, runs=folder, **said), "xylo", **said)
    ...     held.config.backend, held.config.neuron.reset, held.config.encoder.spikes
    ('xylo', 'subtract', True)
    """
    from neuroanp.training.adapting import adapted

    record = opened(run, runs)
    store = record.path.parent if runs is None else runs
    asked = given(None, overrides, how, store)
    made = adapted(record, target, asked.overrides, asked.words)
    notes = [f"{target}: {line}" for line in made.changes]
    planned = given(made.config, None, {}, store)
    return trained(planned, workers, force, report, progress, callbacks, argv, notes)
