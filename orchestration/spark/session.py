"""The one way to a Spark session: through Spark Connect, at `PULSE_SPARK_URL`, with the project's ways of reading SQL.

What is asked of the session is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestration.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PORT = 15002
"""Where a Connect server listens unless told otherwise."""
ROWS_A_BATCH = 50_000
"""Rows that a Python worker gets at once: enough for scikit-learn to be fast, few enough for any worker's memory."""

CONFIGURATION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(ROWS_A_BATCH),
}
"""As in dbt's profile: a query means the same to dbt and to Python."""


class SparkUnavailableError(Exception):
    """There is no Spark to speak to; the message says what to do."""


@contextmanager
def session(settings: Settings) -> Iterator[SparkSession]:
    """A session of its own, ended afterwards.

    One that lived longer would go on with the files that it has listed, though dbt has written others, and would be
    given to dbt as its own.

    Raises:
        SparkUnavailableError: The extra is not installed, or no server answers.
    """
    from orchestration.spark.client import open_session, require_server

    require_server(settings)
    opened = open_session(settings)
    try:
        yield opened
    finally:
        opened.stop()
