"""A whole refresh: every promised table, figures that agree, the same result again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from orchestration.assets.insights.lifetime import BOOKINGS
from orchestration.dbt import load_manifest
from orchestration.gate import required_by, with_data_checks
from orchestration.settings import Settings
from reports.page import SITE
from tests.conftest import Refresh, run_pipeline, tables
from tests.exported import check_drafts, check_tables

KEYS = {
    "marts.dim_customers": "customer_id",
    "marts.dim_products": "product_id",
    "marts.fct_sales": "sale_id",
    "marts.fct_tickets": "ticket_id",
    "marts.customer_metrics": "customer_id",
    "marts.customer_rfm": "customer_id",
    "marts.daily_sales": "sales_date",
    "marts.category_performance": "category",
    "marts.product_trends": "product_id, month",
    "marts.customer_sentiment": "customer_id",
    "marts.customer_features": "customer_id, cutoff_date",
    "marts.customer_360": "customer_id",
    "marts.customer_rfm_history": "customer_id, cutoff_date",
    "marts.segment_migration": "from_date, from_segment, to_segment",
    "marts.customer_behaviour": "customer_id",
    "marts.product_performance": "product_id",
    "marts.product_pairs": "product_id_a, product_id_b",
    "marts.cohort_retention": "cohort_month, months_since_first",
    "marts.fct_sessions": "session_id",
    "marts.session_features": "session_id",
    "marts.funnel_daily": "session_date, device_type",
    "marts.cart_abandonment": "month, device_type",
    "marts.ticket_sla_daily": "opened_on, priority",
    "marts.ticket_backlog_daily": "backlog_date",
    "marts.ticket_topics": "topic, coalesce(product_id, '')",
    "marts.ticket_routing": "ticket_id",
    "marts.campaign_performance": "campaign_id",
    "marts.campaign_roi": "campaign_id",
    "marts.campaign_profit": "breakdown, part",
    "marts.incentive_performance": "offer_type",
    "marts.simple_retention_roi": "label",
    "marts.contact_features": "customer_id, coalesce(contact_id, '')",
    "marts.persona_distribution": "persona",
    "marts.next_best_actions": "customer_id",
    "marts.offers": "customer_id",
    "marts.offer_effects": "offer_type, coalesce(discount_rate, 0)",
    "marts.audience_at_risk_high_value": "customer_id",
    "marts.audience_win_back": "customer_id",
    "marts.audience_ready_to_buy": "customer_id",
    "marts.audience_second_order": "customer_id",
    "marts.audience_vip": "customer_id",
    "ml.customer_clusters": "customer_id",
    "ml.churn_scores": "customer_id, horizon_days",
    "ml.customer_lifetime_value": "customer_id",
    "ml.churn_backtest": "horizon_days, test_cutoff",
    "ml.churn_curves": "horizon_days, curve, bin",
    "ml.ticket_anomalies": "customer_id",
    "ml.sales_anomalies": "kind, series, day",
    "ml.trend_changes": "product_id, change_number",
    "ml.revenue_forecast": "day",
    "ml.session_purchase_predictions": "session_id",
    "ml.customer_intent": "customer_id",
    "ml.customer_personas": "customer_id",
    "ml.customer_uplift": "customer_id",
    "ml.product_associations": "product_id_a, product_id_b",
    "ml.scorecard": "detector, coalesce(effect, ''), coalesce(measure, '')",
    "ml.model_runs": "model, version, horizon_days",
    "meta.refreshes": "refresh",
}


def test_the_refresh_succeeds_with_one_line_an_asset(shop: Refresh) -> None:
    assert shop.succeeded, shop.output
    for asset in ("shop/sales", "pulse/clock", "marts/customer_rfm", "ml/churn_scores", "published/pulse"):
        assert shop.output.count(f"✓ {asset} ") + shop.output.count(f"✓ {asset}\n") == 1, shop.output
    assert "✗" not in shop.output


@pytest.mark.parametrize(("table", "key"), KEYS.items())
def test_every_table_is_published_with_unique_keys(shop: Refresh, table: str, key: str) -> None:
    ((rows, keys),) = shop.query(f"select count(*), count(distinct ({key})) from {table}")
    assert rows == keys
    assert rows > 0


LAST_90 = "> (select max(cutoff_date) from marts.customer_features) - 90"
ON_PAGES = {
    "unresolved tickets": (
        "support.html",
        r"Backlog: ([\d,]+) tickets? unresolved",
        "select max_by(backlog_count, backlog_date) from marts.ticket_backlog_daily",
    ),
    "tickets that wait": (
        "support.html",
        r"Open queue: ([\d,]+) tickets? wait",
        "select count(*) from marts.fct_tickets where state <> 'resolved'",
    ),
    "tickets with a mood": (
        "support.html",
        r"Mood: \w* ?\d+% of ([\d,]+) tickets",
        f"select count(sentiment_score) from marts.fct_tickets where opened_on {LAST_90}",
    ),
    "first answers": (
        "support.html",
        r"% of ([\d,]+) first answers",
        f"select count(is_first_response_within_business_target) from marts.fct_tickets where opened_on {LAST_90}",
    ),
    "visits": (
        "web.html",
        r"of ([\d,]+) visits ended in an order",
        f"select count(*) from marts.fct_sessions where started_on {LAST_90}",
    ),
    "customers by intent": (
        "web.html",
        r"of ([\d,]+) customers? with recent visits came",
        "select count(*) from ml.customer_intent where intent_score is not null",
    ),
    "profit of all campaigns": (
        "campaigns.html",
        r'<dt>Net profit</dt><dd class="value">(-?[\d,]+)<',
        "select cast(round(sum(net_profit)) as bigint) from marts.campaign_roi",
    ),
    "judged campaigns": (
        "campaigns.html",
        r"([\d,]+) of [\d,]+ campaigns can be judged",
        "select count(net_profit) from marts.campaign_roi",
    ),
    "grades in their bounds": (
        "models.html",
        r"Planted truth: ([\d,]+) of",
        "select count(*) filter (where passed) from ml.scorecard",
    ),
    "checks": (
        "quality.html",
        r"under ([\d,]+) checks",
        "select count(distinct check_name) from meta.check_results",
    ),
    "refused rows": (
        "quality.html",
        r'<dt>Rows refused</dt><dd class="value">([\d,]+)<',
        """
        select sum(cast(file ->> 'quarantined' as bigint))
        from (select unnest(cast(rows as json[])) as file from meta.refreshes)
        """,
    ),
}


@pytest.mark.parametrize("what", ON_PAGES)
def test_numbers_on_pages_are_those_of_the_tables(shop: Refresh, what: str) -> None:
    page, pattern, query = ON_PAGES[what]
    shown = re.search(pattern, (shop.home / "reports" / page).read_text(encoding="utf-8"))
    assert shown, pattern
    assert int(shown[1].replace(",", "")) == shop.query(query)[0][0]


def test_lifetime_values_are_told_of_everyone_with_an_order_from_all_that_was_booked(shop: Refresh) -> None:
    ((revenue, margin, days),) = shop.query(
        f"select round(sum(revenue), 4), round(sum(margin), 4), count(*) filter (where has_order) from ({BOOKINGS})"
    )
    assert (revenue, margin, days) == shop.query(
        """
        select
            sum(net_revenue)::double,
            sum(gross_margin)::double,
            count(distinct (customer_id, sold_on)) filter (where is_order_line)
        from marts.fct_sales
        where customer_id is not null
        """
    )[0]
    assert shop.query("select customer_id from ml.customer_lifetime_value order by 1") == shop.query(
        "select customer_id from marts.customer_metrics order by 1"
    )
    assert shop.query("select distinct clv_basis from ml.customer_lifetime_value") == [("margin",)]


def test_only_what_is_published_lies_in_the_file(shop: Refresh) -> None:
    assert shop.query("select distinct table_schema from information_schema.tables order by 1") == [
        ("marts",),
        ("meta",),
        ("ml",),
    ]


def test_the_refresh_is_on_record(shop: Refresh) -> None:
    ((refresh, as_of, source, status, received, versions),) = shop.query(
        "select refresh, as_of::varchar, source, status, rows, versions from meta.refreshes"
    )
    assert (refresh, as_of, status) == (1, "2026-03-31", "published")
    assert source == "synthetic business (300 customers, seed 7)"
    for outcome in json.loads(received):
        parts = (outcome[word] for word in ("inserted", "restated", "duplicate", "quarantined"))
        assert outcome["rows"] == sum(parts)
    assert json.loads(versions)["dbt-core"].startswith("1.11.")
    raw = sum(outcome["inserted"] for outcome in json.loads(received) if outcome["table"] == "shop.sales")
    assert shop.query("select count(*) from marts.fct_sales") == [(raw,)]


def test_every_blocking_check_is_on_record_and_passed(shop: Refresh) -> None:
    manifest = load_manifest(Settings.from_environment({}, home=shop.home))
    expected = {(name, check.asset, "pass") for name, check in with_data_checks(required_by(manifest)).checks.items()}
    recorded = shop.query(
        "select check_name, asset, status from meta.check_results where severity = 'error' and refresh = 1"
    )
    assert len(expected) > 50
    assert set(recorded) == expected


def test_scores_cover_every_customer_with_an_order(shop: Refresh) -> None:
    assert shop.query(
        """
        select count(*) from marts.customer_360
        where purchase_count is not null and (
            churn_probability is null or cluster_name is null or segment is null
            or scores_as_of <> date '2026-03-31'
        )
        """
    ) == [(0,)]


def test_every_score_names_the_model_in_use(shop: Refresh) -> None:
    scores = shop.query("select distinct horizon_days, model_version from ml.churn_scores order by 1")
    champions = shop.query(
        "select horizon_days, version from ml.model_runs where model = 'churn' and champion order by 1"
    )
    assert scores == champions
    assert [horizon for horizon, _ in scores] == [30, 90, 180]
    clusters = shop.query("select distinct model_version from ml.customer_clusters")
    assert clusters == shop.query("select version from ml.model_runs where model = 'customer_clusters'")


def test_customers_and_guests_make_up_all_revenue(shop: Refresh) -> None:
    ((facts, parts),) = shop.query(
        """
        select
            (select sum(net_revenue) from marts.fct_sales),
            (select sum(total_spend) from marts.customer_360)
            + (select sum(net_revenue) from marts.fct_sales where customer_id is null)
        """
    )
    assert facts == parts


def test_a_second_refresh_of_the_same_day_changes_nothing(shop: Refresh, tmp_path: Path) -> None:
    before = tables(shop.home / "pulse.duckdb", "marts", "ml")
    home = shutil.copytree(shop.home, tmp_path / "home", symlinks=True)
    again = run_pipeline(home, source="synthetic", scale=300, as_of="2026-03-31")
    assert again.succeeded, again.output
    after = tables(home / "pulse.duckdb", "marts", "ml")
    assert before.keys() == after.keys()
    for table in before:
        assert before[table] == after[table], table
    ((received,),) = again.query("select rows from meta.refreshes order by refresh desc limit 1")
    assert all(outcome["duplicate"] == outcome["rows"] for outcome in json.loads(received))


def test_raw_alone_leaves_the_published_file(tmp_path: Path, sales_file: Callable[..., Path]) -> None:
    home = tmp_path / "home"
    result = run_pipeline(home, job="raw", source=str(sales_file("ann,2024-01-05,10")))
    assert result.succeeded, result.output
    assert not (home / "pulse.duckdb").exists()
    with duckdb.connect() as connection:
        assert connection.execute(f"select as_of::varchar from '{home}/raw/pulse/clock/*.parquet'").fetchone() == (
            "2024-01-05",
        )


def test_exports_and_drafts_are_of_the_published_refresh(shop: Refresh) -> None:
    with duckdb.connect(str(shop.home / "pulse.duckdb"), read_only=True) as published:
        assert check_tables(shop.home, published) >= 7
        assert check_drafts(shop.home, published)
        emails = published.execute("select email from marts.dim_customers where email is not null").fetchall()
    texts = [file for file in (shop.home / "exports").rglob("*.*") if file.suffix != ".parquet"]
    written = "".join(file.read_text(encoding="utf-8") for file in texts)
    assert len(emails) > 100
    assert not [email for (email,) in emails if email in written]


def test_every_insight_has_its_figures_and_its_page_in_dagster(shop: Refresh) -> None:
    audiences = shop.query("select table_name from information_schema.tables where table_name like 'audience_%'")
    assert audiences
    insights = [
        *(name for (name,) in audiences),
        *("customer_360", "product_360", "next_best_actions", "offers", "alerts", "overview", "kpi_snapshots"),
        *("sales_call_list", "support_priority_queue", "leadership_monthly", "simple_retention_roi"),
    ]
    site = {str(shop.home / "reports" / file) for file, _ in SITE.values()}
    for name in insights:
        about = shop.metadata[f"marts/{name}"]
        assert about["dagster/row_count"].value == shop.query(f"select count(*) from marts.{name}")[0][0]
        assert [value for key, value in about.items() if isinstance(value, dg.IntMetadataValue) and "/" not in key]
        assert about["page"].value in site, name
    for key, about in shop.metadata.items():
        if key.startswith("ml/"):
            assert about["page"].value in site, key
    for name, figure, query in (
        ("customer_360", "at_risk", "select count(*) from marts.customer_360 where is_at_risk"),
        ("next_best_actions", "selected", "select count(*) from marts.next_best_actions where is_selected"),
        ("alerts", "critical", "select count(*) from marts.alerts where severity = 'critical'"),
    ):
        assert shop.metadata[f"marts/{name}"][figure].value == shop.query(query)[0][0]
    assert shop.metadata["exports/drafts"]["page"].value == str(shop.home / "exports" / "drafts" / "index.html")
