"""Features at a cutoff know nothing of what came after it: the future is deleted, and they stay as they are."""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd
import pytest

from sources.contracts import CONTRACTS, Contract, Kind
from sources.store import RawFolder
from tests.dbt.homes import AS_OF, Dbt, Home

CUTOFF = date(2025, 2, 28)
CHANGES_OVER_TIME = {
    "shop.customers": ("loyalty_tier", "marketing_consent", "name", "email"),
    "shop.products": ("list_price", "unit_cost", "name"),
    "helpdesk.tickets": ("status", "satisfaction_score"),
    "marketing.contacts": ("converted_order_id",),
}
"""What a later export may say otherwise, and a feature must therefore not read."""

_RANDOM = {
    Kind.TEXT: "cast(hash(k, 1) as varchar)",
    Kind.ID: "cast(hash(k, 2) as varchar)",
    Kind.FLAG: "hash(k, 3) % 2 = 0",
    Kind.INTEGER: "1 + cast(hash(k, 4) % 5 as bigint)",
    Kind.NUMBER: "cast(hash(k, 5) % 1000 as decimal(18, 4))",
}


def forgotten(contract: Contract) -> str:
    """SQL of a raw table as it would be had the world ended at the cutoff, and then been told by somebody else."""
    random = CHANGES_OVER_TIME.get(contract.name, ())
    columns = []
    for column in contract.columns:
        if column.name in random:
            columns.append(f"{_RANDOM[column.kind].replace('(k,', f'({contract.key},')} as {column.name}")
        elif column.filled_later and column.kind is Kind.TIMESTAMP:
            known = f"cast({column.name} as date) <= date '{CUTOFF}'"
            columns.append(f"case when {known} then {column.name} end as {column.name}")
        else:
            columns.append(column.name)
    happened = f"where cast({contract.event_at} as date) <= date '{CUTOFF}'" if contract.event_at else ""
    if contract.name == "shop.customers":
        happened = f"where cast(signed_up_at as date) <= date '{CUTOFF}'"
    return f"select {', '.join(columns)}, _batch from before {happened}"


@pytest.fixture(scope="module")
def ended(dbt: Dbt, world: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The raw data of `world` without a future, still computed for the same day."""
    home = tmp_path_factory.mktemp("ended")
    folder = RawFolder(home / "raw")
    for contract in CONTRACTS:
        folder.folder(contract).mkdir(parents=True)
        with duckdb.connect() as connection:
            pattern = RawFolder(world.path / "raw").glob(contract)
            connection.execute(f"create view before as select * from read_parquet('{pattern}')")
            target = folder.folder(contract) / "all.parquet"
            connection.execute(f"copy ({forgotten(contract)}) to '{target}' (format parquet)")
    folder.write_clock(AS_OF, AS_OF, 1)
    marts = ("+customer_features", "+session_features", "+contact_features")
    return dbt.build_here(home, "--exclude-resource-type", "unit_test", "test", "--select", *marts)


def test_features_do_not_know_the_future(world: Home, ended: Home) -> None:
    features = "* exclude (churned_30d, churned_90d, churned_180d)"
    query = f"select {features} from marts.customer_features where cutoff_date <= date '{CUTOFF}' order by all"
    with_future, without = world.frame(query), ended.frame(query)
    assert with_future["cutoff_date"].nunique() >= 9
    assert len(with_future.columns) - 2 >= 25
    # the future was there, and is gone
    assert len(world.raw("shop.sales")) > len(ended.raw("shop.sales")) > 0
    assert ended.raw("helpdesk.tickets")["resolved_at"].max().date() <= CUTOFF
    pd.testing.assert_frame_equal(with_future, without, check_exact=True)


def test_features_of_visits_do_not_either(world: Home, ended: Home) -> None:
    # a visit at midnight goes on after the cutoff
    query = f"select * from marts.session_features where started_at < date '{CUTOFF}' order by all"
    with_future = world.frame(query)
    assert with_future["sessions_before"].max() > 10
    pd.testing.assert_frame_equal(with_future, ended.frame(query), check_exact=True)


def test_features_of_contacts_do_not_either(world: Home, ended: Home) -> None:
    labels = "is_closed, orders_after_30d, net_revenue_after_30d, gross_margin_after_30d"
    query = f"""
        select * exclude ({labels}) from marts.contact_features
        where contact_id is not null and known_on < date '{CUTOFF}' order by all
    """
    with_future = world.frame(query)
    assert len(with_future) > 50
    assert with_future["message_count"].max() > 0
    pd.testing.assert_frame_equal(with_future, ended.frame(query), check_exact=True)
