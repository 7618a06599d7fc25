"""`pulse`: what people type. Reads the options, calls what does the work, and tells what went wrong in one line.

Nothing is computed here. Dagster and dbt are imported inside the commands, so that `--help` and mistakes are quick.
How a job is run and shown is in `orchestration.refreshing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console

from orchestration.refreshing import INTERRUPTED, execute
from orchestration.settings import Settings, SettingsError, check_home, check_source

if TYPE_CHECKING:
    import duckdb

_HOME = click.option(
    "--home", type=click.Path(file_okay=False, path_type=Path), help="Folder for everything; data/ by default."
)
_SOURCE = click.option(
    "--source", metavar="SOURCE", help="auto, synthetic, a sources.yml, a landing folder or a file; auto by default."
)
_AS_OF = click.option(
    "--as-of", metavar="DATE", help="Day to compute for, YYYY-MM-DD; the day of the latest event by default."
)
_VERBOSE = click.option("--verbose", "-v", is_flag=True, help="Show every asset, not only every stage.")


class _Pulse(click.Group):
    """Commands that Ctrl+C ends with a line and the exit code of shells."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\npulse: interrupted.", err=True)
            raise SystemExit(INTERRUPTED) from None


@click.group(cls=_Pulse, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="customer-pulse")
def main() -> None:
    """Customer tables from a folder of sales exports."""


@main.command()
@_SOURCE
@_AS_OF
@_HOME
@click.option("--full-refresh", is_flag=True, help="Read every file again and rebuild every table.")
@_VERBOSE
def run(source: str | None, as_of: str | None, home: Path | None, *, full_refresh: bool, verbose: bool) -> None:
    """Refresh everything, publish it and print a summary."""
    settings = _settings(is_read=True, source=source, as_of=as_of, home=home, full_refresh=full_refresh or None)
    console = Console()
    if not execute("refresh", settings, console, verbose=verbose):
        raise SystemExit(1)
    from orchestration.summary import print_summary

    print_summary(console, settings)


@main.command()
@_HOME
@_VERBOSE
def publish(home: Path | None, *, verbose: bool) -> None:
    """Publish what is in the warehouse, if every blocking check has passed."""
    settings = _settings(home=home)
    if not execute("publish", settings, Console(), verbose=verbose):
        raise SystemExit(1)


@main.command()
@_SOURCE
@_AS_OF
@_HOME
@click.option("--if-absent", is_flag=True, help="Only where there is no raw data yet.")
@_VERBOSE
def raw(source: str | None, as_of: str | None, home: Path | None, *, if_absent: bool, verbose: bool) -> None:
    """Read the source into raw Parquet, and nothing else."""
    settings = _settings(is_read=True, source=source, as_of=as_of, home=home)
    if if_absent and (settings.raw / "pulse" / "clock" / "clock.parquet").exists():
        return
    if not execute("raw", settings, Console(), verbose=verbose):
        raise SystemExit(1)


@main.command()
@click.argument("sql")
@_HOME
def query(sql: str, home: Path | None) -> None:
    """Run SQL on the published file and print the result."""
    with _published(_settings(is_written=False, home=home)) as connection:
        console = Console()
        connection.sql(sql).show(max_width=console.width if console.is_terminal else 1000)


@main.command()
@_SOURCE
@_AS_OF
@_HOME
@click.option("--port", type=int, default=3000, show_default=True, help="Port on 127.0.0.1.")
def ui(source: str | None, as_of: str | None, home: Path | None, port: int) -> None:
    """Open the Dagster UI, with schedules on and the history kept in the home."""
    settings = _settings(is_read=True, source=source, as_of=as_of, home=home)
    from orchestration.instance import UiError, serve_ui

    try:
        raise SystemExit(serve_ui(settings, port, click.echo))
    except UiError as error:
        click.echo(f"pulse: {error}", err=True)
        raise SystemExit(2) from None


@main.command()
@click.option(
    "--format", "file_format", type=click.Choice(["parquet", "csv", "jsonl"]), default="parquet", show_default=True
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the files; made anew."
)
@click.option("--gallery", type=click.Path(dir_okay=False, path_type=Path), help="Also draw the business on a page.")
@_AS_OF
def simulate(file_format: str, out: Path, gallery: Path | None, as_of: str | None) -> None:
    """Write the synthetic business as files, a folder a table, to be read like anybody's."""
    from orchestration.simulation import SimulationError, write_simulation

    settings = _settings(is_written=False, as_of=as_of)
    try:
        write_simulation(settings, out, file_format, gallery, click.echo)
    except SimulationError as error:
        click.echo(f"pulse: {error}", err=True)
        raise SystemExit(2) from None


@main.group()
def sources() -> None:
    """Look at files before and after they are read."""


@sources.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--write", is_flag=True, help="Save what was recognised as a sources.yml beside the files.")
@_HOME
def check(path: Path | None, write: bool, home: Path | None) -> None:
    """Show how the files in PATH (landing/ by default) would be read; nothing is kept."""
    from orchestration import file_check
    from sources.delivery import SourceError

    settings = _settings(is_written=False, home=home)
    try:
        readable = file_check.check(Console(), settings, path or settings.landing, write=write)
    except SourceError as error:
        click.echo(f"pulse: {error}", err=True)
        raise SystemExit(2) from None
    raise SystemExit(0 if readable else 1)


@sources.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write the rows there, for mending.")
@_HOME
def quarantine(out: Path | None, home: Path | None) -> None:
    """Show the rows that were refused, and hand them back for mending."""
    from orchestration import file_check

    file_check.show_quarantine(Console(), _settings(is_written=False, home=home), out)


@sources.command()
def schema() -> None:
    """Print the JSON schema of a sources.yml, for editors."""
    from sources.mapping import json_schema

    click.echo(json_schema(), nl=False)


@main.command()
@click.argument("customer")
@_HOME
def customer(customer: str, home: Path | None) -> None:
    """Show one CUSTOMER, by id, name or e-mail address, and write the customer's page for the browser."""
    from orchestration.customer_view import UnknownCustomerError, find_customer, print_customer, read_customer

    settings = _settings(is_written=False, home=home)
    with _published(settings) as connection:
        try:
            customer_id = find_customer(connection, customer)
        except UnknownCustomerError as error:
            raise _PublishedFileError(str(error)) from None
        console = Console()
        print_customer(console, read_customer(connection, customer_id))
        # Read first: drawing the page takes longer than all of the above.
        from orchestration.customer_page import write_customer_page

        try:
            page = write_customer_page(connection, customer_id, settings.reports)
        except OSError as error:
            # What was asked for has been shown; a home that may only be read has no place for a page.
            told = f"no page, {settings.reports} cannot be written to ({error.strerror})."
        else:
            told = str(page)
    console.print(f"\nPage: {told}", markup=False, highlight=False, soft_wrap=True)


@main.command()
@click.option("--severity", type=click.Choice(["critical", "warning", "info"]), help="Only this severe or worse.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
@_HOME
def alerts(severity: str | None, as_json: bool, home: Path | None) -> None:
    """Show what is unusual, and what the last checks warn of."""
    from orchestration.alerts_view import alerts_as_json, print_alerts, read_alerts, read_refresh, read_warnings

    with _published(_settings(is_written=False, home=home)) as connection:
        told = read_alerts(connection, severity), read_warnings(connection), *read_refresh(connection)
    if as_json:
        click.echo(alerts_as_json(*told))
    else:
        print_alerts(Console(), *told)


@main.command()
@click.argument("name", required=False)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["csv", "json", "parquet"]),
    help="By default what --out ends in, or csv.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="File or folder; NAME.FORMAT in this folder by default, - to print."
)
@click.option("--with-personal-data", "personal", is_flag=True, help="Add names and e-mail addresses of customers.")
@_HOME
def export(name: str | None, file_format: str | None, out: Path | None, personal: bool, home: Path | None) -> None:
    """Write the published export NAME to a file; without a name, show the names."""
    from orchestration import exports

    with _published(_settings(is_written=False, home=home)) as connection:
        available = exports.exports_in(connection)
        if name is None:
            for each in available:
                click.echo(f"{each.name:<32} {each.description}")
            return
        try:
            chosen = exports.named(name, available)
            exports.export_to(connection, chosen, out, file_format=file_format, personal=personal, log=click.echo)
        except exports.ExportError as error:
            raise _PublishedFileError(str(error)) from None


class _PublishedFileError(Exception):
    """What was asked of the published file cannot be told; the message says why."""


@contextmanager
def _published(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published file, open for reading; what goes wrong is told in one line."""
    import duckdb

    from orchestration.published import open_published

    try:
        with open_published(settings.published) as connection:
            yield connection
    except (FileNotFoundError, duckdb.Error, _PublishedFileError) as error:
        click.echo(f"pulse: {error}", err=True)
        raise SystemExit(1) from None


@main.command()
@_SOURCE
@_HOME
def doctor(source: str | None, home: Path | None) -> None:
    """Look the home over and explain what is wrong; nothing is changed."""
    from orchestration.doctor import examine, print_findings

    settings = _settings(is_written=False, source=source, home=home)
    raise SystemExit(0 if print_findings(Console(), examine(settings)) else 1)


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_SOURCE
@_HOME
def backup(file: Path, source: str | None, home: Path | None) -> None:
    """Write everything that cannot be made again into FILE, a .tar.gz."""
    from orchestration.backup import BackupError, back_up

    settings = _settings(source=source, home=home)
    try:
        card = back_up(settings, file, click.echo)
    except BackupError as error:
        _fail(error)
    size = sum(entry["size"] for entry in card["files"].values())
    raw_too = "with raw data" if card["with_raw"] else "raw data is read again from the landing files"
    click.echo(f"{file}: {len(card['files'])} files, {size / 1e6:,.1f} MB before packing, {raw_too}.")


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Also into a home that is not empty; what it holds is kept beside.")
@_SOURCE
@_HOME
def restore(file: Path, *, force: bool, source: str | None, home: Path | None) -> None:
    """Bring back what `pulse backup` wrote."""
    from orchestration.backup import BackupError, restore

    settings = _settings(source=source, home=home)
    try:
        card = restore(settings, file, click.echo, force=force)
    except BackupError as error:
        _fail(error)
    click.echo(
        f"{len(card['files'])} files of {card['made_at']} are back in {settings.home}. `pulse run` builds the rest."
    )


@main.command()
@click.argument("refresh", type=int, required=False)
@click.option("--list", "only_list", is_flag=True, help="Show which versions are kept, and change nothing.")
@_HOME
def rollback(refresh: int | None, *, only_list: bool, home: Path | None) -> None:
    """Put an earlier published version back: the one before, or that of REFRESH."""
    from orchestration.versions import RollbackError, kept_versions, published_refresh, roll_back

    settings = _settings(is_written=not only_list, home=home)
    if only_list:
        seen = published_refresh(settings)
        for version in kept_versions(settings):
            mark = "  <- readers see this" if version.refresh == seen else ""
            click.echo(
                f"refresh {version.refresh}, as of {version.as_of}, {version.published_at:%Y-%m-%d %H:%M} UTC{mark}"
            )
        return
    try:
        version = roll_back(settings, refresh, click.echo)
    except RollbackError as error:
        _fail(error)
    click.echo(
        f"Readers now see refresh {version.refresh}, as of {version.as_of}. The next refresh publishes as usual."
    )


@main.group()
def spark() -> None:
    """Spark on this machine, for PULSE_TARGET=spark."""


@spark.command("up")
@click.option("--cluster", is_flag=True, help="A master with two workers instead of one server with two threads.")
@click.option("--memory", default="1g", show_default=True, metavar="SIZE", help="What each process may use.")
@_HOME
def spark_up(*, cluster: bool, memory: str, home: Path | None) -> None:
    """Start Spark where PULSE_SPARK_URL says, and wait until it answers."""
    from orchestration.spark import servers
    from orchestration.spark.session import SparkUnavailableError

    settings = _settings(home=home)
    try:
        servers.up(settings, click.echo, mode=servers.CLUSTER if cluster else servers.LOCAL, memory=memory)
    except SparkUnavailableError as error:
        _fail(error)


@spark.command("down")
@_HOME
def spark_down(home: Path | None) -> None:
    """End what `pulse spark up` started for this home."""
    from orchestration.spark import servers

    servers.down(_settings(home=home), click.echo)


@main.command()
@click.argument("a")
@click.argument("b")
@click.option(
    "--schema",
    "schemas",
    multiple=True,
    type=click.Choice(["marts", "ml"]),
    help="What is compared; marts by default. Can be given more than once.",
)
@_HOME
def compare(a: str, b: str, schemas: tuple[str, ...], home: Path | None) -> None:
    """Compare two published versions row for row, exactly; ends with 1 if they differ.

    A and B are homes, published files, refreshes that are kept (see `pulse rollback --list`), or duckdb and spark: the
    latest kept version built there, whatever its refresh and day; both are printed, and whether they differ.
    """
    import duckdb

    from orchestration import compare as comparison
    from orchestration.versions import kept_versions

    settings = _settings(home=home)
    versions = [(version.refresh, version.file) for version in kept_versions(settings)]
    try:
        file_a, file_b = (comparison.side(words, settings.home, versions) for words in (a, b))
        tables = comparison.compare(file_a, file_b, schemas or comparison.SCHEMAS)
        are_equal = comparison.print_comparison(Console(), file_a, file_b, tables)
    except (comparison.CompareError, duckdb.Error) as error:
        click.echo(f"pulse: {error}", err=True)
        raise SystemExit(2) from None
    raise SystemExit(0 if are_equal else 1)


def _fail(error: Exception) -> NoReturn:
    """End with a message."""
    click.echo(f"pulse: {error}", err=True)
    raise SystemExit(1) from None


def _settings(*, is_read: bool = False, is_written: bool = True, **overrides: Any) -> Settings:
    """The settings, of which the source must be there if it is to be read, and the home writable if that is needed."""
    try:
        settings = Settings.from_environment(**overrides)
        if is_read:
            check_source(settings)
        if is_written:
            check_home(settings)
        return settings
    except SettingsError as error:
        message = str(error)
        for option in ("as_of", "home", "source"):
            message = message.replace(
                f"PULSE_{option.upper()} =", f"--{option.replace('_', '-')} / PULSE_{option.upper()} ="
            )
        click.echo(f"pulse: {message}", err=True)
        raise SystemExit(2) from None
