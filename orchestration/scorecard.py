"""How well every detector did on the synthetic business, whose truth is planted: pure functions on frames.

The one place in the pipeline that sees the truth. What a detector found comes from the published tables; what was
planted from `sources.synthetic.truth`. How findings are matched to truths is decided in `ml.grading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from ml.grading import Grade, grade, grade_periods, overlaps, share_interval
from ml.metrics import binary_report

MOST_FALSE = 0.1
"""Of the findings of a detector, no larger share may be false."""
FEWEST_TICKETS = 5
"""Customers with fewer tickets are not judged by their tickets."""
TREND_SLACK_DAYS = 28
"""A trend found this many days before it begins, or after it has ended, still counts."""
RECENT_DAYS = 180
"""A bad experience is a cause to be named if it, and a ticket, lie in the window of the ticket features."""

_BANDS = 3
_MONTH = 31

Rows = list[dict[str, Any]]
Frames = Mapping[str, pd.DataFrame]


def scorecard(found: Frames, truth: Frames, as_of: date) -> pd.DataFrame:
    """Grade all detectors.

    Args:
        found: By name of the table, what was found there; the columns each function below reads.
        truth: As `sources.synthetic.truth.planted` gives it.
        as_of: The day everything was computed for.

    Returns:
        One row a detector and band of effect sizes, and one a detector and measure: detector, effect, planted,
        planted_found, recall, recall_low, recall_high, found, true_found, precision, precision_low, precision_high,
        measure, value, value_low, value_high, bound, passed.
    """
    rows = [
        *_customers(found, truth),
        *_days(found, truth, as_of),
        *_changes(found, truth),
        *_monthly_trends(found, truth),
        *_pairs(found, truth),
        *_campaigns(found, truth),
        *_leavers(found, truth, as_of),
        *graded_reasons(found, truth, as_of),
        *_uplift(found, truth),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = [
    *("detector", "effect", "planted", "planted_found", "recall", "recall_low", "recall_high"),
    *("found", "true_found", "precision", "precision_low", "precision_high"),
    *("measure", "value", "value_low", "value_high", "bound", "passed"),
]


def _customers(found: Frames, truth: Frames) -> Rows:
    """`ticket_anomalies`: customer_id, ticket_count, is_anomaly."""
    judged = found["ticket_anomalies"].query("ticket_count >= @FEWEST_TICKETS")
    planted = truth["anomalous_customers"]
    planted = planted[planted["customer_id"].isin(set(judged["customer_id"]))]
    ours = set(judged.loc[judged["is_anomaly"].fillna(False).astype(bool), "customer_id"])
    result = grade(ours, planted["customer_id"])
    effects = planted["sentiment_shift"].abs().to_numpy()
    return _graded("ticket_anomalies", result, effects, planted["customer_id"].isin(ours).to_numpy())


def _days(found: Frames, truth: Frames, as_of: date) -> Rows:
    """`sales_anomalies`: starts_on, ends_on, direction of stretches of the whole business; tested_from, one day."""
    ours = found["sales_anomalies"]
    spikes = truth["spikes"]
    spikes = spikes.assign(direction=np.where(spikes["factor"] > 1, "up", "down"))
    tested_from = ours["tested_from"].min() if len(ours) else pd.Timestamp(as_of) - timedelta(days=364)
    within = (spikes["starts_on"] >= tested_from) & (spikes["ends_on"] <= pd.Timestamp(as_of))
    stretches = ours.dropna(subset=["starts_on"])
    # A stretch that shows the end of a spike from before the days tested is no false discovery.
    true_found = grade_periods(stretches, spikes, ["direction"]).true_found
    tested = spikes[within]
    hits = np.any(overlaps(stretches, tested, ["direction"]), axis=0).tolist()
    result = Grade(len(stretches), true_found, len(tested), int(np.sum(hits)))
    return _graded("sales_anomalies", result, np.abs(np.log(tested["factor"].to_numpy())), hits)


def _changes(found: Frames, truth: Frames) -> Rows:
    """`trend_changes`: product_id, direction, starts_on, ends_on of the changes."""
    ours, trends = found["trend_changes"], truth["product_trends"]
    hits = overlaps(ours, trends, ["product_id", "direction"], TREND_SLACK_DAYS)
    result = Grade(len(ours), int(hits.any(axis=1).sum()), len(trends), int(hits.any(axis=0).sum()))
    return _graded("trend_changes", result, np.abs(np.log(trends["factor"].to_numpy())), np.any(hits, axis=0).tolist())


def _monthly_trends(found: Frames, truth: Frames) -> Rows:
    """`product_trends`: product_id, direction, starts_on, ends_on of significant months.

    A month is compared with the one before, so that a trend shows for a month after its end. Season moves whole
    categories and is no trend that was planted: this detector's precision says how much of what it reports is season.
    """
    ours, trends = found["product_trends"], truth["product_trends"]
    hits = overlaps(ours, trends, ["product_id", "direction"], _MONTH)
    result = Grade(len(ours), int(hits.any(axis=1).sum()), len(trends), int(hits.any(axis=0).sum()))
    return _graded(
        "product_trends",
        result,
        np.abs(np.log(trends["factor"].to_numpy())),
        np.any(hits, axis=0).tolist(),
        is_judged=False,
    )


def _pairs(found: Frames, truth: Frames) -> Rows:
    """`product_associations`: product_id_a, product_id_b of associated pairs."""
    ours, pairs = (
        list(zip(frame["product_id_a"], frame["product_id_b"], strict=True))
        for frame in (found["product_associations"], truth["product_pairs"])
    )
    hits = np.array([pair in set(ours) for pair in pairs], dtype=bool)
    return _graded(
        "product_associations", grade(ours, pairs), truth["product_pairs"]["pull_probability"].to_numpy(), hits
    )


def _campaigns(found: Frames, truth: Frames) -> Rows:
    """`campaign_roi`: campaign_id, effect, low, high (extra orders a contact and its 95 % interval)."""
    effects = truth["contact_effects"].groupby("campaign_id")["effect_probability"].mean()
    ours = found["campaign_roi"].dropna(subset=["low", "high"]).set_index("campaign_id")
    true = effects.reindex(ours.index).dropna()
    ours = ours.loc[true.index]
    clear = (ours["low"] > 0) | (ours["high"] < 0)
    right = clear & (np.sign(ours["effect"]) == np.sign(true))
    result = Grade(int(clear.sum()), int(right.sum()), int((true != 0).sum()), int((right & (true != 0)).sum()))
    rows = _graded("campaign_roi", result, true.to_numpy(), right.to_numpy())
    covered = int(((ours["low"] <= true) & (true <= ours["high"])).sum())
    low, high = share_interval(covered, len(true))
    share = covered / len(true) if len(true) else None
    return [*rows, _measured("campaign_roi", "intervals that hold the planted effect", share, (low, high), 0.9)]


def _leavers(found: Frames, truth: Frames, as_of: date) -> Rows:
    """`churn_scores`: customer_id, churn_probability, days_since_last_order. And `customer_lifetime_value`.

    Who has left for good is known here, which no data shows: a customer may just be between two orders.
    """
    left_on = truth["customers"].set_index("customer_id")["left_on"]
    rows = []
    scores = found["churn_scores"].dropna(subset=["churn_probability"])
    gone = _has_left(scores, left_on, as_of)
    if 0 < gone.sum() < len(gone):
        ours = float(roc_auc_score(gone, scores["churn_probability"]))
        plain = float(roc_auc_score(gone, scores["days_since_last_order"]))
        rows.append(_measured("churn_scores", "AUC for having left for good, against recency's", ours, None, plain))
    alive = found["customer_lifetime_value"].dropna(subset=["probability_alive"])
    there = ~_has_left(alive, left_on, as_of)
    if 0 < there.sum() < len(there):
        report = binary_report(there.astype(int), alive["probability_alive"].to_numpy(dtype=float))
        rows.append(_measured("customer_lifetime_value", "AUC of the probability of being alive", report["auc"]))
        rows.append(_measured("customer_lifetime_value", "calibration error of that probability", report["ece"]))
    return rows


def _has_left(frame: pd.DataFrame, left_on: pd.Series, as_of: date) -> NDArray[np.bool_]:
    day = pd.to_datetime(frame["customer_id"].map(left_on))
    return np.asarray((day <= pd.Timestamp(as_of)).to_numpy(dtype=bool))


def graded_reasons(found: Frames, truth: Frames, as_of: date) -> Rows:
    """`churn_reasons`: customer_id, names_tickets, had_tickets, last_order_on.

    Planted causes are customers with a bad experience of which they told in a ticket; the others had none.
    """
    frame = found["churn_reasons"]
    experiences = truth["bad_experiences"].merge(found["orders"], on="order_id")
    since = pd.Timestamp(as_of) - timedelta(days=RECENT_DAYS)
    hurt = set(experiences.loc[experiences["sold_on"] > since, "customer_id"])
    ever = set(truth["bad_experiences"]["customer_id"])
    caused = frame["customer_id"].isin(hurt) & frame["had_tickets"].astype(bool)
    others = ~frame["customer_id"].isin(ever)
    rows = []
    for measure, chosen, bound, is_most in (
        ("share of those with a bad experience whose reasons name tickets", caused, 0.7, False),
        ("share of the others whose reasons name tickets", others, 0.2, True),
    ):
        named, size = int((chosen & frame["names_tickets"].astype(bool)).sum()), int(chosen.sum())
        share = named / size if size else None
        rows.append(_measured("churn_reasons", measure, share, share_interval(named, size), bound, is_most=is_most))
    return rows


def _uplift(found: Frames, truth: Frames) -> Rows:
    """`customer_uplift`: customer_id, uplift_probability."""
    effects = truth["contact_effects"].groupby("customer_id")["effect_probability"].mean()
    ours = found["customer_uplift"].assign(true=lambda frame: frame["customer_id"].map(effects)).dropna()
    if ours["uplift_probability"].nunique() < 2 or len(ours) < 10:
        return []
    r = float(spearmanr(ours["uplift_probability"], ours["true"]).statistic)
    width = 1.96 / np.sqrt(len(ours) - 3)
    interval = float(np.tanh(np.arctanh(r) - width)), float(np.tanh(np.arctanh(r) + width))
    return [_measured("customer_uplift", "rank correlation with planted effects", r, interval, 0.0)]


def _graded(
    detector: str,
    result: Grade,
    effects: Sequence[float] | NDArray[np.float64],
    hits: Sequence[bool] | NDArray[np.bool_],
    *,
    is_judged: bool = True,
) -> Rows:
    """The detector's row, and one for each third of the truths by the size of their effects."""
    low, high = result.precision_interval
    row = {
        "detector": detector,
        "effect": "all",
        **_recall(result.planted_found, result.planted),
        "found": result.found,
        "true_found": result.true_found,
        "precision": result.precision,
        "precision_low": low if result.found else None,
        "precision_high": high if result.found else None,
        # Too many false ones, if chance alone would not make as many of a detector that has just few enough.
        "bound": 1 - MOST_FALSE if is_judged else None,
        "passed": high >= 1 - MOST_FALSE if is_judged else None,
    }
    rows = [row]
    sizes = np.asarray(effects, dtype=float)
    order, flags = np.argsort(sizes, kind="stable"), np.asarray(hits, dtype=bool)
    for part in np.array_split(order, _BANDS) if len(order) >= _BANDS else []:
        label = f"{sizes[part[0]]:.3g} to {sizes[part[-1]]:.3g}"
        rows.append({"detector": detector, "effect": label, **_recall(int(flags[part].sum()), len(part))})
    return rows


def _recall(count: int, size: int) -> dict[str, Any]:
    low, high = share_interval(count, size)
    return {
        "planted": size,
        "planted_found": count,
        "recall": count / size if size else None,
        "recall_low": low if size else None,
        "recall_high": high if size else None,
    }


def _measured(
    detector: str,
    measure: str,
    value: float | None,
    interval: tuple[float, float] | None = None,
    bound: float | None = None,
    *,
    is_most: bool = False,
) -> dict[str, Any]:
    """A row of one figure; it fails when even the better end of its interval lies beyond the bound."""
    passed = None
    if value is not None and bound is not None:
        low, high = interval or (value, value)
        passed = low <= bound if is_most else high >= bound
    return {
        "detector": detector,
        "measure": measure,
        "value": value,
        "value_low": interval[0] if interval and value is not None else None,
        "value_high": interval[1] if interval and value is not None else None,
        "bound": bound,
        "passed": passed,
    }
