"""`pulse`: what people type. Reads the options, runs the jobs, prints progress, warnings and the summary.

Nothing is computed here. Dagster and dbt are imported inside the commands, so that `--help` and mistakes are quick.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from orchestration.settings import PROJECT_ROOT, Settings, SettingsError

_HOME = click.option(
    "--home", type=click.Path(file_okay=False, path_type=Path), help="Folder for everything; data/ by default."
)
_SOURCE = click.option(
    "--source", metavar="SOURCE", help="auto, synthetic, a sources.yml, a landing folder or a file; auto by default."
)
_AS_OF = click.option(
    "--as-of", metavar="DATE", help="Day to compute for, YYYY-MM-DD; the day of the latest event by default."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="customer-pulse")
def main() -> None:
    """Customer tables from a folder of sales exports."""


@main.command()
@_SOURCE
@_AS_OF
@_HOME
@click.option("--full-refresh", is_flag=True, help="Read every file again and rebuild every table.")
def run(source: str | None, as_of: str | None, home: Path | None, full_refresh: bool) -> None:
    """Refresh everything, publish it and print a summary."""
    settings = _settings(source=source, as_of=as_of, home=home, full_refresh=full_refresh or None)
    console = Console()
    if not _execute("refresh", settings, console):
        raise SystemExit(1)
    from orchestration.summary import print_summary

    print_summary(console, settings)


@main.command()
@_HOME
def publish(home: Path | None) -> None:
    """Publish what is in the warehouse, if every blocking check has passed."""
    settings = _settings(home=home)
    if not _execute("publish", settings, Console()):
        raise SystemExit(1)


@main.command()
@_SOURCE
@_AS_OF
@_HOME
@click.option("--if-absent", is_flag=True, help="Only where there is no raw data yet.")
def raw(source: str | None, as_of: str | None, home: Path | None, if_absent: bool) -> None:
    """Read the source into raw Parquet, and nothing else."""
    settings = _settings(source=source, as_of=as_of, home=home)
    if if_absent and (settings.raw / "pulse" / "clock" / "clock.parquet").exists():
        return
    if not _execute("raw", settings, Console()):
        raise SystemExit(1)


@main.command()
@_SOURCE
@_AS_OF
@_HOME
@click.option("--port", type=int, default=3000, show_default=True, help="Port on 127.0.0.1.")
def ui(source: str | None, as_of: str | None, home: Path | None, port: int) -> None:
    """Open the Dagster UI, with schedules on and the history kept in the home."""
    settings = _settings(source=source, as_of=as_of, home=home)
    from orchestration.instance import close_dead_runs, open_instance

    with open_instance(settings) as instance:
        close_dead_runs(settings, instance)
    command = [
        *(sys.executable, "-m", "dagster", "dev", "--workspace", str(PROJECT_ROOT / "workspace.yaml")),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    environment = {**os.environ, **settings.environment(), "DAGSTER_HOME": str(settings.dagster_home)}
    click.echo(f"Dagster UI: http://127.0.0.1:{port} (Ctrl+C ends it)")
    # In a session of its own, because it ignores TERM otherwise; so its end is passed on by hand.
    process = subprocess.Popen(command, env=environment, cwd=PROJECT_ROOT, start_new_session=True)  # noqa: S603

    def stop(_number: int, _frame: Any) -> None:
        process.send_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    raise SystemExit(max(0, process.wait()))


def _settings(**overrides: Any) -> Settings:
    try:
        return Settings.from_environment(**overrides)
    except SettingsError as error:
        message = str(error)
        for option in ("as_of", "home", "source"):
            message = message.replace(
                f"PULSE_{option.upper()} =", f"--{option.replace('_', '-')} / PULSE_{option.upper()} ="
            )
        click.echo(f"pulse: {message}", err=True)
        raise SystemExit(2) from None


def _execute(job: str, settings: Settings, console: Console) -> bool:
    """Run a job in this process, one line an asset.

    Returns:
        Whether it succeeded.
    """
    with console.status("starting"):
        from orchestration.dbt import DbtError
        from orchestration.definitions import build_defs
        from orchestration.instance import close_dead_runs, open_instance, run_job

        try:
            definitions = build_defs(settings)
        except DbtError as error:
            console.print(f"[red]✗[/] {error}")
            return False
    from orchestration.progress import Progress

    progress = Progress(console)
    with open_instance(settings) as instance:
        close_dead_runs(settings, instance, log=_said(console))
        succeeded = run_job(definitions, job, instance, progress)
    progress.finish(succeeded)
    if not succeeded and settings.published.exists():
        console.print(f"{settings.published} is as it was before.", markup=False, highlight=False)
    return succeeded


def _said(console: Console) -> Callable[[str], None]:
    return lambda message: console.print(message, markup=False, highlight=False)
