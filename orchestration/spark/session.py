"""The one way to a Spark session: through Spark Connect, at `PULSE_SPARK_URL`, with the project's ways of reading SQL.

What is asked of the session is decided elsewhere.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

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

_sessions: dict[str, SparkSession] = {}


class SparkUnavailableError(Exception):
    """There is no Spark to speak to; the message says what to do."""


def session(settings: Settings) -> SparkSession:
    """A session with the Connect server of the settings; the same one in this process as long as the server lives.

    Raises:
        SparkUnavailableError: The extra is not installed, or no server answers.
    """
    url = settings.spark_url
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SparkUnavailableError(
            f"Spark needs the extra 'spark', which is not installed ({error}): `make spark-env` installs it"
        ) from None
    _knock(url)
    known = _sessions.get(url)
    if known is not None:
        try:
            known.sql("select 1").collect()
        except PySparkException:
            # the server was started anew and knows nothing of a session it had before
            del _sessions[url]
        else:
            return known
    made = SparkSession.builder.remote(url).create()
    for name, value in CONFIGURATION.items():
        made.conf.set(name, value)
    _sessions[url] = made
    return made


def _knock(url: str) -> None:
    """See at once whether a server listens; Spark's own client goes on trying for minutes."""
    address = urlsplit(url)
    host, port = address.hostname or "127.0.0.1", address.port or PORT
    try:
        socket.create_connection((host, port), timeout=10).close()
    except OSError as error:
        raise SparkUnavailableError(
            f"no Spark Connect server answers at PULSE_SPARK_URL {url} ({error.strerror or error}): "
            "start one with `make spark-up`, or name the one to use"
        ) from None
