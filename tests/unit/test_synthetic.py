"""Laws of the synthetic business: stable in time, deterministic, whole, and shaped like a shop."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from scipy import stats

from sources.contracts import BY_NAME, CONTRACTS, Contract, Kind
from sources.delivery import Request, Source, SourceError
from sources.synthetic import SyntheticSource
from sources.synthetic.effects import ALL
from sources.synthetic.randomness import Draws
from sources.synthetic.seasons import DAY, Seasons, day_number
from sources.synthetic.truth import planted
from sources.synthetic.world import Simulation, World

STARTS_ON = date(2024, 1, 1)
AS_OF = date(2025, 6, 30)
SEED = 11
CUSTOMERS = 600
DELIVERED = [contract for contract in CONTRACTS if contract.name != "scores.churn"]
CREATED = {"shop.customers": "signed_up_at", "shop.products": "launched_on", "marketing.campaigns": "starts_on"}
TIMES = (Kind.TIMESTAMP, Kind.DATE)


def world_of(seed: int, customers: int, starts_on: date, as_of: date) -> World:
    return Simulation(seed, customers, starts_on, as_of).whole()


def frames_of(world: World) -> dict[str, pd.DataFrame]:
    """All raw tables, by name, sorted by key, with exact Arrow types."""
    frames = {}
    for contract in DELIVERED:
        table = world.table(contract.name)
        frame = table.to_pandas(types_mapper=pd.ArrowDtype)
        frames[contract.name] = frame.sort_values(contract.key, ignore_index=True)
    return frames


def born_at(contract: Contract) -> str:
    """The column that says since when a row exists."""
    return contract.event_at or CREATED[contract.name]


def cut(frames: dict[str, pd.DataFrame], day: date) -> dict[str, pd.DataFrame]:
    """A world as it would have looked at the end of an earlier day: the contracts say what was not yet known."""
    cut_frames = {}
    for contract in DELIVERED:
        frame = frames[contract.name]
        frame = frame[~after(frame[born_at(contract)], day)].copy()
        for column in contract.columns:
            if column.filled_later and column.kind in TIMES:
                frame[column.name] = frame[column.name].mask(after(frame[column.name], day))
        cut_frames[contract.name] = frame
    tickets = cut_frames["helpdesk.tickets"]
    resolved, responded = tickets["resolved_at"].notna(), tickets["first_response_at"].notna()
    tickets["satisfaction_score"] = tickets["satisfaction_score"].where(resolved)
    status = np.select(
        [resolved, responded & (tickets["status"] == "reopened"), responded],
        ["resolved", "reopened", "waiting"],
        default="open",
    )
    tickets["status"] = pd.Series(status, index=tickets.index, dtype=tickets["status"].dtype)
    contacts = cut_frames["marketing.contacts"]
    placed = contacts["converted_order_id"].isin(cut_frames["shop.sales"]["order_id"])
    contacts["converted_order_id"] = contacts["converted_order_id"].where(placed)
    return {name: frame.reset_index(drop=True) for name, frame in cut_frames.items()}


def after(times: pd.Series, day: date) -> pd.Series:
    """Whether times lie after the end of a day; missing ones do not."""
    if pa.types.is_date(times.dtype.pyarrow_dtype):
        later = times > day
    else:
        later = times >= datetime(day.year, day.month, day.day) + timedelta(days=1)  # noqa: DTZ001
    return later.fillna(False).astype(bool)


def assert_same_world(left: dict[str, pd.DataFrame], right: dict[str, pd.DataFrame]) -> None:
    for name, frame in left.items():
        assert_frame_equal(frame, right[name], check_exact=True, obj=name)


@pytest.fixture(scope="module")
def world() -> World:
    return world_of(SEED, CUSTOMERS, STARTS_ON, AS_OF)


@pytest.fixture(scope="module")
def frames(world: World) -> dict[str, pd.DataFrame]:
    return frames_of(world)


@pytest.fixture(scope="module")
def truth() -> dict[str, pd.DataFrame]:
    return planted(Simulation(SEED, CUSTOMERS, STARTS_ON, AS_OF))


@pytest.fixture(scope="module")
def con(world: World, truth: dict[str, pd.DataFrame]) -> duckdb.DuckDBPyConnection:
    """The raw tables in DuckDB, named source_table, and the truth tables, named truth_table."""
    connection = duckdb.connect()
    for contract in DELIVERED:
        connection.register(f"{contract.source}_{contract.table}", world.table(contract.name))
    for name, frame in truth.items():
        connection.register(f"truth_{name}", frame)
    return connection


def one(con: duckdb.DuckDBPyConnection, query: str) -> tuple:
    row = con.execute(query).fetchone()
    assert row is not None
    return row


# Laws of time and chance


def test_the_cut_knows_every_column_that_is_filled_later():
    special = {
        f"{contract.name}.{column.name}"
        for contract in DELIVERED
        for column in contract.columns
        if column.filled_later and column.kind not in TIMES
    }
    assert special == {
        "helpdesk.tickets.status",
        "helpdesk.tickets.satisfaction_score",
        "marketing.contacts.converted_order_id",
    }


@pytest.mark.parametrize("day", [date(2024, 1, 1), date(2024, 11, 17), date(2025, 6, 29)])
def test_a_world_cut_at_an_earlier_day_is_the_world_of_that_day(frames, day):
    assert_same_world(cut(frames, day), frames_of(world_of(SEED, CUSTOMERS, STARTS_ON, day)))


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    customers=st.integers(10, 150),
    starts_on=st.dates(date(2019, 1, 1), date(2026, 1, 1)),
    first=st.integers(0, 400),
    more=st.integers(1, 500),
)
def test_prefix_stability_holds_for_any_seed_size_and_dates(seed, customers, starts_on, first, more):
    early, late = starts_on + timedelta(days=first), starts_on + timedelta(days=first + more)
    cut_world = cut(frames_of(world_of(seed, customers, starts_on, late)), early)
    assert_same_world(cut_world, frames_of(world_of(seed, customers, starts_on, early)))


def test_the_cut_does_change_something_so_the_law_is_not_empty(frames):
    changed = set()
    # An ordinary day, and the day after a campaign began.
    for day in (date(2024, 12, 3), date(2024, 11, 17)):
        before = cut(frames, day)
        for contract in DELIVERED:
            then, now = before[contract.name], frames[contract.name]
            now = now[now[contract.key].isin(then[contract.key])].reset_index(drop=True)
            changed |= {contract.name for column in contract.column_names if not now[column].equals(then[column])}
    assert changed == {"shop.sales", "helpdesk.tickets", "marketing.contacts"}


def test_truth_shows_only_departures_that_have_come_to_pass(truth):
    early = date(2024, 9, 1)
    late, then = truth["customers"], planted(Simulation(SEED, CUSTOMERS, STARTS_ON, early))["customers"]
    expected = late["left_on"].where(late["left_on"] <= pd.Timestamp(early))[: len(then)]
    pd.testing.assert_series_equal(then["left_on"], expected)
    assert late["left_on"].notna().sum() > then["left_on"].notna().sum() > 0


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(frames):
    assert_same_world(frames, frames_of(world_of(SEED, CUSTOMERS, STARTS_ON, AS_OF)))
    other = frames_of(world_of(SEED + 1, CUSTOMERS, STARTS_ON, AS_OF))
    assert len(other["shop.sales"]) != len(frames["shop.sales"])


def test_draws_depend_on_the_entity_and_not_on_its_neighbours():
    draws = Draws(3)
    entity = np.arange(50_000)
    values = draws.uniform("a stream", entity)
    assert np.array_equal(values[entity % 7 == 0], Draws(3).uniform("a stream", entity[entity % 7 == 0]))
    others = {
        "stream": draws.uniform("b stream", entity),
        "ordinal": draws.uniform("a stream", entity, 1),
        "seed": Draws(4).uniform("a stream", entity),
        "neighbour": np.roll(values, 1),
    }
    assert stats.kstest(values, "uniform").pvalue > 1e-3
    for name, other in others.items():
        # Five standard errors of a correlation of independent numbers.
        assert abs(np.corrcoef(values, other)[0, 1]) < 5 / np.sqrt(len(entity)), name


@pytest.mark.parametrize("mean", [0.05, 0.7, 3.0])
def test_poisson_numbers_have_their_mean_and_variance(mean):
    counts = Draws(5).poisson("counts", np.arange(40_000), mean, 20)
    # 3.5 standard errors of mean and variance.
    assert abs(counts.mean() - mean) < 3.5 * np.sqrt(mean / len(counts))
    assert abs(counts.var() - mean) < 3.5 * np.sqrt((mean + 2 * mean**2) / len(counts))


def test_operational_time_and_calendar_are_each_others_inverse():
    seasons = Seasons(Draws(SEED), STARTS_ON, AS_OF, ALL)
    end = float(seasons.at_start_of(day_number(AS_OF)))
    moment = np.sort(Draws(1).uniform("moments", np.arange(5_000))) * end
    seconds = seasons.seconds(moment)
    assert (np.diff(seconds) >= 0).all()
    # Whole seconds are kept: at the busiest hour of the busiest day one is worth less than 1e-4 days.
    assert np.abs(seasons.operational(seconds) - moment).max() < 1e-4
    assert (seconds % DAY >= 3_600).all()


# Wholeness of the raw tables


def test_every_key_is_present_and_unique(frames):
    for contract in DELIVERED:
        key = frames[contract.name][contract.key]
        assert key.notna().all(), contract.name
        assert key.is_unique, contract.name


def test_values_stay_within_the_contracts(frames):
    for contract in DELIVERED:
        for column in contract.columns:
            values = frames[contract.name][column.name]
            if column.required and not column.may_be_null:
                assert values.notna().all(), column.name
            if column.allowed:
                assert set(values.dropna()) <= set(column.allowed), column.name
            if column.low is not None:
                assert values.dropna().astype(float).min() >= column.low, column.name
            if column.high is not None:
                assert values.dropna().astype(float).max() <= column.high, column.name


@pytest.mark.parametrize(
    ("table", "column", "parent"),
    [
        *((name, "customer_id", "shop_customers") for name in ("shop_sales", "helpdesk_tickets", "web_sessions")),
        *((name, "customer_id", "shop_customers") for name in ("web_events", "marketing_contacts", "usage_activity")),
        *((name, "product_id", "shop_products") for name in ("shop_sales", "helpdesk_tickets", "web_events")),
        ("web_events", "session_id", "web_sessions"),
        ("web_events", "campaign_id", "marketing_campaigns"),
        ("marketing_contacts", "campaign_id", "marketing_campaigns"),
    ],
)
def test_every_reference_leads_somewhere(con, table, column, parent):
    query = f"select count({column}), count(*) filter ({column} not in (from {parent} select {column})) from {table}"
    references, orphans = one(con, query)
    assert references > 0
    assert orphans == 0


def test_no_event_lies_after_as_of_or_before_the_start(frames):
    for contract in DELIVERED:
        frame = frames[contract.name]
        for column in contract.columns:
            if column.kind in TIMES and column.name != "ends_on":
                assert not after(frame[column.name], AS_OF).any(), f"{contract.name}.{column.name}"
        if contract.event_at:
            assert after(frame[contract.event_at], STARTS_ON - timedelta(days=1)).all(), contract.name


def test_times_are_in_order(con):
    wrong = {
        "an order before sign-up": "from shop_sales join shop_customers using (customer_id) "
        "where sold_at < signed_up_at",
        "a sale before the launch": "from shop_sales join shop_products using (product_id) where sold_at < launched_on",
        "a return before the sale": "from shop_sales where returned_at <= sold_at",
        "an answer before the ticket": "from helpdesk_tickets where first_response_at <= opened_at",
        "a resolution before the answer": "from helpdesk_tickets "
        "where resolved_at <= first_response_at or (resolved_at is not null and first_response_at is null)",
        "a contact before sign-up": "from marketing_contacts join shop_customers using (customer_id) "
        "where assigned_at < signed_up_at",
        "a message before it was assigned": "from marketing_contacts where sent_at <= assigned_at",
        "an opening before sending": "from marketing_contacts where opened_at <= sent_at",
        "a click before opening": "from marketing_contacts where clicked_at <= opened_at",
        "a click without opening": "from marketing_contacts where clicked_at is not null and opened_at is null",
        "a visit before sign-up": "from web_sessions join shop_customers using (customer_id) "
        "where order_id is null and started_at < signed_up_at",
        "use before sign-up": "from usage_activity join shop_customers using (customer_id) "
        "where occurred_on < signed_up_at::date",
    }
    for what, rows in wrong.items():
        assert one(con, f"select count(*) {rows}") == (0,), what


def test_amounts_are_exact_under_every_way_of_rounding(frames):
    sales = frames["shop.sales"]
    exact = [
        quantity * price * (1 - Decimal(str(rate)))
        for quantity, price, rate in zip(sales["quantity"], sales["unit_price"], sales["discount_rate"], strict=True)
    ]
    cent = Decimal("0.01")
    assert list(sales["amount"]) == [value.quantize(cent, ROUND_HALF_UP) for value in exact]
    assert list(sales["amount"]) == [value.quantize(cent, ROUND_HALF_EVEN) for value in exact]
    plain = sales[["quantity", "unit_price", "discount_rate", "amount"]].astype(float)
    rounded = (plain["quantity"] * plain["unit_price"] * (1 - plain["discount_rate"])).round(2)
    assert np.abs(rounded - plain["amount"]).max() < 1e-9


def test_an_order_has_one_customer_one_moment_and_each_product_once(con):
    query = """
        select count(*) from (
            from shop_sales select order_id
            group by order_id
            having count(distinct (customer_id, sold_at, channel)) > 1 or count(*) > count(distinct product_id)
                or count(*) > 5
        )
    """
    assert one(con, query) == (0,)


def test_converting_sessions_are_exactly_the_online_orders(con):
    query = """
        with orders as (
            from shop_sales select order_id, customer_id, sold_at, sum(amount) as value
            where channel = 'online' group by all
        )
        select
            count(*),
            count(*) filter (o.order_id is null or s.order_id is null),
            count(*) filter (o.customer_id is distinct from s.customer_id),
            count(*) filter (o.value <> s.cart_value),
            count(*) filter (s.started_at >= o.sold_at or s.started_at::date <> o.sold_at::date),
            count(*) - count(distinct o.order_id)
        from orders as o
        full join (from web_sessions where order_id is not null) as s using (order_id)
    """
    pairs, *mistakes = one(con, query)
    assert pairs > 500
    assert mistakes == [0, 0, 0, 0, 0]


def test_funnel_events_agree_with_their_sessions(con):
    query = """
        with of_session as (
            from web_events select
                session_id,
                min(occurred_at) as first_at,
                max(occurred_at) as last_at,
                min(occurred_at) filter (event_type = 'product_view') as viewed_at,
                min(occurred_at) filter (event_type = 'add_to_cart') as added_at,
                min(occurred_at) filter (event_type = 'purchase') as bought_at,
                count(*) filter (event_type = 'purchase') as purchases,
                count(*) filter (event_type = 'product_view') as views,
                count(*) filter (event_type = 'add_to_cart') as adds
            where session_id is not null group by session_id
        )
        select
            count(*),
            count(*) filter (e.session_id is null or first_at <> started_at),
            count(*) filter (last_at > started_at + to_seconds(time_on_site_seconds)),
            count(*) filter (purchases <> (order_id is not null)::int),
            count(*) filter (bought_at is not null and not (started_at < viewed_at and viewed_at < added_at
                and added_at < bought_at)),
            count(*) filter (added_at is not null and viewed_at > added_at),
            count(*) filter (started_at::date < date '2025-06-30' and (adds > 0) <> (cart_value > 0)),
            count(*) filter (pages_visited < views)
        from web_sessions left join of_session as e using (session_id)
    """
    sessions, *mistakes = one(con, query)
    assert sessions > 2_000
    assert mistakes == [0] * 7


def test_a_purchase_happens_when_the_order_does(con):
    query = """
        select count(*) from web_events as e
        join web_sessions as s using (session_id)
        join (from shop_sales select distinct order_id, sold_at) as o using (order_id)
        where e.event_type = 'purchase' and e.occurred_at <> o.sold_at
    """
    assert one(con, query) == (0,)


def test_reviews_are_written_by_customers_who_bought_the_product_before(con):
    query = """
        select count(*), count(*) filter (not exists (
            from shop_sales as s
            where s.customer_id = e.customer_id and s.product_id = e.product_id and s.sold_at < e.occurred_at
        ))
        from web_events as e where event_type = 'review'
    """
    reviews, unfounded = one(con, query)
    assert reviews > 20
    assert unfounded == 0


@pytest.mark.parametrize(("event", "column"), [("email_open", "opened_at"), ("email_click", "clicked_at")])
def test_mail_events_are_exactly_those_of_the_contacts(con, event, column):
    query = f"""
        select count(*), count(*) filter (e.event_id is null or k.contact_id is null)
        from (from web_events where event_type = '{event}' and session_id is null) as e
        full join (from marketing_contacts where {column} is not null) as k
            on e.customer_id = k.customer_id and e.campaign_id = k.campaign_id and e.occurred_at = k.{column}
    """
    events, mistakes = one(con, query)
    assert events > 10
    assert mistakes == 0


# Campaigns


def test_control_is_never_sent_to_and_has_its_share(con):
    contacts, control, touched = one(
        con,
        """
        select count(*), count(*) filter (is_control), count(*) filter (is_control and coalesce(
            sent_at::varchar, opened_at::varchar, clicked_at::varchar, converted_order_id) is not null)
        from marketing_contacts
        """,
    )
    low, high = stats.binom.interval(0.999, contacts, 0.2)
    assert low <= control <= high
    assert touched == 0


def test_only_consenting_customers_are_contacted_once_a_campaign(con):
    query = """
        select count(*) filter (marketing_consent is not true), count(*) - count(distinct (campaign_id, customer_id))
        from marketing_contacts join shop_customers using (customer_id)
    """
    assert one(con, query) == (0, 0)


def test_converted_orders_are_real_and_the_customers_own(con):
    query = """
        select count(*), count(*) filter (o.order_id is null or o.customer_id <> k.customer_id
            or k.clicked_at is null or o.sold_at <= k.clicked_at)
        from marketing_contacts as k
        left join (from shop_sales select distinct order_id, customer_id, sold_at) as o
            on o.order_id = k.converted_order_id
        where converted_order_id is not null
    """
    converted, wrong = one(con, query)
    assert converted > 10
    assert wrong == 0


# The shape of the business


def test_use_declines_before_an_account_is_closed(con):
    before, earlier = one(
        con,
        """
        select
            avg(quantity) filter (left_on - occurred_on < 28), avg(quantity) filter (left_on - occurred_on > 70)
        from usage_activity join (from truth_customers select customer_id, left_on::date as left_on) using (customer_id)
        where activity_type in ('data_usage', 'login') and left_on is not null
        """,
    )
    assert before < 0.6 * earlier


def test_customers_fit_their_city_and_have_their_own_address(con, frames):
    people = frames["shop.customers"]
    assert (people.groupby("city")["region"].nunique() == 1).all()
    assert people["email"].is_unique
    assert people["email"].str.fullmatch(r"[a-z0-9.]+@example\.(com|org|net)").all()
    assert not all(name.isascii() for name in people["name"])
    assert {"New York", "Los Angeles", "Chicago", "Houston", "Phoenix"} <= set(people["city"])
    assert set(people["age_group"]) == {"18-25", "26-35", "36-45", "46-55", "56+"}
    assert 0 < people["marketing_consent"].isna().mean() < 0.2
    share = one(con, "select avg((signed_up_at < '2024-01-01')::int) from shop_customers")[0]
    assert 0.3 < share < 0.5


def test_customers_arrive_at_random_around_the_number_asked_for():
    last = STARTS_ON + timedelta(days=730)
    counts = [len(Simulation(seed, 300, STARTS_ON, last).shop.customers) for seed in range(30)]
    # 200 of the 300 come as a Poisson process: over 30 seeds, 3.5 standard errors of its mean and of its variance.
    assert abs(np.mean(counts) - 300) < 3.5 * np.sqrt(200 / 30)
    assert abs(np.var(counts, ddof=1) - 200) < 3.5 * 200 * np.sqrt(2 / 29)


def test_nothing_that_was_planted_is_in_raw(world, truth):
    raw = {column.name for contract in CONTRACTS for column in contract.columns}
    identifying = {column.name for contract in CONTRACTS for column in contract.columns if column.kind is Kind.ID}
    # Dates of campaigns and dates of trends share their names and nothing else.
    hidden = {name for frame in truth.values() for name in frame} - identifying - {"starts_on", "ends_on"}
    assert hidden
    assert not hidden & raw
    for contract in DELIVERED:
        table = world.table(contract.name)
        assert tuple(table.column_names) == contract.column_names


# As a source


@pytest.fixture
def source() -> SyntheticSource:
    return SyntheticSource(seed=7, customers=120, starts_on=STARTS_ON)


def request(received_on: date, as_of: date | None = None) -> Request:
    return Request(received_on=received_on, as_of=as_of, timezone="UTC", known={})


def test_parquet_has_the_contracts_types_in_order(source: Source, tmp_path: Path):
    for contract in DELIVERED:
        folder = tmp_path / contract.name
        folder.mkdir()
        (delivery,) = source.deliver(contract, folder, request(date(2024, 7, 1)))
        assert delivery.parquet is not None
        described = duckdb.sql(f"describe from '{delivery.parquet}'").fetchall()
        expected = [(column.name, column.kind.sql_type.upper()) for column in contract.columns]
        assert [(name, kind) for name, kind, *_ in described] == [*expected, ("_line", "BIGINT")]
        lines = duckdb.sql(f"select count(*), min(_line), max(_line), count(distinct _line) from '{delivery.parquet}'")
        assert lines.fetchall() == [(delivery.rows, 1, delivery.rows, delivery.rows)]
        assert (delivery.name, delivery.table) == ("synthetic", contract.name)
        assert (delivery.content_hash, delivery.quarantined) == (None, 0)


def test_there_are_no_scores_made_elsewhere(source, tmp_path):
    assert source.deliver(BY_NAME["scores.churn"], tmp_path, request(date(2024, 7, 1))) == []


def test_the_last_day_is_yesterday_unless_asked_for(source, tmp_path):
    def last_day(name: str, wanted: Request) -> date:
        folder = tmp_path / name
        folder.mkdir()
        (delivery,) = source.deliver(BY_NAME["web.sessions"], folder, wanted)
        ((last,),) = duckdb.sql(f"select max(started_at)::date from '{delivery.parquet}'").fetchall()
        return last

    assert last_day("yesterday", request(date(2024, 7, 1))) == date(2024, 6, 30)
    assert last_day("asked", request(date(2024, 7, 1), as_of=date(2024, 5, 12))) == date(2024, 5, 12)


def test_ten_deliveries_simulate_once(source, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr("sources.synthetic.source.Simulation", lambda *given: made.append(given) or Simulation(*given))
    for contract in CONTRACTS:
        source.deliver(contract, tmp_path, request(date(2024, 3, 1)))
    assert made == [(7, 120, STARTS_ON, date(2024, 2, 29))]
    source.deliver(CONTRACTS[0], tmp_path, request(date(2024, 3, 2)))
    assert len(made) == 2


def test_identity_holds_whatever_changes_the_rows(source):
    others = [
        SyntheticSource(8, 120, STARTS_ON),
        SyntheticSource(7, 121, STARTS_ON),
        SyntheticSource(7, 120, date(2024, 1, 2)),
    ]
    assert len({source.identity, *(other.identity for other in others)}) == 4
    assert source.identity == SyntheticSource(7, 120, STARTS_ON).identity
    assert SyntheticSource(7, 5000, STARTS_ON).title == "synthetic business (5,000 customers, seed 7)"


def test_what_cannot_be_simulated_is_refused_in_words(source, tmp_path):
    with pytest.raises(SourceError, match="starts on 2024-01-01"):
        source.deliver(CONTRACTS[0], tmp_path, request(date(2024, 1, 1)))
    with pytest.raises(SourceError, match="at least 10 customers"):
        SyntheticSource(7, 9, STARTS_ON)
