"""ml.uplift: planted effects are found, and nothing where there is none; rankings summed up by hand."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from ml.uplift import FEWEST_OF_A_GROUP, Ranking, UpliftModel, evaluate_and_score, mean_by_customer

AS_OF = date(2026, 3, 31)
TYPES = {
    "customer_id": "object",
    "uplift_probability": "float64",
    "uplift_low": "float64",
    "uplift_high": "float64",
    "uplift_value": "float64",
    "uplift_decile": "Int64",
    "model_version": "string",
}


def planted(contacts=6000, customers=2500, effect=0.25, seed=0):
    """Five campaigns that hold back a fifth to a half; only the young who still order are moved, by `effect`.

    Returns the frame of contact_features and the planted effect of each contact.
    """
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.6, 0.6, customers) * (rng.random(customers) < 0.6)
    young = rng.random(customers) < 0.5
    who = rng.integers(customers, size=contacts)
    campaign = rng.integers(5, size=contacts)
    control = rng.random(contacts) < np.array([0.2, 0.3, 0.2, 0.5, 0.25])[campaign]
    planted_effect = effect * young * (rate > 0)
    extra = rng.random(contacts) < planted_effect[who]
    orders = rng.poisson(rate[who] * (1 + 0.2 * campaign)) + extra * ~control

    def known(of):
        n = len(of)
        return {
            "customer_id": [f"c{i:05}" for i in of],
            "days_since_last_order": np.where(rate[of] > 0, rng.exponential(20 / (rate[of] + 0.1)), np.nan),
            "order_count": rng.poisson(6 * rate[of]),
            "orders_90d": rng.poisson(3 * rate[of]),
            "average_order_value": np.where(rate[of] > 0, 50.0, np.nan),
            "age_group": np.where(young[of], "18-35", "36+"),
            "region": rng.choice(["North", "South", None], n),
        }

    drawn = pd.DataFrame(
        {
            "contact_id": [f"k{i:06}" for i in range(contacts)],
            "campaign_id": [f"m{i}" for i in campaign],
            "is_control": control,
            "is_closed": True,
            "orders_after_30d": orders,
            "net_revenue_after_30d": 50.0 * orders,
            **known(who),
        }
    )
    now = pd.DataFrame({"contact_id": None, "campaign_id": None, **known(np.arange(customers))})
    return pd.concat([drawn, now], ignore_index=True), planted_effect


@pytest.fixture(scope="module")
def experiment():
    frame, effect = planted()
    return frame, effect, evaluate_and_score(frame, AS_OF)


# ------------------------------------------------------------------------------------------------------- rankings


def test_a_ranking_by_hand():
    """Gains of 2, 2 and 3 in all, per three customers: the area under (0, 2, 2, 3) / 3 less that of a straight line."""
    ranking = Ranking.by([1, 9, 5], [1.0, 2.0, 0.0])
    share, gain = ranking.curve()
    np.testing.assert_allclose(share, [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(gain, [0, 2 / 3, 2 / 3, 1])
    assert ranking.qini() == pytest.approx((1 / 3 + 2 / 3 + 5 / 6) / 3 - 1 / 2)
    assert ranking.top(1 / 3) == pytest.approx(2)
    assert ranking.top(1) == pytest.approx(1)


def test_equal_scores_share_their_gain():
    assert Ranking.by([1, 1, 1], [5.0, -2.0, 0.0]).qini() == pytest.approx(0)
    assert Ranking.by([2, 1, 1], [3.0, 0.0, 6.0]).top(2 / 3) == pytest.approx(3)


def test_weights_repeat_rows():
    score, effects = np.array([3.0, 2.0, 2.0, 1.0]), np.array([1.0, 4.0, -1.0, 0.5])
    weights = np.array([2, 0, 3, 1])
    repeated = Ranking.by(np.repeat(score, weights), np.repeat(effects, weights))
    assert Ranking.by(score, effects).qini(weights.astype(float)) == pytest.approx(repeated.qini())


def test_the_best_ranking_has_the_largest_qini():
    rng = np.random.default_rng(0)
    effects = rng.normal(size=200)
    best = Ranking.by(effects, effects).qini()
    assert all(Ranking.by(rng.normal(size=200), effects).qini() < best for _ in range(50))
    assert Ranking.by(-effects, effects).qini() == pytest.approx(-best)


@pytest.mark.parametrize(("score", "effects"), [([], []), ([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([1.0], [np.nan])])
def test_rankings_refuse_what_cannot_be_ranked(score, effects):
    with pytest.raises(ValueError, match="scores and effects"):
        Ranking.by(score, effects)


def test_standard_errors_take_a_customers_rows_together():
    """Every row twice, as another row of its customer: the same mean, and the same error as from half of them."""
    effects = np.random.default_rng(1).normal(size=300)
    alone = mean_by_customer(effects, np.arange(300))
    assert alone == pytest.approx((effects.mean(), effects.std(ddof=1) / np.sqrt(300)))
    assert mean_by_customer(np.repeat(effects, 2), np.repeat(np.arange(300), 2)) == pytest.approx(alone)


# ---------------------------------------------------------------------------------------------------------- model


def test_a_planted_effect_is_found(experiment):
    frame, effect, result = experiment
    average = result.metrics["average_effect"]
    drawn = frame[frame["contact_id"].notna()]
    true = effect[drawn["customer_id"].str[1:].astype(int)].mean()
    assert average["low"] < true < average["high"]
    assert average["low"] > 0
    assert average["high"] - average["low"] < 2 * true
    assert result.metrics["distinguishable_z"] > 3
    assert result.metrics["qini"]["low"] > 0
    assert result.metrics["qini_above_churn"]["low"] > 0
    assert 0.5 < result.metrics["calibration_slope"] < 1.5
    assert result.model_version == "r-learner-2026-03-31"
    assert result.messages == []


def test_customers_who_are_moved_come_first(experiment):
    _, effect, result = experiment
    scores = result.scores
    assert scores["customer_id"].is_monotonic_increasing
    assert scores.dtypes.astype(str).to_dict() == TYPES
    best, worst = (effect[scores["uplift_decile"].eq(tenth)].mean() for tenth in (1, 10))
    assert best > 0.2
    assert worst < 0.05
    within = (scores["uplift_low"] <= effect) & (effect <= scores["uplift_high"])
    assert within.mean() > 0.85
    # every order is worth 50
    np.testing.assert_allclose(scores["uplift_value"], 50 * scores["uplift_probability"], atol=1e-3)


def test_groups_and_curve_add_up(experiment):
    _, _, result = experiment
    groups = result.groups
    assert groups["contacts"].sum() == result.metrics["contacts"]
    average = np.average(groups["observed"], weights=groups["contacts"])
    assert average == pytest.approx(result.metrics["average_effect"]["estimate"], abs=1e-6)
    assert result.curve["gain"].iloc[[0, -1]].tolist() == [0, pytest.approx(average, abs=1e-6)]
    assert (result.curve["gain"] >= result.curve["gain_of_churn"]).mean() > 0.9


def test_a_measured_effect_is_the_textbooks_difference_without_features():
    """With nothing to tell rows apart, the doubly robust mean is the difference of the groups' means, but for folds."""
    rng = np.random.default_rng(3)
    n = 4000
    treated = rng.random(n) < 0.7
    y = rng.poisson(0.5 + 0.2 * treated)
    X = pd.DataFrame({"nothing": np.zeros(n)})
    model = UpliftModel().fit(X, y, treatment=treated, propensity=np.full(n, treated.mean()), groups=np.arange(n))
    difference = y[treated].mean() - y[~treated].mean()
    error = np.sqrt(y[treated].var(ddof=1) / treated.sum() + y[~treated].var(ddof=1) / (~treated).sum())
    assert model.average_effect_ == pytest.approx(difference, abs=0.002)
    assert model.average_effect_error_ == pytest.approx(error, rel=0.03)
    np.testing.assert_allclose(model.predict(X), model.average_effect_, atol=1e-3)


def test_without_an_effect_everyone_gets_the_average():
    found = []
    for seed in range(3):
        frame, _ = planted(contacts=1200, customers=600, effect=0.0, seed=seed)
        result = evaluate_and_score(frame, AS_OF, random_state=seed)
        average = result.metrics["average_effect"]
        found.append(abs(result.metrics["distinguishable_z"]) > 1.96)
        if not found[-1]:
            assert result.scores["uplift_probability"].nunique() == 1
            assert result.scores["uplift_decile"].isna().all()
            assert result.model_version == "average-2026-03-31"
            assert "told from chance" in result.messages[0]
            assert average["low"] < 0.03
    assert sum(found) <= 1


def test_order_of_rows_changes_nothing():
    frame, _ = planted(contacts=1000, customers=400)
    one = evaluate_and_score(frame, AS_OF)
    other = evaluate_and_score(frame.sample(frac=1, random_state=5), AS_OF)
    pd.testing.assert_frame_equal(one.scores, other.scores)
    pd.testing.assert_frame_equal(one.groups, other.groups)
    assert one.metrics == other.metrics


def test_scores_know_nothing_of_the_outcome_of_the_scored(experiment):
    """What came after the draw is no feature: another outcome column changes nothing of a prediction."""
    frame, _, result = experiment
    now = frame[frame["contact_id"].isna()].head(50)
    changed = now.assign(orders_after_30d=7, is_control=True, net_revenue_after_30d=1e6, is_closed=True, known_on=AS_OF)
    assert "orders_after_30d" not in result.model.feature_names_in_
    np.testing.assert_array_equal(result.model.predict(now), result.model.predict(changed))


# ------------------------------------------------------------------------------------------------- nothing to learn


def _without(kind):
    frame, _ = planted(contacts=900, customers=300)
    drawn = frame["contact_id"].notna()
    if kind == "contacts":
        return frame[~drawn]
    if kind == "control":
        return frame.assign(is_control=frame["is_control"].where(~drawn, False))
    if kind == "closed":
        return frame.assign(is_closed=frame["is_closed"].where(~drawn, False), orders_after_30d=np.nan)
    if kind == "orders":
        return frame.assign(orders_after_30d=frame["orders_after_30d"].where(~drawn, 0))
    if kind == "customers":
        return frame[drawn]
    return frame.head(0)


@pytest.mark.parametrize("kind", ["contacts", "control", "closed", "orders", "anything"])
def test_nothing_to_learn_from_is_typed_empty_and_says_why(kind):
    result = evaluate_and_score(_without(kind), AS_OF)
    assert result.scores.empty
    assert result.scores.dtypes.astype(str).to_dict() == TYPES
    assert result.model is None
    assert result.model_version == "none"
    assert f"need {FEWEST_OF_A_GROUP}" in result.messages[-1]
    assert result.curve.empty
    assert result.groups.empty


def test_nobody_to_score_and_campaigns_without_control():
    frame = _without("customers")
    frame.loc[frame["campaign_id"] == "m3", "is_control"] = False
    result = evaluate_and_score(frame, AS_OF)
    assert result.scores.dtypes.astype(str).to_dict() == TYPES
    assert result.scores.empty
    assert result.metrics["campaigns"] == 4
    assert result.messages[0].startswith("1 of 5 campaigns held back nobody")


def test_bad_input_is_refused():
    frame, _ = planted(contacts=300, customers=100)
    with pytest.raises(ValueError, match=r"absent.*is_control"):
        evaluate_and_score(frame.drop(columns="is_control"), AS_OF)
    with pytest.raises(ValueError, match="more than one row"):
        evaluate_and_score(pd.concat([frame, frame.tail(3)]), AS_OF)
    X, y = pd.DataFrame({"x": np.arange(60.0)}), np.ones(60)
    given = {"treatment": np.arange(60) % 2, "groups": np.arange(60)}
    with pytest.raises(ValueError, match="propensity"):
        UpliftModel().fit(X, y, propensity=np.ones(60), **given)
    with pytest.raises(ValueError, match="outcomes"):
        UpliftModel().fit(X, -y, propensity=np.full(60, 0.5), **given)
    with pytest.raises(ValueError, match="equally long"):
        UpliftModel().fit(X, y[:5], propensity=np.full(60, 0.5), **given)
    with pytest.raises(ValueError, match="hardly anybody"):
        UpliftModel().fit(X, 0 * y, propensity=np.full(60, 0.5), **given)
