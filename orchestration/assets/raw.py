"""Raw assets: what the source delivers, merged into Parquet, and the clock that everything downstream goes by.

One step for all of them, because they share a source, a refresh number and a day.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import date, timedelta

import dagster as dg
import duckdb

from orchestration.landing import Landing, look, remember
from orchestration.modes import pii_salt
from orchestration.preview import markdown_table, preview_markdown
from orchestration.published import quoted
from orchestration.recovery import mend_home
from orchestration.resources import InUseError, RawStore, Warehouse
from orchestration.retention import tidy
from orchestration.settings import Settings
from orchestration.sources import is_synthetic, open_source, synthetic_start
from sources.contracts import BY_NAME, CARRIES_CUSTOMERS, CONTRACTS, Contract
from sources.delivery import Changes, Delivery, KnownFile, Outcome, Request, Source, SourceError
from sources.reading import BAD_ROWS, BAD_SHARE
from sources.store import RAW_FORMAT, RawFolder, RawState

CLOCK = dg.AssetKey(["pulse", "clock"])


def build_raw_assets(settings: Settings) -> dg.AssetsDefinition:
    """The raw tables and the clock as one multi-asset."""

    @dg.multi_asset(name="raw_tables", specs=[*map(_spec, CONTRACTS), _clock_spec()])
    def raw_tables(
        context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult]:
        try:
            # First of all: what comes after opens the warehouse.
            mend_home(settings, warehouse, context.log.warning)
            tidy(settings, context.instance, warehouse, context.log.warning)
            # Whoever starts a run looks at the files first; schedule and sensor leave alone what is being written.
            attended = not {"dagster/schedule_name", "dagster/sensor_name"} & context.run.tags.keys()
            yield from refresh_raw(context.log.warning, settings, raw.folder, warehouse, attended=attended)
        except (SourceError, InUseError) as error:
            raise dg.Failure(description=str(error), allow_retries=False) from error

    return raw_tables


def refresh_raw(
    say: Callable[[str], None],
    settings: Settings,
    folder: RawFolder,
    warehouse: Warehouse,
    *,
    attended: bool = True,
) -> Iterator[dg.MaterializeResult]:
    """Read the source and bring the raw tables up to date.

    Args:
        say: Takes what the user should know though nothing failed.
        settings: The settings.
        folder: The raw folder.
        warehouse: Keeps the record of the refresh.
        attended: Whether somebody started it, who wants every file read; else those still growing are left.

    Yields:
        One result a table, the clock last.

    Raises:
        SourceError: The source cannot be read, a file was set aside, or nothing in it carries customers.
        InUseError: Another program has the warehouse open.
    """
    received_on = settings.today()
    _refuse_tomorrow(settings, received_on)
    folder.recover()
    state = folder.remembered()
    opened = _open(say, settings, folder, state, attended=attended)
    source = opened.source
    is_other_pii = folder.exists() and folder.pii() != settings.pii
    if is_other_pii:
        say(f"PULSE_PII is now {settings.pii}: the warehouse is built anew, so that nothing of before stays in it.")
    refresh = max(state.batch, warehouse.last_refresh()) + 1
    warehouse.begin_refresh(refresh, source.title)

    outcomes: list[Outcome] = []
    refused: list[Delivery] = []
    with folder.replacing() if opened.anew or opened.reread else nullcontext():
        files = dict(folder.state().files)
        delivered_to = folder.state().delivered_to
        request = Request(
            received_on,
            settings.as_of,
            settings.timezone,
            folder.state().files,
            refresh,
            settings.memory,
            delivered_to=date.fromisoformat(delivered_to) if delivered_to else None,
            first_read=_batches(state) if opened.reread else {},
        )
        for contract in CONTRACTS:
            deliveries = source.deliver(contract, folder.incoming(contract), request)
            _refuse_currencies([*files.values(), *deliveries])
            merged = folder.merge(contract, deliveries, refresh)
            files |= _read_now(deliveries, files, request)
            refused += [delivery for delivery in deliveries if delivery.newly_set_aside]
            for message in _remarks(deliveries, shows_rows=settings.pii == "keep"):
                say(message)
            outcomes += merged
            if merged:
                warehouse.note_refresh(refresh, None, [asdict(outcome) for outcome in outcomes])
            yield _result(contract, folder, merged, deliveries, settings)
        read_before = _but(folder.state().files, opened.landing.growing)
        for message in (*_no_longer_in_files(outcomes, files, read_before), *_strangers(folder)):
            say(message)
        folder.clear_incoming()
        as_of = None if refused else _as_of(settings, folder, received_on, source)
        # Identity and files are kept with the rows: a refresh that fails later must not read or rebuild again.
        began_on = opened.starts_on.isoformat() if is_synthetic(settings) else None
        delivered_to = max(filter(None, (delivered_to, opened.last_day.isoformat()))) if began_on else None
        folder.save(RawState(opened.identity, refresh, began_on, files, delivered_to))
        remember(folder.path, opened.landing.complete)

    if opened.is_other or is_other_pii:
        warehouse.reset()
        warehouse.begin_refresh(refresh, source.title)
    warehouse.note_refresh(refresh, as_of, [asdict(outcome) for outcome in outcomes])
    if as_of is None:
        raise SourceError(_set_aside(refused))
    folder.write_clock(as_of, received_on, refresh, settings.pii, pii_salt(settings.home, settings.pii))
    yield dg.MaterializeResult(
        asset_key=CLOCK,
        metadata={
            "as_of": as_of.isoformat(),
            "received_on": received_on.isoformat(),
            "refresh": refresh,
            "source": source.title,
            "dagster/row_count": 1,
        },
    )


@dataclass(frozen=True)
class _Opened:
    """A source that is about to be read.

    Args:
        source: The source.
        landing: Its files, where it is made of files, and which of them are left alone.
        starts_on: First day of the synthetic business, where that is the source.
        last_day: The last day wanted.
        identity: Names the source and how it is read.
        is_other: Whether the home held another one until now.
        anew: Whether raw is filled anew because that was asked for, or because the source is another one.
        reread: Whether raw is filled anew from the same files, because something in it is not as it should be.
    """

    source: Source
    landing: Landing
    starts_on: date
    last_day: date
    identity: str
    is_other: bool
    anew: bool
    reread: bool


def _open(
    say: Callable[[str], None], settings: Settings, folder: RawFolder, state: RawState, *, attended: bool
) -> _Opened:
    """Open the source, and decide how much of it is read."""
    last_day = settings.as_of or settings.today() - timedelta(days=1)
    starts_on = synthetic_start(state.began_on, last_day)
    landing = look(settings).as_read(attended=attended)
    source = open_source(settings, starts_on, folder.memory, landing.left)
    identity = _identity(source, settings)
    is_other = state.identity is not None and _wherever_home_is(state.identity, settings) != identity
    if is_other:
        say(f"The source or how it is read has changed: this home is rebuilt from {source.title}.")
    anew = is_other or settings.full_refresh
    changes = source.changes(_but(state.files, landing.growing))
    reread = not anew and _must_read_again(say, changes, folder.damage(), source.title)
    if landing.growing and (anew or reread):
        # What is filled anew would lose what was read of them before.
        landing = landing.as_read(attended=True)
        source = open_source(settings, starts_on, folder.memory)
    elif landing.growing:
        say(f"Still being written and left to a later refresh: {', '.join(sorted(landing.growing))}.")
    return _Opened(source, landing, starts_on, last_day, identity, is_other, anew, reread)


def _batches(state: RawState) -> dict[str, int]:
    """The refresh that read each file first, by content hash."""
    return {content_hash: known.batch for content_hash, known in state.files.items()}


def _refuse_tomorrow(settings: Settings, received_on: date) -> None:
    """Refuse a day that has not come: everybody would seem to have left.

    Raises:
        SourceError: as_of lies after the day of receipt.
    """
    if settings.as_of is not None and settings.as_of > received_on + timedelta(days=1):
        raise SourceError(
            f"as of {settings.as_of} nothing is known yet: today is {received_on} ({settings.timezone}). Give an "
            "earlier --as-of (PULSE_AS_OF), or none for the day of the latest event."
        )


def _identity(source: Source, settings: Settings) -> str:
    """Whatever raw rows go by besides the files; another one means other rows."""
    # Zoned times are stored as local ones, so another zone means other rows.
    zone = "" if is_synthetic(settings) else f", times in {settings.timezone}"
    return _wherever_home_is(f"{source.identity}{zone}, format {RAW_FORMAT}", settings)


def _wherever_home_is(identity: str, settings: Settings) -> str:
    """A source's identity without the place of the home, so that a home can be moved and is still the same."""
    return identity.replace(f"{settings.landing}", "landing")


def _must_read_again(say: Callable[[str], None], changes: Changes, damage: Sequence[str], title: str) -> bool:
    """Whether raw has to be filled from the source once more.

    Args:
        say: Is told why.
        changes: What has become of the files that it was filled from.
        damage: What is wrong with its own files.
        title: The source in a few words.

    Raises:
        SourceError: It is damaged, and files are gone that the rows could be read from.
    """
    if damage:
        listed = "\n  ".join(damage)
        if changes.gone:
            raise SourceError(
                f"Raw data is damaged:\n  {listed}\nIt can be read again from the source, but not all of it: "
                f"{', '.join(changes.gone)} cannot be found any more, or has changed. Put the files back, or bring "
                "back a backup (`pulse restore`), and run again; `pulse run --full-refresh` goes on without their rows."
            )
        say(f"Raw data is damaged and is filled again from {title}:\n  {listed}")
    # Where files are gone, their rows would go with them; what is no longer in the files is said at the end.
    is_cut_short = bool(changes.cut_short) and not changes.gone
    if is_cut_short:
        names = ", ".join(changes.cut_short)
        say(f"{names}: was read before it was written to the end. All files are read again.")
    return bool(damage) or is_cut_short


def _set_aside(refused: Sequence[Delivery]) -> str:
    """Why a refresh with these files fails."""
    told = [f"{delivery.name} was set aside: {delivery.set_aside}" for delivery in refused]
    return (
        "\n".join(told)
        + f"\nThat is done when more than {BAD_SHARE:.0%} of a file's rows, and at least {BAD_ROWS}, are "
        "bad. Mend the file, or say in sources.yml how it is to be read; `pulse sources check` shows more of them."
    )


def _refuse_currencies(files: Iterable[KnownFile | Delivery]) -> None:
    """Refuse files whose amounts cannot be added up.

    Raises:
        SourceError: They are in more than one currency.
    """
    first: dict[str, str] = {}
    for file in files:
        if file.currency is not None and file.set_aside is None:
            first.setdefault(file.currency, file.name)
    if len(first) > 1:
        (one, name), (two, other) = list(first.items())[:2]
        raise SourceError(
            f"{name} is in {one}, {other} in {two}: amounts in more than one currency cannot be added up. Convert one "
            "of them, or keep them apart: a home (--home) holds one currency."
        )


def _as_of(settings: Settings, folder: RawFolder, received_on: date, source: Source) -> date:
    """The day to compute for.

    Raises:
        SourceError: There are no sales and no activity, or none by the day that was set.
    """
    rows = {name: folder.row_count(BY_NAME[name]) for name in CARRIES_CUSTOMERS}
    if not any(rows.values()):
        raise SourceError(
            f"{source.title} holds no sales and no activity. Needed is at least one row of shop.sales "
            f"({', '.join(BY_NAME['shop.sales'].required)}) or of usage.activity "
            f"({', '.join(BY_NAME['usage.activity'].required)})."
        )
    if settings.as_of is not None:
        first = min(filter(None, (folder.first_event(BY_NAME[name]) for name in CARRIES_CUSTOMERS)))
        if settings.as_of < first:
            raise SourceError(
                f"as of {settings.as_of} there is nothing yet: the first sale or activity of {source.title} is of "
                f"{first}. Give a later --as-of (PULSE_AS_OF), or none for the day of the latest event."
            )
        return settings.as_of
    if is_synthetic(settings):
        return received_on - timedelta(days=1)
    latest = folder.latest_event()
    if latest is None:
        raise SourceError(f"{source.title} holds no event with a date.")
    return latest


def _spec(contract: Contract) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=[contract.source, contract.table],
        description=contract.doc,
        group_name="raw",
        owners=["team:data-engineering"],
        kinds={"parquet"},
        metadata={
            "dagster/column_schema": dg.TableSchema(
                columns=[
                    dg.TableColumn(
                        column.name,
                        column.kind.sql_type,
                        column.doc,
                        constraints=dg.TableColumnConstraints(
                            nullable=not column.required or column.may_be_null, unique=column.name == contract.key
                        ),
                    )
                    for column in contract.columns
                ]
            )
        },
    )


def _clock_spec() -> dg.AssetSpec:
    return dg.AssetSpec(
        key=CLOCK,
        deps=[dg.AssetDep([contract.source, contract.table]) for contract in CONTRACTS],
        description="The day everything downstream is computed for, and the number of the refresh.",
        group_name="raw",
        owners=["team:data-engineering"],
        kinds={"parquet"},
    )


def _result(
    contract: Contract, folder: RawFolder, outcomes: list[Outcome], deliveries: list[Delivery], settings: Settings
) -> dg.MaterializeResult:
    with duckdb.connect() as connection:
        rows = f"from read_parquet({quoted(folder.glob(contract))})"
        frame = connection.execute(f"{rows} limit 5").df()
        ((row_count,),) = connection.execute(f"select count(*) {rows}").fetchall()
    totals = {
        word: sum(getattr(outcome, word) for outcome in outcomes)
        for word in ("rows", "inserted", "restated", "duplicate", "quarantined", "left_out")
    }
    more: dict[str, dg.MetadataValue] = {}
    if settings.pii == "keep":
        # Raw rows are as they came; Dagster's history is no place for what is to be hidden.
        more["preview"] = dg.MetadataValue.md(preview_markdown(frame))
    if totals["quarantined"]:
        more["quarantine"] = dg.MetadataValue.path(str(settings.quarantine / contract.source / contract.table))
    if lines := [line for delivery in deliveries for line in _how_read(delivery)]:
        more["how_read"] = dg.MetadataValue.md(
            markdown_table(("file", "its column", "read as", "because of", "how"), lines)
        )
    return dg.MaterializeResult(
        asset_key=[contract.source, contract.table],
        metadata={
            "dagster/row_count": row_count,
            "files": len(outcomes),
            **{f"rows_{word}" if word != "rows" else "rows_in": count for word, count in totals.items()},
            **more,
        },
    )


def _how_read(delivery: Delivery) -> Iterator[tuple[str, ...]]:
    """Rows of a table that says how a file's columns were read."""
    for column in delivery.columns:
        label = column.label if column.label is not None else f"(always {column.constant})"
        yield delivery.name, label, column.column or "not used", column.why, column.how


def _no_longer_in_files(
    outcomes: Sequence[Outcome], files: Mapping[str, KnownFile], before: Mapping[str, KnownFile]
) -> Iterator[str]:
    """Rows that raw still counts though the files they came from have changed or gone."""
    remedy = "They are still counted; `pulse run --full-refresh` reads the files as they are now."
    newest = {(known.name, known.table): known for known in before.values()}
    present = {(outcome.name, outcome.table): outcome for outcome in outcomes}
    new = {(known.name, known.table) for content_hash, known in files.items() if content_hash not in before}
    for place, known in newest.items():
        loaded = known.rows - known.quarantined if known.set_aside is None else 0
        outcome = present.get(place)
        if outcome is None and loaded:
            yield f"{known.name} is gone; its {loaded:,} rows are not. {remedy}"
        elif outcome is not None and place in new:
            kept = outcome.restated + outcome.duplicate
            if kept < loaded:
                yield f"{known.name} has changed; {loaded - kept:,} rows it held before are no longer in it. {remedy}"


def _read_now(deliveries: Sequence[Delivery], files: Mapping[str, KnownFile], request: Request) -> dict[str, KnownFile]:
    """The files behind deliveries that are not known yet, or were to be read again, by content hash."""
    read: dict[str, KnownFile] = {}
    for delivery in deliveries:
        before = files.get(delivery.content_hash or "")
        # Of two files with one content the first is remembered.
        if not delivery.content_hash or delivery.content_hash in read:
            continue
        if before is None or before.is_due(request.received_on):
            batch = before.batch if before else request.first_read.get(delivery.content_hash, request.batch)
            read[delivery.content_hash] = _known(delivery, batch, request.received_on)
    return read


def _known(delivery: Delivery, batch: int, received_on: date) -> KnownFile:
    """What is remembered of a file that was read; `batch` is the refresh that read it first."""
    return KnownFile(
        delivery.name,
        delivery.table,
        delivery.rows,
        delivery.quarantined,
        batch,
        delivery.set_aside,
        delivery.left_out,
        delivery.currency,
        delivery.size,
        delivery.due_on,
        (received_on + timedelta(days=1)).isoformat() if delivery.due_on else None,
        tuple(column.label for column in delivery.columns if column.label is not None),
    )


def _strangers(folder: RawFolder) -> Iterator[str]:
    """That sales and customers may not speak of the same people."""
    buyers, known = folder.buyers()
    if buyers and known == 0 and folder.row_count(BY_NAME["shop.customers"]):
        yield (
            f"None of the {buyers:,} customers with a sale is among shop.customers: do both files say who by the "
            "same id?"
        )


def _but(known: Mapping[str, KnownFile], left: Iterable[str]) -> dict[str, KnownFile]:
    """What was read of other files than those left alone now, and than what lies in them."""
    left = tuple(left)
    return {
        content_hash: file
        for content_hash, file in known.items()
        if not any(file.name == name or file.name.startswith(f"{name}/") for name in left)
    }


def _remarks(deliveries: Sequence[Delivery], *, shows_rows: bool) -> Iterator[str]:
    """What the user should know of deliveries though they did not fail the refresh."""
    yield from filter(None, (_remark(delivery, shows_rows=shows_rows) for delivery in deliveries))
    yield from (f"{delivery.name}: {note}" for delivery in deliveries for note in delivery.notes)


def _remark(delivery: Delivery, *, shows_rows: bool) -> str | None:
    """What the user should know of a delivery though it did not fail the refresh; with examples, if they may show."""
    if delivery.newly_set_aside:
        return None
    if delivery.set_aside:
        return f"{delivery.name} stays set aside: {delivery.set_aside}"
    if not delivery.quarantined or delivery.parquet is None:
        return None
    rows = f"{delivery.quarantined} of {delivery.rows} rows"
    return "\n    ".join([f"{delivery.name}: {rows} went to quarantine.", *(delivery.examples if shows_rows else ())])
