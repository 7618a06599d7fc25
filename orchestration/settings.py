"""Every setting, typed, read once from the environment (``PULSE_*``) and from `.env` files.

The process's environment goes before the home's `.env`, and that before the project's; an option of the command line
before all of them. Nothing else in the project reads the environment, but for dbt's own profile. No setting is decided
here that depends on data.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from orchestration.env_file import EnvFileError, Variable, read_env_file

SINKS = ("log", "file", "webhook", "smtp")
"""Where alerts can be sent."""

PROJECT_ROOT = Path(__file__).resolve().parents[1]


class SettingsError(Exception):
    """A setting cannot be used; the message names its variable and what it may be."""


def check_home(settings: Settings) -> None:
    """Make the home where it is absent.

    Raises:
        SettingsError: It cannot be made or written to.
    """
    try:
        # Readers of the published file need to get here; what is nobody's business has modes of its own.
        settings.home.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"--home / PULSE_DATA_DIR {settings.home} cannot be made: {error.strerror}") from None
    if not os.access(settings.home, os.W_OK):
        raise SettingsError(f"--home / PULSE_DATA_DIR {settings.home} cannot be written to")


def check_source(settings: Settings) -> None:
    """See that there is something to read.

    Raises:
        SettingsError: The source is a path of nothing.
    """
    if settings.source not in ("auto", "synthetic") and not Path(settings.source).exists():
        raise SettingsError(
            f"--source / PULSE_SOURCE {settings.source} does not exist. A source is auto, synthetic, or the path of a "
            "sources.yml, a folder or a file."
        )


class Settings(BaseModel):
    """The settings of one home.

    Each field is read from the variable that its alias names; the command line may override some.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="forbid")

    home: Annotated[Path, Field(alias="PULSE_DATA_DIR")] = PROJECT_ROOT / "data"
    """Folder that holds one source's raw data, warehouse, history and published file."""
    source: Annotated[str, Field(alias="PULSE_SOURCE")] = "auto"
    """``auto``, ``synthetic``, or the path of a ``sources.yml``, a landing folder or a file."""
    as_of: Annotated[date | None, Field(alias="PULSE_AS_OF")] = None
    """The day everything is computed for; by default the day of the latest event."""
    timezone: Annotated[str, Field(alias="PULSE_TIMEZONE")] = "UTC"
    """IANA name of the business's time zone."""
    scale: Annotated[int, Field(alias="PULSE_SCALE", ge=1)] = 5_000
    """Customers of the synthetic business after its first two years."""
    seed: Annotated[int, Field(alias="PULSE_SEED", ge=0)] = 7
    """Seed of the synthetic business and of every model."""
    threads: Annotated[int, Field(alias="PULSE_THREADS", ge=1)] = max(1, min(4, os.cpu_count() or 1))
    """Models that dbt builds at the same time."""
    memory: Annotated[str, Field(alias="PULSE_MEMORY", pattern=r"^\d+ ?[KMG]i?B$")] = "512MB"
    """What reading and merging files may use, such as 512MB or 2GB; what needs more goes to disk."""
    build_memory: Annotated[str, Field(alias="PULSE_BUILD_MEMORY", pattern=r"^\d+ ?[KMG]i?B$")] = "3GB"
    """What building the marts may use, such as 8GB; what needs more goes to disk, in the home."""
    daily_at: Annotated[str, Field(alias="PULSE_DAILY_AT", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "05:00"
    """Local time of the daily refresh, HH:MM."""
    full_refresh: Annotated[bool, Field(alias="PULSE_FULL_REFRESH")] = False
    """Read every file again, rebuild every table and ignore earlier models."""
    retrain_days: Annotated[int, Field(alias="PULSE_RETRAIN_DAYS", ge=1)] = 7
    """Days after which a churn model is trained again, to challenge the one in use."""
    retention_value: Annotated[float | None, Field(alias="PULSE_RETENTION_VALUE", gt=0)] = None
    """What a customer who is kept brings, in the source's currency; by default one order of the usual value."""
    retention_cost: Annotated[float | None, Field(alias="PULSE_RETENTION_COST", ge=0)] = None
    """What contacting one customer costs; by default a twentieth of the value."""
    retention_success_rate: Annotated[float, Field(alias="PULSE_RETENTION_SUCCESS_RATE", gt=0, le=1)] = 0.1
    """Share of the customers about to leave whom a contact keeps."""
    pii: Annotated[Literal["keep", "mask", "hash"], Field(alias="PULSE_PII")] = "keep"
    """Names and e-mail addresses from staging on: kept, masked (A***), or hashed with a salt of the home."""
    landing_settle_seconds: Annotated[int, Field(alias="PULSE_LANDING_SETTLE_SECONDS", ge=0)] = 30
    """A landing file that changed in the last so many seconds is still being written, and left to a later refresh."""
    alert_sinks: Annotated[tuple[str, ...], Field(alias="PULSE_ALERT_SINKS")] = ("log", "file")
    """Where alerts go, by commas: log, file (alerts/alerts.jsonl in the home), webhook, smtp; none for nowhere."""
    alert_severity: Annotated[Literal["info", "warning", "critical"], Field(alias="PULSE_ALERT_SEVERITY")] = "warning"
    """The least severe alert that is sent."""
    alert_webhook_url: Annotated[SecretStr | None, Field(alias="PULSE_ALERT_WEBHOOK_URL")] = None
    """Address that alerts are posted to as JSON; its `text` is what Slack, Mattermost and Teams show. A secret."""
    alert_smtp_host: Annotated[str | None, Field(alias="PULSE_ALERT_SMTP_HOST")] = None
    """Mail server."""
    alert_smtp_port: Annotated[int, Field(alias="PULSE_ALERT_SMTP_PORT", ge=1, le=65535)] = 587
    """Its port."""
    alert_smtp_security: Annotated[Literal["starttls", "tls", "none"], Field(alias="PULSE_ALERT_SMTP_SECURITY")] = (
        "starttls"
    )
    """How the connection is encrypted; none only for a server on this machine."""
    alert_smtp_user: Annotated[str | None, Field(alias="PULSE_ALERT_SMTP_USER")] = None
    """Name to log in with; without one nobody logs in."""
    alert_smtp_password: Annotated[SecretStr | None, Field(alias="PULSE_ALERT_SMTP_PASSWORD")] = None
    """Password to log in with. A secret."""
    alert_mail_from: Annotated[str | None, Field(alias="PULSE_ALERT_MAIL_FROM", pattern=r"^[^@\s]+@[^@\s]+$")] = None
    """Sender of the e-mails."""
    alert_mail_to: Annotated[tuple[str, ...], Field(alias="PULSE_ALERT_MAIL_TO")] = ()
    """Receivers of the e-mails, by commas."""
    keep_runs: Annotated[int, Field(alias="PULSE_KEEP_RUNS", ge=1)] = 200
    """Runs that stay in Dagster's history; the latest ones."""
    keep_refreshes: Annotated[int, Field(alias="PULSE_KEEP_REFRESHES", ge=1)] = 100
    """Refreshes whose builds, check results and rows per file stay in the meta tables; the latest ones."""
    keep_quarantine_days: Annotated[int, Field(alias="PULSE_KEEP_QUARANTINE_DAYS", ge=1)] = 365
    """Days for which refused rows stay in quarantine."""
    business_name: Annotated[str | None, Field(alias="PULSE_BUSINESS_NAME", max_length=100)] = None
    """The business's own name, as its customers know it; campaign drafts are signed with it."""
    export_personal_data: Annotated[bool, Field(alias="PULSE_EXPORT_PERSONAL_DATA")] = False
    """Names and e-mail addresses in `exports/` as well."""
    export_formats: Annotated[
        str, Field(alias="PULSE_EXPORT_FORMATS", pattern=r"^(none|(csv|json|parquet)(,(csv|json|parquet))*)$")
    ] = "csv,json,parquet"
    """Formats of the files in `exports/`, with commas between them, or none."""
    dagster_folder: Annotated[Path | None, Field(alias="PULSE_DAGSTER_HOME")] = None
    """Folder with a dagster.yaml of your own, where Dagster runs as a service; by default dagster/ in the home."""
    dbt_project: Annotated[Path, Field(alias="PULSE_DBT_PROJECT")] = PROJECT_ROOT / "dbt_project"
    """Folder of the dbt project."""
    keep_versions: Annotated[int, Field(alias="PULSE_KEEP_VERSIONS", ge=1)] = 3
    """Published versions that are kept, the present one included; `pulse rollback` puts one back."""
    target: Annotated[Literal["duckdb", "spark"], Field(alias="PULSE_TARGET")] = "duckdb"
    """What builds the tables: duckdb on this machine, or spark where one machine is not enough."""
    spark_url: Annotated[str, Field(alias="PULSE_SPARK_URL", pattern=r"^sc://[\w.-]+(:\d{1,5})?(/[^\s]*)?$")] = (
        "sc://127.0.0.1:15002"
    )
    """Address of the Spark Connect server, sc://host:port."""
    spark_prefix: Annotated[str, Field(alias="PULSE_SPARK_PREFIX", pattern=r"^[a-z][a-z0-9_]*$")] = "pulse_"
    """Put before the name of every schema on Spark; homes that share a catalog need one each."""
    train_rows: Annotated[int, Field(alias="PULSE_TRAIN_ROWS", ge=1_000)] = 1_000_000
    """Most rows that a model of customers is trained on (on DuckDB: of churn); beyond it, those of a part of the
    customers, the same ones each time."""

    @field_validator("spark_url")
    @classmethod
    def _without_token(cls, value: str) -> str:
        if "token=" in value:
            raise ValueError("may be shown, and so must not hold a token: set SPARK_CONNECT_AUTHENTICATE_TOKEN instead")
        return value

    @field_validator("spark_url")
    @classmethod
    def _possible_port(cls, value: str) -> str:
        port = re.match(r"sc://[^:/]+:(\d+)", value)
        if port and not 1 <= int(port[1]) <= 65535:
            raise ValueError(f"{port[1]} is no port: sc://host:port with one from 1 to 65535, or sc://host for 15002")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("must be an IANA time zone such as Europe/Berlin or America/New_York")
        return value

    @field_validator("home", "dbt_project", "dagster_folder")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().resolve()

    @field_validator("source")
    @classmethod
    def _absolute_source(cls, value: str) -> str:
        return value if value in ("auto", "synthetic") else str(Path(value).expanduser().resolve())

    @field_validator("alert_sinks", "alert_mail_to", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(part for each in value.split(",") if (part := each.strip()) and part != "none")

    @field_validator("alert_sinks")
    @classmethod
    def _known_sinks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [sink for sink in value if sink not in SINKS]:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(SINKS)}, none")
        return value

    @field_validator("alert_mail_to")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [address for address in value if not re.fullmatch(r"[^@\s]+@[^@\s]+", address)]:
            raise ValueError(f"{wrong[0]!r} is no e-mail address")
        return value

    @field_validator("alert_webhook_url")
    @classmethod
    def _web_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"https?://[^/\s]+", value.get_secret_value()):
            raise ValueError("must begin with https:// or http://")
        return value

    @model_validator(mode="after")
    def _sinks_are_complete(self) -> Self:
        needed = {
            "webhook": ("alert_webhook_url",),
            "smtp": ("alert_smtp_host", "alert_mail_from", "alert_mail_to"),
        }
        for sink in self.alert_sinks:
            absent = [_alias(name) for name in needed.get(sink, ()) if not getattr(self, name)]
            if absent:
                raise ValueError(f"PULSE_ALERT_SINKS names {sink}, which needs {', '.join(absent)}")
        if self.alert_smtp_user and self.alert_smtp_password is None:
            raise ValueError("PULSE_ALERT_SMTP_USER needs PULSE_ALERT_SMTP_PASSWORD")
        return self

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, *, project: Path | None = None, **overrides: Any
    ) -> Settings:
        """Read the settings.

        Args:
            environment: Variables to read, and no `.env`; by default the process's own, and what two files say:
                the `.env` of the home, then that of the project.
            project: Folder of the project's `.env`, to read files beside an environment that is given.
            **overrides: Fields by name that win over the environment; None means "not given".

        Raises:
            SettingsError: A value is not allowed, a PULSE_ variable does not exist, or a `.env` cannot be understood.
        """
        if environment is None:
            environment, project = os.environ, project or PROJECT_ROOT
        given = {name: value for name, value in environment.items() if name.startswith("PULSE_")}
        told: dict[str, Variable] = {}
        if project is not None:
            home = overrides.get("home") or given.get("PULSE_DATA_DIR")
            told = _from_files(project, Path(home) if home else None, given)
        texts = {**{name: variable.value for name, variable in told.items()}, **given}
        known = {str(field.alias): name for name, field in cls.model_fields.items()}
        values: dict[str, Any] = {}
        for variable, text in texts.items():
            where = f" ({told[variable].place})" if variable in told and variable not in given else ""
            if variable not in known:
                near = get_close_matches(variable, known, 3)
                others = sorted(set(known) - set(near))
                raise SettingsError(f"{variable} is not a setting{where}; there are {', '.join([*near, *others])}")
            if text != "":
                values[known[variable]] = text
        values.update({name: value for name, value in overrides.items() if value is not None})
        try:
            return cls(**values)
        except ValidationError as error:
            lines = []
            for problem in error.errors():
                message = problem["msg"].removeprefix("Value error, ")
                if not problem["loc"]:
                    lines.append(message)
                    continue
                name = str(problem["loc"][0])
                name = known.get(name, name)
                shown = "**********" if name in _secrets() else str(values.get(name, problem["input"]))
                from_file = told.get(_alias(name)) if _alias(name) not in given and name not in overrides else None
                where = f" ({from_file.place})" if from_file else ""
                lines.append(f"{_alias(name)} = {shown!r}{where}: {message}")
            raise SettingsError("; ".join(lines)) from None

    def environment(self) -> dict[str, str]:
        """The variables that give another process, or dbt's profile, these same settings.

        Who is told of alerts is not among them, secrets least of all: what is handed to Dagster and dbt may be shown. A
        process that needs it reads it as this one did.
        """
        variables: dict[str, str] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if field.alias and value is not None and not name.startswith("alert_"):
                variables[field.alias] = str(value)
        return variables

    def today(self) -> date:
        """The day of receipt: today in the business's time zone."""
        return datetime.now(ZoneInfo(self.timezone)).date()

    @property
    def landing(self) -> Path:
        """Where users drop files."""
        return self.home / "landing"

    @property
    def raw(self) -> Path:
        """Raw Parquet."""
        return self.home / "raw"

    @property
    def quarantine(self) -> Path:
        """Rows that were refused."""
        return self.home / "quarantine"

    @property
    def models(self) -> Path:
        """Trained models and their cards."""
        return self.home / "models"

    @property
    def reports(self) -> Path:
        """Published pages."""
        return self.home / "reports"

    @property
    def exports(self) -> Path:
        """Published exports and campaign drafts."""
        return self.home / "exports"

    @property
    def formats_exported(self) -> tuple[str, ...]:
        """The formats of `export_formats`, each once."""
        return tuple(dict.fromkeys(each for each in self.export_formats.split(",") if each != "none"))

    @property
    def warehouse(self) -> Path:
        """The file that holds what gets published; one writer at a time."""
        return self.home / "warehouse.duckdb"

    @property
    def work(self) -> Path:
        """Staging and intermediate models; can be deleted at any time."""
        return self.home / "work.duckdb"

    @property
    def published(self) -> Path:
        """The file that readers open."""
        return self.home / "pulse.duckdb"

    @property
    def spark(self) -> Path:
        """Tables that Spark wrote, as Parquet, a folder a schema; can be deleted at any time."""
        return self.home / "spark"

    @property
    def spark_servers(self) -> Path:
        """Logs and process numbers of the Spark servers that `pulse spark up` started."""
        return self.home / "spark-servers"

    @property
    def alerts(self) -> Path:
        """Alerts that were sent, or wait to be."""
        return self.home / "alerts"

    @property
    def versions(self) -> Path:
        """The last published versions."""
        return self.home / "versions"

    @property
    def dagster_home(self) -> Path:
        """History of runs, checks and materializations."""
        return self.dagster_folder or self.home / "dagster"


def _alias(name: str) -> str:
    """The variable of a field."""
    field = Settings.model_fields.get(name)
    return field.alias if field is not None and field.alias else name


def _secrets() -> frozenset[str]:
    """Fields whose values are shown, stored and handed on nowhere."""
    return frozenset(name for name, field in Settings.model_fields.items() if field.annotation == (SecretStr | None))


_PATHS = ("PULSE_DATA_DIR", "PULSE_SOURCE", "PULSE_DAGSTER_HOME", "PULSE_DBT_PROJECT")


def _from_files(project: Path, home: Path | None, given: Mapping[str, str]) -> dict[str, Variable]:
    """The PULSE_ variables of the project's `.env` and of the home's, which goes first.

    Args:
        project: Folder of the project.
        home: The home, where environment or command line name it.
        given: What the environment says, and goes before.

    Raises:
        SettingsError: A file cannot be understood, others may read its secrets, or the home's names another home.
    """
    try:
        told = _pulse_variables(project / ".env")
        if home is None:
            named = told.get("PULSE_DATA_DIR")
            home = Path(named.value) if named and named.value else Settings.model_fields["home"].default
        of_home = {}
        if home.expanduser().resolve() != project.resolve():
            of_home = _pulse_variables(home.expanduser() / ".env")
    except EnvFileError as error:
        raise SettingsError(str(error)) from None
    if "PULSE_DATA_DIR" in of_home:
        raise SettingsError(
            f"PULSE_DATA_DIR ({of_home['PULSE_DATA_DIR'].place}) cannot be set in the home's own .env: set it in the "
            "environment or in the project's."
        )
    told |= of_home
    for variable in told.values():
        secret = variable.name not in given and variable.name in map(_alias, _secrets())
        if secret and variable.path.stat().st_mode & 0o007:
            raise SettingsError(
                f"{variable.name} ({variable.place}) is a secret, and anybody may read the file: "
                f"chmod 600 {shlex.quote(str(variable.path))}"
            )
    return told


def _pulse_variables(path: Path) -> dict[str, Variable]:
    """The PULSE_ variables of a file; a relative path counts from the file's folder."""
    found = {}
    for variable in read_env_file(path):
        if not variable.name.startswith("PULSE_"):
            continue
        is_word = variable.name == "PULSE_SOURCE" and variable.value in ("auto", "synthetic")
        if variable.name in _PATHS and variable.value and not is_word:
            value = str(path.parent / Path(variable.value).expanduser())
            variable = replace(variable, value=value)  # noqa: PLW2901
        found[variable.name] = variable
    return found
