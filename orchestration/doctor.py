"""`pulse doctor`: looks a home over and explains what it finds. It changes nothing and holds up nobody.

Each finding says what, where, what follows from it and what to do; what `pulse run` puts right by itself is said so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import duckdb
import pyarrow as pa
from packaging.requirements import Requirement
from rich.console import Console

from orchestration.artefacts import ArtefactError, load_artefact
from orchestration.lock import lock_holder
from orchestration.recovery import HISTORY, leftovers, space_wanted
from orchestration.resources import InUseError, looked_at
from orchestration.settings import Settings
from orchestration.soundness import trouble_with_duckdb, trouble_with_sqlite
from orchestration.sources import is_synthetic
from orchestration.spark.client import require_server
from orchestration.spark.session import SparkUnavailableError
from orchestration.versions import kept_versions, published_refresh
from sources.contracts import CONTRACTS
from sources.delivery import SourceError
from sources.files import open_files
from sources.store import RawFolder

_RUN = "`pulse run` puts it right."
_MIB = 1 << 20


class Level(StrEnum):
    """How bad a finding is."""

    BROKEN = "broken"
    WARNING = "warning"
    FINE = "fine"


@dataclass(frozen=True)
class Finding:
    """Something that was looked at.

    Args:
        level: How bad it is.
        what: What was found.
        where: The file, folder or setting.
        consequence: What follows from it; empty when all is well.
        remedy: What to do; empty when nothing has to be done.
    """

    level: Level
    what: str
    where: str
    consequence: str = ""
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at everything in a home.

    Args:
        settings: The home.

    Returns:
        What was found, in the order in which data flows; the good as well.
    """
    holder = lock_holder(settings.home)
    findings = [*_packages(), *_permissions(settings), *_space(settings), *_spark(settings)]
    if holder:
        findings.append(
            Finding(
                Level.WARNING,
                f"a refresh is under way ({holder.command}, process {holder.pid}, since {holder.since} UTC)",
                str(settings.home / ".writer.lock"),
                "What it is writing is not judged now.",
                "Look again when it has ended. If it hangs, end that process: the lock is freed with it.",
            )
        )
    looks = [_files, _published, _versions, _champions, _history]
    if not holder:
        looks[1:1] = [_raw, _warehouse]
        looks += [_record, _leftovers]
    for look in looks:
        findings += _looked(look, settings)
    return findings


def _looked(look: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    """What a look finds; a file that may not be read is a finding as well."""
    try:
        yield from look(settings)
    except OSError as error:
        yield Finding(
            Level.BROKEN,
            f"cannot be read: {error.strerror or error}",
            str(error.filename or settings.home),
            "A refresh will fail there.",
            "Give the user who runs Customer Pulse the right to read and write it.",
        )


def print_findings(console: Console, findings: list[Finding]) -> bool:
    """Print what was found.

    Args:
        console: Where to.
        findings: What was found.

    Returns:
        Whether nothing is broken.
    """
    marks = {Level.BROKEN: ("red", "✗"), Level.WARNING: ("yellow", "!"), Level.FINE: ("green", "✓")}
    for finding in findings:
        colour, mark = marks[finding.level]
        console.print(f"[{colour}]{mark}[/] ", end="")
        console.print(f"{finding.where}: {finding.what}", markup=False, highlight=False, soft_wrap=True)
        for line in filter(None, (finding.consequence, finding.remedy)):
            console.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
    counts = {level: sum(finding.level == level for finding in findings) for level in Level}
    console.print(
        f"{counts[Level.BROKEN]} broken, {counts[Level.WARNING]} to mind, {counts[Level.FINE]} fine.", highlight=False
    )
    return not counts[Level.BROKEN]


def _packages() -> Iterator[Finding]:
    wrong = []
    for line in requires("customer-pulse") or []:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            wrong.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            wrong.append(f"{wanted.name} is {found}, wanted is {wanted.specifier}")
    if wrong:
        yield Finding(
            Level.BROKEN,
            "; ".join(wrong),
            "packages",
            "Nothing is tested with these versions; dbt's events and Dagster's history may not be understood.",
            "Run `make env`.",
        )
    else:
        yield Finding(Level.FINE, "dagster, dbt and the others have the versions that are asked for", "packages")


def _permissions(settings: Settings) -> Iterator[Finding]:
    if not settings.home.is_dir():
        yield Finding(Level.BROKEN, "does not exist", str(settings.home), "", "`pulse run` makes it.")
        return
    folders = [settings.home, *(path for path in settings.home.iterdir() if path.is_dir())]
    files = [path for path in settings.home.iterdir() if path.is_file()]
    shut = [path for path in folders if not os.access(path, os.R_OK | os.W_OK | os.X_OK)]
    # The published file is replaced, never written to.
    shut += [path for path in files if not os.access(path, os.R_OK | (0 if path == settings.published else os.W_OK))]
    for path in shut:
        yield Finding(
            Level.BROKEN,
            "may not be read and written by this user",
            str(path),
            "A refresh will fail there; what is published stays.",
            f"Give this user (uid {os.geteuid()}) the right, for example with chmod or chown.",
        )
    if not shut:
        yield Finding(Level.FINE, "can be read and written", str(settings.home))


def _space(settings: Settings) -> Iterator[Finding]:
    if not settings.home.is_dir():
        return
    free, wanted = shutil.disk_usage(settings.home).free, space_wanted(settings)
    what = f"{free / _MIB:,.0f} MiB of the disk are free, a refresh may need {wanted / _MIB:,.0f}"
    if free < wanted:
        yield Finding(
            Level.WARNING,
            what,
            str(settings.home),
            "A refresh may fail for want of space; what is published stays.",
            "Make room, or keep fewer versions (PULSE_KEEP_VERSIONS).",
        )
    else:
        yield Finding(Level.FINE, what, str(settings.home))


def _spark(settings: Settings) -> Iterator[Finding]:
    if settings.target != "spark":
        return
    try:
        require_server(settings)
    except SparkUnavailableError as error:
        what, _, remedy = str(error).partition(": ")
        yield Finding(Level.BROKEN, what, settings.spark_url, "Nothing can be built; what is published stays.", remedy)
    else:
        yield Finding(Level.FINE, "a Spark Connect server answers", settings.spark_url)


def _files(settings: Settings) -> Iterator[Finding]:
    if is_synthetic(settings):
        yield Finding(Level.FINE, "the synthetic business is read; there are no files", str(settings.landing))
        return
    path = settings.landing if settings.source == "auto" else Path(settings.source)
    try:
        plans, mistakes = open_files(path, settings.quarantine).plans()
    except SourceError as error:
        plans, mistakes = [], [(str(path), error)]
    for name, mistake in mistakes:
        yield Finding(
            Level.BROKEN,
            str(mistake),
            name,
            "The next refresh fails; what is published stays.",
            "Mend the file or take it out of the folder; `pulse sources check` shows how files are read.",
        )
    if plans:
        yield Finding(Level.FINE, f"{len(plans)} file{'' if len(plans) == 1 else 's'} can be told and read", str(path))
    aside = [known for known in RawFolder(settings.raw).remembered().files.values() if known.set_aside]
    for known in aside:
        yield Finding(
            Level.WARNING,
            f"is set aside: {known.set_aside}",
            known.name,
            "None of its rows are counted.",
            "Mend it and put it in again; a file with other content is read as a new one.",
        )


def _raw(settings: Settings) -> Iterator[Finding]:
    folder = RawFolder(settings.raw)
    if not folder.exists():
        yield Finding(Level.WARNING, "there is no raw data yet", str(settings.raw), "", "`pulse run` reads the source.")
        return
    damage = folder.damage()
    for line in damage:
        where, _, what = line.partition(" ")
        yield Finding(
            Level.BROKEN,
            what,
            where,
            "Its rows cannot be trusted; what is published stays.",
            "`pulse run` reads the source again; where files are gone, put them back or `pulse restore` a backup.",
        )
    try:
        rows = sum(folder.row_count(contract) for contract in CONTRACTS)
        as_of, refresh = folder.clock()
    except (duckdb.Error, OSError, pa.ArrowException) as error:
        yield Finding(Level.BROKEN, str(error).splitlines()[0], str(settings.raw), "It cannot be built from.", _RUN)
        return
    if not damage:
        yield Finding(
            Level.FINE, f"{rows:,} rows as they were written by refresh {refresh}, as of {as_of}", str(settings.raw)
        )
    strangers = [path for contract in CONTRACTS for path in folder.strangers(contract)]
    for path in strangers:
        yield Finding(
            Level.WARNING,
            "was written by no refresh",
            str(path),
            "Its rows are counted with the others.",
            "Move it away unless you know why it is there.",
        )


def _warehouse(settings: Settings) -> Iterator[Finding]:
    for path, part in ((settings.warehouse, "the tables to be published"), (settings.work, "what is staged")):
        if not path.exists():
            if settings.raw.exists():
                yield Finding(Level.WARNING, "is not there", str(path), "", _RUN)
            continue
        try:
            trouble = trouble_with_duckdb(path, settings.build_memory)
        except InUseError as error:
            yield Finding(
                Level.WARNING,
                str(error),
                str(path),
                "A refresh cannot write to it meanwhile.",
                f"Close that program; to query, open {settings.published} instead.",
            )
            continue
        if trouble:
            yield Finding(
                Level.BROKEN,
                f"cannot be read: {trouble}",
                str(path),
                "Nothing can be built; what is published stays.",
                "`pulse run` builds it anew from raw.",
            )
        else:
            yield Finding(Level.FINE, f"{part} can be read from end to end", str(path))


def _published(settings: Settings) -> Iterator[Finding]:
    if not settings.published.exists():
        yield Finding(Level.WARNING, "nothing is published yet", str(settings.published), "", "`pulse run` does.")
        return
    try:
        trouble = trouble_with_duckdb(settings.published, settings.build_memory)
    except InUseError as error:
        yield Finding(
            Level.BROKEN,
            str(error),
            str(settings.published),
            "Readers are kept out as long as it is open for writing.",
            "Close that program, or open the file read-only.",
        )
        return
    if trouble:
        yield Finding(
            Level.BROKEN,
            f"cannot be read: {trouble}",
            str(settings.published),
            "Readers meet an error.",
            "`pulse rollback` puts the version before back at once; `pulse run` publishes a new one.",
        )
        return
    refresh = published_refresh(settings)
    yield Finding(Level.FINE, f"can be read from end to end; readers see refresh {refresh}", str(settings.published))
    if not (settings.reports / "index.html").exists():
        yield Finding(Level.WARNING, "there are no pages", str(settings.reports), "", _RUN)


def _versions(settings: Settings) -> Iterator[Finding]:
    versions = kept_versions(settings)
    for version_kept in versions:
        if damage := version_kept.damage():
            yield Finding(
                Level.WARNING,
                damage,
                str(version_kept.folder),
                f"Refresh {version_kept.refresh} cannot be put back.",
                "Nothing has to be done: it goes with the refreshes to come.",
            )
    if versions:
        kept = ", ".join(str(version_kept.refresh) for version_kept in versions)
        yield Finding(Level.FINE, f"kept for `pulse rollback`: refresh {kept}", str(settings.versions))


def _champions(settings: Settings) -> Iterator[Finding]:
    files = sorted(settings.models.glob("*.skops")) if settings.models.is_dir() else []
    whole = 0
    for file in files:
        # Only champions are used again by later refreshes.
        is_champion = file.stem.startswith("churn_")
        if (trouble := _trouble_with_model(file, is_champion=is_champion)) is None:
            whole += 1
        elif is_champion:
            yield Finding(
                Level.WARNING,
                trouble,
                str(file),
                "It is passed over, and a model is trained in its place: scores may change.",
                "`pulse run` trains it; `pulse restore` brings back the one of a backup.",
            )
        else:
            yield Finding(Level.WARNING, trouble, str(file), "It cannot be looked at; no refresh reads it.", _RUN)
    if whole:
        yield Finding(Level.FINE, f"{whole} model{'' if whole == 1 else 's'} can be read", str(settings.models))


def _trouble_with_model(file: Path, *, is_champion: bool) -> str | None:
    try:
        if is_champion:
            load_artefact(file.parent, file.stem)
            return None
        with ZipFile(file) as archive:
            damaged = archive.testzip()
    except (ArtefactError, BadZipFile) as error:
        return str(error)
    return f"{damaged} in it is damaged" if damaged else None


def _history(settings: Settings) -> Iterator[Finding]:
    found = False
    for folder, databases in HISTORY.items():
        runs = sorted((settings.dagster_home / folder / "runs").glob("*.db")) if folder == "history" else []
        others = [path for path in runs if path.name != "index.db"]
        for path in [*(settings.dagster_home / folder / name for name in databases), *others]:
            trouble = trouble_with_sqlite(path)
            found = found or path.exists()
            if trouble and path in others:
                yield Finding(
                    Level.WARNING, trouble, str(path), "The events of one old run cannot be shown.", "Remove the file."
                )
            elif trouble:
                yield Finding(
                    Level.BROKEN,
                    trouble,
                    str(path),
                    "Dagster cannot start.",
                    "`pulse run` or `pulse ui` lays it aside and begins a new history; no data is in it.",
                )
    if found:
        yield Finding(Level.FINE, "Dagster's history of runs has been looked through", str(settings.dagster_home))


def _record(settings: Settings) -> Iterator[Finding]:
    """What the record says of the last refresh, against what readers see."""
    if not settings.warehouse.exists():
        return
    try:
        with looked_at(settings.warehouse) as connection:
            rows = connection.execute(
                "select refresh, status from file.meta.refreshes order by refresh desc limit 1"
            ).fetchall()
    except duckdb.Error:
        # Said of the warehouse already, or nothing has been noted yet.
        return
    for refresh, status in rows:
        where = f"refresh {refresh}"
        if status == "running":
            yield Finding(
                Level.WARNING,
                "began and did not end, though no process is at it",
                where,
                "It was killed, or only its raw stage was asked for. Readers see the refresh before it.",
                "`pulse run` notes it as failed and goes on.",
            )
        elif status == "failed":
            yield Finding(
                Level.WARNING,
                "failed",
                where,
                f"Readers see refresh {published_refresh(settings)}.",
                "Its message stands in Dagster's history (`pulse ui`); mend what it names and run again.",
            )
        elif status == "published" and published_refresh(settings) != refresh:
            yield Finding(
                Level.WARNING,
                f"is noted as published, readers see {published_refresh(settings)}",
                where,
                "The process died between the two, or the published file was replaced by hand.",
                _RUN,
            )


def _leftovers(settings: Settings) -> Iterator[Finding]:
    for path in leftovers(settings):
        yield Finding(Level.WARNING, "was left by a step that did not end", str(path), "It takes up space.", _RUN)
