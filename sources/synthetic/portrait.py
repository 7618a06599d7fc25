"""Small frames that show what an exported world is like, with what was planted in it and real purchases beside it.

Only measured here; how it is drawn is decided in the reports. The one reader of truth that is meant for people.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd

from sources.synthetic.truth import planted
from sources.synthetic.world import Simulation

_READERS = {"parquet": "read_parquet", "csv": "read_csv", "jsonl": "read_json"}

_COLUMNS = {
    "shop.sales": "order_id, customer_id, sold_at, amount",
    "shop.customers": "customer_id, signed_up_at",
    "helpdesk.tickets": "customer_id, opened_at, first_response_at, priority, topic, sentiment_score",
    "web.sessions": "device_type, pages_visited, cart_value, order_id",
}

_QUERIES = {
    "daily_revenue": """
        select sold_at::date as day, sum(amount)::double as revenue from sales group by 1 order by 1
    """,
    "cohorts": """
        with orders as (
            select distinct customer_id, date_trunc('month', sold_at)::date as month from sales
            where customer_id is not null
        ),
        firsts as (
            select customer_id, min(month) as cohort from orders
            join customers using (customer_id)
            where signed_up_at >= (select date_trunc('month', min(sold_at)) from sales)
            group by 1
        )
        select
            strftime(date_trunc('quarter', cohort), '%Y') || ' Q' || quarter(cohort) as cohort,
            datediff('month', cohort, month) as months,
            count(*) / (select count(*) from firsts as f where date_trunc('quarter', f.cohort)
                = any_value(date_trunc('quarter', firsts.cohort))) as active_share
        from orders join firsts using (customer_id)
        -- only months that every customer of the quarter has lived to see
        where datediff('month', cohort, month)
            <= datediff('month', date_trunc('quarter', cohort), (select max(sold_at) from sales)) - 3
        group by 1, 2 order by 1, 2
    """,
    "basket_lines": """
        select lines, count(*) as orders from (select count(*) as lines from sales group by order_id)
        group by 1 order by 1
    """,
    "basket_values": """
        select pow(10, floor(log10(value) * 8) / 8) as value_from, count(*) as orders
        from (select sum(amount)::double as value from sales group by order_id) where value > 0
        group by 1 order by 1
    """,
    "sentiment": """
        select
            floor(sentiment_score * 10) / 10 as score_from,
            case when a.customer_id is null then 'others' else 'planted as anomalous' end as who,
            count(*) / sum(count(*)) over (partition by who) as share
        from tickets left join anomalous_customers as a using (customer_id)
        group by 1, 2 order by 1, 2
    """,
    "funnel": """
        select
            device_type as device, count(*) as sessions,
            count(*) filter (pages_visited > 1) as more_than_one_page,
            count(*) filter (cart_value > 0) as cart, count(*) filter (order_id is not null) as purchase
        from sessions group by 1 order by 2 desc
    """,
    "tickets": """
        select
            date_trunc('month', opened_at)::date as month, topic, count(*) as tickets
        from tickets group by 1, 2 order by 1, 2
    """,
    "response": """
        select priority, floor(log2(greatest(epoch(first_response_at - opened_at) / 60, 1)) * 2) / 2 as log2_minutes,
            count(*) / sum(count(*)) over (partition by priority) as share
        from tickets where first_response_at is not null group by 1, 2 order by 1, 2
    """,
}

_BUYING = """
    with days as (select distinct customer_id, day from purchases),
    turns as (
        select *, row_number() over (partition by customer_id order by day) as turn,
            lead(day) over (partition by customer_id order by day) as next_day,
            max(day) over () as last_day
        from days
    ),
    firsts as (select * from turns where turn = 1 and last_day - day >= 364),
    weeks as (select unnest(generate_series(1, 52)) as week),
    gaps as (select next_day - day as gap from turns where next_day - day <= 364 and last_day - day >= 364)
    select
        week,
        (select avg(coalesce(next_day - day <= 7 * week, false)::int) from firsts) as bought_again,
        (select avg((gap <= 7 * week)::int) from gaps) as gap_share
    from weeks order by 1
"""


def portrait(simulation: Simulation, folder: Path, file_format: str, cdnow: Path) -> dict[str, pd.DataFrame]:
    """What an exported world looks like.

    Args:
        simulation: The world, for what was planted in it.
        folder: Where its files lie.
        file_format: Their format, as in `export`.
        cdnow: The CDNOW sample, for comparison (master id, sample id, date, CDs, dollars; no header).

    Returns:
        ``daily_revenue`` (day, revenue), ``cohorts`` (cohort, months, active_share), ``basket_lines`` (lines, orders),
        ``basket_values`` (value_from, orders), ``sentiment`` (score_from, who, share), ``funnel`` (device, sessions,
        more_than_one_page, cart, purchase), ``tickets`` (month, topic, tickets), ``response`` (priority, log2_minutes,
        share), ``buying`` (week, and for this world and for CDNOW the share of customers who have bought again by
        then and of gaps between orders that are no longer), and the truth tables ``spikes``, ``product_pairs`` and
        ``product_trends``.
    """
    truth = planted(simulation)
    frames = {name: truth[name] for name in ("spikes", "product_pairs", "product_trends")}
    with duckdb.connect() as connection:
        for contract, columns in _COLUMNS.items():
            files = str(folder.joinpath(*contract.split(".")) / f"*.{file_format}").replace("'", "''")
            table = contract.split(".")[1]
            connection.execute(f"create table {table} as select {columns} from {_READERS[file_format]}('{files}')")
        connection.register("anomalous_customers", truth["anomalous_customers"])
        for name, query in _QUERIES.items():
            frames[name] = connection.execute(query).df()
        connection.execute(
            """
            create view purchases as
            select customer_id, sold_at::date as day from sales join customers using (customer_id)
            where signed_up_at >= (select min(sold_at) from sales)
            """
        )
        own = connection.execute(_BUYING).df()
        real = pd.read_csv(cdnow, sep=r"\s+", header=None, names=["customer_id", "sample_id", "day", "cds", "dollars"])
        connection.register("cdnow", real)
        connection.execute(
            """
            create or replace view purchases as
            select customer_id, strptime(day::varchar, '%Y%m%d')::date as day from cdnow
            """
        )
        cdnow_buying = connection.execute(_BUYING).df()
    frames["buying"] = own.merge(cdnow_buying, on="week", suffixes=("", "_cdnow"))
    return frames
