"""What other programs get: named exports of published tables, as CSV, JSON and Parquet.

Which exports there are, and how a file is written, is decided here; when, in `orchestration.assets.exports` and in
the command `pulse export`. Personal columns are left out unless asked for.
"""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from orchestration.published import PERSONAL, quoted

FORMATS = ("csv", "json", "parquet")
AUDIENCE = "marts.audience_"
"""How the tables begin that are an audience each."""

_CUSTOMERS = "marts.dim_customers"
# What a spreadsheet may take for a formula when a text begins with it; the last four are full-width forms.
_FORMULA = r"^[=+\-@\t\r\n＝＋－＠]"  # noqa: RUF001
_TEXT = "VARCHAR"
_FLOATS = ("DOUBLE", "FLOAT")


class ExportError(Exception):
    """An export cannot be written; the message says why and what would help."""


@dataclass(frozen=True)
class Export:
    """A named export.

    Args:
        name: What it is asked for by, and the file's name.
        table: Schema and name of the published table.
        description: What it holds, in words.
        columns: Of the table; all of them where empty.
    """

    name: str
    table: str
    description: str
    columns: tuple[str, ...] = field(default=())


_FIXED = (
    Export("intent", "ml.customer_intent", "How much a customer's last visits look like an order, 0 to 100."),
    Export("churn_scores", "ml.churn_scores", "Probability of no order within 30, 90 and 180 days, with reasons."),
    Export("lifetime_value", "ml.customer_lifetime_value", "What customers are expected to be worth in 365 days."),
    Export(
        "segments",
        "marts.customer_360",
        "Segment, scores, cluster, persona and value tier of every customer.",
        (
            *("customer_id", "segment", "segment_score", "r_score", "f_score", "m_score", "rfm_index"),
            *("engagement_score", "cluster_id", "cluster_name", "persona", "value_tier", "risk_tier", "is_at_risk"),
            "recommended_action",
        ),
    ),
    Export("next_best_actions", "marts.next_best_actions", "What to do next for every customer, and why."),
    Export("offers", "marts.offers", "Offers to customers at risk, of which a profit is expected."),
    Export("alerts", "marts.alerts", "What is unusual, with evidence and severity."),
)


def exports(tables: Collection[str]) -> list[Export]:
    """Every export: the fixed ones, and one an audience.

    Args:
        tables: Schema and name of the tables that are published.
    """
    audiences = sorted(table for table in tables if table.startswith(AUDIENCE))
    return [
        *_FIXED,
        *(
            Export(table.partition(".")[2], table, f"The audience {table.removeprefix(AUDIENCE).replace('_', ' ')}.")
            for table in audiences
        ),
    ]


def exports_in(connection: duckdb.DuckDBPyConnection) -> list[Export]:
    """Every export that a published file has a table for."""
    found = {
        name
        for (name,) in connection.execute(
            """
            select table_schema || '.' || table_name
            from information_schema.tables
            where table_catalog = current_database() and table_schema in ('marts', 'ml')
            """
        ).fetchall()
    }
    return [export for export in exports(found) if export.table in found]


def named(name: str, available: Sequence[Export]) -> Export:
    """The export of a name.

    Raises:
        ExportError: There is none; the message lists all and suggests the nearest.
    """
    by_name = {export.name: export for export in available}
    if name in by_name:
        return by_name[name]
    listed = ", ".join(by_name)
    near = difflib.get_close_matches(name.lower().replace("-", "_"), by_name, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ExportError(f"there is no export {name!r}.{hint} There are: {listed or 'none, publish first'}.")


def export_to(
    connection: duckdb.DuckDBPyConnection,
    export: Export,
    out: Path | None,
    *,
    file_format: str | None,
    personal: bool,
    log: Callable[[str], None],
) -> None:
    """Write an export where somebody wants it, and say what was written; ``-`` prints it.

    Args:
        connection: To the published file.
        export: What to write.
        out: A file, a folder, ``-``, or None for a file in the working folder.
        file_format: csv, json or parquet; None for what the file's name ends in, else csv.
        personal: Whether name and e-mail come along.
        log: Prints a line.

    Raises:
        ExportError: The file cannot be written.
    """
    ending = out.suffix.removeprefix(".").lower() if out else ""
    chosen = file_format or (ending if ending in FORMATS else FORMATS[0])
    if out == Path("-"):
        if chosen == "parquet":
            raise ExportError("Parquet is no text; give --out a file, or --format csv or json.")
        with tempfile.TemporaryDirectory() as folder:
            write_export(connection, export, Path(folder) / "printed", chosen, personal=personal)
            log((Path(folder) / "printed").read_text(encoding="utf-8").removesuffix("\n"))
        return
    if ending in FORMATS and ending != chosen:
        raise ExportError(f"{out} ends in .{ending}, but --format asks for {chosen}.")
    target = out or Path(f"{export.name}.{chosen}")
    if target.is_dir():
        target = target / f"{export.name}.{chosen}"
    if not target.parent.is_dir():
        raise ExportError(f"the folder {target.parent} does not exist.")
    rows, columns = write_export(connection, export, target, chosen, personal=personal)
    log(f"Wrote {rows:,} row{'' if rows == 1 else 's'} to {target}: {', '.join(columns)}.")
    if personal and "customer_id" not in columns:
        log(f"{export.name} is not about customers one by one: there are no personal columns to add.")


def write_export(
    connection: duckdb.DuckDBPyConnection, export: Export, target: Path, file_format: str, *, personal: bool
) -> tuple[int, list[str]]:
    """Write an export in one step: the file is there as a whole or not at all.

    Args:
        connection: To a file that holds the tables.
        export: What to write.
        target: The file, replaced where it exists; its folder must exist.
        file_format: csv, json or parquet.
        personal: Whether name and e-mail come along, for exports with customers.

    Returns:
        Rows written, and the columns.

    Raises:
        ExportError: The file cannot be written.
    """
    columns = _columns(connection, export, personal=personal)
    return write_query(connection, _query(export, columns), target, file_format), [name for name, _ in columns]


def write_query(connection: duckdb.DuckDBPyConnection, query: str, target: Path, file_format: str) -> int:
    """Write a query's rows, in its order, in one step.

    Returns:
        Rows written.

    Raises:
        ExportError: The file cannot be written.
    """
    columns = [(name, kind) for name, kind, *_ in connection.execute(f"describe {query}").fetchall()]
    selected = ", ".join(_cell(name, kind, file_format) for name, kind in columns)
    options = {
        # Nothing and an empty text stay apart: the one is an empty cell, the other "".
        "csv": "format csv, header true",
        "json": "format json, array true",
        "parquet": "format parquet",
    }[file_format]
    temporary = target.with_name(f".{target.name}.new")
    try:
        # Made first: DuckDB would blame the query for a folder that cannot be written to.
        temporary.touch()
        written = connection.execute(
            f"copy (select {selected} from ({query})) to {quoted(temporary)} ({options})"
        ).fetchall()
        temporary.replace(target)
    except (OSError, duckdb.IOException) as error:
        temporary.unlink(missing_ok=True)
        raise ExportError(f"{target} cannot be written: {getattr(error, 'strerror', None) or error}") from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return int(written[0][0])


def _columns(connection: duckdb.DuckDBPyConnection, export: Export, *, personal: bool) -> list[tuple[str, str]]:
    """Names and types of an export's columns; personal ones follow the customer's id."""
    of_table = {name: kind for name, kind, *_ in connection.execute(f"describe {export.table}").fetchall()}
    names = [name for name in export.columns or of_table if name not in PERSONAL]
    if personal and "customer_id" in names:
        place = names.index("customer_id") + 1
        names[place:place] = sorted(PERSONAL, reverse=True)
    return [(name, of_table.get(name, _TEXT)) for name in names]


def _query(export: Export, columns: Sequence[tuple[str, str]]) -> str:
    selected = ", ".join(f'{"person" if name in PERSONAL else "exported"}."{name}"' for name, _ in columns)
    joined = f"left join {_CUSTOMERS} as person using (customer_id)" if PERSONAL & {name for name, _ in columns} else ""
    return f"select {selected} from {export.table} as exported {joined} order by all nulls last"


def _cell(name: str, kind: str, file_format: str) -> str:
    """A column as it is written: what only one format cannot hold is replaced there and nowhere else."""
    column = f'"{name}"'
    if file_format == "csv" and kind == _TEXT:
        # Numbers are never touched; the apostrophe is what a spreadsheet itself would write.
        return f"case when regexp_matches({column}, '{_FORMULA}') then '''' || {column} else {column} end as {column}"
    if file_format == "json" and kind in _FLOATS:
        return f"case when isfinite({column}) then {column} end as {column}"
    return column
