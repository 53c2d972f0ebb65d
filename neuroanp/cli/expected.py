"""Print what a run would take, before it is run."""

from collections.abc import Mapping
from typing import Any

from neuroanp.cli.screen import print_json, show, text


def show_estimate(expected: Mapping[str, Any], json: bool) -> None:
    """Print what a run would take."""
    if json:
        print_json([expected])
        return
    from rich.table import Table

    table = Table(title="what this run would take", title_justify="left", box=None, show_header=False)
    for name, value in expected.items():
        if name in ("fits", "instrument"):  # said in words by a note
            continue
        words = "of which" if name == "memory" else name.removesuffix("_s").removesuffix("_bytes").replace("_", " ")
        table.add_row(words, text(readable(name, value)))
    show(table)


def readable(name: str, value: Any) -> str:
    """Write one number of an estimate the way a person reads it.

    >>> [readable(*item) for item in {"seconds": 5400.0, "memory_bytes": 2**20, "passes": 2000}.items()]
    ['1 h 30 min', '1 MiB', '2,000']
    """
    if value is None:
        return "unknown" if name.endswith("_bytes") else "not timed"
    if isinstance(value, Mapping):
        return ", ".join(f"{part} {readable('_bytes', size)}" for part, size in value.items() if size)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "\n".join(map(str, value))
    if name == "seconds":
        minutes = round(value / 60)
        return (
            f"{value:.2g} s"
            if value < 100
            else f"{minutes} min"
            if minutes < 60
            else f"{minutes // 60} h {minutes % 60} min"
        )
    if name.endswith(("_s", "_bytes")):
        from neuroanp.units import format_quantity

        return format_quantity(value, "s" if name.endswith("_s") else "B", 3)
    if isinstance(value, int):
        return f"{value:,}" if value < 10**7 else f"{value:.3g}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
