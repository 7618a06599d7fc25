"""Settings: read from PULSE_ variables, refused with the variable's name."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_ROOT, Settings, SettingsError


def test_defaults() -> None:
    settings = Settings.from_environment({})
    assert settings.home == PROJECT_ROOT / "data"
    assert (settings.source, settings.as_of, settings.timezone, settings.scale) == ("auto", None, "UTC", 5000)


def test_variables_are_read_and_options_win(tmp_path: Path) -> None:
    variables = {"PULSE_AS_OF": "2024-02-29", "PULSE_SCALE": "10", "PULSE_DATA_DIR": str(tmp_path), "HOME": "/x"}
    settings = Settings.from_environment(variables, scale=20, as_of=None)
    assert settings.as_of == date(2024, 2, 29)
    assert settings.scale == 20
    assert settings.published == tmp_path / "pulse.duckdb"


def test_an_empty_variable_is_not_set() -> None:
    assert Settings.from_environment({"PULSE_AS_OF": ""}).as_of is None


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("PULSE_AS_OF", "2024-02-30", "valid date"),
        ("PULSE_AS_OF", "yesterday", "valid date"),
        ("PULSE_SCALE", "0", "greater than or equal to 1"),
        ("PULSE_SCALE", "many", "valid integer"),
        ("PULSE_TIMEZONE", "Berlin", "IANA time zone"),
        ("PULSE_DAILY_AT", "25:00", "pattern"),
        ("PULSE_EXPORT_FORMATS", "csv,xlsx", "pattern"),
    ],
)
def test_a_bad_value_is_refused_by_name(variable: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({variable: value})
    assert f"{variable} = '{value}'" in str(caught.value)
    assert words in str(caught.value)


def test_an_unknown_variable_is_refused() -> None:
    with pytest.raises(SettingsError, match="PULSE_ASOF is not a setting; there are PULSE_AS_OF"):
        Settings.from_environment({"PULSE_ASOF": "2024-01-01"})


def test_another_process_gets_the_same_settings(tmp_path: Path) -> None:
    settings = Settings.from_environment({}, home=tmp_path, as_of="2024-01-31", source=str(tmp_path / "x.csv"))
    assert Settings.from_environment(settings.environment()) == settings


def test_formats_of_exports_are_listed_by_commas() -> None:
    assert Settings.from_environment({}).formats_exported == ("csv", "json", "parquet")
    assert Settings.from_environment({"PULSE_EXPORT_FORMATS": "parquet,csv,csv"}).formats_exported == ("parquet", "csv")
    assert Settings.from_environment({"PULSE_EXPORT_FORMATS": "none"}).formats_exported == ()
