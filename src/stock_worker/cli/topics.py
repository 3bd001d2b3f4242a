"""`stock-worker topics`. Law: `create` adds what is missing and changes nothing; `check` names each difference."""

import asyncio
from typing import Annotated

import typer

from stock_worker.cli import terminal

app = typer.Typer(help="Create the topics of the service, or check them.", no_args_is_help=True, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(as_json: AsJson = False) -> None:
    """Create what is missing, with the partitions and cleanup policies that the service needs; print what was made."""
    settings = terminal.read_settings()
    from stock_worker import topics  # noqa: PLC0415 - not for --help
    from stock_worker.cli import kafka  # noqa: PLC0415 - the same

    async def make() -> list[str]:
        await kafka.ask(settings)
        return await topics.create(settings)

    made = asyncio.run(make())
    if as_json:
        terminal.give_json({"created": made})
        return
    for name in made:
        terminal.give(name)
    terminal.say(f"{len(made)} topics created" if made else "every topic is there already")


@app.command()
def check(as_json: AsJson = False) -> None:
    """Compare the topics with what the service needs; exit code 1 when something differs."""
    settings = terminal.read_settings()
    from stock_worker import topics  # noqa: PLC0415 - not for --help
    from stock_worker.cli import kafka  # noqa: PLC0415 - the same

    async def look() -> list[topics.Finding]:
        await kafka.ask(settings)
        return await topics.check(settings)

    findings = asyncio.run(look())
    if as_json:
        terminal.give_json([{"topic": one.topic, "problem": one.problem, "words": one.words} for one in findings])
    else:
        for one in findings:
            terminal.give(f"{one.topic} {one.words}")
        if not findings:
            terminal.say("every topic is as it should be")
    raise typer.Exit(terminal.FINDING if findings else 0)
