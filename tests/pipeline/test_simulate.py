"""`pulse simulate` as people type it, and what becomes of its files when they are read like anybody's."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration.settings import Settings
from orchestration.simulation import SimulationError, write_simulation
from orchestration.sources import synthetic_start
from reports.gallery import gallery_page
from sources.contracts import CONTRACTS
from sources.delivery import Request
from sources.store import RawFolder
from sources.synthetic import SyntheticSource
from sources.synthetic.export import export
from sources.synthetic.portrait import portrait
from sources.synthetic.world import DELIVERED, Simulation
from tests.conftest import ROOT, pulse, run_pipeline

AS_OF = date(2025, 5, 31)


def raw_rows(folder: RawFolder) -> dict[str, list[tuple]]:
    """Every raw row without its refresh number."""
    rows = {}
    with duckdb.connect() as connection:
        for contract in CONTRACTS:
            columns = ", ".join(contract.column_names)
            query = f"select {columns} from '{folder.glob(contract)}' order by {contract.key}"
            rows[contract.name] = connection.execute(query).fetchall()
    return rows


def test_exported_files_dropped_into_landing_are_the_same_business(tmp_path: Path) -> None:
    """Everything downstream is a function of raw, the clock and the settings; so these are compared."""
    home = tmp_path / "home"
    result = pulse(
        *("simulate", "--format", "csv", "--out", str(home / "landing"), "--as-of", AS_OF.isoformat()),
        PULSE_SCALE="100",
        PULSE_SEED="4",
    )
    assert result.returncode == 0, result.stderr
    assert "shop.sales" in result.stdout
    read = run_pipeline(home, job="raw", seed=4, as_of=AS_OF)
    assert read.succeeded, read.output
    direct = RawFolder(tmp_path / "direct")
    source = SyntheticSource(4, 100, synthetic_start(None, AS_OF))
    request = Request(AS_OF + timedelta(days=1), AS_OF, "UTC", {})
    for contract in CONTRACTS:
        direct.merge(contract, source.deliver(contract, direct.incoming(contract), request), 1)
    mine, theirs = raw_rows(RawFolder(home / "raw")), raw_rows(direct)
    for name, rows in theirs.items():
        assert mine[name] == rows, name
    assert all(theirs[name] for name in DELIVERED)
    assert RawFolder(home / "raw").clock() == (AS_OF, 1)


def test_what_cannot_be_written_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("precious\n", encoding="utf-8")
    with pytest.raises(SimulationError, match="is not empty"):
        write_simulation(Settings(scale=50), tmp_path, "csv", None, print)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.csv"]
    with pytest.raises(SimulationError, match="at least 10 customers"):
        write_simulation(Settings(scale=3), tmp_path / "new", "csv", None, print)


def test_the_gallery_shows_the_world_beside_real_purchases(tmp_path: Path) -> None:
    as_of = date(2025, 12, 31)
    simulation = Simulation(4, 600, date(2024, 1, 1), as_of)
    export(simulation.windows(), tmp_path, "parquet")
    frames = portrait(simulation, tmp_path, "parquet", ROOT / "data" / "samples" / "cdnow" / "CDNOW_sample.txt")
    buying = frames["buying"].set_index("week")
    # Its customers with a year or more after their first day, and a second day within 26 weeks.
    assert round(buying.loc[26, "bought_again_cdnow"], 3) == second_opinion(26)
    for column in buying:
        assert buying[column].is_monotonic_increasing
        assert buying[column].between(0, 1).all()
    with duckdb.connect() as connection:
        query = f"select sum(amount)::double from '{tmp_path}/shop/sales/*.parquet'"
        ((revenue,),) = connection.execute(query).fetchall()
    assert frames["daily_revenue"]["revenue"].sum() == pytest.approx(revenue, rel=1e-12)
    html = gallery_page(frames, "synthetic business (600 customers, seed 4)", as_of)["gallery.html"]
    assert f"{len(frames['spikes'])} spikes and lulls planted" in html
    assert "8 product pairs planted" in html
    assert html.count("<figure>") == 12
    assert "nan" not in html.lower()


def second_opinion(weeks: int) -> float:
    """The share of CDNOW's customers who bought again within so many weeks, in plain Python."""
    days: dict[str, set[date]] = {}
    for line in (ROOT / "data/samples/cdnow/CDNOW_sample.txt").read_text("utf-8").splitlines():
        customer, _, day, *_ = line.split()
        days.setdefault(customer, set()).add(date(int(day[:4]), int(day[4:6]), int(day[6:])))
    last = max(max(each) for each in days.values())
    again = [
        len(each) > 1 and (sorted(each)[1] - min(each)).days <= 7 * weeks
        for each in days.values()
        if (last - min(each)).days >= 364
    ]
    return round(sum(again) / len(again), 3)
