"""Many runs under one directory: the truth a comparison, however it was scheduled, starts from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError
from neuroanp.records.run_dir import RunDir


class Store:
    """The runs that lie directly under `root`.

    Args:
        root: a directory; one that does not exist yet holds no runs.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as root:
    ...     made = RunDir.create(Path(root), "0123456789abcdef", "seed: 0\\n", {"identity": "0123456789abcdef"})
    ...     found = Store(Path(root)).find("0123456789abcdef")
    >>> found.path.name
    '0123456789abcdef'
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def runs(self) -> Iterator[RunDir]:
        """Iterate over the valid run directories, by name; `broken` tells of the others."""
        for path in self._directories():
            try:
                run = RunDir.open(path, check_code=False)
            except InputError:  # not lost: `broken` reports it
                continue
            yield run

    def broken(self) -> list[str]:
        """Return one message for each directory that has a manifest but is no valid run."""
        messages = []
        for path in self._directories():
            try:
                RunDir.open(path, check_code=False)
            except InputError as error:
                messages.append(str(error))
        return messages

    def find(self, identity: str) -> RunDir | None:
        """Return the run of that identity, a finished one before others, or None."""
        found = [run for run in self.runs() if run.manifest["identity"] == identity]
        return max(
            found, key=lambda run: (run.manifest["status"] == "finished", run.path.name == identity), default=None
        )

    def results(self) -> list[dict[str, Any]]:
        """Return the results of the runs that have one."""
        return [result for run in self.runs() if (result := run.result) is not None]

    def _directories(self) -> list[Path]:
        if not self.root.is_dir():
            return []
        return sorted(p for p in self.root.iterdir() if not p.name.startswith(".") and (p / "manifest.json").exists())
