"""The checks of incoming data, each with its severity and the reason for it.

dbt's tests say theirs in YAML (keys, relationships, bounds, totals); the checks of models are declared by their assets,
and always warn.
"""

from __future__ import annotations

from orchestration.checks.verdict import Declared

FILES_RECONCILE = Declared(
    "every_row_of_the_files_is_in_raw",
    "error",
    "Rows in raw are those of before and those that were counted as new.",
    "A row lost or doubled between file and raw is a defect of the refresh: no figure can be trusted.",
)
RAW_RECONCILES = Declared(
    "every_row_of_raw_is_in_the_marts",
    "error",
    "Sales, tickets and sessions up to as_of are as many in raw as in the facts.",
    "The same, between raw and the marts.",
)
VOLUME = Declared(
    "rows_a_day_are_as_usual",
    "warn",
    "The last seven complete days of each table against the same weekdays of eight weeks.",
    "It may be a sale or a holiday: somebody has to look, and the data may be right.",
)
DAYS = Declared(
    "no_day_is_without_data",
    "warn",
    "Days without a row in a table that has rows on every such weekday, and tables that have gone quiet.",
    "The shop may have been closed; what is there is right all the same.",
)
SCHEMA = Declared(
    "columns_are_as_before",
    "warn",
    "The header of each new file against the most similar earlier file of its table.",
    "A column that is required and missing is refused when the file is read; others may come and go.",
)
FILLED = Declared(
    "columns_are_filled_as_before",
    "warn",
    "How many values of the new rows are missing, against rows of the last 180 days.",
    "A column that has come empty takes features away, but makes nothing else wrong.",
)
DISTRIBUTION = Declared(
    "values_are_distributed_as_before",
    "warn",
    "Numbers and categories of the new rows against rows of the last 180 days (population stability index).",
    "Business changes. A new unit or another currency looks the same, so somebody has to look.",
)
ARTEFACTS = Declared(
    "saved_models_are_readable",
    "warn",
    "Every saved model and card can be read from start to end.",
    "A damaged model is passed over and trained again by the next refresh.",
)

DATA_CHECKS = (FILES_RECONCILE, RAW_RECONCILES, VOLUME, DAYS, SCHEMA, FILLED, DISTRIBUTION, ARTEFACTS)
BLOCKING = tuple(check.name for check in DATA_CHECKS if check.severity == "error")
