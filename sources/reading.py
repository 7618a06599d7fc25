"""One file into raw's form: its good rows typed, with keys, a file a month; its bad rows with what is wrong with them.

Rows stream: a file may be larger than memory. Which files there are and what they are read as has been decided in
`files`; how a text becomes a value is decided in `typing_sql`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from sources.delivery import ColumnRead, Delivery, Request, SourceError
from sources.file_rows import CURRENCY_COLUMNS, FileRows, Plan, file_version
from sources.inference import NUMBER_KINDS, Inferred, infer_styles
from sources.key_hashes import KeyOrder
from sources.mapping import DATE_KINDS
from sources.month_files import MONTH, MonthFiles, month_number, name_rows, number_repeats
from sources.quarantine import quarantine_file, write_bad_rows
from sources.recognition import Export, columns_of, derives_amount, filter_text, plain, setting_lines, yaml_text
from sources.sql import first_row, literal, quoted_name
from sources.typing_sql import Problem, Styles, problems, typed

BAD_SHARE, BAD_ROWS = 0.05, 5
"""A file is set aside when more than this share of its rows, and at least this many, are bad."""

_BATCH_ROWS = 122_880
_SAMPLE_ROWS = 20_000

_UNREADABLE = (duckdb.InvalidInputException, duckdb.IOException, duckdb.InternalException, pa.ArrowException, OSError)
"""What reading raises where a file is not what it was taken for."""

_LEFT_OUT, _NOT_WHOLE, _HEADER_AGAIN = -2, -1, -3


def read_file(plan: Plan, target: Path, quarantine: Path, request: Request, *, after: date | None = None) -> Delivery:
    """Read a file: good rows to Parquet, bad ones to quarantine.

    Args:
        plan: The file and how it is read.
        target: Folder for the good rows, made here; removed again when the file is set aside.
        quarantine: Folder of all tables' bad rows.
        request: Day, zone, number of the refresh and memory.
        after: Only rows of later days are wanted; the others were taken by an earlier refresh.

    Returns:
        The delivery; with too many bad rows the whole file is set aside.

    Raises:
        SourceError: Its dates or its amounts can be read in two ways, it is damaged, or it changed while it was read.
    """
    with _connection(plan.name, target, request.memory) as con:
        rows = FileRows(con, plan, request.timezone)
        found, styles, wrong = _read(rows, target, request, after)
        if found.some_amounts_derived:
            _refuse_order_totals(rows)
        currency = _one_currency(plan, found.currencies, styles, request.currency)
        if file_version(plan.origin) != plan.version:
            raise SourceError(f"{plan.name}: it changed while it was read. Refresh again once it is written.")
        bad = found.bad.num_rows
        examples: tuple[str, ...] = ()
        if bad:
            con.register("bad_lines", found.bad)
            relation = rows.originals("line in (select line from bad_lines)")
            examples = write_bad_rows(con, relation, plan, wrong, quarantine)
        else:
            # Of rows that lay in the future when it was read before.
            quarantine_file(quarantine, plan.contract.name, plan.name, plan.sha256).unlink(missing_ok=True)
        set_aside = None
        if bad >= BAD_ROWS and bad > BAD_SHARE * found.rows:
            set_aside = f"{bad:,} of {found.rows:,} rows are bad. First: {'; '.join(examples)}"
            shutil.rmtree(target)
        elif found.some_named:
            number_repeats(con, target, plan.contract)
    return Delivery(
        name=plan.name,
        table=plan.contract.name,
        content_hash=plan.sha256,
        rows=found.rows,
        quarantined=found.rows if set_aside else bad,
        parquet=None if set_aside else target,
        set_aside=set_aside,
        examples=examples,
        newly_set_aside=set_aside is not None,
        left_out=found.left_out,
        currency=currency,
        columns=_columns_read(plan, styles),
        notes=_notes(plan, rows, found),
        keys_rise=found.keys_rise,
        size=plan.size,
        due_on=(found.first_early - timedelta(days=1)).isoformat() if found.first_early else None,
        known_before=0 if set_aside else found.known_before,
    )


def _read(rows: FileRows, target: Path, request: Request, after: date | None) -> tuple[_Found, Styles, list[Problem]]:
    """Write the good rows, at first by how the first rows are written, and again when that does not do."""
    plan = rows.plan

    def judge(styles: Styles) -> list[Problem]:
        return problems(plan.contract, plan.feeds, styles, request.received_on)

    styles, is_settled = _infer(rows)
    rows.is_tidy = plan.layout is None or rows.is_quick
    if rows.is_tidy or not is_settled:
        found = _write_good_rows(rows, target, request, styles, judge(styles), after=after, may_give_up=True)
        if found is not None:
            return found, styles, judge(styles)
        rows.is_tidy = False
    if not is_settled:
        styles = _infer_from_all(rows)
    found = _write_good_rows(rows, target, request, styles, judge(styles), after=after)
    if found is None:
        raise RuntimeError(f"{plan.name}: was given up although nothing else can be tried")
    return found, styles, judge(styles)


@contextmanager
def _connection(name: str, target: Path, memory: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB in memory that goes to disk beside the target when it needs more than it may."""
    spill = target.with_name(f"{target.name}.spill")
    with duckdb.connect() as con:
        con.execute(f"set memory_limit = {literal(memory)}")
        con.execute(f"set temp_directory = {literal(str(spill))}")
        con.execute("set enable_progress_bar = false")
        # Zoned times in Parquet are turned into local ones explicitly; UTC is what their text says till then.
        con.execute("set TimeZone = 'UTC'")
        try:
            yield con
        except duckdb.OutOfMemoryException as error:
            raise SourceError(
                f"{name}: {memory} are too little to read it. Set PULSE_MEMORY to more, say 2GB."
            ) from error
        finally:
            shutil.rmtree(spill, ignore_errors=True)


def _infer(rows: FileRows) -> tuple[Styles, bool]:
    """How values are written, by the first rows where these say all, and whether no other row can change it."""
    con = rows.con
    try:
        con.execute(f"create temp table sample as select * from ({rows.fields()}) limit {_SAMPLE_ROWS}")
    except _UNREADABLE as error:
        _give_up_quick_way(rows, error)
        return _infer(rows)
    is_all = first_row(con, "select count(*) from sample")[0] < _SAMPLE_ROWS
    con.execute(f"delete from sample where not ({_COUNTED})")
    try:
        inferred = _styles(rows, "sample")
    except SourceError:
        if is_all:
            raise
    else:
        if is_all:
            return inferred.styles, True
        if inferred.is_settled:
            return inferred.styles, False
    return _infer_from_all(rows), True


_COUNTED = "_is_whole and _is_kept and not _is_header"


def _styles(rows: FileRows, relation: str) -> Inferred:
    plan = rows.plan
    layout = plan.layout
    # Programs write the numbers of JSON, Parquet and workbooks, and group no digits.
    by_hand = layout is not None and layout.delimiter != "json" and plan.sheet is None
    return infer_styles(
        rows.con,
        relation,
        plan.name,
        plan.contract,
        plan.feeds,
        native=rows.native,
        decimal=plan.entry.decimal if plan.entry else None,
        may_group=by_hand,
    )


def _infer_from_all(rows: FileRows) -> Styles:
    """How values are written, by all of them; see `inference.infer_styles` for what is refused."""
    plan, con = rows.plan, rows.con
    columns = [
        quoted_name(column.name)
        for column in columns_of(plan.contract, plan.feeds)
        if column.name in plan.feeds and column.name not in rows.native and column.kind in (*DATE_KINDS, *NUMBER_KINDS)
    ]
    con.execute(
        f"create or replace temp table everything as "
        f"select {', '.join(columns) or '_line'} from ({rows.fields()}) where {_COUNTED}"
    )
    styles = _styles(rows, "everything").styles
    con.execute("drop table everything")
    return styles


def _give_up_quick_way(rows: FileRows, error: Exception) -> None:
    """Read the file line by line from now on, because not every line of it is one whole row.

    Raises:
        SourceError: It was read otherwise, so that it must be damaged.
    """
    if not rows.is_quick:
        plan = rows.plan
        raise SourceError(f"{plan.name}: damaged or not what its name says ({error}). Export it again.") from error
    rows.is_quick = False


@dataclass(frozen=True)
class _Found:
    """What became of a file's rows.

    Args:
        rows: Good and bad ones.
        left_out: Rows that sources.yml leaves out.
        bad: Their `line` and the number of their first `problem`.
        currencies: Values of the currency column, with the line each was first seen in.
        states: Values of a column that says what became of an order and that nothing uses.
        some_amounts_derived: Beside given amounts there are derived ones.
        some_named: Some rows came without a key and were named after their values.
        keys_rise: As in the delivery.
        first_early: Earliest day of the rows that lie after the day of receipt.
        known_before: Good rows that were not wanted, because an earlier refresh has taken them.
    """

    rows: int
    left_out: int
    bad: pa.Table
    currencies: dict[str, int]
    states: frozenset[str]
    some_amounts_derived: bool
    some_named: bool
    keys_rise: bool
    first_early: date | None
    known_before: int


def _write_good_rows(
    rows: FileRows,
    target: Path,
    request: Request,
    styles: Styles,
    wrong: list[Problem],
    *,
    after: date | None,
    may_give_up: bool = False,
) -> _Found | None:
    """Write the good rows, and tell about the others; a file that is not one row a line is begun again.

    Args:
        rows: The file.
        target: Folder to write to; emptied first.
        request: What the refresh asks for.
        styles: How values are written.
        wrong: The problems by number.
        after: Only rows of later days are written.
        may_give_up: Stop at the first value that cannot be read as a date or a number.

    Returns:
        What became of the rows; None when it was given up.
    """
    query = _judged(rows, request, styles, wrong)
    reading = [number for number, problem in enumerate(wrong) if problem.is_reading] if may_give_up else []
    expected = rows.expected
    try:
        early = next((number for number, problem in enumerate(wrong) if problem.may_pass), None)
        seen, found = _stream(rows, target, query, stop_at=reading, early=early, after=after)
    except _UNREADABLE as error:
        _give_up_quick_way(rows, error)
    else:
        if found is None or expected in (None, seen):
            return found
        rows.is_quick = False
    return _write_good_rows(rows, target, request, styles, wrong, after=after, may_give_up=may_give_up)


def _stream(
    rows: FileRows, target: Path, query: str, *, stop_at: list[int], early: int | None, after: date | None
) -> tuple[int, _Found | None]:
    """One pass over the file.

    Args:
        rows: The file.
        target: Folder for its good rows.
        query: What gives its rows, judged.
        stop_at: Numbers of the problems at which to stop.
        early: Number of the problem of lying in the future.
        after: Only rows of later days are written.

    Returns:
        How many rows it gave, and what became of them; None when one of the problems to stop at was met.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    seen, good, left_out, is_mixed, some_named = 0, 0, 0, False, False
    bad: list[pa.Table] = []
    currencies: dict[str, int] = {}
    states: set[str] = set()
    first_early: datetime | None = None
    known_before = 0
    stops = pa.array(stop_at, pa.int64())
    contract = rows.plan.contract
    event_at = contract.event_at
    months, order = MonthFiles(target, contract), KeyOrder()
    try:
        for batch in rows.con.sql(query).to_arrow_reader(_BATCH_ROWS):
            seen += batch.num_rows
            table = pa.Table.from_batches([batch])
            problem = table.column("_problem")
            if problem.null_count < batch.num_rows:
                others = table.select(["_line", "_problem"]).filter(pc.is_valid(problem))
                if stop_at and pc.any(pc.is_in(others.column(1), value_set=stops)).as_py():
                    rows.con.abort()
                    return seen, None
                if early is not None:
                    found_early = pc.min(_times(table.filter(pc.equal(problem, early)), event_at)).as_py()
                    first_early = min(filter(None, (first_early, found_early)), default=None)
                left_out += pc.sum(pc.equal(others.column(1), _LEFT_OUT)).as_py() or 0
                bad.append(others.filter(pc.greater_equal(others.column(1), _NOT_WHOLE)))
                table = table.filter(pc.is_null(problem))
            good += table.num_rows
            is_mixed = is_mixed or bool(pc.any(table.column("_is_derived")).as_py())
            some_named = some_named or bool(pc.any(table.column("_is_named")).as_py())
            for currency in pc.unique(table.column("_currency")).to_pylist():
                if currency is not None and currency not in currencies:
                    at = pc.index(table.column("_currency"), currency).as_py()
                    currencies[currency] = table.column("_line")[at].as_py()
            if rows.status is not None and len(states) < _MOST_STATES:
                states |= {state for state in pc.unique(table.column("_status")).to_pylist() if state is not None}
            order.add(table.column(contract.key))
            if after is not None and event_at is not None:
                wanted = table.filter(pc.greater_equal(_times(table, event_at), _midnight_after(after)))
                known_before += table.num_rows - wanted.num_rows
                table = wanted
            months.write(table)
    finally:
        months.close()
    lines = (pa.concat_tables(bad) if bad else _NO_LINES).rename_columns(["line", "problem"])
    return seen, _Found(
        good + lines.num_rows,
        left_out,
        lines,
        currencies,
        frozenset(states),
        is_mixed,
        some_named,
        order.is_rising,
        first_early.date() if first_early is not None else None,
        known_before,
    )


def _times(table: pa.Table, event_at: str | None) -> pa.ChunkedArray:
    """When rows happened, days as their first moment."""
    return table.column(event_at).cast(pa.timestamp("us"))


def _midnight_after(day: date) -> pa.Scalar:
    return pa.scalar(datetime.combine(day + timedelta(days=1), time()), pa.timestamp("us"))


_NO_LINES = pa.table({"line": pa.array([], pa.int64()), "problem": pa.array([], pa.int64())})


def _judged(rows: FileRows, request: Request, styles: Styles, wrong: list[Problem]) -> str:
    """SQL for all rows as raw keeps them, with `_problem`: the number of the first one, or why it is no row."""
    plan = rows.plan
    contract, fed = plan.contract, plan.feeds
    columns = columns_of(contract, fed)
    texts = "".join(f", {quoted_name(name)} as {quoted_name('$' + name)}" for name in fed)
    values = "".join(
        f", {typed(c, fed[c.name], styles, request.timezone) if c.name in fed else f'cast(null as {c.kind.sql_type})'} "
        f"as {quoted_name(c.name)}"
        for c in columns
    )
    derived, is_derived, scaled = "", "false", ""
    if derives_amount(contract, fed):
        scaled = _SCALED if {"order_amount", "order_id"} <= set(fed) and "amount" not in fed else ""
        is_empty = '"$amount" is null' if "amount" in fed else "true"
        money_off = "discount_amount" if "discount_amount" in fed else None
        rate = "discount_rate" if money_off is None else _rate_of_money_off("discount_rate" in fed)
        derived = (
            f" replace (case when {is_empty} then {_derived_amount(money_off)} else amount end as amount, "
            f"{rate} as discount_rate)"
        )
        if {"amount", "order_id"} <= set(fed) and not fed["amount"].said:
            is_derived = '"$amount" is null and amount is not null'
    cases = "".join(f" when {problem.condition} then {number}" for number, problem in enumerate(wrong))
    key = quoted_name(contract.key)
    is_named = f"{key} is null" if not contract.column(contract.key).required else "false"
    listed = [
        f"coalesce({key}, {name_rows(contract)}) as {key}"
        if name == contract.key and not contract.column(name).required
        else quoted_name(name)
        for name in contract.column_names
    ]
    return f"""
        with valued as (
            select _line, _is_whole, _is_kept, _is_header, _currency, _status{texts}{values} from ({rows.fields()})
        ),
        finished as (select *{derived} from valued){scaled}
        select {", ".join(listed)}, {request.batch}::bigint as _batch, {literal(plan.name)} as _file, _line,
            {month_number(contract)} as {MONTH}, _currency, _status,
            {is_derived} as _is_derived, {is_named} as _is_named,
            case when _is_header then {_HEADER_AGAIN} when not _is_whole then {_NOT_WHOLE}
                when not _is_kept then {_LEFT_OUT}{cases} end::bigint as _problem
        from {"scaled" if scaled else "finished"}
        """


# What was taken off an order as a whole is spread over its lines by what they would have cost.
_SCALED = """,
        scaled as (
            select * replace (
                case when order_amount is null then amount
                    else try_cast(cast(amount as double) * cast(order_amount as double)
                        / nullif(cast(sum(amount) over (partition by order_id) as double), 0) as decimal(18, 4))
                end as amount
            )
            from finished order by _line
        )"""


def _derived_amount(money_off: str | None) -> str:
    """SQL for a line's amount from quantity and price: exact, unless a rate makes it a fraction."""
    full = "quantity * unit_price"
    if money_off is not None:
        return f"try_cast({full} - coalesce({money_off}, 0) as decimal(18, 4))"
    return f"""
        case when coalesce(discount_rate, 0) = 0 then try_cast({full} as decimal(18, 4))
            else try_cast(cast(quantity as double) * cast(unit_price as double) * (1 - discount_rate) as decimal(18, 4))
        end"""


def _rate_of_money_off(rate_is_given: bool) -> str:
    rate = "cast(discount_amount as double) / nullif(cast(quantity as double) * cast(unit_price as double), 0)"
    return f"coalesce(discount_rate, {rate})" if rate_is_given else rate


def _refuse_order_totals(rows: FileRows) -> None:
    """Refuse an amount recognised by its name that one order has on some lines only: it may be the order's total.

    Raises:
        SourceError: There is such an order, and the lines without an amount would get a derived one.
    """
    plan, con = rows.plan, rows.con
    fed = plan.feeds
    found = con.execute(
        f"""
        select order_id from ({rows.fields()}) where {_COUNTED} and order_id is not null group by order_id
        having count(amount) > 0 and bool_or(amount is null and quantity is not null and unit_price is not null)
        order by min(_line) limit 1
        """
    ).fetchall()
    if not found:
        return
    amount, quantity, price, order = (fed[name] for name in ("amount", "quantity", "unit_price", "order_id"))
    factors = {
        name: yaml_text(feed.label) if feed.constant is None else f"{{constant: {yaml_text(feed.constant)}}}"
        for name, feed in (("quantity", quantity), ("unit_price", price))
    }
    raise SourceError(
        f"{plan.name}: column {amount.label!r} ({plan.contract.name}.amount) is given on some lines of an order and "
        f"empty on others, as where {order.label!r} is {found[0][0]!r}. If it is the order's total, it must not be "
        f"mixed with the lines' own {quantity.label!r} x {price.label!r}.\n"
        "  Say in sources.yml that every line's amount is quantity x unit_price:\n"
        f"{setting_lines(plan.name, plan.contract, factors)}\n"
        "    or, if it is what was paid for the line alone (quantity x unit_price then fills the empty ones):\n"
        f"{setting_lines(plan.name, plan.contract, {'amount': yaml_text(amount.label)})}"
    )


_UNDONE = ("cancel", "void", "storn", "annul", "refund", "failed", "declined", "erstattet", "rembours")
_MOST_STATES = 50


def _notes(plan: Plan, rows: FileRows, found: _Found) -> tuple[str, ...]:
    """What the reader should know of a file though it was read."""
    notes = [plan.entry.note] if isinstance(plan.entry, Export) and plan.entry.note else []
    undone = sorted(state for state in found.states if any(word in state.casefold() for word in _UNDONE))
    if rows.status is not None and undone:
        label = plan.header[rows.status]
        listed = ", ".join(map(yaml_text, undone))
        notes.append(
            f"Rows whose {label!r} is {' or '.join(map(repr, undone))} count as sales. If they should not, add to this "
            f"file's entry in sources.yml: where_not: {{{yaml_text(label)}: [{listed}]}}"
        )
    return tuple(notes)


_MARKS = {"€": "EUR", "£": "GBP", "₹": "INR"}


def _one_currency(plan: Plan, column: dict[str, int], styles: Styles, wanted: str | None) -> str | None:
    """The currency of a file's amounts, by its currency column or by what stands beside its amounts.

    Raises:
        SourceError: There are several, or another one than sources.yml says.
    """
    mark = styles.numbers.currency
    # The first line counts of a currency that is written in several ways.
    found = {name.upper(): line for name, line in reversed(column.items())}
    if not found and mark:
        found = {_MARKS.get(mark, mark): 0}
    label = next((label for label in plan.header if plain(label) in CURRENCY_COLUMNS), "<column of the file>")
    if len(found) > 1:
        (one, first), (two, second) = sorted(found.items(), key=lambda item: item[1])[:2]
        keep = next(name for name in column if name.upper() == one)
        raise SourceError(
            f"{plan.name}: {one} in line {first}, {two} in line {second}: amounts in more than one currency cannot be "
            "added up.\n  Convert them, or say in sources.yml which rows count:\n"
            + setting_lines(plan.name, plan.contract, {}, more={"where": filter_text(label, keep)})
        )
    currency = next(iter(found), None)
    if currency is not None and wanted is not None and currency not in (wanted, "$", "¥"):
        raise SourceError(
            f"{plan.name}: its amounts are in {currency}, but sources.yml says currency: {wanted}. Convert them, or "
            "take the file out."
        )
    return currency


def _columns_read(plan: Plan, styles: Styles) -> tuple[ColumnRead, ...]:
    """How each column of the file was read, in the file's order; constants and columns not used come last."""
    kinds = {column.name: column.kind for column in columns_of(plan.contract, plan.feeds)}
    read = []
    for name, feed in plan.feeds.items():
        notes = []
        if name in styles.dates and feed.constant is None:
            style = styles.dates[name]
            notes.append(f"as {style.format}" if style.format else style.order or "")
        if name in styles.native:
            notes.append("Parquet's own type")
        elif kinds[name] in NUMBER_KINDS and styles.numbers.decimal_comma and feed.constant is None:
            notes.append("decimal comma")
        notes += [
            note
            for note in (feed.unit, feed.sign and f"sign {feed.sign}", feed.zone and f"times in {feed.zone}")
            if note
        ]
        label = None if feed.constant is not None else feed.label
        read.append((feed.index, ColumnRead(label, name, feed.why, ", ".join(notes), feed.constant)))
    used = {index for feed in plan.feeds.values() for index in (feed.index, *feed.joined)}
    read += [(index, ColumnRead(label, None, "", "")) for index, label in enumerate(plan.header) if index not in used]
    return tuple(
        one for _, one in sorted(read, key=lambda item: (item[1].column is None, item[0] is None, item[0] or 0))
    )
