"""`stock-worker settings`. Law: what a site has not set is shown as what holds for it.

The settings of the service itself are the environment's; these are each site's own.
"""

import typer

from stock_worker.cli import steer, terminal
from stock_worker.cli.steer import AsJson, Given, Site

app = typer.Typer(help="Keep the settings of sites.", no_args_is_help=True, rich_markup_mode=None)

_SITES_MAX = 10_000


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the sites that have settings or rules, with what they have set."""
    from stock_worker.core.policy import NO_SETTINGS  # noqa: PLC0415 - not for --help
    from stock_worker.store.steering import settings  # noqa: PLC0415 - the same

    there = steer.connected("settings", lambda connection: settings.list_sites(connection, _SITES_MAX))
    if as_json:
        terminal.give_json([{"site_id": site_id, **found._asdict()} for site_id, found in there])
        return
    defaults = NO_SETTINGS._asdict()
    terminal.give_table(
        ("site", "sets"),
        [
            (
                site_id,
                " ".join(
                    f"{name}={steer.shown(value)}" for name, value in found._asdict().items() if value != defaults[name]
                ),
            )
            for site_id, found in there
        ],
    )


@app.command()
def show(site: Site, as_json: AsJson = False) -> None:
    """Show a site's settings."""
    from stock_worker.store.steering import settings  # noqa: PLC0415 - not for --help

    found = steer.connected("settings", lambda connection: settings.read(connection, str(site)))
    steer.show(found._asdict(), as_json=as_json)


@app.command("set")
def set_(site: Site, given: Given, as_json: AsJson = False) -> None:
    """Set a site's settings, such as: set SITE timezone=Europe/Paris currency=EUR; null goes back to the default.

    Fields: low_stock_threshold, critical_stock_threshold, out_of_stock_threshold, email_recipients (a,b),
    email_frequency (instant, daily or weekly), dashboard_enabled, webhook_url, webhook_enabled, mode (sale or reserve),
    reservation_ttl (seconds), timezone, currency.
    """
    from stock_worker.store.steering import settings  # noqa: PLC0415 - not for --help

    fields = steer.read_fields("a site's settings", settings.FIELDS, given)
    changed = steer.connected("settings", lambda connection: settings.change(connection, str(site), fields))
    steer.show(changed._asdict(), as_json=as_json)
