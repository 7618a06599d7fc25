"""Alerts of a whole refresh: few, stable, and no number in their words that is not one of their columns."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import duckdb
import pytest

from tests.conftest import Refresh

FIXED = ("in the last 365 days", "in the last 30 days", "of the last 30 days", "the 13 weeks before")
"""Words with a number that no column holds."""


@pytest.fixture(scope="module")
def alerts(shop: Refresh) -> list[dict[str, Any]]:
    with duckdb.connect(str(shop.home / "pulse.duckdb"), read_only=True) as connection:
        return (
            connection.execute(
                """
                select alerts.*, customers.reason_1
                from marts.alerts
                left join marts.customer_360 as customers on alerts.subject_id = customers.customer_id
                order by display_order
                """
            )
            .df()
            .to_dict("records")
        )


def words_of(number: Any, decimals: int) -> str:
    """A number as the alerts write it."""
    return str(Decimal(str(number)).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP))


def allowed(alert: dict[str, Any]) -> set[str]:
    """Every number and day that an alert's columns can be written as."""
    found = set()
    for column in ("value", "expected_value", "row_count", "related_count", "value_at_stake"):
        if alert[column] == alert[column] and alert[column] is not None:
            found |= {words_of(alert[column], decimals) for decimals in (0, 1, 2)}
    for column in ("value", "expected_value", "change_ratio", "driver_share"):
        if alert[column] == alert[column] and alert[column] is not None:
            found.add(words_of(100 * abs(Decimal(str(alert[column]))), 0) + "%")
    for column in ("started_on", "ended_on", "first_seen_on"):
        for day in (alert[column], alert[column] - timedelta(days=1)):
            found |= {str(day.date()), str(day.date())[:7]}
    return found


def strangers(alert: dict[str, Any]) -> list[str]:
    """Numbers and days in an alert's words that its columns do not hold."""
    text = f"{alert['title']} | {alert['evidence']}"
    for fixed in (*FIXED, alert["subject_id"], alert["reason_1"]):
        if isinstance(fixed, str):
            text = text.replace(fixed, "")
    written = re.findall(r"\d{4}-\d{2}-\d{2}|\d{4}-\d{2}|\d+(?:\.\d+)?%?", text)
    return [each for each in written if each not in allowed(alert)]


def test_every_number_is_that_of_a_column(alerts: list[dict[str, Any]]) -> None:
    assert len({alert["kind"] for alert in alerts}) >= 2
    assert [(alert["alert_id"], strangers(alert)) for alert in alerts if strangers(alert)] == []


def test_a_wrong_number_would_be_noticed(alerts: list[dict[str, Any]]) -> None:
    alert = {**alerts[0], "title": alerts[0]["title"] + " by 98765.4"}
    assert strangers(alert) == ["98765.4"]


def test_they_are_few_and_lead_somewhere(shop: Refresh, alerts: list[dict[str, Any]]) -> None:
    assert len(alerts) < 40
    assert {alert["page"] for alert in alerts} <= {
        "index.html", "customers.html", "products.html", "support.html", "quality.html", "models.html",
    }  # fmt: skip
    known = shop.query(
        """
        select count(*) from marts.alerts
        where subject_type = 'customer' and subject_id not in (select customer_id from marts.customer_360)
            or subject_type = 'product' and subject_id not in (select product_id from marts.product_360)
        """
    )
    assert known == [(0,)]


def test_the_month_end_before_is_scored_by_the_same_model(shop: Refresh) -> None:
    rows = shop.query(
        """
        select
            count(*), count(distinct before.cutoff_date), max(before.cutoff_date) < max(scores.as_of),
            bool_and(before.model_version = scores.model_version),
            corr(before.churn_probability, scores.churn_probability)
        from ml.churn_scores_before as before
        inner join ml.churn_scores as scores
            on before.customer_id = scores.customer_id and before.horizon_days = scores.horizon_days
        """
    )
    count, cutoffs, is_before, is_same, correlation = rows[0]
    assert (count > 100, cutoffs, is_before, is_same) == (True, 1, True, True)
    assert correlation > 0.5
