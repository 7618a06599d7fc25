"""One file into Parquet: its good rows, with keys, and its bad rows with what is wrong with them.

Which files there are and what they are read as has been decided in `files`; how a text becomes a value is decided in
`typing_sql`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from sources.contracts import Contract
from sources.delivery import Delivery, Request, SourceError
from sources.recognition import Feeds, derives_amount, setting_lines, yaml_text
from sources.text_files import SPACE, Layout, fields_query, records
from sources.typing_sql import Problem, infer_styles, literal, problems, quoted_name, typed

BAD_SHARE, BAD_ROWS = 0.05, 5
"""A file is set aside when more than this share of its rows, and at least this many, are bad."""

_EXAMPLES = 3


@dataclass(frozen=True)
class Plan:
    """A file together with how it is read.

    Args:
        path: Where it lies.
        name: As the user knows it.
        contract: The table it is read as.
        header: Its column names.
        layout: How its text is laid out; None for Parquet.
        feeds: Where the contract's columns come from.
        sha256: Hash of its bytes, of its table and of its mapping.
        version: Its time of change (ns) and size (bytes) when it was hashed.
    """

    path: Path
    name: str
    contract: Contract
    header: tuple[str, ...]
    layout: Layout | None
    feeds: Feeds
    sha256: str
    version: tuple[int, int]


def file_version(path: Path) -> tuple[int, int]:
    """A file's time of last change (ns) and size (bytes): other figures mean another content."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def read_file(plan: Plan, target: Path, quarantine: Path, request: Request) -> Delivery:
    """Read a file: good rows to Parquet, bad ones to quarantine.

    Args:
        plan: The file and how it is read.
        target: Parquet file for the good rows; not written when the file is set aside.
        quarantine: Folder of all tables' bad rows.
        request: Day and zone.

    Returns:
        The delivery; with too many bad rows the whole file is set aside.

    Raises:
        SourceError: Its dates or its amounts can be read in two ways, it is damaged, or it changed while it was read.
    """
    with tempfile.TemporaryDirectory(prefix="pulse-") as spill, duckdb.connect() as con:
        con.execute(f"set temp_directory = {literal(spill)}")
        # Zoned times in Parquet are turned into text on the way, and UTC is what their text then says.
        con.execute("set TimeZone = 'UTC'")
        _load_fields(con, plan)
        if file_version(plan.path) != plan.version:
            raise SourceError(f"{plan.name}: it changed while it was read. Refresh again once it is written.")
        wrong = _judge(con, plan, request)
        row = con.execute("select count(*), count(_problem) from judged").fetchone()
        rows, bad = row if row else (0, 0)
        examples = _write_bad_rows(con, plan, wrong, quarantine) if bad else ()
        set_aside = None
        if bad >= BAD_ROWS and bad > BAD_SHARE * rows:
            set_aside = f"{bad:,} of {rows:,} rows are bad. First: {'; '.join(examples)}"
        else:
            _write_good_rows(con, plan.contract, target)
    return Delivery(
        name=plan.name,
        table=plan.contract.name,
        content_hash=plan.sha256,
        rows=rows,
        quarantined=rows if set_aside else bad,
        parquet=None if set_aside else target,
        set_aside=set_aside,
        examples=examples,
        newly_set_aside=set_aside is not None,
    )


def _load_fields(con: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Make the table `fields` (the text of each fed column, null where empty) and the view `originals`."""
    fed = plan.feeds
    positions = {column: feed.index for column, feed in fed.items() if feed.index is not None}
    constants = "".join(
        f", nullif(trim({literal(feed.constant)}), '') as {quoted_name(column)}"
        for column, feed in fed.items()
        if feed.constant is not None
    )
    if plan.layout is not None:
        con.register("records", records(plan.path, plan.layout))
        con.execute(
            f"create temp table fields as select *{constants} from ({fields_query('records', plan.layout, positions)})"
        )
        con.execute("create temp view originals as select _line, _text as original from fields")
        return
    file = f"read_parquet({literal(str(plan.path))}, file_row_number = true)"
    columns = "".join(
        f", nullif(trim(cast({quoted_name(plan.header[index])} as varchar), {literal(SPACE)}), '') "
        f"as {quoted_name(column)}"
        for column, index in positions.items()
    )
    try:
        con.execute(
            f"create temp table fields as select file_row_number + 1 as _line, {len(plan.header)} as _field_count"
            f"{columns}{constants} from {file}"
        )
    except duckdb.Error as error:
        raise SourceError(f"{plan.name}: damaged Parquet ({error}). Export it anew.") from error
    con.execute(
        f"create temp view originals as select file_row_number + 1 as _line, cast(to_json(t) as varchar) as original "
        f"from {file} as t"
    )


def _judge(con: duckdb.DuckDBPyConnection, plan: Plan, request: Request) -> list[Problem]:
    """Make the table `judged`: line, values, and the number of each bad row's first problem.

    Returns:
        The problems by number; -1 stands for a line that has not as many fields as the header.
    """
    contract, fed, is_whole = plan.contract, plan.feeds, f"_field_count = {len(plan.header)}"
    con.execute(f"create temp view whole as from fields where {is_whole}")
    if derives_amount(contract, fed):
        _refuse_order_totals(con, plan)
    styles = infer_styles(con, "whole", plan.name, contract, fed)
    wrong = problems(contract, fed, styles, request.received_on)
    texts = "".join(f", {quoted_name(name)} as {quoted_name('$' + name)}" for name in fed)
    values = {}
    for column in contract.columns:
        name = quoted_name(column.name)
        values[column.name] = f"cast(null as {column.kind.sql_type})"
        if column.name in fed:
            is_constant = fed[column.name].constant is not None
            values[column.name] = typed(column, name, styles, request.timezone, is_constant)
    listed = "".join(f", {value} as {quoted_name(name)}" for name, value in values.items())
    derived = ""
    if derives_amount(contract, fed):
        is_empty = '"$amount" is null' if "amount" in fed else "true"
        derived = f" replace (case when {is_empty} then {_DERIVED_AMOUNT} else amount end as amount)"
    cases = "".join(f" when {problem.condition} then {number}" for number, problem in enumerate(wrong))
    con.execute(
        f"""
        create temp table judged as
        with valued as (select _line, _field_count{texts}{listed} from fields),
        finished as (select *{derived} from valued)
        select _line, {", ".join(map(quoted_name, values))},
            case when not ({is_whole}) then -1{cases} end as _problem
        from finished
        """
    )
    return wrong


def _refuse_order_totals(con: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Refuse an amount recognised by its name that one order has on some lines only: it may be the order's total.

    Raises:
        SourceError: There is such an order, and the lines without an amount would get a derived one.
    """
    fed = plan.feeds
    if not {"amount", "order_id"} <= set(fed) or fed["amount"].said:
        return
    found = con.execute(
        """
        select order_id from whole where order_id is not null group by order_id
        having count(amount) > 0 and bool_or(amount is null and quantity is not null and unit_price is not null)
        order by min(_line) limit 1
        """
    ).fetchone()
    if found is None:
        return
    amount, quantity, price, order = (fed[name] for name in ("amount", "quantity", "unit_price", "order_id"))
    factors = {
        name: yaml_text(feed.label) if feed.constant is None else f"{{constant: {yaml_text(feed.constant)}}}"
        for name, feed in (("quantity", quantity), ("unit_price", price))
    }
    raise SourceError(
        f"{plan.name}: column {amount.label!r} ({plan.contract.name}.amount) is given on some lines of an order and "
        f"empty on others, as where {order.label!r} is {found[0]!r}. If it is the order's total, it must not be mixed "
        f"with the lines' own {quantity.label!r} x {price.label!r}.\n"
        "  Say in sources.yml that every line's amount is quantity x unit_price:\n"
        f"{setting_lines(plan.name, plan.contract, factors)}\n"
        "    or, if it is what was paid for the line alone (quantity x unit_price then fills the empty ones):\n"
        f"{setting_lines(plan.name, plan.contract, {'amount': yaml_text(amount.label)})}"
    )


# Quantity and price are exact, and so is what they give, unless a discount makes it a fraction.
_DERIVED_AMOUNT = """
    case when coalesce(discount_rate, 0) = 0
        then try_cast(cast(quantity as decimal(38, 4)) * cast(unit_price as decimal(38, 4)) as decimal(18, 4))
        else try_cast(cast(quantity as double) * cast(unit_price as double) * (1 - discount_rate) as decimal(18, 4))
    end"""


def _write_bad_rows(
    con: duckdb.DuckDBPyConnection, plan: Plan, wrong: Sequence[Problem], quarantine: Path
) -> tuple[str, ...]:
    """Write the bad rows to quarantine and return the first few in words."""
    fed = plan.feeds

    def by_problem(texts: Sequence[str | None]) -> str:
        cases = " ".join(f"when {number} then {text}" for number, text in enumerate(texts) if text is not None)
        return f"case _problem {cases} end"

    columns = by_problem([literal(_told(problem.column, fed)) for problem in wrong])
    values = by_problem([f"f.{quoted_name(p.column)}" if p.column in fed else "null::varchar" for p in wrong])
    reasons = by_problem([literal(problem.reason) for problem in wrong])
    con.execute(
        f"""
        create temp table bad as
        select {literal(plan.name)} as file, _line as line, {columns} as "column", {values} as "value",
            case
                when _problem >= 0 then {reasons}
                when _field_count = -1 then 'a quoted field does not close, or goes on after its closing quote'
                else _field_count || ' fields where the header has {len(plan.header)}'
            end as reason,
            original
        from judged join fields as f using (_line) join originals using (_line)
        where _problem is not null
        """
    )
    target = quarantine / plan.contract.source / plan.contract.table / f"{plan.sha256}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".tmp")
    con.execute(f"copy (from bad order by line) to {literal(str(unfinished))} (format parquet)")
    unfinished.replace(target)
    first = con.execute(f'select line, "column", value, reason from bad order by line limit {_EXAMPLES}').fetchall()
    return tuple(
        f"{plan.name}, line {line}"
        + (f", {column}" if column else "")
        + ": "
        + (f"{value!r} " if value is not None else "")
        + reason
        for line, column, value, reason in first
    )


def _told(column: str, fed: Feeds) -> str:
    """A contract column, and the file's own name for it where that differs."""
    label = fed[column].label if column in fed else column
    return column if label == column or fed[column].index is None else f"{label} ({column})"


def _write_good_rows(con: duckdb.DuckDBPyConnection, contract: Contract, target: Path) -> None:
    """Write the good rows with their keys.

    A row without a key is named after its values and its nth occurrence. So equal purchases in one file stay two,
    and a file exported again, under another name or in another order, names its rows as before.
    """
    key = quoted_name(contract.key)
    columns = ", ".join(quoted_name(name) for name in contract.column_names)
    good = f"select {columns}, _line from judged where _problem is null"
    if not contract.column(contract.key).required:
        # Only what is present is named, so that a column which a contract gains one day changes no old id.
        parts = ", ".join(
            f"'{name}:' || length(cast({quoted_name(name)} as varchar)) || ':' || {quoted_name(name)}"
            for name in contract.column_names
            if name != contract.key
        )
        con.execute(
            f"""
            create temp table named as
            select _line, md5(concat({parts})) as _values from judged where _problem is null and {key} is null
            """
        )
        # Few rows repeat, so only those are put in order.
        good = f"""
            with repeated as (select _values from named group by _values having count(*) > 1),
            counted as (
                select _line, row_number() over (partition by _values order by _line) as _occurrence
                from named semi join repeated using (_values)
            )
            select good.* replace (
                coalesce(good.{key}, md5(named._values || ':' || coalesce(counted._occurrence, 1))) as {key}
            )
            from ({good}) as good left join named using (_line) left join counted using (_line)
            """
    con.execute(f"copy ({good}) to {literal(str(target))} (format parquet)")
