"""`pulse spark up` and `down`: Spark on this machine, from the Python package, to try the target out and to test it.

Either a Connect server with two local threads, or a standalone master with two workers and a Connect server on it. All
of it listens on 127.0.0.1 alone and keeps its catalog in memory: what tables there are is found again from the files.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestration.settings import Settings
from orchestration.spark.client import answers, endpoint, listens, open_session, require_extra
from orchestration.spark.session import CONFIGURATION, SparkUnavailableError

LOCAL, CLUSTER = "local", "cluster"
WORKERS = 2

_HOST = "127.0.0.1"
_OPEN = "It asks nobody who they are: every account on this machine can run code as you through it."
_OLDEST_JAVA = 17
# Only of one that hangs: one that has ended is noticed at once, and a busy machine takes minutes for four JVMs.
_SECONDS_TO_START = 300
_SECONDS_TO_END = 20
_STATE = "servers.json"
_COMPILED_LATER = " ".join(
    f"-XX:Tier4{threshold}"
    for threshold in (
        *("InvocationThreshold=50000", "MinInvocationThreshold=6000"),
        *("CompileThreshold=150000", "BackEdgeThreshold=400000"),
    )
)
"""Ten times Java's own. A server on one machine mostly plans, a hundred queries once each: compiling the planner to its
best took a third of the CPU. What runs for every row passes these thresholds within a second all the same."""
_CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Linux: another one after every start of the machine."""


@dataclass(frozen=True)
class Server:
    """A process that was started here.

    Args:
        name: ``connect``, ``master``, ``worker-1``, …
        pid: Its number, which is also that of its group.
        began: When it began, see `_began`: a number is given to another process one day.
    """

    name: str
    pid: int
    began: str

    @property
    def is_alive(self) -> bool:
        """Whether it is still the same process."""
        return _began(self.pid) == self.began


@dataclass(frozen=True)
class Servers:
    """What is up.

    Args:
        mode: ``local`` or ``cluster``.
        url: Where the Connect server answers.
        servers: The processes, in the order of their start.
    """

    mode: str
    url: str
    servers: tuple[Server, ...]

    def named(self, name: str) -> Server:
        """One process by its name."""
        return next(server for server in self.servers if server.name == name)


def up(settings: Settings, say: Callable[[str], None], *, mode: str = LOCAL, memory: str = "1g") -> Servers:
    """Start what is not up yet, and wait until it answers.

    Args:
        settings: The home, and the port by PULSE_SPARK_URL.
        say: Is told what happens.
        mode: ``local`` or ``cluster``.
        memory: What the Connect server, and each worker of a cluster, may use.

    Raises:
        SparkUnavailableError: Packages or Java are missing, the port is somebody else's, or a server does not come up.
    """
    require_extra()
    java = find_java()
    host, port = endpoint(settings)
    if host not in (_HOST, "localhost"):
        raise SparkUnavailableError(
            f"PULSE_SPARK_URL {settings.spark_url} is on another machine: unset it to start Spark on this one."
        )
    with _runtime(settings) as folder:
        before = running(settings)
        if before is not None and all(server.is_alive for server in before.servers) and answers(settings):
            if (before.mode, before.url) != (mode, settings.spark_url):
                raise SparkUnavailableError(
                    f"this home's Spark is up as {before.mode} at {before.url}: `make spark-down` ends it first."
                )
            say(f"Spark ({mode}) is up at {settings.spark_url}.")
            return before
        _end_all(settings)
        if listens(host, port):
            raise SparkUnavailableError(
                f"port {port} is in use by another program: set PULSE_SPARK_URL=sc://{_HOST}:{_free_port()} for both "
                "`make spark-up` and what uses it."
            )
        say(f"Starting Spark ({mode}); its logs are in {folder}.")
        started = _Started(folder, java, Servers(mode, settings.spark_url, ()))
        try:
            master = _start_cluster(started, memory) if mode == CLUSTER else f"local[{WORKERS}]"
            _start_connect(started, settings, master, memory, port)
        except BaseException:
            _end_all(settings)
            raise
        say(f"Spark ({mode}) is up at {settings.spark_url}.")
        say(_OPEN)
        return started.servers


def down(settings: Settings, say: Callable[[str], None]) -> None:
    """End what was started for this home; nothing else."""
    with _runtime(settings):
        ended = _end_all(settings)
    say(f"Ended: {', '.join(ended)}." if ended else "No Spark of this home is up.")


def running(settings: Settings) -> Servers | None:
    """What was started for this home and not ended by `down`; its processes may have died."""
    try:
        stored = json.loads((settings.spark_servers / _STATE).read_text(encoding="utf-8"))
        return Servers(stored["mode"], stored["url"], tuple(Server(**server) for server in stored["servers"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def find_java() -> Path:
    """The Java that Spark will use.

    Raises:
        SparkUnavailableError: There is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    remedy = (
        f"Spark needs Java {_OLDEST_JAVA} or newer (Debian: `apt-get install openjdk-{_OLDEST_JAVA}-jre-headless`)."
    )
    if found is None:
        where = f"in JAVA_HOME {home}" if home else "on this machine"
        raise SparkUnavailableError(f"there is no Java {where}. {remedy}")
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < _OLDEST_JAVA:
        raise SparkUnavailableError(f"{found} is {told.splitlines()[0] if told else 'no Java'}. {remedy}")
    return Path(found)


class _Started:
    """Starts processes and notes each before the next, so that `down` finds all of them."""

    def __init__(self, folder: Path, java: Path, servers: Servers) -> None:
        self._folder = folder
        self._java = java
        self.servers = servers

    def start(self, name: str, command: Sequence[str]) -> Server:
        with (self._folder / f"{name}.log").open("wb") as log:
            # In a group of its own: it outlives this command, and is ended with whatever it started.
            process = subprocess.Popen(  # noqa: S603
                command,
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # What it writes into the home is as private as the rest of it.
                umask=0o077,
            )
        server = Server(name, process.pid, _began(process.pid))
        self.servers = Servers(self.servers.mode, self.servers.url, (*self.servers.servers, server))
        state = self._folder / f".{_STATE}.new"
        state.write_text(json.dumps(asdict(self.servers), indent=1), encoding="utf-8")
        state.replace(self._folder / _STATE)
        return server

    def wait(self, name: str, is_ready: Callable[[], bool], what: str) -> None:
        """Wait until something holds, as long as the process lives."""
        deadline = time.monotonic() + _SECONDS_TO_START
        while not is_ready():
            if not self.servers.named(name).is_alive or time.monotonic() > deadline:
                raise SparkUnavailableError(
                    f"{what} did not come up; the end of {self._log(name)}:\n{self._tail(name)}"
                )
            time.sleep(0.3)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _tail(self, name: str) -> str:
        lines = self._log(name).read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-8:])

    def _environment(self) -> dict[str, str]:
        # What this shell says of Spark is meant for another one.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
        return {
            **kept,
            "JAVA_HOME": str(self._java.resolve().parents[1]),
            "SPARK_HOME": str(spark_home()),
            "SPARK_LOCAL_IP": _HOST,
            # Python functions run on executors with the packages of this environment.
            "PYSPARK_PYTHON": sys.executable,
            "OMP_NUM_THREADS": "1",
            "TZ": "UTC",
        }


def spark_home() -> Path:
    """The folder of the Python package, which is a whole Spark."""
    import pyspark

    return Path(pyspark.__file__).parent


def _start_cluster(started: _Started, memory: str) -> str:
    """A master with two workers of a core each.

    Returns:
        The master's address.
    """
    port, web = _free_port(), _free_port()
    program = str(spark_home() / "bin" / "spark-class")
    master = f"spark://{_HOST}:{port}"
    here = ("--host", _HOST)
    started.start(
        "master",
        [program, "org.apache.spark.deploy.master.Master", *here, "--port", str(port), "--webui-port", str(web)],
    )
    started.wait("master", lambda: _alive_workers(web) is not None, "The master")
    for number in range(1, WORKERS + 1):
        options = ("--port", "0", "--webui-port", "0", "--cores", "1", "--memory", memory, "--work-dir", "work")
        started.start(f"worker-{number}", [program, "org.apache.spark.deploy.worker.Worker", *here, *options, master])
        started.wait(f"worker-{number}", lambda: _alive_workers(web) == number, f"Worker {number}")  # noqa: B023
    return master


def _start_connect(started: _Started, settings: Settings, master: str, memory: str, port: int) -> None:
    """A Connect server; ready when it has run a query."""
    folder = settings.spark_servers
    options = {
        **CONFIGURATION,
        "spark.connect.grpc.binding.address": _HOST,
        "spark.connect.grpc.binding.port": str(port),
        "spark.ui.enabled": "false",
        # The embedded metastore, Derby, bears one process only, and none is needed.
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "scratch"),
        # Two cores: two hundred partitions of a few rows would take longer than the rows.
        "spark.sql.shuffle.partitions": "4",
        "spark.driver.extraJavaOptions": f"-Duser.timezone=UTC {_COMPILED_LATER}",
        "spark.executor.extraJavaOptions": "-Duser.timezone=UTC",
        "spark.executor.memory": memory,
    }
    command = [str(spark_home() / "bin" / "spark-submit"), "--master", master, "--driver-memory", memory]
    command += ["--class", _CONNECT, "--name", "Customer Pulse"]
    command += [part for name, value in options.items() for part in ("--conf", f"{name}={value}")]
    started.start("connect", [*command, "spark-internal"])
    started.wait("connect", lambda: answers(settings), "The Connect server")
    session = open_session(settings)
    try:
        session.sql("select 1").collect()
    finally:
        session.stop()


def _alive_workers(web: int) -> int | None:
    """How many workers a master has, None while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://{_HOST}:{web}/json/", timeout=2) as answer:
            return int(json.load(answer)["aliveworkers"])
    except OSError:
        return None


@contextmanager
def _runtime(settings: Settings) -> Iterator[Path]:
    """The folder of logs and process numbers, for one `up` or `down` at a time."""
    folder = settings.spark_servers
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder


def _end_all(settings: Settings) -> list[str]:
    """End what is noted, the last started first, and forget it.

    Returns:
        Names of those that were alive.
    """
    noted = running(settings)
    alive = [server for server in reversed(noted.servers) if server.is_alive] if noted else []
    for server in alive:
        _signal(server, signal.SIGTERM)
    deadline = time.monotonic() + _SECONDS_TO_END
    while any(server.is_alive for server in alive) and time.monotonic() < deadline:
        time.sleep(0.1)
    for server in alive:
        # What it started may outlive it: executors, Python workers.
        _signal(server, signal.SIGKILL)
    (settings.spark_servers / _STATE).unlink(missing_ok=True)
    for name in ("scratch", "work", "warehouse", "artifacts"):
        shutil.rmtree(settings.spark_servers / name, ignore_errors=True)
    return [server.name for server in alive]


def _signal(server: Server, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, number)


def _began(pid: int) -> str:
    """When a process began, empty when there is none or it has ended.

    On Linux told in ticks since the machine was started, and which start that was: a time of day, as `ps` tells it, is
    another one as soon as the clock is set.
    """
    with suppress(ChildProcessError):
        # A child of this process that has ended would be listed until somebody asks how it ended.
        os.waitpid(pid, os.WNOHANG)
    if _BOOT.exists():
        try:
            told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
        # From the third field on, the state: the second is the program's name, which may hold anything.
        state, *fields = told.rpartition(")")[2].split()
        return "" if state in "ZX" else f"{fields[18]} ticks after boot {_BOOT.read_text(encoding='ascii').strip()}"
    listed = subprocess.run(  # noqa: S603
        ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
    )
    return listed.stdout.strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
