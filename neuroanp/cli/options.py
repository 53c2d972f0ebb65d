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


def place(*flags: str, of: str, said: str) -> Any:
    """Return an option that takes the name `of` a file, folder or run."""
    return typer.Option(*flags, metavar=of, help=said, show_default=False, parser=named)


Config = Annotated[
    Path | None,
    typer.Argument(metavar="CONFIG", help="YAML file that describes the run.", show_default=False, parser=named),
]
OF_RUN = "A run's directory, how its name begins, its label, or `last`."
Run = Annotated[Path, typer.Argument(metavar="RUN", help=OF_RUN, show_default=False, parser=named)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and no log.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Show neither progress bars nor the log.")]
NoReport = Annotated[bool, typer.Option("--no-report", help="Write no HTML report; `neuroanp report` makes it later.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Runs = Annotated[
    Path, typer.Option("--runs", metavar="DIR", help="Folder that run directories are written to.", parser=named)
]
Sharing = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Processes on this machine that share each update; the same result for any number.",
        show_default=False,
    ),
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
OfRules = Annotated[str | None, _several("--rule", "Learning rules by name (rules list).", *METHODS)]
Profile = Annotated[str | None, _name("--profile", "Hardware profile: a name or a file.", "profiles")]
Profiles = Annotated[str | None, _several("--profiles", "Profiles: names or files.", "profiles")]
OfProfiles = Annotated[str | None, _several("--profile", "Profiles: names or files.", "profiles")]
Updates = Annotated[int | None, typer.Option("--updates", min=0, help="Weight updates.", show_default=False)]
Seeds = Annotated[
    str | None, typer.Option("--seeds", metavar="N|A,B", help="N for 0..N-1, or a list.", show_default=False)
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes; one a core if not given.", show_default=False)
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="local|ADDRESS|FILE",
        help="Who does the runs: Dask inside this command, a scheduler (tcp://host:8786), or a queue's YAML file.",
        show_default=False,
    ),
]
TimeLimit = Annotated[
    str | None,
    typer.Option(
        "--time-limit",
        metavar="T",
        help="End a run that takes longer: '10 min'; its checkpoint is kept.",
        show_default=False,
    ),
]
MemoryLimit = Annotated[
    str | None,
    typer.Option("--memory-limit", metavar="M", help="End a run that takes more: '4 GB'.", show_default=False),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait where another command does runs of this store.")]
Share = Annotated[bool, typer.Option("--share", help="Do runs beside another command's of this store, each run once.")]
Dashboard = Annotated[bool, typer.Option("--dashboard", help="Serve Dask's page of tasks, on this machine alone.")]
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


Axes = Annotated[
    list[str] | None,
    typer.Option(
        "--axis",
        metavar="A.B=V,W",
        help="Compare values of any key, a list or lo..hi:log,n (or :lin,n); repeatable.",
        show_default=False,
    ),
]
ForRule = Annotated[
    list[str] | None,
    typer.Option(
        "--for", metavar="RULE:A.B=C", help="Set one value for one rule (or A,B:...); repeatable.", show_default=False
    ),
]
Tune = Annotated[
    list[str] | None,
    typer.Option(
        "--tune",
        metavar="A.B=V,W|lo..hi",
        help="Choose the value of lowest median validation loss on --tune-seeds, for each combination by itself; "
        "several make a grid. lo..hi or lo..hi:log is a range that --search draws from.",
        show_default=False,
    ),
]
TuneSeeds = Annotated[
    str | None,
    typer.Option("--tune-seeds", metavar="A,B", help="Seeds to tune on; none is reported.", show_default=False),
]
Search = Annotated[
    str | None,
    typer.Option(
        "--search",
        metavar="grid|random|optuna",
        help="Which points --tune tries: all of a grid of lists, --trials random ones, or those that Optuna proposes.",
        show_default=False,
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        "--trials", metavar="N", help="Points for each profile, rule, ... that is tuned: as many for all.",
        show_default=False,
    ),
]  # fmt: skip
SearchSeed = Annotated[
    int | None,
    typer.Option(
        "--search-seed", metavar="N", help="Of the points that are drawn; 0 if not given.", show_default=False
    ),
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


def how(
    cluster: str | None, time_limit: str | None, memory_limit: str | None, wait: bool, share: bool, dashboard: bool
) -> dict[str, Any]:
    """Return who does runs and what each may take, as `api.compare` and the others take it: what was given alone.

    >>> how("local", None, "4 GB", False, True, False)
    {'cluster': 'local', 'memory_limit': '4 GB', 'others': 'share'}
    """
    if wait and share:
        raise InputError("--wait, --share: one of them: wait for the other command, or do runs beside it")
    named = {"cluster": cluster, "time_limit": time_limit, "memory_limit": memory_limit}
    found: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if wait or share:
        found["others"] = "wait" if wait else "share"
    return found | ({"dashboard": True} if dashboard else {})


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


def keyed(texts: list[str] | None, option: str) -> dict[str, str] | None:
    """Read `--axis` or `--tune`: each text is KEY=VALUES; None stays None.

    >>> keyed(["network.hidden=100,200"], "--axis")
    {'network.hidden': '100,200'}
    """
    if texts is None:
        return None
    found: dict[str, str] = {}
    problems = []
    for text in texts:
        key, equals, values = (part.strip() for part in text.partition("="))
        if not equals or not key:
            problems.append(f"{option} '{text}': not of the form a.b=v,w; write e.g. {option} optimizer.lr=1e-3,1e-2")
        elif key in found:
            problems.append(f"{option} {key}: is given twice; name all its values at once")
        found[key] = values
    if problems:
        raise InputError("the command line has an axis that cannot be read", problems)
    return found


def for_rules(texts: list[str] | None) -> dict[str, dict[str, Any]] | None:
    """Read `--for`: each text is RULE:KEY=VALUE, with commas between several rules; None stays None.

    >>> for_rules(["anp,np:optimizer.lr=2e-3", "anp:rule.K=3"])
    {'anp,np': {'optimizer.lr': 0.002}, 'anp': {'rule.K': 3}}
    """
    return _for(texts, "rule:a.b=c; write e.g. --for anp:optimizer.lr=2e-3")


def for_tasks(texts: list[str] | None) -> dict[str, dict[str, Any]] | None:
    """Read `--for` of tasks: each text is TASK:KEY=VALUE; None stays None.

    >>> for_tasks(["weather:task.path=my.csv"])
    {'weather': {'task.path': 'my.csv'}}
    """
    return _for(texts, "task:a.b=c; write e.g. --for weather:task.path=my.csv")


def _for(texts: list[str] | None, form: str) -> dict[str, dict[str, Any]] | None:
    """Read settings that are for one of several; `form` says how they are written, with an example."""
    if texts is None:
        return None
    from neuroanp.yaml_io import parse_value

    found: dict[str, dict[str, Any]] = {}
    problems = []
    for text in texts:
        names, colon, setting = (part.strip() for part in text.partition(":"))
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not (names and colon and key and equals) or "=" in names:
            problems.append(f"--for '{text}': not of the form {form}")
        elif key in found.get(names, {}):
            problems.append(f"--for {names}:{key}: is given twice; give it once")
        else:
            found.setdefault(names, {})[key] = parse_value(value, f"--for {text}")
    if problems:
        raise InputError("the command line has a setting that cannot be read", problems)
    return found


def seed_list(text: str | None, option: str) -> list[int] | None:
    """Read seeds one by one: a single number is a seed; None stays None.

    >>> seed_list("100", "--tune-seeds"), seed_list("100, 101", "--tune-seeds")
    ([100], [100, 101])
    """
    if text is None:
        return None
    parts = split(text)
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"{option}: '{text}' is no list of seeds; write e.g. {option} 100,101")
    return [int(part) for part in parts]
