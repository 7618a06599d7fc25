"""The connection to a Spark Connect server: what has to be installed, where the server is, whether it answers.

Errors here are what people meet first on Spark, so each says what to type.
"""

from __future__ import annotations

import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orchestration.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "true",
}
"""What both server and session pin: times have no zone here, and what cannot be computed is an error."""

INSTALL = "make spark-env"
_DEFAULT_PORT = 15002
_SECONDS_TO_CONNECT = 5
_SECONDS_TO_ANSWER = 30


class SparkError(Exception):
    """Spark cannot be used; the message says why and what to do."""


def require_extra() -> None:
    """See that the packages are installed.

    Raises:
        SparkError: They are not.
    """
    absent = [package for package, module in _PACKAGES.items() if not _is_there(module)]
    if absent:
        raise SparkError(f"PULSE_TARGET=spark needs {' and '.join(absent)}: `{INSTALL}` installs what is missing.")


_PACKAGES = {"pyspark[connect]": "grpc", "pyspark": "pyspark", "dbt-spark": "dbt.adapters.spark"}


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def endpoint(settings: Settings) -> tuple[str, int]:
    """Host and port of the Connect server."""
    parts = urlsplit(settings.spark_url)
    return parts.hostname or "", parts.port or _DEFAULT_PORT


def require_server(settings: Settings) -> None:
    """See that a Connect server answers.

    Raises:
        SparkError: The packages are missing, or nobody answers.
    """
    require_extra()
    if not answers(settings):
        raise SparkError(
            f"no Spark Connect server answers at PULSE_SPARK_URL {settings.spark_url}: `make spark-up` starts one on "
            "this machine; for another, deploy/scale-out.md says what it needs."
        )


def answers(settings: Settings) -> bool:
    """Whether a Connect server answers at PULSE_SPARK_URL."""
    host, port = endpoint(settings)
    if not listens(host, port):
        return False
    if "use_ssl=true" in settings.spark_url:
        # Asked without its certificates and headers, a server behind a proxy would not answer.
        return True
    import grpc

    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_SECONDS_TO_ANSWER)
        except grpc.FutureTimeoutError:
            return False
    return True


def listens(host: str, port: int) -> bool:
    """Whether anything listens at a port."""
    try:
        with socket.create_connection((host, port), timeout=_SECONDS_TO_CONNECT):
            return True
    except OSError:
        return False


def open_session(settings: Settings, **further: str) -> SparkSession:
    """A session of its own on the server; to be closed by `stop()`, which leaves dbt's alone.

    Args:
        settings: The server.
        **further: Settings of the session, with two underscores for each dot.
    """
    from pyspark.sql import SparkSession

    builder: Any = SparkSession.builder.remote(settings.spark_url)
    for name, value in {**SESSION, **{key.replace("__", "."): value for key, value in further.items()}}.items():
        builder = builder.config(name, value)
    return builder.create()
