"""ml.intent: planted conversions are found on later visits, leaks are left out, young shops fall back on a rule."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.utils.estimator_checks import check_estimator

from ml.intent import (
    FEATURES,
    FEWEST_OF_A_CLASS,
    CartRule,
    PurchaseClassifier,
    customer_intent,
    evaluate_and_score,
    scored_since,
)
from ml.metrics import expected_calibration_error

AS_OF = date(2026, 3, 31)
TYPES = {
    "session_id": "object",
    "customer_id": "object",
    "started_on": "datetime64[ns]",
    "purchase_probability": "float64",
    "will_buy": "bool",
    "confidence": "float64",
    "model_version": "string",
}


def visits(n=3000, seed=0):
    """Visits with a known probability of an order: regulars with a cart buy, and the longer they look the less.

    Returns the frame of session_features and the planted probabilities.
    """
    rng = np.random.default_rng(seed)
    customer = rng.integers(n // 5, size=n)
    known = rng.random(n) < 0.7
    orders = np.where(known, rng.poisson(2 * (customer % 3)), 0)
    cart = (rng.random(n) < 0.35) * rng.poisson(1.3, n)
    pages = 1 + rng.poisson(3, n)
    seconds = 20 * pages * rng.lognormal(0, 0.5, n)
    mobile = rng.random(n) < 0.5
    p = expit(-4.5 + 2.5 * (cart > 0) + 0.7 * np.log1p(orders) - 0.6 * mobile * (cart > 0) + 0.15 * pages)
    frame = pd.DataFrame(
        {
            "session_id": [f"s{i:06}" for i in range(n)],
            "customer_id": np.where(known, [f"c{i:05}" for i in customer], None),
            "started_at": pd.Timestamp("2025-01-01") + pd.to_timedelta(np.sort(rng.random(n)) * 455, unit="D"),
            "device_type": np.where(mobile, "mobile", "desktop"),
            "started_hour": rng.integers(24, size=n),
            "started_weekday": rng.integers(7, size=n),
            "pages_visited": pages,
            "seconds_to_decision": seconds.astype(int),
            "product_view_count": rng.binomial(pages, 0.5),
            "product_count": rng.binomial(pages, 0.4),
            "add_to_cart_count": cart,
            "cart_value": 30.0 * cart,
            "is_known_customer": known,
            "sessions_before": np.where(known, rng.poisson(5, n), 0),
            "orders_before": orders,
            "abandoned_before": np.where(known, rng.poisson(1, n), 0),
            "days_since_last_session": np.where(known, rng.exponential(20, n).round(), np.nan),
            "days_since_last_order": np.where(orders > 0, rng.exponential(60, n).round(), np.nan),
            "is_converted": rng.random(n) < p,
        }
    )
    return frame, p


def split(frame, since="2026-01-01"):
    later = frame["started_at"] >= since
    return frame[~later], frame[later]


@pytest.fixture(scope="module")
def shop():
    frame, p = visits(6000)
    earlier, later = split(frame)
    return frame, p, evaluate_and_score(earlier, [later], AS_OF)


# ------------------------------------------------------------------------------------------------------- protocol


def test_probabilities_are_those_planted(shop):
    frame, p, result = shop
    scores = result.scores.merge(frame[["session_id"]].assign(planted=p), on="session_id")
    assert len(scores) == result.metrics["test_rows"] == (frame["started_at"] >= "2026-01-01").sum()
    assert np.corrcoef(scores["purchase_probability"], scores["planted"])[0, 1] > 0.9
    assert np.abs(scores["purchase_probability"] - scores["planted"]).mean() < 0.035
    assert result.messages == []
    assert result.model_version == "boosting-2026-03-31"
    assert result.scores.dtypes.astype(str).to_dict() == TYPES


def test_the_model_beats_its_baselines_on_later_visits(shop):
    frame, p, result = shop
    model, baselines = result.metrics["model"], result.metrics["baselines"]
    assert model["brier"] < baselines["cart_rule"]["brier"] < baselines["base_rate"]["brier"]
    assert model["auc"] > baselines["cart_rule"]["auc"] > baselines["device"]["auc"]
    assert model["ece"] < 0.03
    assert result.metrics["new_customers"]["n"] > 0
    # nearly as good as knowing the planted probability
    later = (frame["started_at"] >= "2026-01-01").to_numpy()
    best = np.mean((p[later] - frame.loc[later, "is_converted"]) ** 2)
    assert best < model["brier"] < best + 0.006


def test_will_buy_and_confidence_follow_from_the_probability(shop):
    scores = shop[2].scores
    p = scores["purchase_probability"]
    assert scores["will_buy"].equals(p > 0.5)
    np.testing.assert_allclose(scores["confidence"], np.maximum(p, 1 - p))
    assert scores["will_buy"].any()


def test_neither_parts_nor_order_of_rows_nor_later_labels_change_a_score():
    earlier, later = split(visits(1500)[0])
    one = evaluate_and_score(earlier, [later], AS_OF)
    turned = later.assign(
        is_converted=np.where(np.arange(len(later)) < 5, ~later["is_converted"], later["is_converted"])
    )
    shuffled = turned.sample(frac=1, random_state=1)
    other = evaluate_and_score(earlier.sample(frac=1, random_state=2), [shuffled.head(50), shuffled.iloc[50:]], AS_OF)
    assert one.metrics["model"]["brier"] != other.metrics["model"]["brier"]
    pd.testing.assert_frame_equal(one.scores, other.scores)


@pytest.mark.parametrize(
    ("column", "leak"),
    [
        ("pages_visited", lambda frame: frame["pages_visited"] + 50 * frame["is_converted"]),
        ("cart_value", lambda frame: frame["is_converted"] * 10.0),
        ("days_since_last_order", lambda frame: np.where(frame["is_converted"], 0, np.nan)),
        ("is_known_customer", lambda frame: frame["is_converted"]),
    ],
)
def test_a_planted_leak_is_left_out_and_named(column, leak):
    # few enough for the rule, which must not read it either
    frame, _ = visits(300)
    assert frame["is_converted"].sum() < FEWEST_OF_A_CLASS
    frame[column] = leak(frame)
    result = evaluate_and_score(frame, [frame], AS_OF)
    assert result.metrics["features"] == [name for name in FEATURES if name != column]
    assert result.messages[0].endswith(f"perfectly: {column}.")
    assert result.scores["purchase_probability"].max() < 0.8


def test_what_paying_leaves_behind_is_no_feature():
    behind = {"order_id", "is_abandoned", "has_cart", "event_count", "time_on_site_seconds", "seconds_per_page"}
    assert not behind & set(FEATURES)


def test_the_rule_by_hand():
    """Of 4 visits with a cart 3 bought, of 5 without none: 3.5 / 10 for all, which counts for 10 visits."""
    frame = pd.DataFrame(
        {
            "add_to_cart_count": [1, 2, 0, np.nan, 0, 0, 0, 0, 0],
            "cart_value": [5.0, np.nan, 9.0, 1.0, 0, 0, np.nan, 0, 0],
            "is_converted": [True, True, True] + 6 * [False],
        }
    )
    rule = CartRule(frame, ["add_to_cart_count", "cart_value"])
    assert rule.rate == pytest.approx(0.35)
    np.testing.assert_allclose(rule.probability(frame), 4 * [(3 + 3.5) / 14] + 5 * [3.5 / 15])


@pytest.mark.parametrize("earlier_rows", [0, 1, 30, 200])
def test_a_young_shop_follows_the_rule_and_says_so(earlier_rows):
    frame, _ = visits(400)
    result = evaluate_and_score(frame.head(earlier_rows), [frame.tail(50)], AS_OF)
    assert result.model is None
    assert result.model_version == "cart_rule"
    assert f"needs {FEWEST_OF_A_CLASS} of each" in result.messages[-1]
    assert result.scores["purchase_probability"].between(0, 1).all()
    assert result.scores.dtypes.astype(str).to_dict() == TYPES
    if earlier_rows:
        rule = CartRule(frame.head(earlier_rows), ["add_to_cart_count", "cart_value"])
        np.testing.assert_allclose(result.scores["purchase_probability"], rule.probability(frame.tail(50)), atol=1e-6)


@pytest.mark.parametrize("converted", [True, False])
def test_one_class_is_left_to_the_rule(converted):
    frame = visits(300)[0].assign(is_converted=converted)
    result = evaluate_and_score(frame, [frame], AS_OF)
    assert result.model_version == "cart_rule"
    assert result.scores["will_buy"].eq(converted).all()


def test_no_visits_are_typed_and_empty():
    nothing = visits(10)[0].head(0)
    for later in ([], [nothing]):
        result = evaluate_and_score(nothing, later, AS_OF)
        assert result.scores.dtypes.astype(str).to_dict() == TYPES
        intent = customer_intent(result.scores, AS_OF)
        assert intent.empty
        assert list(intent) == [
            "customer_id", "intent_score", "session_count", "last_session_on", "best_session_id", "model_version"
        ]  # fmt: skip


def test_a_model_worse_than_the_rule_gives_way():
    """What decided earlier says the opposite later: the rule is hurt less."""
    frame, _ = visits(1500)
    frame["orders_before"] = np.where(frame["is_converted"], 5, np.random.default_rng(0).integers(6, size=len(frame)))
    earlier, later = split(frame)
    later = later.assign(orders_before=np.where(later["is_converted"], 0, 5))
    result = evaluate_and_score(earlier, [later], AS_OF)
    assert result.model is None
    assert result.model_version == "cart_rule"
    assert "takes its place" in result.messages[-1]


def test_bad_input_is_refused():
    frame, _ = visits(300)
    with pytest.raises(ValueError, match=r"absent.*cart_value"):
        evaluate_and_score(frame.drop(columns="cart_value"), [frame], AS_OF)
    with pytest.raises(ValueError, match="occurs twice"):
        evaluate_and_score(frame, [frame, frame.head(1)], AS_OF)


def test_the_days_scored():
    assert scored_since(date(2024, 1, 1), AS_OF) == date(2026, 1, 1)
    assert scored_since(date(2026, 3, 2), AS_OF) == date(2026, 3, 22)
    assert scored_since(AS_OF, AS_OF) == AS_OF


# ------------------------------------------------------------------------------------------------ customers' intent


def test_intent_by_hand():
    """A visit of today with 1/2 and one of 14 days ago with 1/2, which counts half: 1 - 1/2 x 3/4."""
    scores = pd.DataFrame(
        {
            "session_id": ["s1", "s2", "s3", "s4"],
            "customer_id": ["a", "a", "b", None],
            "started_on": pd.to_datetime(["2026-03-31", "2026-03-17", "2026-03-31", "2026-03-31"]),
            "purchase_probability": [0.5, 0.5, 1.0, 0.9],
            "model_version": "v",
        }
    )
    intent = customer_intent(scores, AS_OF)
    assert intent["customer_id"].tolist() == ["a", "b"]
    assert intent["intent_score"].tolist() == [62.5, 100.0]
    assert intent["session_count"].tolist() == [2, 1]
    assert intent["best_session_id"].tolist() == ["s1", "s3"]
    assert intent["last_session_on"].tolist() == [pd.Timestamp("2026-03-31")] * 2


# ------------------------------------------------------------------------------------------------------- classifier


def odd_tables():
    rng = np.random.default_rng(0)
    n = 600
    y = rng.random(n) < 0.3
    word = pd.Series([f"w{i}" for i in rng.integers(400, size=n)])
    yield "wide categorical", pd.DataFrame({f"k{j}": word.sample(frac=1, random_state=j).array for j in range(30)}), y
    mostly = pd.DataFrame({f"x{j}": np.where(rng.random(n) < 0.95, np.nan, rng.random(n)) for j in range(6)})
    yield "mostly missing", mostly.assign(all_missing=np.nan, flag=pd.array(rng.choice([True, False, None], n))), y
    rare = rng.random(2000) < 0.01
    yield "1 % positives", pd.DataFrame({"x": rng.normal(size=2000) + 2 * rare, "k": "one"}), rare
    few = np.arange(40) % 2 == 0
    yield "40 rows", pd.DataFrame({"x": rng.normal(size=40) + 2 * few, "t": np.where(few, "a", "b")}), few


@pytest.mark.parametrize(("X", "y"), [pytest.param(X, y, id=name) for name, X, y in odd_tables()])
def test_odd_tables_are_calibrated(X, y):
    model = PurchaseClassifier(max_iter=25, random_state=0).fit(X, y)
    p = model.predict_proba(X)[:, 1]
    assert ((p > 0) & (p < 1)).all()
    assert p.mean() == pytest.approx(y.mean(), abs=0.05)
    assert expected_calibration_error(y, p) < 0.3
    unseen = X.head(3).copy()
    unseen.iloc[:, -1] = None
    assert np.isfinite(model.predict_proba(unseen)).all()


def test_one_class_is_refused_by_the_classifier():
    with pytest.raises(ValueError, match=r"1 class.*visits with an order and visits without"):
        PurchaseClassifier().fit(pd.DataFrame({"x": [1.0, 2.0, 3.0]}), [True, True, True])


def test_columns_are_checked():
    X, y = pd.DataFrame({"x": np.arange(40.0)}), np.arange(40) % 2
    model = PurchaseClassifier(max_iter=5).fit(X, y)
    with pytest.raises(ValueError, match="'x' was numeric"):
        model.predict(pd.DataFrame({"x": ["word"]}))
    with pytest.raises(ValueError, match="infinity"):
        PurchaseClassifier().fit(X.replace(3.0, np.inf), y)
    with pytest.raises(ValueError, match="neither numeric"):
        PurchaseClassifier().fit(X.assign(day=pd.Timestamp("2024-01-01")), y)
    with pytest.raises(ValueError, match="repeated"):
        PurchaseClassifier().fit(pd.concat([X, X], axis=1), y)


def test_scikit_learns_checks_pass():
    check_estimator(PurchaseClassifier(max_iter=5, cv=2))
