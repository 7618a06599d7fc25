"""A file's rows as relations: every fed column as text, or as Parquet's own value, with the line it stands in.

Filters and columns to fill down are applied here; what the texts mean is decided in `typing_sql`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from sources.contracts import Column, Contract, Kind
from sources.mapping import DATE_KINDS, NUMBER_KINDS, FileMapping
from sources.recognition import Export, Feeds, columns_of, plain, position
from sources.sql import literal, quoted_name
from sources.text_files import SPACE, Layout, fields_query, quick_query, records

CURRENCY_COLUMNS = ("currency", "currencycode", "ordercurrency")
"""Plain names of columns that say what amounts are in."""

_PLAIN_ID = "[A-Za-z0-9_-]*[0-9][A-Za-z0-9_-]*"

_MISSING = r"NULL|null|Null|\\N|-|NaN|nan|NAN|N/A|n/a|#N/A|None|none|NaT|<NA>"
"""What programs write for a missing value; in a name it might be one."""


@dataclass(frozen=True)
class Plan:
    """A file together with how it is read.

    Args:
        path: Where its rows lie: the file itself, or what was unpacked from it.
        origin: The user's own file.
        name: As the user knows it.
        contract: The table it is read as.
        header: Its column names.
        types: DuckDB's types of its columns, for Parquet; empty for text.
        layout: How its text is laid out; None for Parquet.
        sheet: The sheet of a workbook that it is.
        feeds: Where the contract's columns come from.
        entry: What sources.yml, or the known form of an export, says about it.
        where: That entry's place, for messages.
        sha256: Hash of its bytes, of its table and of its mapping.
        version: The user's file's time of change (ns) and size (bytes) when it was hashed.
        size: Bytes of what the rows lie in.
    """

    path: Path
    origin: Path
    name: str
    contract: Contract
    header: tuple[str, ...]
    types: tuple[str, ...]
    layout: Layout | None
    sheet: str | None
    feeds: Feeds
    entry: FileMapping | None
    where: str
    sha256: str
    version: tuple[int, int]
    size: int


def file_version(path: Path) -> tuple[int, int]:
    """A file's time of last change (ns) and size (bytes): other figures mean another content."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


class FileRows:
    """A file's rows as relations; each call begins a new pass over the file.

    Args:
        con: The connection that reads.
        plan: The file and how it is read.
        timezone: IANA name of the zone that zoned times are converted to.

    Attributes:
        is_quick: DuckDB splits the file; else it is read line by line. The quick way fails where a line is not a row.
        is_tidy: Numbers and dates are taken as they stand, without looking for spaces around them or for words such as
            NULL; where there are any, they are unreadable.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, plan: Plan, timezone: str) -> None:
        self.con = con
        self._zone = timezone
        self.plan = plan
        self.is_tidy = False
        self.is_quick = plan.layout is not None and plan.layout.lines is not None and len(plan.layout.delimiter) == 1
        self._positions = {column: feed.index for column, feed in plan.feeds.items() if feed.index is not None}
        # Unconverted helpers go under names that no contract column has.
        self._filters = _filters(plan)
        self._extra = {f"${place}": index for place, (index, _, _) in enumerate(self._filters)}
        for column, feed in plan.feeds.items():
            self._extra |= {f"{column}+{place}": index for place, index in enumerate(feed.joined)}
        fill = plan.entry.fill_down if plan.entry else None
        self._filled: set[int] = set()
        if fill is not None:
            where = f"{plan.where or plan.name}.fill_down"
            self._extra["$by"] = position(plan.name, plan.header, fill.by, f"{where}.by")
            labels = fill.columns
            if isinstance(plan.entry, Export):
                # Not every version of a program's export has all of them.
                present = set(map(plain, plan.header))
                labels = tuple(label for label in labels if plain(label) in present)
            self._filled = {position(plan.name, plan.header, label, f"{where}.columns") for label in labels}
        currency = [index for index, label in enumerate(plan.header) if plain(label) in CURRENCY_COLUMNS]
        self.status = _unused_status(plan)
        if self.status is not None:
            self._extra["$status"] = self.status
        has_money = any(
            column.kind == Kind.NUMBER and column.name in plan.feeds and column.name != "quantity"
            for column in columns_of(plan.contract, plan.feeds)
        )
        if len(currency) == 1 and has_money:
            self._extra["$currency"] = currency[0]
        self.native = frozenset(
            column.name
            for column in columns_of(plan.contract, plan.feeds)
            if plan.types and column.name in self._positions and not plan.feeds[column.name].values
            if _is_native(column.kind, plan.types[self._positions[column.name]])
        )

    @property
    def expected(self) -> int | None:
        """Rows there must be, filtered and bad ones included, where the quick way is taken."""
        layout = self.plan.layout
        return layout.lines - layout.header_line if self.is_quick and layout and layout.lines is not None else None

    def fields(self) -> str:
        """SQL for all rows: _line, _is_whole, _is_kept, _is_header, _currency, _status, and each fed column.

        Fed columns are text, null where empty, but for those in `native`.
        """
        positions = self._positions | self._extra
        layout = self.plan.layout
        if layout is None:
            inner = self._parquet_fields()
        elif self.is_quick:
            inner = quick_query(self.plan.path, layout, positions)
        else:
            self.con.register("records", records(self.plan.path, layout))
            inner = fields_query("records", layout, positions)
        looked_at = f"select *, {self._plain_ids()} as _plain_ids from ({self._filled_down(inner)})"
        return f"select {self._finished()} from ({looked_at})"

    def _plain_ids(self) -> str:
        """SQL for whether every identifier of a row is letters and digits: then none needs a look of its own.

        One look at all of them together costs a third of one at each.
        """
        names = [quoted_name(column.name) for column in self._identifiers()]
        if len(names) < 2:
            return "false"
        listed = f"concat_ws('|', {', '.join(names)})"
        return f"regexp_full_match({listed}, {literal(f'({_PLAIN_ID}[|])*{_PLAIN_ID}')})"

    def _identifiers(self) -> list[Column]:
        """Columns of identifiers that come from one column of the file as it is."""
        feeds = self.plan.feeds
        return [
            column
            for column in columns_of(self.plan.contract, feeds)
            if column.kind == Kind.ID and column.name in self._positions
            if not feeds[column.name].joined and not feeds[column.name].values
        ]

    def _filled_down(self, inner: str) -> str:
        names = [name for name, index in (self._positions | self._extra).items() if index in self._filled]
        if not names:
            return inner
        values = ", ".join(
            f"first_value({quoted_name(name)} ignore nulls) over together as {quoted_name(name)}" for name in names
        )
        return (
            f"select * replace ({values}) from ({inner}) window together as ("
            f"partition by coalesce({quoted_name('$by')}, '#' || _line) order by _line "
            f"rows between unbounded preceding and unbounded following) order by _line"
        )

    def originals(self, condition: str) -> str:
        """SQL for some rows: _line, _field_count, _text (the row as the file has it), and each fed column as text.

        Args:
            condition: Which, by their `line`.
        """
        layout = self.plan.layout
        constants = "".join(
            f", {literal(feed.constant)} as {quoted_name(column)}"
            for column, feed in self.plan.feeds.items()
            if feed.constant is not None
        )
        if layout is not None:
            self.con.register("records", records(self.plan.path, layout))
            return f"select *{constants} from ({fields_query('records', layout, self._positions, condition)})"
        columns = "".join(
            f", cast({quoted_name(self.plan.header[index])} as varchar) as {quoted_name(column)}"
            for column, index in self._positions.items()
        )
        file = f"read_parquet({literal(str(self.plan.path))}, file_row_number = true)"
        return (
            f"select file_row_number + 1 as _line, {len(self.plan.header)} as _field_count, "
            f"cast(to_json(t) as varchar) as _text{columns}{constants} from {file} as t "
            f"where {condition.replace('line in', 'file_row_number + 1 in', 1)}"
        )

    def _parquet_fields(self) -> str:
        columns = ""
        for name, index in (self._positions | self._extra).items():
            value = quoted_name(self.plan.header[index])
            if name not in self.native:
                value = f"cast({value} as varchar)"
            elif "TIME ZONE" in self.plan.types[index]:
                value = f"timezone({literal(self._zone)}, {value})"
            columns += f", {value} as {quoted_name(name)}"
        return (
            f"select file_row_number + 1 as _line, true as _is_whole{columns} "
            f"from read_parquet({literal(str(self.plan.path))}, file_row_number = true)"
        )

    def _finished(self) -> str:
        plan = self.plan
        selected = ["_line", "_is_whole"]
        identifiers = {column.name for column in self._identifiers()}
        for column in columns_of(plan.contract, plan.feeds):
            name = quoted_name(column.name)
            feed = plan.feeds.get(column.name)
            if feed is None:
                continue
            if feed.constant is not None:
                selected.append(f"nullif(trim({literal(feed.constant)}), '') as {name}")
            elif column.name in self.native:
                selected.append(name)
            else:
                value = (
                    name if self.is_tidy and column.kind not in (Kind.ID, Kind.TEXT) else _trimmed(name, column.kind)
                )
                if column.name in identifiers:
                    value = f"case when _plain_ids then {name} else {value} end"
                if feed.joined:
                    more = (quoted_name(f"{column.name}+{place}") for place in range(len(feed.joined)))
                    parts = [value, *(_trimmed(part, column.kind) for part in more)]
                    value = f"nullif(concat_ws(' ', {', '.join(parts)}), '')"
                if feed.values:
                    cases = " ".join(f"when {literal(own)} then {literal(meant)}" for own, meant in feed.values)
                    value = f"case {_trimmed(name, column.kind)} {cases} end"
                selected.append(f"{value} as {name}")
        kept = []
        for place, (_, values, negated) in enumerate(self._filters):
            value = f"lower(coalesce({_trimmed(quoted_name(f'${place}'), Kind.TEXT)}, ''))"
            kept.append(f"{value} {'not ' if negated else ''}in ({values})")
        selected.append(f"{' and '.join(kept) or 'true'} as _is_kept")
        header = "false"
        if plan.layout is not None and plan.layout.header_line and plan.layout.delimiter != "json" and self._positions:
            same = [
                f"coalesce(trim({quoted_name(name)}, {literal(SPACE)}), '') = {literal(plan.header[index])}"
                for name, index in self._positions.items()
            ]
            name, index = next(iter(self._positions.items()))
            may_be = f"contains({quoted_name(name)}, {literal(plan.header[index])})"
            header = f"case when {may_be} then {' and '.join(same)} else false end"
        selected.append(f"{header} as _is_header")
        currency = _trimmed(quoted_name("$currency"), Kind.ID) if "$currency" in self._extra else "null::varchar"
        selected.append(f"{currency} as _currency")
        status = _trimmed(quoted_name("$status"), Kind.TEXT) if "$status" in self._extra else "null::varchar"
        selected.append(f"{status} as _status")
        return ", ".join(selected)


def _unused_status(plan: Plan) -> int | None:
    """Position of a column of sales that says what became of an order and that nothing uses."""
    if plan.contract.name != "shop.sales":
        return None
    used = {feed.index for feed in plan.feeds.values()}
    if plan.entry is not None:
        filtered = {plain(label) for label in (*plan.entry.where, *plan.entry.where_not)}
        used |= {index for index, label in enumerate(plan.header) if plain(label) in filtered}
    places = [index for index, label in enumerate(plan.header) if plain(label).endswith(("status", "storniert"))]
    return next((index for index in places if index not in used), None)


def _trimmed(text: str, kind: Kind) -> str:
    """SQL for a text without surrounding space, null where nothing, or a word for it, is left.

    An identifier also loses what spreadsheets and databases add to it (a leading apostrophe, a trailing ``.0``), and
    an e-mail address its capitals. All that costs more than splitting the file does, so most texts are let through by
    one look at their characters.
    """
    trimmed = f"nullif(trim({text}, {literal(SPACE)}), '')"
    if kind == Kind.TEXT:
        return f"nullif(case when regexp_full_match({text}, '[!-~]([ -~]*[!-~])?') then {text} else {trimmed} end, '-')"
    # Not `in`: DuckDB makes a join of it, for which it trims every row.
    present = f"case when not regexp_full_match({trimmed}, {literal(_MISSING)}) then {trimmed} end"
    if kind != Kind.ID:
        return present
    tidy = f"regexp_replace(regexp_replace({present}, '^''', ''), '^([0-9]+)\\.0$', '\\1')"
    tidy = f"nullif(case when contains({text}, '@') then lower({tidy}) else {tidy} end, '')"
    return f"case when regexp_full_match({text}, {literal(_PLAIN_ID)}) then {text} else {tidy} end"


def _filters(plan: Plan) -> list[tuple[int, str, bool]]:
    """Position of the file column, its values as SQL, and whether they are the ones to leave out."""
    if plan.entry is None:
        return []
    return [
        (
            position(plan.name, plan.header, label, f"{plan.where or plan.name}.{key}"),
            ", ".join(literal(value.lower()) for value in values),
            negated,
        )
        for key, said, negated in (("where", plan.entry.where, False), ("where_not", plan.entry.where_not, True))
        for label, values in said.items()
    ]


def _is_native(kind: Kind, sql_type: str) -> bool:
    """Whether Parquet's own value can be used as it is."""
    if kind in DATE_KINDS:
        return sql_type.startswith(("TIMESTAMP", "DATE"))
    if kind in NUMBER_KINDS:
        return sql_type.startswith(
            ("DECIMAL", "DOUBLE", "FLOAT", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "U", "HUGE")
        )
    return kind == Kind.FLAG and sql_type == "BOOLEAN"
