"""Complete names in the shell: of tasks, rules, backends and profiles, alone or in a list with commas."""

from collections.abc import Callable

NO_RULES = ("gradient", "passes")
"""Learners that run the rules of others, and are chosen by them."""


def one(*kinds: str) -> Callable[[str], list[str]]:
    """Return what completes one name.

    Args:
        kinds: "profiles", or groups of entry points without their prefix, such as "tasks".

    >>> one("backends")("spi")
    ['spiking']
    """

    def complete(incomplete: str) -> list[str]:
        return [name for name in _names(kinds) if name.startswith(incomplete)]

    return complete


def several(*kinds: str) -> Callable[[str], list[str]]:
    """Return what completes the last name of a list, with one that is not in it yet.

    >>> several("backends")("rate,spi")
    ['rate,spiking']
    """

    def complete(incomplete: str) -> list[str]:
        *before, last = incomplete.split(",")
        return [",".join([*before, name]) for name in one(*kinds)(last) if name not in before]

    return complete


def _names(kinds: tuple[str, ...]) -> list[str]:
    """List names without loading what they name: the shell waits for them."""
    from neuroanp.registry import Registry

    found: list[str] = []
    for kind in kinds:
        if kind == "profiles":
            from neuroanp.profiles.loader import available

            found += available()
        else:
            found += [name for name in Registry(kind, f"neuroanp.{kind}").names() if name not in NO_RULES]
    return found
