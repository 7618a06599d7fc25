"""A plain `dbt build` passes on any world, and publishes what DESIGN section 7 promises."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.dbt.homes import Dbt, Home

PROMISED = {
    "customer_metrics": [
        "customer_id", "purchase_count", "total_spend", "average_transaction_value", "first_purchase_at",
        "last_purchase_at", "days_since_last_purchase", "lifetime_days", "churn_risk_tier",
    ],
    "customer_rfm": [
        "customer_id", "days_since_last_order", "frequency", "monetary", "r_score", "f_score", "m_score", "rfm_index",
        "engagement_score", "segment", "recommended_action",
    ],
    "customer_features": ["customer_id", "cutoff_date", "churned_30d", "churned_90d", "churned_180d"],
    "daily_sales": ["sales_date", "gross_revenue", "net_revenue", "order_count", "unit_count", "customer_count"],
    "category_performance": [
        "category", "transaction_count", "revenue", "average_transaction_value", "customer_count",
    ],
    "product_trends": [
        "product_id", "month", "units", "net_revenue", "previous_net_revenue", "change_ratio", "q_value",
        "is_significant", "direction",
    ],
    "dim_customers": ["customer_id"],
    "dim_products": ["product_id"],
    "fct_sales": ["sale_id", "order_id", "customer_id", "product_id"],
    "fct_tickets": ["ticket_id", "customer_id"],
    "monthly_product_sales": ["product_id", "month"],
    "customer_sentiment": ["customer_id"],
    "customer_360": [
        "customer_id", "segment_score", "probability_alive", "expected_orders_90d", "expected_order_value", "clv_365d",
        "clv_365d_low", "clv_365d_high", "clv_basis", "value_tier", "next_order_on", "intent_score", "last_session_on",
        "persona", "uplift_probability", "behaviour_score", "activity_trend", "risk_signals", "open_ticket_count",
        "next_action", "next_action_channel", "next_action_reason", "next_action_expected_profit",
        "next_action_deadline_on", "next_action_is_control", "offer_type", "offer_discount_rate", "offer_message",
        "offer_valid_until",
    ],
    "fct_sessions": ["session_id", "customer_id"],
    "customer_rfm_history": ["customer_id", "cutoff_date", "segment"],
    "segment_migration": ["from_segment", "to_segment", "customer_count"],
    "customer_behaviour": ["customer_id", "behaviour_score", "activity_trend", "risk_signals"],
    "product_performance": ["product_id", "net_revenue", "return_rate"],
    "product_pairs": [
        "product_id_a", "product_id_b", "pair_orders", "support", "confidence_a_to_b", "confidence_b_to_a", "lift",
    ],
    "cohort_retention": [
        "cohort_month", "months_since_first", "customers", "active_customers", "retention_rate", "net_revenue",
        "gross_margin",
    ],
    "ticket_sla_daily": ["opened_on", "priority"],
    "ticket_backlog_daily": ["backlog_date", "opened_count", "resolved_count", "backlog_count"],
    "ticket_topics": ["topic", "product_id", "negative_rate"],
    "ticket_routing": ["ticket_id", "queue", "urgency"],
    "session_features": ["session_id", "is_converted"],
    "funnel_daily": ["session_date", "device_type", "conversion_rate"],
    "cart_abandonment": ["month", "device_type", "abandonment_rate"],
    "campaign_performance": ["campaign_id", "open_rate", "click_rate", "conversion_rate"],
    "incentive_performance": ["offer_type", "roi"],
    "campaign_roi": [
        "campaign_id", "incremental_revenue", "incremental_revenue_low", "incremental_revenue_high", "net_profit",
        "roi", "cost_per_retained_customer",
    ],
    "campaign_profit": ["breakdown", "part", "net_profit"],
    "simple_retention_roi": ["label", "roi"],
    "contact_features": ["contact_id", "customer_id", "is_control", "orders_after_30d"],
    "persona_distribution": ["persona", "customer_count", "session_count", "conversion_rate", "net_revenue"],
    "product_360": [
        "product_id", "trend_direction", "trend_change_ratio", "trend_q_value", "trend_month", "changed_on",
        "ticket_count", "negative_rate", "top_topic", "bought_together_1", "bought_together_2", "bought_together_3",
        "top_customer_1", "top_customer_2", "top_customer_3",
    ],
    "alerts": [
        "alert_id", "kind", "severity", "subject_type", "subject_id", "title", "evidence", "value", "expected_value",
        "first_seen_on", "page",
    ],
    "overview": [
        "metric", "label", "unit", "value", "previous_value", "change_ratio", "direction_is_good", "period_start",
        "period_end", "display_order",
    ],
    "kpi_snapshots": ["snapshot_on", "metric", "value"],
    "leadership_monthly": ["month", "net_revenue"],
    "sales_call_list": ["position", "customer_id", "occasion"],
    "support_priority_queue": ["position", "ticket_id", "priority_score"],
    "next_best_actions": [
        "customer_id", "action", "channel", "offer_type", "discount_rate", "reason", "expected_incremental_profit",
        "cost", "deadline_on", "priority", "basis", "is_contactable", "is_control", "is_selected", "model_version",
        "scores_as_of",
    ],
    "offers": [
        "customer_id", "offer_type", "message", "discount_rate", "priority", "colour", "valid_until",
        "expected_incremental_profit",
    ],
    "offer_effects": ["offer_type", "discount_rate", "effect_ratio", "is_tried"],
    "audience_at_risk_high_value": ["customer_id", "clv_365d", "churn_probability"],
    "audience_win_back": ["customer_id", "days_since_last_order"],
    "audience_ready_to_buy": ["customer_id", "intent_score"],
    "audience_second_order": ["customer_id", "days_since_last_order"],
    "audience_vip": ["customer_id", "clv_365d"],
}  # fmt: skip
"""Columns that DESIGN names, by mart; where it names none, the keys. Others may join, none may go."""

HOMES = ["world", "one_sale", "activity_only"]


@pytest.mark.parametrize("name", HOMES)
def test_every_promised_column_is_published(name: str, request: pytest.FixtureRequest) -> None:
    home: Home = request.getfixturevalue(name)
    columns = home.frame("select table_name, column_name from duckdb_columns() where database_name = 'warehouse'")
    published = columns.groupby("table_name")["column_name"].agg(set)
    missing = {table: sorted(set(wanted) - published.get(table, set())) for table, wanted in PROMISED.items()}
    assert {table: names for table, names in missing.items() if names} == {}


@pytest.mark.parametrize("name", HOMES)
def test_every_data_test_ran_and_passed(name: str, request: pytest.FixtureRequest) -> None:
    home: Home = request.getfixturevalue(name)
    statuses = home.frame("select status, count(*) as n from meta.check_results group by all")
    assert list(statuses["status"]) == ["pass"]
    assert f"{statuses['n'].iloc[0]} data tests" in home.output
    builds = home.frame("select resource, status from meta.builds")
    assert set(builds["status"]) == {"started", "success", "finished"}
    assert list(builds.loc[builds["resource"] == "dbt", "status"]) == ["started", "finished"]


def test_unit_tests_run_with_a_plain_build(world: Home) -> None:
    assert " unit tests" in world.output


def test_dbt_warns_of_nothing(world: Home) -> None:
    assert "WARN=0 " in world.output
    assert "deprecat" not in world.output.lower()


@pytest.fixture(scope="module")
def own_world(world: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy for dbt, which opens files to write to while other processes read those of `world`."""
    return shutil.copytree(world.path, tmp_path_factory.mktemp("own") / "world")


def test_the_documentation_generates(dbt: Dbt, own_world: Path) -> None:
    """Every published table is in the catalog."""
    dbt.run(own_world, "--quiet", "docs", "generate", "--no-compile", "--target-path", "target")
    catalog = json.loads((dbt.project / "target" / "catalog.json").read_text(encoding="utf-8"))
    assert {name.split(".")[-1] for name in catalog["nodes"]} >= set(PROMISED)
    assert catalog["errors"] is None


def test_every_published_mart_is_public_and_somebodys(world: Home) -> None:
    manifest = json.loads((world.path / "manifest.json").read_text(encoding="utf-8"))
    marts = [node for node in manifest["nodes"].values() if node["name"] in PROMISED]
    groups = {group["name"] for group in manifest["groups"].values()}
    assert [node["name"] for node in marts if node["access"] != "public" or node["group"] not in groups] == []
    read = {name for exposure in manifest["exposures"].values() for name in exposure["depends_on"]["nodes"]}
    assert "model.customer_pulse.customer_features" in read


def test_the_warehouse_holds_only_what_is_published(world: Home) -> None:
    schemas = world.frame("select distinct schema_name from duckdb_tables() where database_name = 'warehouse'")
    assert set(schemas["schema_name"]) == {"marts", "ml", "meta"}
    views = world.frame("select view_name from duckdb_views() where database_name = 'warehouse' and not internal")
    assert views.empty


def test_published_doubles_are_rounded(world: Home) -> None:
    """To six decimals at most, so that the last digits, which follow the order of additions, are nobody's."""
    columns = world.frame(
        "select table_name, column_name from duckdb_columns()"
        " where database_name = 'warehouse' and schema_name = 'marts' and data_type = 'DOUBLE'"
    )
    told = {f"{table}.{column}" for table, column in columns.itertuples(index=False)}
    assert len(told) > 150
    values = " union all ".join(
        f"select '{name}' as name, {name.split('.')[1]} as value from marts.{name.split('.')[0]}" for name in told
    )
    known = world.frame(f"select distinct name, value from ({values}) where value is not null")
    assert known.name.nunique() > 100
    assert set(known.name[known.value != known.value.round(6)]) == set()


def test_ml_tables_are_there_before_any_model_was_trained(world: Home) -> None:
    assert world.frame("select count(*) as n from ml.churn_scores")["n"].tolist() == [0]
    risk = world.frame("select distinct churn_source, is_at_risk from marts.customer_360")
    assert risk.to_dict("records") == [{"churn_source": None, "is_at_risk": False}]


def test_one_sale_is_one_of_everything(one_sale: Home) -> None:
    metrics = one_sale.frame("select purchase_count, lifetime_days, churn_risk_tier from marts.customer_metrics")
    assert metrics.values.tolist() == [[1, 0, "Low"]]
    rfm = one_sale.frame("select r_score, f_score, m_score, segment, engagement_score from marts.customer_rfm")
    assert rfm[["r_score", "f_score", "m_score", "segment"]].values.tolist() == [[5, 1, 1, "New Customers"]]
    assert rfm["engagement_score"].isna().all()
    assert len(one_sale.frame("select * from marts.daily_sales")) == 1
    assert one_sale.frame("select * from marts.product_trends").empty
    features = one_sale.frame("select churned_30d, churned_90d, churned_180d from marts.customer_features")
    assert len(features) == 1
    assert features.isna().all(axis=None)


def test_activity_becomes_sales_where_there_are_none(activity_only: Home) -> None:
    activity = activity_only.raw("usage.activity")
    earning = activity[activity["revenue_impact"] > 0]
    sales = activity_only.frame("select sale_id, category, net_revenue from marts.fct_sales order by sale_id")
    assert sorted(earning["activity_id"]) == sales["sale_id"].tolist()
    assert earning["revenue_impact"].sum() == sales["net_revenue"].sum()
    assert set(sales["category"]) == set(earning["activity_type"].str.lower())


@pytest.mark.parametrize("table", ["fct_sales", "customer_metrics", "daily_sales", "customer_features"])
def test_an_earlier_as_of_is_the_world_that_ended_then(
    table: str, world_seen_earlier: Home, world_that_ended_earlier: Home
) -> None:
    query = f"select * from marts.{table} order by all"
    seen = world_seen_earlier.frame(query)
    assert len(seen) > 0
    pd.testing.assert_frame_equal(seen, world_that_ended_earlier.frame(query), check_exact=True)


def test_macros_agree_with_scipy_and_python(dbt: Dbt, own_world: Path) -> None:
    """What no model shows in full precision: the normal tail, counts below cuts, months of different lengths."""
    from scipy.stats import norm

    zs = [0.0, 0.5, 1.0, 1.96, -1.96, 3.0, 5.0]
    fields = {
        **{f"p{i}": f"{{{{ normal_two_sided_p('cast({z} as double)') }}}}" for i, z in enumerate(zs)},
        **{f"below_{value}": f"{{{{ cuts_below('{value}', 'q') }}}}" for value in (1, 2, 3, 5, 6)},
        "leap": "cast({{ add_months(\"date '2024-01-31'\", 1) }} as string)",
        "back": "cast({{ add_months(\"date '2024-03-31'\", -1) }} as string)",
        "yesterday": "cast({{ add_days(\"date '2024-03-01'\", -1) }} as string)",
        "days": "{{ days_between(\"timestamp '2024-02-28 23:59:59'\", \"timestamp '2024-03-01 00:00:00'\") }}",
        "minutes": "{{ minutes_between(\"timestamp '2024-02-28 23:59:59'\", \"timestamp '2024-02-29 00:00:00'\") }}",
        "all_days": "(select count(*) from ({{ days_from_to(\"date '2024-02-28'\", \"date '2024-03-01'\") }}))",
        "no_days": "(select count(*) from ({{ days_from_to('cast(null as date)', \"date '2024-03-01'\") }}))",
        "months": "(select count(*) from ({{ months_from_to(\"date '2023-12-01'\", \"date '2024-02-01'\") }}))",
        "no_months": "(select count(*) from ({{ months_from_to(\"date '2024-03-01'\", \"date '2024-02-01'\") }}))",
        "not_a_number": "{{ safe_cast(\"'x'\", 'double') }}",
        "by_zero": "{{ ratio('1', '0') }}",
    }
    cuts = "select 1 as q_cut_1, 2 as q_cut_2, 2 as q_cut_3, 5 as q_cut_4"
    query = f"select {', '.join(f'{sql} as {name}' for name, sql in fields.items())} from ({cuts}) as cuts"
    shown = dbt.run(own_world, "--quiet", "show", "--inline", query, "--output", "json")
    row = json.loads(shown[shown.index("{") :])["show"][0]
    for i, z in enumerate(zs):
        assert row[f"p{i}"] == pytest.approx(2 * norm.sf(abs(z)), rel=2e-7, abs=2e-7)
    assert [row[f"below_{value}"] for value in (1, 2, 3, 5, 6)] == [0, 1, 3, 3, 4]
    assert (row["leap"], row["back"], row["yesterday"]) == ("2024-02-29", "2024-02-29", "2024-02-29")
    assert row["days"] == 2
    assert row["minutes"] == pytest.approx(1 / 60, abs=1e-4)
    assert (row["all_days"], row["no_days"], row["months"], row["no_months"]) == (3, 0, 3, 0)
    assert row["not_a_number"] is None
    assert row["by_zero"] is None


def test_a_row_is_told_by_the_first_rule_it_breaks(dbt: Dbt, own_world: Path) -> None:
    """Null passes a rule, and is never a key."""
    given = {
        "fine": ("a", 5, "x"),
        "too small": ("b", -5, "y"),
        "no amount": ("c", None, "x"),
        "one of two": ("d", 1, "x"),
        "the other": ("d", 1, "x"),
        "no key": (None, 1, "x"),
        "another kind": ("e", 1, "y"),
        "no kind": ("f", 1, None),
    }
    values = ", ".join(
        f"({', '.join('null' if value is None else repr(value) for value in (name, *row))})"
        for name, row in given.items()
    )
    rows = f"(select * from (values {values}) as given (name, id, amount, kind)) as told"
    rules = ["amount >= 0", "kind in (select 'x' as kind)"]
    judged = f"{{{{ test_rows_are_valid({json.dumps(rows)}, key=['id'], rules={json.dumps(rules)}) }}}}"
    arguments = ("--quiet", "show", "--inline", judged, "--output", "json", "--limit", "20")
    shown = dbt.run(own_world, *arguments)
    told = {row["name"]: row["broken_rule"] for row in json.loads(shown[shown.index("{") :])["show"]}
    assert told == {
        "too small": "amount >= 0",
        "one of two": "id is unique",
        "the other": "id is unique",
        "no key": "id is not null",
        "another kind": "kind in (select 'x' as kind)",
    }
