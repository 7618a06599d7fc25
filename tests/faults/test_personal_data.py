"""What is to be hidden is hidden everywhere but in the private folders, and nothing of before stays behind."""

from __future__ import annotations

from pathlib import Path

import duckdb

from tests.conftest import pulse

# Neither may stand anywhere outside; the second is a customer's id, as exports of online shops have it.
NAME, ADDRESS = "Zebedee Quillfeather", "zebedee@quillfeather.example"
PRIVATE = {"landing", "raw", "quarantine"}


def write_exports(home: Path) -> None:
    sales, customers = home / "landing" / "shop" / "sales", home / "landing" / "shop" / "customers"
    for folder in (sales, customers):
        folder.mkdir(parents=True)
    lines = [f"{ADDRESS},2024-0{month}-11,{month}5.00" for month in range(1, 7)]
    lines += [f"C{n},2024-03-{n:02d},9.50" for n in range(1, 29)]
    (sales / "sales.csv").write_text("\n".join(["customer_id,sold_at,amount", *lines, f"{ADDRESS},never,1"]) + "\n")
    (customers / "customers.csv").write_text(f"customer_id,name,email\n{ADDRESS},{NAME},{ADDRESS}\nC1,,\n")


def holding(home: Path, text: str) -> set[str]:
    """Files of a home that hold a text, but for the private ones."""
    return {
        str(file.relative_to(home))
        for file in home.rglob("*")
        if file.is_file() and file.relative_to(home).parts[0] not in PRIVATE and text.encode() in file.read_bytes()
    }


def test_names_and_addresses_are_nowhere_once_they_are_hashed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write_exports(home)
    first = pulse("run", "--home", str(home))
    assert first.returncode == 0, first.stdout + first.stderr
    assert {"pulse.duckdb", "warehouse.duckdb"} <= holding(home, NAME)
    with duckdb.connect(str(home / "pulse.duckdb"), read_only=True) as connection:
        before = connection.execute("select total_spend, purchase_count from marts.customer_metrics order by all")
        totals = before.fetchall()

    second = pulse("run", "--home", str(home), PULSE_PII="hash")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "PULSE_PII is now hash" in second.stdout
    # What Dagster and the backups have of the time before is theirs; what is made from now on holds neither.
    for file in ("pulse.duckdb", "warehouse.duckdb", "work.duckdb"):
        assert file not in holding(home, NAME) | holding(home, ADDRESS)
    assert not {file for file in holding(home, ADDRESS) if file.startswith("reports/")}
    with duckdb.connect(str(home / "pulse.duckdb"), read_only=True) as connection:
        after = connection.execute("select total_spend, purchase_count from marts.customer_metrics order by all")
        assert after.fetchall() == totals
        ((customer, name, email),) = connection.execute(
            "select customer_id, name, email from marts.dim_customers where name is not null"
        ).fetchall()
        # One person, one hash: in every table, and as address and as id.
        assert customer == email
        assert connection.execute(
            "select count(*) from marts.fct_sales where customer_id = ?", [customer]
        ).fetchall() == [(6,)]
    assert len(customer) == len(name) == 32

    # Plain dbt without the variable would put it all back.
    assert "PULSE_PII=hash, this is PULSE_PII=keep" in dbt(home)


def test_a_home_that_was_hashed_from_the_start_never_holds_a_name(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write_exports(home)
    result = pulse("run", "--home", str(home), PULSE_PII="mask")
    assert result.returncode == 0, result.stdout + result.stderr
    assert NAME not in result.stdout
    assert ADDRESS not in result.stdout
    # Dagster's history and dbt's files included.
    assert holding(home, NAME) | holding(home, ADDRESS) == set()
    with duckdb.connect(str(home / "pulse.duckdb"), read_only=True) as connection:
        shown = connection.execute("select name, email from marts.dim_customers where name is not null").fetchall()
    assert shown == [("Z***", "z***@***")]


def dbt(home: Path) -> str:
    """What plain dbt says in a shell without the variable."""
    import os
    import subprocess
    import sys

    from tests.conftest import ROOT

    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "DBT_"))}
    command = [str(Path(sys.executable).with_name("dbt")), "build", "--target-path", str(home / "target")]
    return subprocess.run(
        [*command, "--log-path", str(home / "logs"), "--select", "stg_shop__customers"],
        env={**environment, "PULSE_DATA_DIR": str(home)},
        cwd=ROOT / "dbt_project",
        capture_output=True,
        text=True,
        check=False,
    ).stdout
