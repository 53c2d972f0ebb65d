"""Find the four files of MNIST, or of a set like it, by a folder or by the file of training images."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR

import numpy as np

from neuroanp.errors import InputError
from neuroanp.files import opening
from neuroanp.tasks.idx import read_idx
from neuroanp.yaml_io import display

NAME = re.compile(
    r"(?P<set>.*?)(?P<part>train|t10k|test)[-_.](?P<kind>images|labels)[-_.]idx[13][-_.]ubyte(?P<packed>\.gz)?", re.I
)
"""Names as of MNIST, of its copies and of EMNIST: train-images-idx3-ubyte, emnist-digits-test-labels-idx1-ubyte.gz."""
PARTS = {"train": "train", "t10k": "test", "test": "test"}
KNOWN = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte"
CLASSES = 10


@dataclass(frozen=True)
class Images:
    """Images with their labels.

    Args:
        pixels: (n, rows, columns) uint8.
        labels: (n,) uint8, 0 to 9.
        label: the file of the images, in messages.
    """

    pixels: np.ndarray
    labels: np.ndarray
    label: str


def read_set(path: Path) -> tuple[Images, Images]:
    """Read the training and the test images of a set, each with their labels.

    Args:
        path: a folder with one set, or the file of training images of one, beside which the others lie; names as
            MNIST's, plain or packed by gzip (the plain file counts where both lie there).

    Raises:
        InputError: files are missing, several sets lie there, or a file is not what its name says.
    """
    files = find_set(path)
    train, test = (_images(files[part, "images"], files[part, "labels"]) for part in ("train", "test"))
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        a, b = (" x ".join(map(str, part.pixels.shape[1:])) for part in (train, test))
        raise InputError(f"{test.label}: images of {b} pixels, those of {train.label} have {a}; use files of one set")
    return train, test


def find_set(path: Path) -> dict[tuple[str, str], Path]:
    """Return the files of a set by part ("train", "test") and kind ("images", "labels"); InputError as `read_set`."""
    label = display(path)
    with opening(label, "a folder", f"no such file or folder (looked in {path.absolute().parent})"):
        is_folder = S_ISDIR(path.stat().st_mode)
    if is_folder:
        sets = _sets(path)
        if len(sets) > 1:
            shown = ", ".join(sorted(f"{name}*" for name in sets)[:4])
            raise InputError(f"{label}: holds {len(sets)} sets ({shown}); name the file of training images of one")
        found = next(iter(sets.values()), {})
    else:
        named = NAME.fullmatch(path.name)
        if not named or _role(named) != ("train", "images"):
            raise InputError(f"{label}: not a name of training images; name a folder, or a file as of {KNOWN}")
        found = {**_sets(path.parent).get(named["set"], {}), ("train", "images"): path}
    lacking = [f"{part} {kind}" for part in ("train", "test") for kind in ("images", "labels")
               if (part, kind) not in found]  # fmt: skip
    if lacking:
        raise InputError(f"{label}: no {', no '.join(lacking)}; a set has {KNOWN}, or the same with .gz")
    return found


def _sets(folder: Path) -> dict[str, dict[tuple[str, str], Path]]:
    """Return the files of a folder by the beginning of their names, which tells sets apart, and by what they are."""
    label, sets = display(folder), {}
    with opening(label, "a folder"):
        names = sorted(entry.name for entry in folder.iterdir())
    for name in sorted(names, key=lambda name: name.lower().endswith(".gz"), reverse=True):  # a plain one replaces it
        if (named := NAME.fullmatch(name)) and not (folder / name).is_dir():
            sets.setdefault(named["set"], {})[_role(named)] = folder / name
    return sets


def _role(named: re.Match[str]) -> tuple[str, str]:
    return PARTS[named["part"].lower()], named["kind"].lower()


def _images(images: Path, labels: Path) -> Images:
    """Read a file of images and that of their labels."""
    pixels, kinds = read_idx(images, 3, "images"), read_idx(labels, 1, "labels")
    if len(pixels.values) != len(kinds.values):
        raise InputError(
            f"{kinds.label}: {len(kinds.values):,} labels of the {len(pixels.values):,} images of {pixels.label}; "
            "use files of one set"
        )
    highest = int(kinds.values.max())
    if highest >= CLASSES:
        at = int(np.argmax(kinds.values >= CLASSES))
        raise InputError(f"{kinds.label}: label {at} is {kinds.values[at]}, digits are 0 to {CLASSES - 1}")
    return Images(pixels.values, kinds.values, pixels.label)
