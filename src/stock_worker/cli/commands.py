"""The list of commands. Law: a command imports what it needs when it runs, so that `--help` answers at once."""

from pathlib import Path
from typing import Annotated

import typer

from stock_worker import __version__
from stock_worker.cli import (
    api,
    demo,
    dlt,
    doctor,
    emit,
    explain,
    import_file,
    locations,
    migrate,
    rebuild,
    rules,
    run,
    settings,
    tail,
    terminal,
    token,
    topics,
    verify,
)

app = typer.Typer(
    name="stock-worker",
    help="Keeps a shop's stock: commands from Kafka, one PostgreSQL transaction a batch, events back to Kafka.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("api")(api.api)
app.command("migrate")(migrate.migrate)
app.add_typer(topics.app, name="topics")
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("emit")(emit.emit)
app.command("tail")(tail.tail)
app.command("verify")(verify.verify)
app.command("explain")(explain.explain)
app.command("rebuild")(rebuild.rebuild)
app.command("import")(import_file.import_file)
app.add_typer(dlt.app, name="dlt")
app.add_typer(locations.app, name="locations")
app.add_typer(rules.app, name="rules")
app.add_typer(settings.app, name="settings")
app.command("token")(token.token)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    env_file: Annotated[
        Path, typer.Option(help="Where settings are read that the environment does not hold.", show_default=True)
    ] = terminal.ENV_FILE,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if env_file != terminal.ENV_FILE and not env_file.is_file():
        raise terminal.Misused(f"{env_file}, which --env-file names, is not there; correct the path")
    terminal.env_file = env_file
