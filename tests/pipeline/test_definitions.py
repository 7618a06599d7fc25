"""What the Dagster UI shows: described, grouped and owned assets, two dbt stages, checks, one schedule."""

from __future__ import annotations

import dagster as dg
import pytest

from orchestration.checks.declared import DATA_CHECKS
from orchestration.definitions import build_defs
from orchestration.settings import Settings
from sources.contracts import CONTRACTS


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    home = tmp_path_factory.mktemp("home")
    return build_defs(Settings.from_environment({}, home=home, timezone="Europe/Berlin", daily_at="04:30"))


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> list[dg.AssetSpec]:
    return list(definitions.resolve_all_asset_specs())


def test_the_code_location_loads(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert {job.name for job in repository.get_all_jobs()} >= {"refresh", "publish", "raw"}


def test_every_asset_is_described_grouped_owned_and_of_a_kind(specs: list[dg.AssetSpec]) -> None:
    for spec in specs:
        assert spec.description, spec.key
        assert spec.group_name not in (None, "default"), spec.key
        assert spec.owners, spec.key
        assert spec.kinds, spec.key


def test_raw_asset_keys_are_the_names_of_the_dbt_sources(specs: list[dg.AssetSpec]) -> None:
    raw = {spec.key for spec in specs if spec.group_name == "raw"}
    assert raw == {dg.AssetKey([contract.source, contract.table]) for contract in CONTRACTS} | {
        dg.AssetKey(["pulse", "clock"])
    }


def test_published_tables_declare_their_columns(specs: list[dg.AssetSpec]) -> None:
    for spec in specs:
        if spec.key.path[0] in ("marts", "ml"):
            schema = spec.metadata["dagster/column_schema"]
            columns = schema.value.columns if hasattr(schema, "value") else schema.columns
            assert columns, spec.key
            assert all(column.description and column.type for column in columns), spec.key


def test_a_refresh_is_one_step_a_stage(definitions: dg.Definitions) -> None:
    steps = set(definitions.resolve_job_def("refresh").graph.node_dict)
    assert steps == {
        "raw_tables",
        "marts",
        "insights",
        "ml__customer_clusters",
        "ml__churn_scores",
        "ml__customer_lifetime_value",
        "ml__ticket_anomalies",
        "ml__sales_anomalies",
        "ml__trend_changes",
        "ml__revenue_forecast",
        "ml__session_purchase_predictions",
        "ml__customer_intent",
        "ml__customer_personas",
        "ml__customer_uplift",
        "ml__product_associations",
        "ml__model_runs",
        "ml__scorecard",
        "meta__data_profile",
        "reports__overview",
        "reports__customers",
        "reports__products",
        "exports",
        "reports__support",
        "reports__web",
        "reports__campaigns",
        "reports__models",
        "reports__quality",
        "published__pulse",
    }


def test_publishing_depends_on_everything_published_and_on_every_step(definitions: dg.Definitions) -> None:
    published = dg.AssetKey(["published", "pulse"])
    graph = definitions.resolve_asset_graph()
    parents = graph.get(published).parent_keys
    beside = ("marts", "meta", "ml", "reports", "exports")
    assert parents == {key for key in graph.get_all_asset_keys() if key.path[0] in beside}
    # A failing check fails its whole step, so an ancestor in every step is an ancestor of every check.
    ancestors = graph.get_ancestor_asset_keys(published)
    for each in graph.assets_defs:
        assert published in each.keys or set(each.keys) & ancestors, each.keys


def test_tests_are_checks_and_the_churn_check_does_not_block(definitions: dg.Definitions) -> None:
    checks = {spec.key: spec for each in definitions.resolve_asset_graph().assets_defs for spec in each.check_specs}
    churn = [spec for key, spec in checks.items() if key.name == "churn_model_beats_its_baselines"]
    assert [spec.blocking for spec in churn] == [False]
    on_sales = [key for key in checks if key.asset_key == dg.AssetKey(["shop", "sales"])]
    assert {key.name for key in on_sales} == {
        "source_primary_key_shop_sales_sale_id",
        "source_shop_sales_rows_are_valid",
    }
    assert all(spec.description for spec in checks.values())


def test_one_schedule_refreshes_everything_daily(definitions: dg.Definitions) -> None:
    (schedule,) = definitions.schedules or ()
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 4 * * *", "Europe/Berlin")
    assert schedule.job_name == "refresh"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


def test_files_failures_and_alerts_are_watched_from_the_start(definitions: dg.Definitions) -> None:
    sensors = {sensor.name: sensor for sensor in definitions.sensors or () if isinstance(sensor, dg.SensorDefinition)}
    assert set(sensors) == {"landing", "failures", "alerts"}
    for sensor in sensors.values():
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
        assert sensor.description
    # Nothing is started twice: one sensor starts refreshes, the others tell.
    assert [name for name, sensor in sensors.items() if sensor.targets] == ["landing"]


def test_every_check_of_incoming_data_says_whether_it_blocks(definitions: dg.Definitions) -> None:
    checks = {
        spec.name: spec.blocking
        for each in definitions.resolve_asset_graph().assets_defs
        for spec in each.check_specs
        if spec.asset_key == dg.AssetKey(["meta", "data_profile"])
    }
    assert checks == {check.name: check.severity == "error" for check in DATA_CHECKS}
