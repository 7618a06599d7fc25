"""Synthetic businesses with their truth in memory, and oracles: tests that know the planted parameters.

An oracle says which truths could be found at all: those that a test which knows the true law of what is ordinary would
find at the same false-discovery rate with a power of 95 %. Only gradings use it; nothing in ml knows any of this.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import betabinom, binom, norm, poisson

from ml.grading import overlaps
from ml.metrics import benjamini_hochberg
from sources.synthetic import tickets
from sources.synthetic.effects import ALL, Effects
from sources.synthetic.seasons import day_number
from sources.synthetic.truth import planted
from sources.synthetic.world import Simulation

Floats = NDArray[np.float64]

POWER = 0.95
"""What an oracle finds with this probability, a detector is to find."""
Q = 0.05
_TESTS_A_DAY = 3.5  # as in ml.unusual_days: the oracle searches the same stretches
_LONGEST = 7

MARTS = """
create schema marts;
create table marts.fct_sales as
select sale_id, order_id, customer_id, product_id, category, cast(sold_at as date) as sold_on, true as is_order_line,
    quantity, amount, case when returned_at is not null then cast(returned_at as date) end as returned_on
from sales;
create table marts.dim_customers as select customer_id, region from customers;
create table marts.campaign_performance as select campaign_id, starts_on from campaigns;
create table marts.fct_tickets as
select ticket_id, customer_id, topic, cast(opened_at as date) as opened_on, sentiment_score from tickets;
create table marts.customer_sentiment as
select customer_id, count(sentiment_score) as scored_ticket_count,
    count(*) filter (where sentiment_score < -0.25) as negative_count
from tickets group by customer_id;
create table marts.daily_sales as
with sold as (
    select sold_on, sum(amount) as gross, count(distinct order_id) as orders from marts.fct_sales group by 1
),
returned as (select returned_on, sum(amount) as returned from marts.fct_sales where returned_on is not null group by 1)
select cast(calendar.day as date) as sales_date, coalesce(orders, 0) as order_count,
    coalesce(gross, 0) - coalesce(returned, 0) as net_revenue
from generate_series((select min(sold_on) from sold), (select max(sold_on) from sold), interval 1 day) as calendar(day)
left join sold on sold_on = calendar.day
left join returned on returned_on = calendar.day
"""
"""What the assets read of the marts, from the raw tables; everything delivered by the synthetic business is clean."""


@dataclass
class Business:
    """A synthetic business up to a day.

    Args:
        simulation: With all that is hidden.
        starts_on, as_of: First and last day.
        truth: The planted tables by name.
        marts: A database with the few marts that the estimators' frames come from.
    """

    simulation: Simulation
    starts_on: date
    as_of: date
    truth: dict[str, pd.DataFrame]
    marts: duckdb.DuckDBPyConnection

    @property
    def days(self) -> pd.DatetimeIndex:
        """(n,) all days."""
        return pd.date_range(self.starts_on, self.as_of)


def make_business(
    seed: int, as_of: date, days: int = 731, customers: int = 5_000, effects: Effects = ALL, *, truth: bool = True
) -> Business:
    """Simulate a business; `days` up to and including `as_of`."""
    starts_on = as_of - timedelta(days=days - 1)
    simulation = Simulation(seed, customers, starts_on, as_of, effects)
    told = planted(simulation) if truth else {}
    world = simulation.whole()
    marts = duckdb.connect()
    marts.register("sales", world.table("shop.sales"))
    marts.register("customers", world.table("shop.customers"))
    marts.register("campaigns", world.table("marketing.campaigns"))
    marts.register("tickets", world.table("helpdesk.tickets"))
    marts.execute(MARTS)
    return Business(simulation, starts_on, as_of, told, marts)


def planted_spikes(business: Business) -> pd.DataFrame:
    """Spikes and lulls with the direction in which a detector would see them."""
    spikes = business.truth["spikes"]
    return spikes.assign(direction=np.where(spikes["factor"] > 1, "up", "down"))


def true_orders(business: Business, counts: Floats) -> Floats:
    """(n,) expected orders a day without spikes, but for the business's size: that is taken from two months around."""
    first = day_number(business.starts_on)
    seasons = business.simulation.shop.seasons
    busy = np.diff(seasons.at_start_of(first + np.arange(len(counts) + 1)))
    plain = busy.copy()
    for spike in business.truth["spikes"].itertuples():
        start = (spike.starts_on.date() - business.starts_on).days
        plain[start : start + (spike.ends_on - spike.starts_on).days + 1] /= spike.factor
    around = {"window": 61, "center": True, "min_periods": 20}
    size = pd.Series(counts).rolling(**around).sum() / pd.Series(busy).rolling(**around).sum()
    return np.asarray(plain * size.to_numpy())


def spike_oracle(business: Business, counts: Floats, last_days: int) -> pd.DataFrame:
    """The spikes and lulls of the last days, with the power of an oracle to find each.

    The oracle knows the expected orders of every day but for spikes, and that orders are Poisson. It tests the same
    stretches of one to seven days, and rejects at the threshold that Benjamini and Hochberg give it on these data. Its
    power for a spike is that of the test of exactly the spike's days.

    Args:
        business: With its truth.
        counts: (n,) orders a day.
        last_days: How many days are tested.
    """
    mean, n = true_orders(business, counts), len(counts)
    first = n - last_days
    found: list[tuple[float, int, int]] = []
    for length in range(1, _LONGEST + 1):
        starts = np.arange(first, n - length + 1)
        window = starts[:, None] + np.arange(length)
        p = _poisson_two_sided(counts[window].sum(axis=1), mean[window].sum(axis=1))
        found += [(float(p[row]), length, int(starts[row])) for row in np.flatnonzero(p < 0.01)]
    taken, rejected, threshold = np.zeros(n, dtype=bool), 0, 0.0
    for p, length, start in sorted(found):
        if taken[start : start + length].any():
            continue
        taken[start : start + length] = True
        rejected += 1
        if p <= Q * rejected / (_TESTS_A_DAY * last_days):
            threshold = Q * rejected / (_TESTS_A_DAY * last_days)
    threshold = threshold or Q / (_TESTS_A_DAY * last_days)
    spikes = planted_spikes(business)
    spikes = spikes[(spikes["starts_on"] >= business.days[first]) & (spikes["ends_on"] <= business.days[-1])].copy()
    power = []
    for spike in spikes.itertuples():
        start = (spike.starts_on - business.days[0]).days
        usual = mean[start : start + (spike.ends_on - spike.starts_on).days + 1].sum()
        count = np.arange(int(8 * usual) + 60)
        rejects = _poisson_two_sided(count, np.full(len(count), usual)) <= threshold
        power.append(float(poisson.pmf(count, usual * spike.factor)[rejects].sum()))
    return spikes.assign(power=power)


def _poisson_two_sided(count: Floats, mean: Floats) -> Floats:
    return np.minimum(1.0, 2 * np.minimum(poisson.cdf(count, mean), poisson.sf(count - 1, mean)))


def trend_oracle(business: Business) -> pd.DataFrame:
    """The products' trends, with the power of an oracle to find each.

    The oracle knows when each trend began and how it runs, what its category sells, the share of it that the product
    would have without its trend but for a constant, and how many units a line has: it tests one contrast a product, at
    the threshold of Benjamini and Hochberg over all products when it finds as many as it is to be expected to.
    """
    goods = business.simulation.shop.assortment
    sold = business.marts.execute(
        """
        select product_id, cast(sold_on - (sold_on - ?::date)::integer % 7 as date) as week,
            sum(quantity)::double as units, sum(quantity * quantity)::double as squares
        from marts.fct_sales group by 1, 2
        """,
        [business.starts_on],
    ).df()
    weeks = (len(business.days)) // 7  # whole ones since the start
    sold["week"] = (pd.to_datetime(sold["week"]) - business.days[0]).dt.days // 7
    sold = sold[sold["week"] < weeks]
    ids = goods.ids.to_pylist()
    row = {name: index for index, name in enumerate(ids)}
    units = np.zeros((len(ids), weeks))
    units[sold["product_id"].map(row), sold["week"]] = sold["units"]
    total = sold.groupby("product_id")[["units", "squares"]].sum()
    popularity = np.stack([goods.weights(week) for week in range(weeks)], axis=1)
    trends, distance = business.truth["product_trends"], []
    for trend in trends.itertuples():
        product = row[trend.product_id]
        peers = goods.category == goods.category[product]
        mean = units[peers].sum(axis=0) * popularity[product] / popularity[peers].sum(axis=0)
        progress = np.clip((np.arange(weeks) - (trend.starts_on - business.days[0]).days / 7) / goods.trend_weeks, 0, 1)
        centred = progress - (mean * progress).sum() / mean.sum()
        dispersion = total.loc[trend.product_id, "squares"] / total.loc[trend.product_id, "units"]
        distance.append(abs(np.log(trend.factor)) * np.sqrt((mean * centred**2).sum() / dispersion))
    rejected = 1.0
    for _ in range(50):
        limit = norm.isf(Q * max(rejected, 1.0) / len(ids) / 2)
        power = norm.sf(limit - np.array(distance))
        rejected = float(power.sum())
    return trends.assign(power=power)


def customer_oracle(business: Business, frame: pd.DataFrame, fewest: int) -> pd.DataFrame:
    """The customers with planted unusual sentiment and enough tickets, with the power of an oracle to find each.

    The oracle knows who is ordinary: it fits the beta-binomial to those alone, and rejects at the threshold that
    Benjamini and Hochberg give it on these data. A planted customer's tickets are negative with the probability that
    mood, grievance and the topics of the customer's own tickets give.

    Args:
        business: With its truth.
        frame: customer_id, ticket_count, negative_count, of everyone with tickets.
        fewest: Customers with fewer tickets are not tested.
    """
    unusual = business.truth["anomalous_customers"].set_index("customer_id")["sentiment_shift"]
    mood = business.truth["customers"].set_index("customer_id")["mood"]
    is_planted = frame["customer_id"].isin(unusual.index).to_numpy()
    n, k = (frame[name].to_numpy(dtype=float) for name in ("ticket_count", "negative_count"))

    def loss(parameters: Floats) -> float:
        rate, strength = expit(parameters[0]), np.exp(parameters[1])
        ordinary = ~is_planted & (n > 0)
        return -float(betabinom.logpmf(k[ordinary], n[ordinary], rate * strength, (1 - rate) * strength).sum())

    start = np.array([logit(k[~is_planted].sum() / n[~is_planted].sum()), 2.0])
    rate, strength = minimize(loss, start, method="L-BFGS-B", bounds=[(-4, 4), (-1, 8)]).x
    a, b = expit(rate) * np.exp(strength), (1 - expit(rate)) * np.exp(strength)
    tested = n >= fewest
    p = np.where(tested, betabinom.sf(k - 1, n, a, b), np.nan)
    q = benjamini_hochberg(p)
    threshold = np.nanmax(np.where(q <= Q, p, np.nan)) if (q <= Q).any() else Q / max(tested.sum(), 1)
    topics = business.marts.execute(
        "select customer_id, topic from marts.fct_tickets where sentiment_score is not null"
    )
    by_customer = topics.df().groupby("customer_id")["topic"].agg(list)
    rows = []
    for row in np.flatnonzero(is_planted & tested):
        customer = frame["customer_id"].iloc[row]
        topic = np.array([tickets.TOPICS.index(name) for name in by_customer[customer]])
        share = float(negative_probability(topic, mood[customer], -unusual[customer]).mean())
        counts = np.arange(int(n[row]) + 1)
        rejects = betabinom.sf(counts - 1, n[row], a, b) <= threshold
        rows.append((customer, -unusual[customer], binom.pmf(counts, n[row], share)[rejects].sum()))
    return pd.DataFrame(rows, columns=["customer_id", "grievance", "power"])


def negative_probability(topic: NDArray[np.int64], mood: float, grievance: float) -> Floats:
    """(n,) chances that tickets of given topics are negative, as `sources.synthetic.tickets` draws them."""
    share = (np.arange(400) + 0.5) / 400
    severity = np.clip(tickets._BASE_SEVERITY[topic][:, None] + 0.20 * norm.ppf(share), 0.0, 1.0)
    upset = 1 / (1 + np.exp(-(severity - 0.53) / 0.06))
    limit = np.arctanh(-0.25)

    def below(center: Floats) -> Floats:
        return norm.cdf((limit - center - 0.15 * mood + grievance) / 0.27)

    return np.asarray((0.25 * below(np.full(upset.shape, 0.25)) + 0.75 * below(0.55 - 1.25 * upset)).mean(axis=1))


def found_flags(found: pd.DataFrame, truths: pd.DataFrame, by: list[str], slack_days: int = 0) -> NDArray[np.bool_]:
    """(truths,) whether each was found."""
    return np.asarray(overlaps(found, truths, by, slack_days).any(axis=0), dtype=bool)


def recall_by_power(graded: pd.DataFrame) -> pd.DataFrame:
    """Number and share found of truths by the oracle's power.

    Args:
        graded: Truths with ``power`` and ``found``.
    """
    edges = [-0.001, 0.2, 0.5, 0.8, POWER, 1.0]
    labels = ["up to .2", ".2 to .5", ".5 to .8", ".8 to .95", ".95 and more"]
    bins = pd.cut(graded["power"].clip(0, 1), edges, labels=labels)
    return graded.groupby(bins, observed=False)["found"].agg(planted="size", found="sum", recall="mean").round(3)
