"""Whether Spark can be used: what has to be installed, where the server is, whether it answers.

Errors here are what people meet first on Spark, so each says what to type. The sessions of a run are the business of
`orchestration.spark.session`.
"""

from __future__ import annotations

import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orchestration.settings import Settings
from orchestration.spark.session import CONFIGURATION, PORT, SparkUnavailableError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

INSTALL = "make spark-env"
_SECONDS_TO_CONNECT = 5
_SECONDS_TO_ANSWER = 30


def require_extra() -> None:
    """See that the packages are installed.

    Raises:
        SparkUnavailableError: They are not.
    """
    absent = [package for package, module in _PACKAGES.items() if not _is_there(module)]
    if absent:
        raise SparkUnavailableError(f"Spark needs {' and '.join(absent)}: `{INSTALL}` installs what is missing.")


_PACKAGES = {"pyspark[connect]": "grpc", "pyspark": "pyspark", "dbt-spark": "dbt.adapters.spark"}


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def endpoint(settings: Settings) -> tuple[str, int]:
    """Host and port of the Connect server."""
    parts = urlsplit(settings.spark_url)
    return parts.hostname or "", parts.port or PORT


def require_server(settings: Settings) -> None:
    """See that a Connect server answers.

    Raises:
        SparkUnavailableError: The packages are missing, or nobody answers.
    """
    require_extra()
    if not answers(settings):
        raise SparkUnavailableError(
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


def open_session(settings: Settings) -> SparkSession:
    """A session of its own on the server; `stop()` ends it and no other."""
    from pyspark.sql import SparkSession

    builder: Any = SparkSession.builder.remote(settings.spark_url)
    for name, value in CONFIGURATION.items():
        builder = builder.config(name, value)
    return builder.create()
