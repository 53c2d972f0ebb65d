"""Train what a chip can hold in the place of a run that it cannot, from Python."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from neuroanp.api.run import Anywhere, Progress, Run, opened, train
from neuroanp.api.telling import noted

LOG = logging.getLogger(__name__)


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
    the chip's, and its own arithmetic is in the loop where it has a backend. Where the run's units spike, learning
    begins at its weights, unless currents become spikes; where they do not fit, say network={"weights": None}. Units of
    rates become spiking ones with their usual settings, and learn from the beginning. All that is another than in the
    run is logged, a line for each key. Sizes stay: a network that is too large is refused.
    `neuroanp export --format TARGET` then takes the new run.

    Args:
        run: a run, or its directory; a name alone is looked for in runs/. target: nir, loihi or xylo.
        overrides, **how: as of `train`, laid over all: `updates`, `network`, ...
        runs: the store; None: that of the run. force, report, progress, workers, callbacks, argv: as of `train`.

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
    from neuroanp.training.arguments import given

    record = opened(run)
    store = record.path.parent if runs is None else runs
    asked = given(None, overrides, how, store)
    made = adapted(record, f"{target}", asked.overrides, asked.words)
    for line in made.changes:
        LOG.info(f"{target}: {line}")
    return train(
        made.config, runs=store, force=force, report=report, progress=progress, workers=workers, callbacks=callbacks,
        argv=argv,
    )  # fmt: skip
