"""cite: what to cite of a run, a rule, a profile or a task."""

from pathlib import Path
from typing import Annotated

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import print_json
from neuroanp.errors import InputError


@guarded
def cite(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help=options.OF_RUN, show_default=False, parser=options.named)
    ] = None,
    rule: options.OfRules = None,
    profile: options.OfProfiles = None,
    task: options.Tasks = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Print BibTeX of what a run rests on: its rule, its device, its data and the tools; or of one of these.

    Each entry is a source as code or profile name it, word for word in `note`, with the DOI or arXiv number that is in
    it; nothing is added from elsewhere.
    """
    import sys

    from neuroanp import citing
    from neuroanp.citing.bibtex import keyed
    from neuroanp.records.finding import found

    given = [one for one in (rule, profile, task) if one is not None]
    if (run is None) == (not given):
        raise InputError("name a run, or --rule, --profile, --task, e.g. neuroanp cite last or cite --rule anp")
    entries = [] if run is None else citing.of_run(found(run))
    for flag, names, sources in (
        ("--rule", rule, citing.of_rule), ("--profile", profile, citing.of_profile), ("--task", task, citing.of_task)
    ):  # fmt: skip
        for name in options.split_list(names, flag) or []:
            entries += sources(name)
    if json:
        print_json([one.plain() for one in keyed(entries)])
    else:
        sys.stdout.write(citing.bibtex(entries) or "% no source is named\n")
