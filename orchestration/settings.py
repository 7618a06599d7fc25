"""Every setting, typed, read once from the environment (``PULSE_*``).

Nothing else in the project reads the environment, but for dbt's own profile. No setting is decided here that
depends on data.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

PROJECT_ROOT = Path(__file__).resolve().parents[1]


class SettingsError(Exception):
    """A setting cannot be used; the message names its variable and what it may be."""


def check_home(settings: Settings) -> None:
    """Make the home where it is absent.

    Raises:
        SettingsError: It cannot be made or written to.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"--home / PULSE_DATA_DIR {settings.home} cannot be made: {error.strerror}") from None
    if not os.access(settings.home, os.W_OK):
        raise SettingsError(f"--home / PULSE_DATA_DIR {settings.home} cannot be written to")


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
    dbt_project: Annotated[Path, Field(alias="PULSE_DBT_PROJECT")] = PROJECT_ROOT / "dbt_project"
    """Folder of the dbt project."""
    keep_versions: Annotated[int, Field(alias="PULSE_KEEP_VERSIONS", ge=1)] = 3
    """Published versions that are kept, the present one included; `pulse rollback` puts one back."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("must be an IANA time zone such as Europe/Berlin or America/New_York")
        return value

    @field_validator("home", "dbt_project")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("source")
    @classmethod
    def _absolute_source(cls, value: str) -> str:
        return value if value in ("auto", "synthetic") else str(Path(value).expanduser().resolve())

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Read the settings.

        Args:
            environment: Variables to read; the process's own by default.
            **overrides: Fields by name that win over the environment; None means "not given".

        Raises:
            SettingsError: A value is not allowed, or a PULSE_ variable does not exist.
        """
        environment = os.environ if environment is None else environment
        known = {field.alias: name for name, field in cls.model_fields.items()}
        values: dict[str, Any] = {}
        for variable, value in environment.items():
            if not variable.startswith("PULSE_"):
                continue
            if variable not in known:
                raise SettingsError(f"{variable} is not a setting; there are {', '.join(sorted(filter(None, known)))}")
            if value != "":
                values[known[variable]] = value
        values.update({name: value for name, value in overrides.items() if value is not None})
        try:
            return cls(**values)
        except ValidationError as error:
            alias_of = {name: alias for alias, name in known.items()}
            lines = []
            for problem in error.errors():
                name = str(problem["loc"][0]) if problem["loc"] else "?"
                variable = alias_of.get(name) or name
                message = problem["msg"].removeprefix("Value error, ")
                given = values.get(name, problem["input"])
                lines.append(f"{variable} = {str(given)!r}: {message}")
            raise SettingsError("; ".join(lines)) from None

    def environment(self) -> dict[str, str]:
        """The variables that give another process, or dbt's profile, these same settings."""
        variables: dict[str, str] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if field.alias and value is not None:
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
    def versions(self) -> Path:
        """The last published versions."""
        return self.home / "versions"

    @property
    def dagster_home(self) -> Path:
        """History of runs, checks and materializations."""
        return self.home / "dagster"
