"""Options that several commands share, and how they become dotted overrides of a config."""

from pathlib import Path
from typing import Annotated, Any

import typer

from neuroanp.cli import complete
from neuroanp.errors import InputError


def named(path: str | Path) -> Path:
    """Return a path that was given; an empty one would mean the present folder, unseen (`--runs "$NOT_SET"`)."""
    if path == "":
        raise typer.BadParameter("the name is empty; name a file or folder, '.' for the present folder")
    return Path(path)


Config = Annotated[
    Path | None,
    typer.Argument(metavar="CONFIG", help="YAML file that describes the run.", show_default=False, parser=named),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and no log.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Show neither progress bars nor the log.")]
NoReport = Annotated[bool, typer.Option("--no-report", help="Write no HTML report; `neuroanp report` makes it later.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Runs = Annotated[
    Path, typer.Option("--runs", metavar="DIR", help="Folder that run directories are written to.", parser=named)
]
Force = Annotated[bool, typer.Option("--force", help="Repeat a finished identical run instead of showing it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print passes, memory and time expected; run nothing.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=C", help="Set one value of the config; repeatable.", show_default=False),
]


def _name(flag: str, said: str, *kinds: str) -> Any:
    """Return an option that takes one name, which the shell completes."""
    return typer.Option(flag, help=said, show_default=False, autocompletion=complete.one(*kinds))


def _several(flag: str, said: str, *kinds: str) -> Any:
    """Return an option that takes names with commas between them, the last of which the shell completes."""
    return typer.Option(flag, metavar="A,B", help=said, show_default=False, autocompletion=complete.several(*kinds))


Task = Annotated[str | None, _name("--task", "Task by name (tasks list).", "tasks")]
Tasks = Annotated[str | None, _several("--task", "Tasks by name (tasks list).", "tasks")]
Backend = Annotated[
    str | None, _name("--backend", "Simulator by name (backends list): of rates, or of spikes.", "backends")
]
Backends = Annotated[str | None, _several("--backend", "Simulators by name (backends list).", "backends")]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        help="Keep to what a chip can hold, for neuroanp export: nir, or loihi and xylo (in whole numbers).",
        show_default=False,
    ),
]
METHODS = ("rules", "baselines", "learners")
Rule = Annotated[str | None, _name("--rule", "Learning rule by name (rules list).", *METHODS)]
Rules = Annotated[str | None, _several("--rules", "Learning rules by name (rules list).", *METHODS)]
Profile = Annotated[str | None, _name("--profile", "Hardware profile: a name or a file.", "profiles")]
Profiles = Annotated[str | None, _several("--profiles", "Profiles: names or files.", "profiles")]
Updates = Annotated[int | None, typer.Option("--updates", min=0, help="Weight updates.", show_default=False)]
Seeds = Annotated[
    str | None, typer.Option("--seeds", metavar="N|A,B", help="N for 0..N-1, or a list.", show_default=False)
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes; one a core if not given.", show_default=False)
]
MaxRuns = Annotated[
    int | None,
    typer.Option("--max-runs", min=1, help="Refuse more runs than these; 10,000 if not given.", show_default=False),
]
Controls = Annotated[
    str | None,
    typer.Option(
        "--controls",
        metavar="each|last",
        help="Controls after each run, or once all have their results.",
        show_default=False,
    ),
]
Write = Annotated[
    str | None,
    typer.Option("--write", help="How weights are written: auto, ideal, verify or pulse.", show_default=False),
]
Only = Annotated[
    str | None,
    typer.Option("--only", metavar="A,B", help="Keep these non-idealities, switch the rest off.", show_default=False),
]
Without = Annotated[
    str | None,
    typer.Option("--without", metavar="A,B", help="Switch these non-idealities off.", show_default=False),
]


def split(text: str) -> list[str]:
    """Split at commas, without the spaces around the parts."""
    return [part.strip() for part in text.split(",")]


def split_list(text: str | None, option: str) -> list[str] | None:
    """Read `a,b` as a list; None stays None; InputError for a part that is empty or named twice.

    >>> split_list("pcm, ideal", "--profiles")
    ['pcm', 'ideal']
    """
    if text is None:
        return None
    parts = split(text)
    if not all(parts):
        raise InputError(f"{option}: '{text}' has an empty part; write e.g. {option} a,b")
    if len(set(parts)) < len(parts):
        raise InputError(f"{option}: '{text}' names something twice; name each once")
    return parts


def collect(sets: list[str] | None, **named: Any) -> dict[str, Any]:
    """Return the overrides of a config: the named options first, then each `--set`, later ones winning.

    A named option's key has `__` where the config has a dot; None means that it was not given.

    >>> collect(["rule.K=4"], seed=1, training__updates=None, hardware__only="read_noise, d2d")
    {'seed': 1, 'hardware.only': ['read_noise', 'd2d'], 'rule.K': '4'}
    """
    overrides: dict[str, Any] = {}
    for name, value in named.items():
        if value is None:
            continue
        key = name.replace("__", ".")
        if key in ("hardware.only", "hardware.without"):
            value = split_list(value, "--" + key.partition(".")[2])
        overrides[key] = value
    problems = []
    for text in sets or []:
        key, equals, value = text.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(part.strip() for part in parts):
            problems.append(f"--set '{text}': not of the form a.b=value; write e.g. --set rule.K=4")
        else:
            overrides[".".join(part.strip() for part in parts)] = value.strip()
    if problems:
        raise InputError("the command line has a setting that cannot be read", problems)
    return overrides


def seeds_from(text: str | None) -> int | list[int] | None:
    """Read `--seeds`: N for the seeds 0..N-1, or a list.

    >>> seeds_from("3"), seeds_from("0,4,7"), seeds_from(None)
    (3, [0, 4, 7], None)
    """
    if text is None:
        return None
    parts = split(text)
    if not all(part.isascii() and part.isdigit() for part in parts) or (len(parts) == 1 and int(parts[0]) == 0):
        raise InputError(f"--seeds: '{text}' is neither a number of seeds nor a list; write e.g. --seeds 3 or 0,4,7")
    numbers = [int(part) for part in parts]
    return numbers[0] if len(numbers) == 1 else numbers
