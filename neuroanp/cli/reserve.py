"""Some memory that is kept back, so that a command that ran out of it can still say so."""

BYTES = 16 << 20
"""More than rich loads and makes for one line; address space alone, since nothing is written there."""
_kept: list[bytearray] = []


def keep() -> None:
    """Ask for the memory while there is some."""
    if not _kept:
        _kept.append(bytearray(BYTES))


def release() -> None:
    """Give it back to whoever asks next."""
    _kept.clear()
