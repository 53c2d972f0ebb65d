"""What every export format offers, and what it says of a network that it took."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from neuroanp.export.checking.presented import within
from neuroanp.registry import Registry
from neuroanp.yaml_io import Section

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from neuroanp.backends.chips import IntegerChip
    from neuroanp.export.checking.presented import Check
    from neuroanp.export.model import Model, Traces


@dataclass(frozen=True)
class Exported:
    """What a format holds of a network.

    Args:
        files: names in the folder, the one to load first.
        held: weights as the format holds them, in the network's own units and shapes; those it leaves out are missing.
        traces: what the format's own arithmetic gives on the model's inputs, delays of the format taken out: step t is
            the step t of the network.
        decays: by name (wanted, held), factors a step.
        limits: sentences: what was clipped, rounded to nothing, left out, or comes a step later.
        check: what is presented to a reader and what it must give; None: the format has none.
        facts: other numbers worth a record, by name.
        late: steps that the format's outputs come later than the network's, which the traces leave out.
        of_device: whether it holds what the run's own device does, and not the network's weights.
        origin: what it holds then, a phrase; None: the network's weights.

    >>> import numpy as np
    >>> from neuroanp.export.model import Traces
    >>> W = {"w": np.array([[0.5]])}
    >>> Exported(("model.bin",), W, Traces(np.zeros((2, 1, 1)), None, None), limits=("none",)).origin is None
    True
    """

    files: tuple[str, ...]
    held: Mapping[str, NDArray[np.float64]]
    traces: Traces
    decays: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    check: Check | None = None
    facts: Mapping[str, float | int | str] = field(default_factory=dict)
    late: int = 0
    of_device: bool = False
    origin: str | None = None


class Exporter(Section):
    """Base of all formats; fields are the options of `neuroanp export --set NAME=VALUE`.

    `holds` says what networks it can express, `reader` what reads it back, `lost` what it loses: one line each.
    `script` is the Python file that runs that reader, see `neuroanp.export.checking.script`; None: there is none.

    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from neuroanp.export.model import Model, reference
    >>> from neuroanp.network.compose import one_layer
    >>> class Text(Exporter):
    ...     holds, reader, lost = "one layer", "any editor", "digits beyond the third"
    ...     def check(self, model):
    ...         if not model.one_layer:
    ...             raise ValueError("one layer alone")
    ...     def export(self, model, folder):
    ...         held = {name: W.round(3) for name, W in model.weights.items()}
    ...         (folder / "w.txt").write_text(repr(held))
    ...         return Exported(("w.txt",), held, reference(model))
    >>> W = {name: np.array([[0.12345]]) for name in ("w_in", "w", "w_out")}
    >>> network = one_layer({name: w.shape for name, w in W.items()})
    >>> model = Model("one", W, network, 1e-3, False, np.ones((2, 1, 1)), lambda y: {"loss": 0.0})
    >>> with TemporaryDirectory() as folder:
    ...     Text().check(model)
    ...     made = Text().export(model, Path(folder))
    ...     programs = Text.foreign(Path(folder))
    >>> made.held["w"].item(), made.traces.y.shape, programs
    (0.123, (2, 1, 1), [])
    """

    holds: ClassVar[str]
    reader: ClassVar[str]
    lost: ClassVar[str]
    script: ClassVar[Path | None] = None

    @abstractmethod
    def check(self, model: Model) -> None:
        """Raise InputError for what the format cannot express: which layer or key, the value, the limit, the remedy.

        All problems at once. Nothing has been written.

        Args: model: the network as plain numbers.
        """

    @abstractmethod
    def export(self, model: Model, folder: Path) -> Exported:
        """Write the files of a model into an empty folder and return what they hold; `check` has passed."""

    @classmethod
    def foreign(cls, folder: Path) -> list[str]:
        """Find files that the reader runs as programs and that `export` does not write so: a line each.

        The folder is a stranger's; the files are run only where nothing is found.
        """
        return []


class PresentingExporter(Exporter):
    """Base of formats whose reader takes sequences of inputs."""

    sequences: int = Field(
        default=4, ge=1, description="held-out sequences that lie beside it to check it, at most all"
    )
    steps: int | None = Field(default=None, ge=1, description="steps of each, at most all; all if left out")

    def shown(self, model: Model) -> tuple[int, int]:
        """Return how many steps of how many sequences are presented; fewer steps where files would be large."""
        steps, sequences = model.inputs.shape[:2]
        sequences = min(self.sequences, sequences)
        return within(min(self.steps or steps, steps), sequences, sum(model.sizes)), sequences


class ChipExporter(PresentingExporter):
    """Base of formats whose chip's integer neurons can be in the loop of learning: `--finetune` learns with them."""

    @abstractmethod
    def chip(self, model: Model) -> IntegerChip:
        """Return the chip's neurons, with the scales that `export` gives this network; `check` has passed."""

    @abstractmethod
    def export(self, model: Model, folder: Path, like: Model | None = None) -> Exported:
        """Export; the scales are those of the network `like`, so that what its chip held is not rounded again."""


class DeviceExporter(Exporter):
    """Base of formats that hold what the run's own device does: with `--finetune` it learns on that device."""

    @abstractmethod
    def check_tuning(self, model: Model) -> None:
        """Raise InputError where writing to the device took nothing, or the device is not exported; `check` passed."""

    @abstractmethod
    def unseen(self, model: Model) -> tuple[str, ...]:
        """Say what of the exported circuit is not in the device that learns, in sentences."""


EXPORTERS: Registry[type[Exporter]] = Registry("export format", "neuroanp.exporters", Exporter)
