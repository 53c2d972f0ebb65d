"""Many runs under one directory: the truth a comparison, however it was scheduled, starts from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from neuroanp.errors import InputError
from neuroanp.records.manifest import is_there
from neuroanp.records.run_dir import RunDir

LINK = "a link to a run; runs lie in their store themselves: move it here, or name it where it is"


class Store:
    """The runs that lie directly under `root`.

    Args:
        root: a directory; one that does not exist yet holds no runs.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as root:
    ...     made = RunDir.create(Path(root), "0123456789abcdef", "seed: 0\\n", {"identity": "0123456789abcdef"})
    ...     [run.path.name for run in Store(Path(root)).runs()]
    ['0123456789abcdef']
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def runs(self) -> Iterator[RunDir]:
        """Iterate over the valid run directories, by name; `broken` tells of the others."""
        for path in self.directories():
            try:
                run = RunDir.open(path, check_code=False)
            except InputError:  # not lost: `broken` reports it
                continue
            yield run

    def broken(self) -> list[str]:
        """Return one message for each directory that has a manifest but is no valid run, and for links to runs."""
        messages = [f"{path}: {LINK}" for path in self._there() if path.is_symlink() and is_there(path)]
        for path in self.directories():
            try:
                RunDir.open(path, check_code=False, quiet=True)  # `runs` tells of what is damaged
            except InputError as error:
                messages.append(str(error))
        return messages

    def directories(self) -> list[Path]:
        """List what has a manifest, by name; links are left out, which may lead anywhere."""
        return [path for path in self._there() if not path.is_symlink() and is_there(path)]

    def _there(self) -> list[Path]:
        if not self.root.is_dir():
            return []
        return sorted(path for path in self.root.iterdir() if not path.name.startswith("."))
