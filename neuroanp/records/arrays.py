"""The files of arrays of one run: what its end computes, and the weights that it starts from, which are kept twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.records import copies, tensors
from neuroanp.records.checkpoints import unpacked
from neuroanp.records.manifest import CONFIG, START
from neuroanp.records.mending import ARRAYS, MOST
from neuroanp.records.places import check_name
from neuroanp.records.seal import Seal

if TYPE_CHECKING:
    import numpy as np


def file_of(name: str) -> str:
    """Return the name of the file that holds arrays of this name; InputError where no file can be called so."""
    check_name(name, "a file's name")
    return f"{name}.safetensors"


@dataclass(frozen=True)
class ArrayFiles:
    """The files root/<name>.safetensors.

    Args:
        root: the run's directory. identity: the run's, which every file carries.
        seals: of the run's files, by name.
    """

    root: Path
    identity: str
    seals: Mapping[str, Seal]

    def save(self, file: str, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> Seal:
        """Write arrays to a file, the start's to its copy as well; return the seal of what was written."""
        data = tensors.pack_arrays(arrays, {**meta, "identity": self.identity})
        (copies.put if file == START else copies.put_one)(self.root, file, data)
        return Seal.of(data)

    def load(self, file: str, say: Callable[[str | None], None]) -> dict[str, np.ndarray] | None:
        """Return what `save` wrote, or None if there is no such file.

        Args:
            file: its name. say: told what is wrong with the start's, or None.

        Raises:
            InputError: it is damaged, without a whole copy, or of another run.
        """
        path, seal = self.root / file, self.seals.get(file)
        if file == START and seal is not None:
            found = copies.take(self.root, file, seal, MOST)
            say(found.problem)
            path = found.place
        if not os.path.lexists(path):
            return None
        copies.own(self.root, path)
        return unpacked(tensors.unpack_arrays, path, self._foreign, self._instead(file))[0]

    def _foreign(self, path: Path, meta: Mapping[str, Any]) -> str | None:
        identity = meta.get("identity", self.identity)
        return None if identity == self.identity else f"it is of another run, {identity!s:.40}"

    def _instead(self, file: str) -> str:
        """Say what to do without a file."""
        if file in self.seals and file in ARRAYS:
            return f"; compute it again with: neuroanp resume {self.root}"
        if file == START:
            return (
                "; restore it from a copy, or put the weights back where network.weights names them and continue with: "
                f"neuroanp train {self.root / CONFIG}"
            )
        return "; restore it from a copy, or repeat the run"
