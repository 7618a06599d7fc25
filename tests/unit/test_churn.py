"""ml.churn: the classifier's laws on odd tables, and the protocol's cutoffs, fallbacks and warnings."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.utils.estimator_checks import estimator_checks_generator

from ml.churn import ChurnClassifier, choose_candidate, sample_groups
from ml.churn_protocol import closed_cutoffs, evaluate_and_score, feature_columns, score
from ml.churn_results import probability_tier, recency_tier, scores_before
from ml.gains import Retention
from ml.reasons import Reason, top_reasons

AS_OF = date(2024, 6, 30)
CUTOFFS = [
    *(date(2023, month, day) for month, day in ((9, 30), (10, 31), (11, 30), (12, 31))),
    *(date(2024, month, day) for month, day in ((1, 31), (2, 29), (3, 31), (4, 30), (5, 31), (6, 30))),
]
SCORE_TYPES = {
    "customer_id": "object",
    "as_of": "datetime64[ns]",
    "horizon_days": "int64",
    "churn_probability": "float64",
    "risk_tier": "string",
    "reason_1": "string",
    "reason_2": "string",
    "reason_3": "string",
    "model_version": "string",
}


def mixed(n=300, seed=0):
    """A table with every kind of column, and labels that depend on some of them."""
    rng = np.random.default_rng(seed)
    days = rng.exponential(60, n).round()
    plan = rng.choice(["basic", "plus", "pro"], n)
    autopay = rng.random(n) < 0.5
    gap = np.where(rng.random(n) < 0.4, np.nan, rng.exponential(30, n))
    X = pd.DataFrame(
        {
            "days_since_last_order": days,
            "plan": pd.Categorical(plan),
            "city": pd.array(np.where(rng.random(n) < 0.2, None, rng.choice(["A", "B"], n)), dtype="string"),
            "autopay": pd.array(np.where(rng.random(n) < 0.1, None, autopay), dtype="boolean"),
            "average_gap_days": gap,
            "spend": [Decimal(str(round(v, 2))) for v in rng.lognormal(3, 1, n)],
            "constant": 7,
            "all_missing": np.nan,
            "nothing": pd.Series([None] * n, dtype=object),
        }
    )
    y = rng.random(n) < expit(np.log1p(days) - 3.5 + (plan == "basic") - autopay)
    return X, y


def features(customers=250, *, seed=0, cutoffs=CUTOFFS[4:], as_of=AS_OF, horizon=30, signal=1.0):
    """A frame like customer_features, whose label depends on recency and frequency."""
    rng = np.random.default_rng(seed)
    parts = []
    for cutoff in cutoffs:
        days = rng.exponential(60, customers).round()
        orders = 1 + rng.poisson(2, customers)
        churned = rng.random(customers) < expit(signal * (np.log1p(days) - 3.2 - 0.4 * (orders - 3)))
        known = cutoff + timedelta(days=horizon) <= as_of
        parts.append(
            pd.DataFrame(
                {
                    "customer_id": pd.Series([f"c{i:04}" for i in range(customers)], dtype=object),
                    "cutoff_date": cutoff,
                    "days_since_last_order": days,
                    "order_count": orders,
                    "region": rng.choice(["north", "south"], customers),
                    "first_order_on": pd.Timestamp(cutoff),
                    f"churned_{horizon}d": pd.array(churned if known else [None] * customers, dtype="boolean"),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


@cache
def trained():
    """The result of the frame that most tests begin with."""
    return evaluate_and_score(features(), AS_OF, 30)


@cache
def champion():
    """A model trained ten days before AS_OF."""
    return earlier_champion(features())


def earlier_champion(frame, as_of=date(2024, 6, 20)):
    at = frame["cutoff_date"] == AS_OF
    return evaluate_and_score(pd.concat([frame[~at], frame[at].assign(cutoff_date=as_of)]), as_of, 30).training


# --- classifier ------------------------------------------------------------------------------------------------------


def test_mixed_columns_give_probabilities_and_labels():
    X, y = mixed()
    model = ChurnClassifier(random_state=0).fit(X, y)
    p = model.predict_proba(X)
    assert p.shape == (300, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert ((p >= 0) & (p <= 1)).all()
    np.testing.assert_array_equal(model.predict(X), p[:, 1] >= 0.5)
    assert model.kinds_ == {
        "days_since_last_order": "number",
        "plan": "category",
        "city": "category",
        "autopay": "flag",
        "average_gap_days": "number",
        "spend": "number",
        "constant": "number",
        "all_missing": "number",
        "nothing": "number",
    }
    assert abs(p[:, 1].mean() - y.mean()) < 0.02


def test_contributions_add_up_to_the_uncalibrated_log_odds():
    X, y = mixed()
    model = ChurnClassifier(random_state=0).fit(X, y)
    explanation = model.explain(X)
    log_odds = explanation.intercept + explanation.contributions.sum(axis=1)
    np.testing.assert_allclose(log_odds, model.decision_function(X), atol=1e-10)
    a, b = model.calibration_
    np.testing.assert_allclose(expit(a + b * log_odds), model.predict_proba(X)[:, 1], atol=1e-10)
    assert list(explanation.contributions) == list(X)
    # Relative to the average training row; columns that say nothing contribute nothing.
    np.testing.assert_allclose(explanation.contributions.mean(), 0, atol=1e-10)
    assert (explanation.contributions[["constant", "all_missing", "nothing"]].abs() < 1e-9).all(axis=None)


def test_reasons_are_the_largest_contributions_that_raise_the_risk():
    X, y = mixed()
    model = ChurnClassifier(random_state=0).fit(X, y)
    texts = {
        "days_since_last_order": "no order for {value:.0f} days, {spend:.2f} spent",
        "average_gap_days": "orders every {value:.0f} days",
    }
    explanation = model.explain(X, n_reasons=3, reason_texts=texts)
    for i in range(0, 300, 7):
        row = explanation.contributions.iloc[i].sort_values(ascending=False, kind="stable")
        expected = [name for name in row.index[:3] if row[name] >= 0.05]
        reasons = [r for r in explanation.reasons.iloc[i] if not pd.isna(r)]
        assert len(reasons) == len(expected)
        for name, text in zip(expected, reasons, strict=True):
            value = X.loc[i, name]
            if name == "days_since_last_order":
                assert text == f"no order for {value:.0f} days, {float(X.loc[i, 'spend']):.2f} spent"
            elif name == "average_gap_days":
                missing = "average gap days = unknown"
                assert text == (missing if np.isnan(value) else f"orders every {value:.0f} days")
            elif name == "plan":
                assert text == f"plan = {value}"
            elif name == "autopay":
                assert text == "autopay = " + ("unknown" if pd.isna(value) else "yes" if value else "no")
    assert explanation.reasons["reason_1"].notna().any()


def test_more_reasons_than_features_are_empty():
    X, y = mixed()
    reasons = ChurnClassifier(random_state=0).fit(X[["plan"]], y).explain(X[["plan"]], n_reasons=2).reasons
    assert reasons["reason_2"].isna().all()


def test_unseen_categories_and_newly_missing_values_are_scored():
    X, y = mixed()
    model = ChurnClassifier(random_state=0).fit(X, y)
    new = X.head(2).assign(plan="never seen", days_since_last_order=[np.nan, 5000], all_missing=3.0)
    p = model.predict_proba(new)
    assert np.isfinite(p).all()


@pytest.mark.parametrize("labels", [["stays", "goes"], [3, 7], [False, True]])
def test_any_two_labels(labels):
    X, y = mixed()
    model = ChurnClassifier(random_state=0).fit(X, np.asarray(labels)[y.astype(int)])
    assert set(model.predict(X)) == set(labels)
    assert model.classes_.tolist() == sorted(labels)


def test_errors_are_clear():
    X, y = mixed(60)
    with pytest.raises(ValueError, match=r"1 class\(es\)"):
        ChurnClassifier().fit(X, np.ones(60))
    with pytest.raises(ValueError, match="labels are missing"):
        ChurnClassifier().fit(X, pd.array([None, *y[1:]], dtype="boolean"))
    with pytest.raises(ValueError, match="neither numeric"):
        ChurnClassifier().fit(X.assign(day=pd.Timestamp("2024-01-01")), y)
    with pytest.raises(ValueError, match="infinity"):
        ChurnClassifier().fit(X.assign(ratio=np.inf), y)
    with pytest.raises(ValueError, match="repeated"):
        ChurnClassifier().fit(pd.concat([X, X[["plan"]]], axis=1), y)
    with pytest.raises(ValueError, match="feature names"):
        ChurnClassifier(random_state=0).fit(X, y).predict_proba(X.drop(columns="plan"))


@pytest.mark.parametrize("shape", ["wide", "mostly missing", "rare", "small"])
def test_odd_tables(shape):
    rng = np.random.default_rng(2)
    n = {"wide": 400, "mostly missing": 300, "rare": 2000, "small": 40}[shape]
    signal = rng.normal(size=n)
    X = pd.DataFrame({"signal": signal, "noise": rng.normal(size=n)})
    y = rng.random(n) < expit(2 * signal)
    if shape == "wide":
        for j in range(12):
            X[f"code_{j}"] = rng.integers(0, 200, n).astype(str)
    elif shape == "mostly missing":
        X = X.mask(rng.random(X.shape) < 0.9)
    elif shape == "rare":
        y = rng.random(n) < expit(2 * signal - 7)
        assert 5 <= y.sum() <= 60
    model = ChurnClassifier(random_state=0).fit(X, y)
    p = model.predict_proba(X)[:, 1]
    assert np.isfinite(p).all()
    assert p.mean() == pytest.approx(y.mean(), abs=0.06)
    assert np.corrcoef(p, y)[0, 1] > 0.1


def test_calibrated_on_new_rows():
    X, y = mixed(6000, seed=1)
    model = ChurnClassifier(random_state=0).fit(X[:3000], y[:3000])
    p = model.predict_proba(X[3000:])[:, 1]
    for low in (0.0, 0.25, 0.5, 0.75):
        chosen = (p >= low) & (p < low + 0.25)
        assert p[chosen].mean() == pytest.approx(y[3000:][chosen].mean(), abs=0.06)


def test_groups_stay_together_so_that_copies_do_not_flatter():
    """With every row copied, folds by row would find the copies; folds by group choose the strong prior."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 20)), columns=[f"f{j}" for j in range(20)])
    y = rng.random(60) < 0.5
    groups = np.tile(np.arange(60), 8)
    copies, labels = pd.concat([X] * 8, ignore_index=True), np.tile(y, 8)
    assert ChurnClassifier(random_state=0).fit(copies, labels, groups=groups).strength_ == 0.01
    assert ChurnClassifier(random_state=0).fit(copies, labels).strength_ > 0.01


def crossed(n=6000, seed=0):
    """Whether customers leave depends on the product of two columns: trees see that, splines do not."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "plan": rng.choice(list("xyz"), n)})
    X.loc[rng.random(n) < 0.1, "a"] = np.nan
    return X, rng.random(n) < expit(2 * np.sign(X["a"].fillna(1) * X["b"]) + (X["plan"] == "x"))


def test_boosting_is_taken_where_it_is_better_and_explained_exactly():
    X, y = crossed(5000)
    model = ChurnClassifier(cv=2, random_state=0).fit(X, y)
    assert model.model_ == "boosting"
    assert model.scores_[f"boosting {model.strength_}"] < min(model.scores_[f"logistic {C}"] for C in ("0.01", "1"))
    new = X.head(50).assign(plan=["never seen"] * 25 + ["x"] * 25)
    explanation = model.explain(new)
    log_odds = explanation.intercept + explanation.contributions.sum(axis=1)
    np.testing.assert_allclose(log_odds, model.decision_function(new), atol=1e-10)
    assert explanation.intercept == pytest.approx(model.decision_function(X).mean())
    assert model.explain(new.head(0)).intercept == explanation.intercept
    assert explanation.reasons["reason_1"].notna().any()
    p = model.predict_proba(X)[:, 1]
    assert p.mean() == pytest.approx(y.mean(), abs=0.01)


def test_where_they_tie_the_logistic_model_is_taken():
    rng = np.random.default_rng(1)
    X = pd.DataFrame({"a": rng.normal(size=4400), "b": rng.normal(size=4400)})
    model = ChurnClassifier(cv=2, random_state=0).fit(X, rng.random(4400) < expit(X["a"]))
    assert any(name.startswith("boosting") for name in model.scores_)
    assert model.model_ == "logistic"


def test_few_of_a_class_are_not_boosted():
    X, y = crossed(3000)
    assert not any(name.startswith("boosting") for name in ChurnClassifier(random_state=0).fit(X, y).scores_)
    assert ChurnClassifier(model="boosting", random_state=0).fit(X, y).model_ == "boosting"


def test_the_choice_by_hand():
    """Errors are squared, means compared by their standard error over customers; rows of one customer count once."""
    y = np.zeros(4, dtype=np.int64)
    logit = lambda p: np.log(np.array(p) / (1 - np.array(p)))  # noqa: E731 - as short as the formula
    strong, weak = logit([0.2, 0.2, 0.2, 0.2]), logit([0.1, 0.1, 0.1, 0.22])
    customers = np.arange(4)
    # weak is better by .01915 on average, standard error .00965
    candidates = {("logistic", 0.01): strong, ("logistic", 1.0): weak}
    assert choose_candidate(candidates, y, customers, ("logistic", 9.0))[0] == ("logistic", 1.0)
    # as two customers, the standard error is .0097 x 2 / sqrt(2) ... and grows with equal rows of one customer
    unsure = {("logistic", 0.01): strong, ("logistic", 1.0): logit([0.1, 0.1, 0.1, 0.30])}
    assert choose_candidate(unsure, y, customers, ("logistic", 9.0))[0] == ("logistic", 0.01)
    assert choose_candidate({**unsure, ("boosting", 50): weak}, y, customers, ("logistic", 9.0))[0] == ("boosting", 50)
    assert choose_candidate({}, y, customers, ("logistic", 9.0)) == (("logistic", 9.0), {})


def test_samples_keep_customers_whole():
    customers = np.repeat(np.arange(100), 3)
    kept = sample_groups(customers, 60, seed=0)
    assert len(kept) == 60
    assert np.bincount(customers[kept]).max() == 3 == np.bincount(customers[kept])[customers[kept]].min()
    assert len(sample_groups(customers, 300, seed=0)) == 300


def test_a_table_in_which_nothing_varies_gives_the_base_rate():
    y = np.arange(100) < 30
    p = ChurnClassifier(random_state=0).fit(pd.DataFrame({"a": [1.0] * 100, "b": ["x"] * 100}), y)
    assert p.predict_proba(pd.DataFrame({"a": [1.0], "b": ["x"]}))[0, 1] == pytest.approx(0.3, abs=0.02)
    with pytest.raises(ValueError, match="nothing for trees to split on"):
        ChurnClassifier(model="boosting").fit(pd.DataFrame({"a": [np.nan] * 100}), y)


def test_a_telephone_companys_customers_with_a_given_label():
    """Contracts, charges and a churn flag, as libraries' users have them; no cutoffs, no orders."""
    rng = np.random.default_rng(4)
    n = 1500
    contract = rng.choice(["month", "year", "two years"], n, p=[0.5, 0.3, 0.2])
    tenure = rng.integers(0, 72, n)
    X = pd.DataFrame(
        {
            "contract": contract,
            "tenure_months": tenure,
            "monthly_charges": rng.normal(65, 30, n).round(2),
            "total_charges": [str(t) if t else " " for t in tenure],
            "paperless": rng.choice(["Yes", "No"], n),
            "senior": rng.integers(0, 2, n),
        }
    )
    y = np.where(rng.random(n) < expit(1 - tenure / 20 - 2 * (contract != "month")), "Yes", "No")
    model = ChurnClassifier(random_state=0).fit(X[:1000], y[:1000])
    assert model.classes_.tolist() == ["No", "Yes"]
    p = model.predict_proba(X[1000:])[:, 1]
    assert np.mean((p - (y[1000:] == "Yes")) ** 2) < 0.8 * np.mean(
        ((y[:1000] == "Yes").mean() - (y[1000:] == "Yes")) ** 2
    )
    risky = X.assign(contract="month", tenure_months=1, total_charges="1").head(1)
    reasons = model.explain(risky, reason_texts={"tenure_months": "with us for {value:.0f} months"}).reasons
    assert "with us for 1 months" in reasons.iloc[0].tolist()


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=getattr(check.func, "__name__", "check"))
        for estimator, check in estimator_checks_generator(ChurnClassifier(random_state=0), mark=None)
    ],
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# --- protocol --------------------------------------------------------------------------------------------------------


def test_closed_cutoffs_include_the_one_that_closes_today():
    cutoffs = [date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31)]
    assert closed_cutoffs(cutoffs, date(2024, 3, 30), 30) == cutoffs[:2]
    assert closed_cutoffs(cutoffs, date(2024, 3, 29), 30) == cutoffs[:1]
    assert closed_cutoffs(cutoffs[::-1], date(2024, 5, 1), 30) == cutoffs


def test_tiers_by_hand():
    assert recency_tier([0, 90, 91, 180, 181]).tolist() == ["Low", "Low", "Medium", "Medium", "High"]
    assert probability_tier([0.39, 0.4, 0.69, 0.7]).tolist() == ["Low", "Medium", "Medium", "High"]


def test_feature_columns_leave_out_keys_labels_and_dates():
    assert feature_columns(features(5)) == ["days_since_last_order", "order_count", "region"]


def test_a_good_frame_is_judged_on_a_later_cutoff_and_scored():
    frame = features()
    texts = {"days_since_last_order": "no order for {value:.0f} days"}
    result = evaluate_and_score(frame, AS_OF, 30, reason_texts=texts)
    # 2024-05-31 + 30 days = 2024-06-30 = as_of: closed on the very day.
    assert result.test_cutoff == date(2024, 5, 31)
    # 2024-04-30 + 30 days = 2024-05-30: the last label window that ends by the test cutoff.
    assert result.training_cutoffs == CUTOFFS[4:8]
    assert all(t + timedelta(days=30) <= result.test_cutoff for t in result.training_cutoffs)
    assert result.scoring_cutoffs == CUTOFFS[4:9]
    assert result.model_version == "logistic-30d-2024-06-30"
    assert result.features == ["days_since_last_order", "order_count", "region"]
    assert result.messages == []
    model, baselines = result.metrics["model"], result.metrics["baselines"]
    assert model["brier"] < baselines["base_rate"]["brier"]
    assert model["auc"] > baselines["recency"]["auc"] > 0.5
    assert baselines["tier_rule"]["auc"] < model["auc"]
    assert baselines["recency_frequency"]["auc"] > baselines["recency"]["auc"]
    assert result.metrics["train_rows"] == 4 * 250
    scores = result.scores
    assert scores.dtypes.astype(str).to_dict() == SCORE_TYPES
    assert scores["customer_id"].is_monotonic_increasing
    assert scores["churn_probability"].between(0, 1).all()
    assert (scores["churn_probability"] == scores["churn_probability"].round(6)).all()
    assert scores["risk_tier"].tolist() == probability_tier(scores["churn_probability"]).tolist()
    assert scores["reason_1"].str.startswith("no order for").sum() > 50


def test_an_earlier_cutoff_is_scored_by_todays_model():
    frame, result = features(), trained()
    shuffled = frame.sample(frac=1, random_state=1)
    before, today = (shuffled[shuffled["cutoff_date"] == cutoff] for cutoff in CUTOFFS[-2:])
    same = scores_before(result, today)
    assert same["customer_id"].tolist() == result.scores["customer_id"].tolist()
    assert same["churn_probability"].tolist() == result.scores["churn_probability"].tolist()
    earlier = scores_before(result, before)
    assert set(earlier["cutoff_date"]) == {CUTOFFS[-2]}
    assert set(earlier["model_version"]) == {result.model_version}
    assert earlier["churn_probability"].tolist() != same["churn_probability"].tolist()
    # nobody is scored by a rule, and nobody at a cutoff without customers
    by_rule = evaluate_and_score(features(20), AS_OF, 30)
    assert by_rule.model_version == "recency_rule"
    assert scores_before(by_rule, before).empty
    nobody = scores_before(result, before.head(0))
    assert nobody.dtypes.astype(str).to_dict() == earlier.dtypes.astype(str).to_dict()


def test_one_day_earlier_the_last_cutoff_is_open():
    as_of = date(2024, 6, 29)
    frame = features(as_of=as_of, cutoffs=[*CUTOFFS[:9], as_of])
    # Labels that a careless export filled in too early must not be used.
    early = (frame["cutoff_date"] == date(2024, 5, 31)).to_numpy()
    frame["churned_30d"] = frame["churned_30d"].mask(early, True)
    result = evaluate_and_score(frame, as_of, 30)
    assert result.test_cutoff == date(2024, 4, 30)
    # 2024-03-31 + 30 days = 2024-04-30.
    assert result.training_cutoffs == CUTOFFS[:7]
    assert date(2024, 5, 31) not in result.scoring_cutoffs


def test_labels_after_the_training_window_change_nothing_in_the_judged_model():
    """Test labels set the metrics but not the model: with them swapped, the probabilities' mean stays."""
    frame = features()
    at_test = (frame["cutoff_date"] == date(2024, 5, 31)).to_numpy()
    swapped = frame.copy()
    swapped.loc[at_test, "churned_30d"] = ~swapped.loc[at_test, "churned_30d"]
    one, other = trained(), evaluate_and_score(swapped, AS_OF, 30)
    assert one.metrics["model"]["mean_probability"] == other.metrics["model"]["mean_probability"]
    assert one.metrics["model"]["auc"] == pytest.approx(1 - other.metrics["model"]["auc"])


def test_order_of_rows_changes_nothing():
    shuffled = features().sample(frac=1, random_state=9)
    one, other = trained(), evaluate_and_score(shuffled, AS_OF, 30)
    pd.testing.assert_frame_equal(one.scores, other.scores)
    assert one.metrics == other.metrics


def test_a_planted_leak_is_called_implausible():
    frame = features()
    frame["orders_next_month"] = (~frame["churned_30d"].fillna(value=False)).astype(int)
    result = evaluate_and_score(frame, AS_OF, 30)
    assert result.metrics["model"]["auc"] >= 0.98
    assert any("implausible" in message and "leak" in message for message in result.messages)


def test_a_champion_scores_a_later_day_without_training():
    frame = features()
    old = champion()
    assert old.version == "logistic-30d-2024-06-20"
    result = score(old, frame.drop(columns="churned_30d"), AS_OF)
    assert set(result.scores["model_version"]) == {old.version}
    assert set(result.scores["as_of"]) == {pd.Timestamp(AS_OF)}
    now = frame[frame["cutoff_date"] == AS_OF].sort_values("customer_id")
    expected = old.model.predict_proba(now[old.features])[:, 1].round(6)
    np.testing.assert_array_equal(result.scores["churn_probability"], expected)
    assert result.metrics == old.metrics
    assert result.drift["churn_probability"]["psi"] < result.drift["churn_probability"]["bound"]
    with pytest.raises(ValueError, match="knows what came after"):
        score(old, frame, date(2024, 6, 19))


def test_a_champion_stays_unless_the_challenger_is_better_where_neither_saw_the_labels():
    frame = features()
    old = champion()
    # ten days later another cutoff has closed; the champion was fitted to none of its labels
    assert (old.test_cutoff, old.scoring_cutoffs[-1]) == (date(2024, 4, 30), date(2024, 4, 30))
    new = evaluate_and_score(frame, AS_OF, 30, champion=old)
    alone = trained()
    now = frame[frame["cutoff_date"] == date(2024, 5, 31)].sort_values("customer_id")
    p = old.judged.predict_proba(now[old.features])[:, 1]
    brier = np.mean((p - now["churned_30d"].astype(float)) ** 2)
    assert new.challenge is not None
    champion_wins = brier <= alone.metrics["model"]["brier"]
    assert new.model_version == (old.version if champion_wins else alone.model_version)
    assert new.challenge.version == (alone.model_version if champion_wins else old.version)
    assert new.test_cutoff == new.challenge.test_cutoff == date(2024, 5, 31)
    assert f"{brier:.5f}" in new.messages[-1]


def test_a_good_champion_beats_a_spoilt_challenger_and_the_other_way_round():
    frame = features()
    old = earlier_champion(frame)
    noise = features(signal=0.0)
    # what the challenger is trained on since is noise: the closed cutoffs before the test cutoff
    spoilt = frame.copy()
    before = (spoilt["cutoff_date"] < date(2024, 5, 31)).to_numpy()
    spoilt.loc[before, "churned_30d"] = noise.loc[before, "churned_30d"]
    kept = evaluate_and_score(spoilt, AS_OF, 30, champion=old)
    assert kept.model_version == old.version
    assert kept.training is not None
    assert kept.training.model is old.model
    assert kept.metrics["model"]["brier"] < kept.challenge.metrics["model"]["brier"]
    assert kept.test_cutoff == date(2024, 5, 31)
    assert "stays" in kept.messages[-1]
    half = frame.copy()
    half.loc[before & (np.arange(len(half)) % 2 == 0), "churned_30d"] = noise["churned_30d"]
    replaced = evaluate_and_score(frame, AS_OF, 30, champion=earlier_champion(half))
    assert replaced.model_version == "logistic-30d-2024-06-30"
    assert replaced.challenge.metrics["model"]["brier"] > replaced.metrics["model"]["brier"]
    assert any("is replaced" in message for message in replaced.messages)


def test_an_equal_challenger_does_not_win():
    frame = features()
    same = trained().training
    again = evaluate_and_score(frame, AS_OF, 30, champion=replace(same, version="earlier"))
    assert again.model_version == "earlier"


def test_a_leaking_challenger_does_not_win():
    frame = features()
    old = champion()
    frame["orders_next_month"] = (~frame["churned_30d"].fillna(value=False)).astype(int)
    result = evaluate_and_score(frame, AS_OF, 30, champion=old)
    assert result.model_version == old.version
    assert result.challenge.metrics["model"]["auc"] >= 0.98
    assert any("implausible" in message for message in result.messages)


def test_a_challenger_that_nobody_can_judge_does_not_win():
    frame = features()
    old = champion()
    short = frame[frame["cutoff_date"].isin([date(2024, 5, 31), AS_OF])]
    result = evaluate_and_score(short, AS_OF, 30, champion=old)
    assert result.model_version == old.version
    assert result.metrics["evaluation"] == "later cutoff"
    never = evaluate_and_score(short, AS_OF, 30, champion=replace(old, judged=None))
    assert never.model_version == "logistic-30d-2024-06-30"
    assert any("could not be judged" in message for message in never.messages)


def test_the_backtest_is_what_the_protocol_would_have_said_then():
    frame, result = features(), trained()
    backtest = result.backtest
    # at 29 February that of 31 January had not closed: 1 March
    assert backtest["test_cutoff"].dt.date.tolist() == CUTOFFS[6:9]
    assert backtest["training_cutoff_count"].tolist() == [2, 3, 4]
    last = backtest.iloc[-1]
    for name in ("auc", "brier", "ece"):
        assert last[name] == pytest.approx(result.metrics["model"][name], abs=1e-6)
    # the row of 30 April: the same figures as if the world had ended then
    then = date(2024, 4, 30) + timedelta(days=30)
    known = frame[frame["cutoff_date"] <= date(2024, 4, 30)]
    today = frame[frame["cutoff_date"] == AS_OF].assign(cutoff_date=then)
    earlier = evaluate_and_score(pd.concat([known, today]), then, 30)
    assert backtest["brier"].iloc[-2] == pytest.approx(earlier.metrics["model"]["brier"], abs=1e-6)


def test_curves_tell_what_the_metrics_say():
    result = evaluate_and_score(features(), AS_OF, 30, retention=Retention(value=50, cost=2, success_rate=0.1))
    curves = result.curves.set_index("curve")
    assert curves.loc["gains", "customers"].sum() == curves.loc["calibration", "customers"].sum() == 250
    assert curves.loc["gains", "churned"].sum() == result.metrics["model"]["positives"]
    assert curves.loc["gains", "captured_rate"].iloc[-1] == 1
    assert curves.loc["profit", "customers"].iloc[-1] == 250
    profit = result.metrics["profit"]
    assert profit["threshold"] == pytest.approx(0.4)
    assert profit["best_profit"] >= curves.loc["profit", "profit"].max() - 1e-9
    against = result.metrics["against_recency_frequency"]
    model, simple = result.metrics["model"], result.metrics["baselines"]["recency_frequency"]
    assert against["brier_difference"] == pytest.approx(model["brier"] - simple["brier"])
    assert against["brier_low"] <= against["brier_difference"] <= against["brier_high"]


def test_too_few_of_a_class_fall_back_to_the_recency_rule():
    frame = features(60)
    frame["churned_30d"] = frame["churned_30d"].mask(frame["churned_30d"].notna(), other=True)
    texts = {"days_since_last_order": "no order for {value:.0f} days"}
    result = evaluate_and_score(frame, AS_OF, 30, reason_texts=texts)
    assert result.model_version == "recency_rule"
    assert result.model is None
    assert "60 customers left and 0 stayed" in result.messages[0]
    assert result.scores.dtypes.astype(str).to_dict() == SCORE_TYPES
    assert result.scores["churn_probability"].isna().all()
    now = frame[frame["cutoff_date"] == AS_OF].sort_values("customer_id")
    assert result.scores["risk_tier"].tolist() == recency_tier(now["days_since_last_order"]).tolist()
    low = result.scores["risk_tier"] == "Low"
    assert result.scores.loc[low, "reason_1"].isna().all()
    assert result.scores.loc[~low, "reason_1"].str.startswith("no order for").all()


def test_no_closed_cutoff_and_one_customer_fall_back_as_well():
    open_only = evaluate_and_score(features(cutoffs=[AS_OF]), AS_OF, 30)
    assert open_only.model_version == "recency_rule"
    assert "No cutoff lies 30 days back" in open_only.messages[0]
    assert len(open_only.scores) == 250
    one = evaluate_and_score(features(1), AS_OF, 30)
    assert one.model_version == "recency_rule"
    assert len(one.scores) == 1


def test_no_customers_give_a_typed_empty_result():
    result = evaluate_and_score(features(3).head(0), AS_OF, 30)
    assert len(result.scores) == 0
    assert result.scores.dtypes.astype(str).to_dict() == SCORE_TYPES
    assert any("nothing to score" in message for message in result.messages)


def test_without_an_earlier_closed_cutoff_other_customers_judge():
    result = evaluate_and_score(features(cutoffs=[date(2024, 5, 31), AS_OF]), AS_OF, 30)
    assert result.training_cutoffs == []
    assert result.scoring_cutoffs == [date(2024, 5, 31)]
    assert result.metrics["evaluation"] == "other customers"
    assert result.metrics["model"]["auc"] > 0.6
    assert result.model_version.startswith("logistic")
    assert any("not on a later date" in message for message in result.messages)


def test_a_model_worse_than_the_base_rate_is_replaced():
    frame = features(signal=2.0)
    at_test = (frame["cutoff_date"] == date(2024, 5, 31)).to_numpy()
    frame.loc[at_test, "churned_30d"] = ~frame.loc[at_test, "churned_30d"]
    result = evaluate_and_score(frame, AS_OF, 30)
    assert result.model_version == "baseline"
    assert any("worse than the base rate" in message for message in result.messages)
    # Recency and frequency are turned round as well: what remains is the mean of all closed cutoffs.
    assert result.scores["churn_probability"].nunique() == 1
    expected = frame.loc[frame["churned_30d"].notna(), "churned_30d"].astype(float).mean()
    assert result.scores["churn_probability"].iloc[0] == pytest.approx(expected, abs=1e-6)
    assert result.scores["reason_1"].isna().all()


def test_a_baseline_of_recency_and_frequency_explains_itself():
    """A feature that means the opposite at the test cutoff ruins the model, not the baseline."""
    frame = features(signal=0.6)
    churned = frame["churned_30d"].fillna(value=False).astype(float)
    turned = (frame["cutoff_date"] == date(2024, 5, 31)).to_numpy()
    noise = np.random.default_rng(3).normal(size=len(frame))
    frame["fickle"] = np.where(turned, 1 - churned, churned) + 0.2 * noise
    result = evaluate_and_score(frame, AS_OF, 30)
    assert result.model_version == "baseline"
    assert result.features == ["days_since_last_order", "order_count"]
    assert result.scores["churn_probability"].nunique() > 10
    assert result.scores["reason_1"].notna().any()


def test_values_far_beyond_training_are_left_out():
    frame = features(cutoffs=CUTOFFS)
    days = (pd.to_datetime(frame["cutoff_date"]) - pd.Timestamp("2023-09-01")).dt.days
    frame["day_number"] = days * 100 + np.random.default_rng(0).integers(0, 30, len(frame))
    late = features(cutoffs=[CUTOFFS[0], CUTOFFS[8], AS_OF])
    late["day_number"] = frame["day_number"].iloc[[*range(250), *range(2000, 2250), *range(2250, 2500)]].to_numpy()
    result = evaluate_and_score(late, AS_OF, 30)
    assert "day_number" not in result.features
    assert any("day_number" in message for message in result.messages)


def test_bad_frames_are_refused():
    with pytest.raises(ValueError, match="absent"):
        evaluate_and_score(features(5), AS_OF, 90)
    twice = pd.concat([features(5), features(5)])
    with pytest.raises(ValueError, match="more than one row"):
        evaluate_and_score(twice, AS_OF, 30)


def test_a_topic_makes_one_reason_and_background_comes_last():
    columns = ["days", "gap", "tickets", "region"]
    contributions = pd.DataFrame(
        [[1.0, 0.8, 0.3, 2.0], [1.0, -0.9, 0.3, 2.0], [-1.0, 0.2, 0.01, 2.0], [-1.0, 0.2, 0.01, 0.0]], columns=columns
    )
    plain = pd.DataFrame([[90.0, 3.0, 2.0, "North"]] * 4, columns=columns)
    kinds = {"days": "number", "gap": "number", "tickets": "number", "region": "category"}
    texts = {
        "days": Reason("no order for {value:.0f} days", "rhythm"),
        "gap": Reason("{value:.0f} times the usual gap", "rhythm"),
        "tickets": "{value:.0f} tickets",
        "region": Reason("from {value}", is_background=True),
    }
    reasons = top_reasons(contributions, plain, kinds, 2, texts)
    assert reasons.astype(object).where(reasons.notna(), None).to_numpy().tolist() == [
        ["no order for 90 days", "2 tickets"],
        # together the two of one topic say little more than nothing
        ["2 tickets", "no order for 90 days"],
        ["from North", None],
        [None, None],
    ]
