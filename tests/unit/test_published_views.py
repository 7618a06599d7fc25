"""`pulse customer` and `pulse alerts` on a hand-made published file: right, helpful, and safe to look at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestration.cli import main
from orchestration.terminal import plain
from tests.unit.hostile import NAMES, publish

DANGEROUS = {chr(code) for code in (*range(0x0A), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0x202E)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    publish(folder / "pulse.duckdb")
    return folder


def pulse(home: Path, *arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "250"}).invoke(main, [*arguments, "--home", str(home)])


class TestCustomer:
    @pytest.mark.parametrize("place", range(len(NAMES)))
    def test_whatever_the_name_it_is_shown_and_does_nothing(self, home: Path, place: int) -> None:
        result = pulse(home, "customer", f"C{place}")
        assert result.exit_code == 0, result.output
        assert not DANGEROUS & set(result.output)
        shown = plain(NAMES[place])
        assert result.output.count(shown) >= 10
        assert f"C{place}" in result.output
        page = Path(result.output.splitlines()[-1].removeprefix("Page: "))
        assert page.parent == home / "reports"
        html = page.read_text(encoding="utf-8")
        assert f"C{place}" in html
        assert not [element for element in ("<script>alert", "<b>") if element in html]

    def test_figures(self, home: Path) -> None:
        lines = [" ".join(line.split()) for line in pulse(home, "customer", "C9").output.splitlines()]
        for line in (
            "so far 3 orders, -5.50 net",
            "next order 2026-01-01 expected",
            "segment 李雷, score 50 of 100",
            "intent 62 of 100",
            "risk High, over 99% of no order in 90 days, at risk",
            "tickets 1, 1 of them negative, 1 open",
            "action retention, by email",
            "offer discount, 15%: 李雷",
            "2025-12-24 1 2 -5.50",
            "2025-12-24 李雷 李雷 open -0.50",
        ):
            assert line in lines, line
        # what is not known is not told
        assert not [line for line in lines if line.startswith(("worth", "industry"))]

    def test_found_by_name_or_address_whatever_the_case(self, home: Path) -> None:
        assert "C3" in pulse(home, "customer", "{{7*7}}{% RAW %}").output
        assert "C8" in pulse(home, "customer", "bcc: ALL").output
        assert "C9" in pulse(home, "customer", "c9").output

    def test_several_that_fit_are_listed(self, home: Path) -> None:
        result = pulse(home, "customer", "a")
        assert result.exit_code == 1
        assert "ask for one by id:" in result.output
        assert "C0  <script>alert(1)</script>" in result.output

    def test_an_unknown_id_names_the_nearest(self, home: Path) -> None:
        result = pulse(home, "customer", "C99")
        assert result.exit_code == 1
        assert "there is no customer with the id, name or e-mail C99. The nearest ids: C9, " in result.output

    def test_a_page_that_cannot_be_written_is_told_after_the_view(self, home: Path, tmp_path: Path) -> None:
        (tmp_path / "pulse.duckdb").symlink_to(home / "pulse.duckdb")
        (tmp_path / "reports").write_text("a file where the folder should be")
        result = pulse(tmp_path, "customer", "C9")
        assert result.exit_code == 0
        assert "What to do next" in result.output
        assert f"Page: no page, {tmp_path / 'reports'} cannot be written to" in result.output.replace("\n", "")

    def test_nobody_in_particular(self, home: Path) -> None:
        assert "give an id" in pulse(home, "customer", " ").output

    def test_before_anything_is_published(self, tmp_path: Path) -> None:
        for command in (["customer", "C1"], ["alerts"]):
            result = pulse(tmp_path, *command)
            assert result.exit_code == 1
            assert "nothing has been published yet" in result.output


class TestAlerts:
    def test_printed_with_the_warnings_of_the_published_refresh(self, home: Path) -> None:
        result = pulse(home, "alerts")
        assert result.exit_code == 0, result.output
        assert result.output.startswith("Refresh 4, as of 2025-12-31: 1 critical, 1 warning, 8 info.\n")
        assert "critical <script>alert(1)</script>" in result.output
        assert "Since 2025-12-24. <script>alert(1)</script>" in result.output
        assert "info     [red]x[/red][/]" in result.output
        assert not DANGEROUS & set(result.output)
        assert result.output.endswith(
            "Warnings of the last checks:\n  \\x1b[31mred\\x07\\x9b2J on \\x1b[31mred\\x07\\x9b2J: 2 rows\n"
        )
        assert "mended" not in result.output
        assert "failed refresh" not in result.output

    @pytest.mark.parametrize(("severity", "ids"), [("critical", 1), ("warning", 2), ("info", len(NAMES))])
    def test_only_this_severe_or_worse(self, home: Path, severity: str, ids: int) -> None:
        told = json.loads(pulse(home, "alerts", "--json", "--severity", severity).output)
        assert [alert["subject_id"] for alert in told["alerts"]] == [f"C{place}" for place in range(ids)]

    def test_json_is_exact_and_safe_to_print(self, home: Path) -> None:
        result = pulse(home, "alerts", "--json")
        told = json.loads(result.output)
        assert [alert["title"] for alert in told["alerts"]] == list(NAMES)
        assert (told["refresh"], told["as_of"]) == (4, "2025-12-31")
        assert told["alerts"][0]["first_seen_on"] == "2025-12-24"
        assert told["alerts"][0]["expected_value"] is None
        assert [warning["failures"] for warning in told["check_warnings"]] == [2]
        assert not DANGEROUS & set(result.output)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        ("two\nlines", "two lines"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\u202eabc", "\\u202eabc"),
        ("half \ud800", "half ?"),
        ("Zoë 李雷 🙂", "Zoë 李雷 🙂"),
        (1.5, "1.5"),
    ],
)
def test_plain(value: object, shown: str) -> None:
    assert plain(value) == shown
