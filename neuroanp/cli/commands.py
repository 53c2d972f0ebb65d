"""The sub-commands of `neuroanp`, with an example each."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from neuroanp.cli import (
    assess,
    characterize,
    cite,
    demo,
    diagnose,
    doctor,
    evaluate,
    examples,
    export,
    importing,
    keeping,
    live,
    names,
    new,
    predict,
    profiles,
    reproduce,
    requirements,
    runs,
    schema,
    transfer,
    watch,
)
from neuroanp.errors import printable

UsageError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")
"""typer's own kind of error; it lies in click or, since 0.26, in typer."""


@contextmanager
def _printable() -> Iterator[None]:
    """Make what typer says of the words of a command printable: they may be names of files of others."""
    try:
        yield
    except UsageError as error:
        error.message = printable(str(error.message))
        raise


class Commands(TyperGroup):
    """The commands; usage errors arise when their words are read, before they are called."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the words before the command."""
        with _printable():
            return super().make_context(*args, **kwargs)

    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Read the words of the command, and call it."""
        with _printable():
            return super().invoke(*args, **kwargs)


app = typer.Typer(
    name="neuroanp",
    cls=Commands,
    help="Train recurrent networks on noisy hardware by activity-based node perturbation.",
    epilog="Example: neuroanp compare --task copy --profiles ideal,pcm --seeds 3",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _example(*lines: str) -> str:
    """Return the end of a command's help: one example a line."""
    return "\n\n".join(["[bold]Example[/]" if len(lines) == 1 else "[bold]Examples[/]", *lines])


app.command(epilog=_example("neuroanp demo", "neuroanp demo --updates 100 --runs demo"))(demo.demo)
app.command(
    epilog=_example(
        "neuroanp train examples/copy3.yaml --profile pcm --seed 1",
        "neuroanp train --task mackey_glass --set rule.K=7 --updates 200 --dry-run",
        "neuroanp train --task xor --backend spiking --profile smtj_koenders",
        "neuroanp train --adapt RUN --target xylo",
    )
)(runs.train)
app.command(epilog=_example("neuroanp resume last"))(runs.resume)
app.command(
    epilog=_example(
        "neuroanp compare examples/copy3.yaml --profiles ideal,pcm,smtj_koenders --rules anp,bptt --seeds 3",
        "neuroanp compare --task copy --profiles pcm --without drift --seeds 0,4,7 --json",
        "neuroanp compare --task xor --backend rate,spiking --profiles ideal,pcm --seeds 3",
        "neuroanp compare examples/copy3.yaml --profiles pcm --ablate --seeds 3",
        "neuroanp compare examples/copy3.yaml --axis network.hidden=50,100,200 --axis training.batch=8,32 --seeds 3",
        "neuroanp compare examples/copy3.yaml --rules anp,bptt --for anp:optimizer.lr=2e-3 --for anp:rule.K=3",
        "neuroanp compare examples/copy3.yaml --rules anp,np,bptt --seeds 5 --tune optimizer.lr=1e-3..1e-2:log,4 "
        "--tune-seeds 100,101",
        "neuroanp compare examples/copy3.yaml --rules anp,bptt --seeds 5 --tune optimizer.lr=1e-4..1e-1:log --tune "
        "training.batch=4..64:log --search optuna --trials 30 --tune-seeds 100,101",
    )
)(runs.compare)
app.command(
    epilog=_example(
        "neuroanp requirements examples/rram_pulses.yaml --target 'test_loss < 0.01' --seeds 5",
        "neuroanp requirements --task xor --profile my_device.yaml --target 'score >= 0.95' --dry-run",
    )
)(requirements.requirements)
app.command(
    epilog=_example(
        "neuroanp assess pulses.csv read_noise:reads.csv --name my_rram --v-read '0.2 V' --dry-run",
        "neuroanp assess trace.csv --task copy,xor --volts-per-unit '300 mV'",
        "neuroanp assess pulses.csv --task weather --for weather:task.path=my.csv --for weather:task.target=temp",
        "neuroanp assess pulses.csv --task examples/copy5.yaml --target 'test_loss < 0.01' --seeds 8 --json",
    )
)(assess.assess)
app.command(
    epilog=_example("neuroanp transfer examples/copy3.yaml --profiles pcm,rram_hfo2 --fine-tune 200 --seeds 3")
)(transfer.transfer)
app.command(
    epilog=_example(
        "neuroanp evaluate last --after '1 h,30 d'",
        "neuroanp evaluate last --without drift --json",
    )
)(evaluate.evaluate)
app.command(
    epilog=_example(
        "neuroanp live last --for '30 d' --relearn 200 --figure month.png",
        "neuroanp live last --for '7 d' --every '1 d' --rule echo --json",
    )
)(live.live)
app.command(
    epilog=_example(
        "neuroanp predict last",
        "neuroanp predict last --inputs x.csv -o y.csv --noise-free",
    )
)(predict.predict)
app.command(
    epilog=_example(
        "neuroanp diagnose examples/copy3.yaml --at 0,500 --K 1,4,16",
        "neuroanp diagnose --task weather --profile pcm --rule bptt1 -o weather_bptt1",
        "neuroanp diagnose last --draws 100",
    )
)(diagnose.diagnose)
reproduce.app.command(
    epilog=_example(
        "neuroanp reproduce paper --quick",
        "neuroanp reproduce paper --only copy_fixed,recall --seeds 5",
        "neuroanp reproduce paper --csv WTH.csv --mnist mnist --dry-run",
    )
)(reproduce.paper)
app.add_typer(reproduce.app, name="reproduce")
app.command(epilog=_example("neuroanp report last -o pcm.html", "neuroanp report runs"))(runs.report)
app.command(
    epilog=_example(
        "neuroanp characterize pcm", "neuroanp characterize my_device.yaml --only drift,read_noise -o mine.html"
    )
)(characterize.characterize)
app.command(
    epilog=_example(
        "neuroanp export last --format nir -o xor_nir",
        "neuroanp export last --format xylo --quantize-decay",
        "neuroanp export --list",
    )
)(export.export)
app.command(
    "import",
    epilog=_example(
        "neuroanp import model.nir --task xor -o mine", "neuroanp train mine/config.yaml --profile smtj_koenders"
    ),
)(importing.import_)
app.add_typer(keeping.app, name="runs")
app.command(epilog=_example("neuroanp watch last", "neuroanp watch runs", "neuroanp watch runs --once --json"))(
    watch.watch
)
app.add_typer(new.app, name="new")
app.command(
    epilog=_example(
        "neuroanp examples",
        "neuroanp examples copy3",
        "neuroanp examples --copy examples",
        "neuroanp train examples/copy3.yaml",
    )
)(examples.examples)
app.add_typer(profiles.app, name="profiles")
app.add_typer(names.tasks, name="tasks")
app.add_typer(names.rules, name="rules")
app.add_typer(names.backends, name="backends")
app.add_typer(names.cells, name="cells")
app.add_typer(names.neurons, name="neurons")
app.add_typer(names.encoders, name="encoders")
app.add_typer(names.losses, name="losses")
app.add_typer(names.instruments, name="instruments")
app.command(epilog=_example("neuroanp cite last", "neuroanp cite --rule anp --profile pcm"))(cite.cite)
app.command(epilog=_example("neuroanp schema -o neuroanp.schema.json", "neuroanp schema profile"))(schema.schema)
app.command(epilog=_example("neuroanp doctor"))(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        from neuroanp.version import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train recurrent networks on noisy hardware by activity-based node perturbation."""
