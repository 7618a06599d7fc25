"""Do two ways of making the sales marts say the same? Key by key and value by value, before anything is timed."""

from __future__ import annotations

from pathlib import Path

import duckdb

KEYS = {
    "fct_sales": ["sale_id"],
    "daily_sales": ["sales_date"],
    "monthly_product_sales": ["product_id", "month"],
    "product_performance": ["product_id"],
    "category_performance": ["category"],
    "product_trends": ["product_id", "month"],
    "product_pairs": ["product_id_a", "product_id_b"],
    "cohort_retention": ["cohort_month", "month"],
    "dim_customers": ["customer_id"],
    "dim_products": ["product_id"],
    "customer_metrics": ["customer_id"],
    "customer_rfm": ["customer_id"],
    "customer_rfm_history": ["customer_id", "cutoff_date"],
    "segment_migration": ["from_date", "from_segment", "to_segment"],
    "customer_features": ["customer_id", "cutoff_date"],
}
"""The marts that have rows where only sales and products are delivered, and their keys."""

_PROFILE = "name email industry region city age_group loyalty_tier acquisition_channel signed_up_at marketing_consent"
_SERVICE = """
ticket_count_180d negative_ticket_count_180d unresolved_ticket_count session_count_90d abandoned_cart_count_90d
email_open_count_180d email_click_count_180d activity_count_90d activity_count_before_90d
"""
ELSEWHERE = {
    "customer_rfm": {"engagement_score"},
    "dim_customers": set(_PROFILE.split()),
    "customer_features": {*_SERVICE.split(), "industry", "region", "age_group", "acquisition_channel"},
}
"""Columns of theirs that tables say which this shop does not deliver."""


def _same(column: str, kind: str) -> str:
    """SQL that is true where our value (a) and theirs (b) agree: doubles to six decimals, money to four."""
    ours, theirs = f"a.{column}", f"b.{column}"
    if kind == "DOUBLE" or kind.startswith("DECIMAL"):
        tolerance = 1.001e-6 if kind == "DOUBLE" else 1.5e-4
        missing = f"({theirs} is null or isnan({theirs}::double))"
        return f"coalesce(abs({ours}::double - {theirs}::double) <= {tolerance}, {ours} is null and {missing})"
    return f"{ours} is not distinct from {theirs}::{kind}"


def differences(warehouse: Path, folder: Path) -> list[str]:
    """What the marts of a warehouse and the Parquet files of another contestant do not agree on.

    Args:
        warehouse: DuckDB file with the schema `marts`.
        folder: One `<mart>.parquet` a mart, with the same names of columns.

    Returns:
        One sentence a difference; none when they agree.
    """
    found = []
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        for mart, keys in KEYS.items():
            described = connection.execute(f"describe marts.{mart}").fetchall()
            kinds = {name: kind for name, kind, *_ in described if name not in ELSEWHERE.get(mart, set())}
            file = f"'{folder / mart}.parquet'"
            on = " and ".join(f"a.{key} = b.{key}::{kinds[key]}" for key in keys)
            joined = f"marts.{mart} as a inner join {file} as b on {on}"
            counts = (
                f"(select count(*) from marts.{mart}), (select count(*) from {file}), (select count(*) from {joined})"
            )
            rows = connection.execute(f"select {counts}").fetchone() or ()
            if len(set(rows)) > 1:
                found.append(f"{mart}: rows of ours, of theirs and with the same key are {rows}")
            wrong = ", ".join(f"count(*) filter (where not {_same(name, kind)})" for name, kind in kinds.items())
            values = connection.execute(f"select {wrong} from {joined}").fetchone() or ()
            found += [f"{mart}.{name}: {n} rows" for name, n in zip(kinds, values, strict=True) if n]
    return found
