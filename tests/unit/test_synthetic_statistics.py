"""What the synthetic business plants can be measured in its raw data, within tolerances stated before looking."""

from __future__ import annotations

from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats
from sklearn.mixture import GaussianMixture

from sources.synthetic import customers as people
from sources.synthetic import products as goods
from sources.synthetic.effects import NONE
from sources.synthetic.seasons import DAY
from sources.synthetic.truth import planted
from sources.synthetic.world import Simulation

STARTS_ON, AS_OF = date(2024, 1, 1), date(2025, 12, 31)
CUSTOMERS, SEED = 20_000, 5
MEASURED = ("shop.sales", "shop.customers", "shop.products", "helpdesk.tickets", "web.sessions", "marketing.contacts")


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return Simulation(SEED, CUSTOMERS, STARTS_ON, AS_OF)


@pytest.fixture(scope="module")
def truth(simulation: Simulation) -> dict[str, pd.DataFrame]:
    return planted(simulation)


@pytest.fixture(scope="module")
def con(simulation: Simulation, truth: dict[str, pd.DataFrame]) -> duckdb.DuckDBPyConnection:
    """Raw tables in DuckDB, named source_table, and the truth tables, named truth_table."""
    connection = duckdb.connect()
    world = simulation.whole()
    for name in MEASURED:
        connection.register(name.replace(".", "_"), world.table(name))
    for name, frame in truth.items():
        connection.register(f"truth_{name}", frame)
    return connection


def one(con: duckdb.DuckDBPyConnection, query: str) -> tuple:
    row = con.execute(query).fetchone()
    assert row is not None
    return row


# The buying process


def buying() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Repeat orders, time of the last one and time observed (days from the first order) of shoppers who came new."""
    world = Simulation(SEED, 9_000, STARTS_ON, AS_OF, NONE).whole()
    with duckdb.connect() as connection:
        connection.register("sales", world.table("shop.sales"))
        connection.register("customers", world.table("shop.customers"))
        frame = connection.execute(
            """
            select
                count(*) - 1 as repeats,
                epoch(max(sold_at) - min(sold_at)) / 86400 as recency,
                epoch(timestamp '2026-01-01' - min(sold_at)) / 86400 as observed
            from (from sales select distinct order_id, customer_id, sold_at where order_id like 'O%')
            join customers using (customer_id)
            where industry = 'ecommerce' and signed_up_at >= '2024-01-01'
            group by customer_id
            """
        ).df()
    return tuple(frame[name].to_numpy(dtype=float) for name in ("repeats", "recency", "observed"))


def bgnbd_log_likelihood(logs: np.ndarray, x: np.ndarray, t_x: np.ndarray, observed: np.ndarray) -> float:
    """Fader, Hardie and Lee (2005), equation 6, summed over customers; `logs` are ln r, ln alpha, ln a, ln b."""
    r, alpha, a, b = np.exp(logs)
    known = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha)
    known = known + special.betaln(a, b + x) - special.betaln(a, b)
    alive = -(r + x) * np.log(alpha + observed)
    gone = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + t_x)
    return float(np.sum(known + np.where(x > 0, np.logaddexp(alive, gone), alive)))


PLANTED = np.array(
    [people.RATE_SHAPE, people.RATE_SHAPE * people.MEAN_WAIT, people.DROPOUT_A, people.DROPOUT_B], dtype=float
)
# Of the likelihood ratio of four parameters, at 1 in 1,000.
REJECTED_FROM = stats.chi2.ppf(0.999, 4)


def fit(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[np.ndarray, float]:
    """Fitted r, alpha, a, b, and twice the log-likelihood by which they beat the planted ones."""
    start = np.log([1.0, 30.0, 1.0, 1.0])
    found = optimize.minimize(lambda logs: -bgnbd_log_likelihood(logs, *data), start, method="Nelder-Mead")
    return np.exp(found.x), 2 * (-found.fun - bgnbd_log_likelihood(np.log(PLANTED), *data))


def test_bgnbd_finds_the_planted_parameters_where_nothing_else_acts():
    data = buying()
    assert len(data[0]) > 4_000
    found, ratio = fit(data)
    assert ratio < REJECTED_FROM
    # About four standard errors of each, at 4,000 customers and more.
    assert found == pytest.approx(PLANTED, rel=0.25)
    assert found[0] == pytest.approx(PLANTED[0], rel=0.10)
    # That is no loose bound: with any one of them a third larger than planted, the same data reject it.
    for number in range(4):
        other = PLANTED * np.where(np.arange(4) == number, 4 / 3, 1.0)
        gain = bgnbd_log_likelihood(np.log(found), *data) - bgnbd_log_likelihood(np.log(other), *data)
        assert 2 * gain > REJECTED_FROM, number


# Days


def test_days_are_as_busy_as_the_calendar_says(con, simulation):
    """Visits of strangers come at an even pace in operational time, so their days show the calendar itself."""
    counts = con.execute(
        """
        select started_at::date as day, count(*) as n from web_sessions where session_id like 'A%'
        group by 1 order by 1
        """
    ).df()
    seasons = simulation.shop.seasons
    days = np.arange(simulation.start // DAY, simulation.end // DAY)
    weight = np.diff(seasons.at_start_of(np.append(days, days[-1] + 1)))
    expected = counts["n"].sum() * weight / weight.sum()
    assert len(counts) == len(days)
    # Poisson at most (the pace is a little more even than that): 4 standard deviations of chi-square.
    chi_square = float(((counts["n"] - expected) ** 2 / expected).sum())
    assert chi_square < len(days) + 4 * np.sqrt(2 * len(days))
    # The calendar is far from flat: an even one would be rejected a hundredfold.
    assert float(((counts["n"] - counts["n"].mean()) ** 2 / counts["n"].mean()).sum()) > 10 * len(days)


def test_the_year_week_and_growth_are_those_of_a_shop(con):
    saturday, tuesday, december, september, first, second = one(
        con,
        """
        with orders as (from shop_sales select distinct order_id, sold_at)
        select
            count(*) filter (isodow(sold_at) = 6), count(*) filter (isodow(sold_at) = 2),
            count(*) filter (sold_at::date between '2024-12-01' and '2024-12-21'),
            count(*) filter (sold_at::date between '2024-09-01' and '2024-09-21'),
            count(*) filter (year(sold_at) = 2024), count(*) filter (year(sold_at) = 2025)
        from orders
        """,
    )
    # 1.28 to 0.86 by the week's weights.
    assert saturday / tuesday == pytest.approx(1.28 / 0.86, rel=0.08)
    assert december > 1.4 * september
    assert second > 1.05 * first


def test_planted_spikes_show_in_orders_by_their_factor(con, truth):
    """Each against the same weekdays of the two weeks before and after, other planted and special days left out."""
    daily = con.execute("select sold_at::date as day, count(distinct order_id) as n from shop_sales group by 1").df()
    orders = daily.set_index(pd.to_datetime(daily["day"]))["n"].sort_index().astype(float)
    spikes = truth["spikes"]
    unusual = {day for row in spikes.itertuples() for day in pd.date_range(row.starts_on, row.ends_on)}
    wrong, judged = [], 0
    for row in spikes.itertuples():
        days = pd.date_range(row.starts_on, row.ends_on)
        if not ((days.month > 2) & (days.month < 11)).all():
            continue
        around = {day + pd.Timedelta(days=shift) for day in days for shift in (-14, -7, 7, 14)} - unusual
        if len(around) < 3 * len(days):
            continue
        ratio = orders[days].mean() / orders[sorted(around)].mean()
        error = np.sqrt(1 / orders[days].sum() + 1 / orders[sorted(around)].sum())
        judged += 1
        # Four standard errors, and 5 % for the season's own slope.
        if abs(np.log(ratio / row.factor)) > 4 * error + 0.05:
            wrong.append((row.starts_on, row.factor, ratio))
    assert judged >= 4
    assert wrong == []


# Products


def test_effects_range_from_invisible_to_obvious(truth):
    spikes, pairs = truth["spikes"], truth["product_pairs"]
    trends, moods = truth["product_trends"], truth["anomalous_customers"]
    for sizes, small, large in (
        (np.abs(np.log(spikes["factor"])), 0.2, 0.5),
        (np.abs(np.log(trends["factor"])), 0.35, 1.1),
        (-moods["sentiment_shift"], 0.25, 0.9),
        (pairs["pull_probability"], 0.005, 0.15),
    ):
        assert sizes.min() < small
        assert sizes.max() > large
    assert {"spike", "lull"} == set(spikes["kind"])
    assert {"up", "down"} == set(trends["direction"])


def test_planted_pairs_have_the_planted_lift(con):
    pairs = con.execute(
        """
        with baskets as (from shop_sales select distinct order_id, product_id),
        counts as (from baskets select product_id, count(*) as n group by product_id),
        together as (
            from baskets as a join baskets as b using (order_id)
            select a.product_id as product_id_a, b.product_id as product_id_b, count(*) as n group by all
        )
        select p.*, t.n, t.n * (select count(distinct order_id) from baskets) / (a.n * b.n) as lift
        from truth_product_pairs as p
        join together as t using (product_id_a, product_id_b)
        join counts as a on a.product_id = p.product_id_a
        join counts as b on b.product_id = p.product_id_b
        order by pull_probability
        """
    ).df()
    assert len(pairs) == 8
    # Only the pulls are left to chance: four standard deviations of their number.
    error = 4 * np.sqrt(pairs["pull_variance"])
    assert (np.abs(pairs["n"] - pairs["expected_pair_orders"]) <= error).all()
    assert (np.abs(pairs["lift"] / pairs["planted_lift"] - 1) <= 1.1 * error / pairs["expected_pair_orders"]).all()
    # From invisible to obvious, next to what tastes do without any pull.
    planted_ratio = pairs["planted_lift"] / pairs["natural_lift"]
    assert planted_ratio.min() < 1.15
    assert planted_ratio.max() > 1.8


def test_trending_products_gain_and_lose_the_planted_share_of_their_category(con, simulation, truth):
    shop, ids = simulation.shop, simulation.shop.assortment.ids.to_pylist()
    weekly = con.execute(
        f"""
        select product_id, category, (sold_at::date - date '{STARTS_ON}') // 7 as week, count(*) as n
        from shop_sales group by all
        """
    ).df()
    last_week = int(weekly["week"].max()) - 1
    judged = 0
    for row in truth["product_trends"].itertuples():
        product = ids.index(row.product_id)
        start = int(shop.assortment.trend_week[product])
        end = start + shop.assortment.trend_weeks
        category = shop.assortment.category == shop.assortment.category[product]
        of_category = weekly[weekly["category"] == goods.CATEGORIES[shop.assortment.category[product]]]
        shares = []
        for weeks in (range(start - 10, start), range(end, min(end + 10, last_week))):
            lines = of_category[of_category["week"].isin(weeks)]
            own = lines.loc[lines["product_id"] == row.product_id, "n"].sum()
            weights = np.mean(
                [shop.assortment.weights(w)[product] / shop.assortment.weights(w)[category].sum() for w in weeks]
            )
            shares.append((own / lines["n"].sum(), weights, own))
        (before, planned_before, n_before), (after, planned_after, n_after) = shares
        error = 4 * np.sqrt(1 / n_before + 1 / n_after)
        # 10 % more for the pulls of pairs, which do not follow popularity.
        assert abs(np.log(after / before) - np.log(planned_after / planned_before)) < error + 0.1, row
        judged += 1
    assert judged >= 8


def test_margins_and_returns_differ_by_category_as_specified(con, simulation):
    margins = con.execute(
        "select category, avg(1 - unit_cost::double / list_price::double) from shop_products group by 1"
    )
    for category, margin in margins.fetchall():
        # Uniform within 0.06: four standard errors of the mean of twelve.
        assert margin == pytest.approx(
            goods._MARGIN[goods.CATEGORIES.index(category)], abs=4 * 0.06 / np.sqrt(3 * 12)
        ), category
    shop = simulation.shop.assortment
    rate = dict(zip(shop.ids.to_pylist(), shop.return_rate + 0.35 * shop.defect_rate, strict=True))
    returned = con.execute(
        """
        select category, product_id, count(*) as lines, count(returned_at) as returned
        from shop_sales where sold_at < '2025-11-01' group by all
        """
    ).df()
    returned["expected"] = returned["lines"] * returned["product_id"].map(rate)
    for category, sums in returned.groupby("category")[["returned", "expected"]].sum().iterrows():
        assert abs(sums["returned"] - sums["expected"]) < 4 * np.sqrt(sums["expected"]), category


def test_amounts_are_those_of_a_shop_and_skewed(con):
    within, mean, middle = one(
        con,
        """
        select avg((amount between 10 and 1000)::int), avg(amount), median(amount)
        from (from shop_sales select order_id, sum(amount)::double as amount group by order_id)
        """,
    )
    assert within > 0.95
    assert mean > 1.3 * middle


# Tickets


def test_sentiment_is_a_skewed_mixture_and_not_uniform(con):
    scores = con.execute("from helpdesk_tickets select sentiment_score").fetchnumpy()["sentiment_score"]
    assert stats.kstest(scores, stats.uniform(-1, 2).cdf).pvalue < 1e-6
    assert stats.kstest((scores - scores.mean()) / scores.std(), stats.norm.cdf).pvalue < 1e-6
    assert stats.skew(scores) < -0.2
    assert 0.2 < (scores < -0.25).mean() < 0.4
    # Of calm and upset tickets: two normal distributions fit far better than one, and lie apart.
    scores = scores.reshape(-1, 1)
    single, double = (GaussianMixture(number, random_state=0).fit(scores) for number in (1, 2))
    assert single.bic(scores) - double.bic(scores) > 500
    upset, calm = sorted(double.means_.ravel())
    assert upset < -0.2
    assert calm > 0.2
    assert 0.25 < double.weights_[np.argmin(double.means_)] < 0.55


def test_most_planted_anomalous_customers_have_tickets_enough_to_be_found(con):
    with_five, with_any = one(
        con,
        """
        select count(*) filter (n >= 5), count(*)
        from (from truth_anomalous_customers left join helpdesk_tickets using (customer_id)
              select customer_id, count(ticket_id) as n group by 1)
        """,
    )
    assert 0.002 < with_any / CUSTOMERS < 0.02
    assert with_five > 0.7 * with_any


def test_anomalous_customers_are_in_a_mood_as_bad_as_planted(con):
    shares = con.execute(
        """
        select
            case when sentiment_shift is null then 0 when sentiment_shift > -0.3 then 1
                when sentiment_shift > -0.7 then 2 else 3 end as size,
            avg((sentiment_score < -0.25)::int) as negative, count(*) as n
        from helpdesk_tickets left join truth_anomalous_customers using (customer_id)
        group by 1 order by 1
        """
    ).df()
    negative = shares["negative"].to_list()
    assert negative == sorted(negative)
    # The smallest shifts cannot be seen, the largest cannot be missed.
    assert negative[1] - negative[0] < 0.2
    assert negative[3] - negative[0] > 0.4


def test_bad_experiences_make_as_many_leave_as_planted(con):
    left, expected, variance, n = one(
        con,
        """
        with bad as (
            from truth_bad_experiences as b
            join (from shop_sales select distinct order_id, sold_at) using (order_id)
            join truth_customers as c using (customer_id)
            select c.left_on = sold_at::date as leaves, dropout_probability, leaving_probability
            where order_id like 'O%0002' or order_id like 'O%0003'
        )
        select count(*) filter (leaves), sum(p), sum(p * (1 - p)), count(*)
        from (from bad select leaves, dropout_probability + (1 - dropout_probability) * leaving_probability as p)
        """,
    )
    assert n > 200
    assert abs(left - expected) < 4 * np.sqrt(variance)


def test_bad_experiences_show_in_a_survival_comparison_of_raw_data(con):
    """Orders with an unresolved or slow ticket against all others: the share never followed by another in 180 days."""
    (gone, n), (gone_others, n_others) = (
        one(
            con,
            f"""
            with orders as (
                from (from shop_sales select distinct order_id, customer_id, sold_at where order_id like 'O%')
                select *, lead(sold_at) over (partition by customer_id order by sold_at, order_id) as next_at
            ),
            tickets as (
                from helpdesk_tickets select substr(ticket_id, 2) as order_id,
                    topic in ('defective product', 'late delivery', 'wrong item')
                    and (resolved_at is null or resolved_at > first_response_at + interval 36 hour) as is_bad
            )
            select count(*) filter (next_at is null or next_at > sold_at + interval 180 day), count(*)
            from orders left join tickets using (order_id)
            where sold_at < '2025-06-30' and coalesce(is_bad, false) = {bad}
            """,
        )
        for bad in ("true", "false")
    )
    share, others = gone / n, gone_others / n_others
    assert n > 300
    assert share - others > 4 * np.sqrt(share * (1 - share) / n)
    assert 0.05 < share - others < 0.35


# Campaigns


def test_campaign_effect_is_recovered_from_treatment_against_control(con):
    arms = con.execute(
        """
        with contacts as (
            from marketing_contacts join truth_contact_effects using (contact_id, campaign_id, customer_id)
            select contact_id, customer_id, is_control, assigned_at, placed_order
            where assigned_at < '2025-11-01'
        ),
        orders as (from shop_sales select distinct order_id, customer_id, sold_at where customer_id is not null)
        select is_control, count(*) as n, avg(orders) as mean, var_samp(orders) as variance, avg(placed) as placed
        from (
            from contacts left join orders
                on orders.customer_id = contacts.customer_id
                and sold_at > assigned_at and sold_at <= assigned_at + interval 30 day
            select contact_id, is_control, placed_order::int as placed, count(order_id) as orders group by all
        )
        group by 1 order by 1
        """
    ).df()
    treated, control = arms.iloc[0], arms.iloc[1]
    assert (treated["is_control"], control["is_control"]) == (False, True)
    effect = treated["mean"] - control["mean"]
    error = np.sqrt(treated["variance"] / treated["n"] + control["variance"] / control["n"])
    assert effect > 3 * error
    # What was planted are the orders placed because of it, less the few of customers it drove away.
    assert abs(effect - treated["placed"]) < 4 * error


def test_campaigns_work_better_on_the_young_and_drive_some_of_the_annoyed_away(con):
    young, old = (
        one(
            con,
            f"""
            select avg(placed_order::int), avg(effect_probability - leaving_probability), count(*)
            from truth_contact_effects join marketing_contacts using (contact_id, customer_id)
            join shop_customers using (customer_id)
            where not is_control and age_group {ages} and assigned_at < '2025-12-01'
            """,
        )
        for ages in ("in ('18-25', '26-35')", "= '56+'")
    )
    error = np.sqrt(young[0] / young[2] + old[0] / old[2])
    assert young[0] - old[0] > 4 * error
    sent, leaving, held, leaving_if_held = one(
        con,
        """
        select
            count(*) filter (not is_control), count(*) filter (not is_control and gone),
            count(*) filter (is_control), count(*) filter (is_control and gone)
        from (
            from truth_contact_effects join marketing_contacts using (contact_id, customer_id)
            join truth_customers using (customer_id)
            select is_control, coalesce(left_on::date = assigned_at::date, false) as gone
            where leaving_probability > 0 and (left_on is null or left_on::date >= assigned_at::date)
        )
        """,
    )
    share, otherwise = leaving / sent, leaving_if_held / held
    assert share - otherwise > 3 * np.sqrt(share / sent + otherwise / held)


def test_planted_effects_explain_the_extra_orders(con):
    expected, variance, would = one(
        con,
        """
        select sum(effect_probability), sum(effect_probability * (1 - effect_probability)),
            count(*) filter (would_order)
        from truth_contact_effects join marketing_contacts using (contact_id)
        where assigned_at < '2025-12-01'
        """,
    )
    assert abs(would - expected) < 4 * np.sqrt(variance)
