"""ml.lifetime: the models, against published figures, second methods and hand-made customers."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import gammaln, hyp2f1
from scipy.stats import beta as beta_distribution
from scipy.stats import chi2
from scipy.stats import gamma as gamma_distribution

from ml.lifetime import BetaGeoModel, GammaGammaModel, ModifiedBetaGeoModel, ParetoNBDModel
from ml.lifetime.beta_geo import beta_quadrature
from ml.lifetime.histories import unique_histories
from tests.conftest import ROOT

MODELS = [BetaGeoModel, ModifiedBetaGeoModel, ParetoNBDModel]
KNOWN = {
    BetaGeoModel: {"r": 0.25, "alpha": 4.5, "a": 0.8, "b": 2.4},
    ModifiedBetaGeoModel: {"r": 0.5, "alpha": 6.2, "a": 0.9, "b": 1.6},
    ParetoNBDModel: {"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7},
}


def histories(*rows):
    return pd.DataFrame(rows, columns=["frequency", "recency", "T"], dtype="float64")


@pytest.fixture(scope="module")
def purchases():
    """Purchase days of the CDNOW sample with what was spent."""
    names = ["master", "sample", "day", "cds", "dollars"]
    rows = pd.read_csv(ROOT / "data/samples/cdnow/CDNOW_sample.txt", sep=r"\s+", header=None, names=names)
    rows["day"] = pd.to_datetime(rows["day"].astype(str))
    return rows.groupby(["sample", "day"], as_index=False)["dollars"].sum()


@pytest.fixture(scope="module")
def cdnow(purchases):
    """The literature's split: weeks, 39 to learn from and 39 to predict."""
    end = pd.Timestamp("1997-09-30")
    known, later = purchases[purchases["day"] <= end], purchases[purchases["day"] > end]
    days = known.groupby("sample")["day"].agg(["min", "max", "size"])
    repeats = known[known["day"] > known["sample"].map(days["min"])]
    table = pd.DataFrame(
        {
            "frequency": days["size"] - 1.0,
            "recency": (days["max"] - days["min"]).dt.days / 7,
            "T": (end - days["min"]).dt.days / 7,
            "monetary_value": repeats.groupby("sample")["dollars"].mean(),
            "mean_log_value": np.log(repeats["dollars"]).groupby(repeats["sample"]).mean(),
            "later": later.groupby("sample").size(),
            "revenue": later.groupby("sample")["dollars"].sum(),
        }
    )
    return table.fillna({"monetary_value": 0, "later": 0, "revenue": 0})


@pytest.fixture(scope="module")
def fitted(cdnow):
    return {model: model().fit(cdnow) for model in MODELS}


# ---------------------------------------------------------------------------------------------------------------------
# Published figures
# ---------------------------------------------------------------------------------------------------------------------


def test_bg_nbd_on_cdnow_is_as_published(fitted):
    # Fader, Hardie and Lee (2005), table 1
    model = fitted[BetaGeoModel]
    assert {name: round(value, 4) for name, value in model.parameters_.items()} == {
        "r": 0.2426,
        "alpha": 4.4136,
        "a": 0.7929,
        "b": 2.4259,
    }
    assert round(model.log_likelihood_, 2) == -9582.43
    assert model.n_customers_ == 2357
    assert model.undetermined_ == []
    assert 0 < model.standard_errors_["r"] < 0.02
    customer = histories((2, 30.43, 38.86))
    assert round(model.conditional_expected_purchases(customer, 39)[0], 3) == 1.226
    # 1.8576 is listed for 78 weeks; closed form and numerical integration give 1.8580 at these parameters
    assert model.expected_purchases([1, 32, 78]).round(4).tolist() == [0.0532, 1.0437, 1.8580]


def test_pareto_nbd_on_cdnow_is_as_published(fitted):
    model = fitted[ParetoNBDModel]
    assert [round(value, digits) for value, digits in zip(model.parameters_.values(), (4, 3, 4, 3), strict=True)] == [
        0.5533,
        10.578,
        0.6062,
        11.669,
    ]
    assert round(model.log_likelihood_, 2) == -9594.98


def test_gamma_gamma_on_cdnow_is_as_published(cdnow):
    buyers = cdnow[cdnow["frequency"] > 0]
    assert len(buyers) == 946
    # Fader and Hardie (2013), from 946 buyers with a mean of $35.08; the log-likelihood is CLVTools'
    assert round(buyers["monetary_value"].mean(), 2) == 35.08
    model = GammaGammaModel().fit(buyers[["frequency", "monetary_value"]])
    assert [round(model.p_, 2), round(model.q_, 2), round(model.v_, 2)] == [6.25, 3.74, 15.44]
    assert round(model.log_likelihood_, 4) == -4055.9177


@pytest.mark.parametrize(
    ("model", "published"),
    [(BetaGeoModel, (0.786, 1.608, 0.626, -0.121)), (ParetoNBDModel, (0.755, 1.603, 0.630, -0.115))],
)
def test_the_holdout_is_predicted_no_worse_than_published(cdnow, fitted, model, published):
    mae, rmse, correlation, total = published
    predicted = fitted[model].conditional_expected_purchases(cdnow, 39)
    errors = predicted - cdnow["later"]
    assert cdnow["later"].sum() == 1882
    assert round(errors.abs().mean(), 3) <= mae
    assert round(np.sqrt((errors**2).mean()), 3) <= rmse
    assert round(np.corrcoef(predicted, cdnow["later"])[0, 1], 3) >= correlation
    assert round(predicted.sum() / 1882 - 1, 3) >= total


def test_revenue_of_the_holdout_is_predicted_no_worse_than_published(cdnow, fitted):
    orders = fitted[BetaGeoModel].conditional_expected_purchases(cdnow, 39)
    buyers = cdnow[cdnow["frequency"] > 0]
    errors = {}
    for name, columns in {"mean": ["frequency", "monetary_value"], "each": [*buyers.columns]}.items():
        spend = GammaGammaModel().fit(buyers[columns])
        errors[name] = np.sqrt(((orders * spend.expected_value(cdnow) - cdnow["revenue"]) ** 2).mean())
    assert round(errors["mean"], 1) <= 72.3
    assert errors["each"] < errors["mean"]


# ---------------------------------------------------------------------------------------------------------------------
# Second methods
# ---------------------------------------------------------------------------------------------------------------------

ODD = histories((0, 0, 0), (0, 0, 30), (1, 5, 30), (2, 29.9, 30), (40, 12, 38), (300, 29, 30))


@pytest.mark.parametrize("model", MODELS)
def test_gradients_equal_finite_differences(model):
    rows = unique_histories(ODD)
    names = model._names
    at = np.array(list(KNOWN[model].values()))
    _, gradients = model()._log_likelihood(at, rows)
    for k, name in enumerate(names):
        step = np.zeros(4)
        step[k] = 1e-6 * at[k]
        up, down = (model()._log_likelihood(at + sign * step, rows)[0] for sign in (1, -1))
        assert gradients[k] == pytest.approx((up - down) / (2 * step[k]), rel=1e-5, abs=1e-6), name


@pytest.mark.parametrize("columns", [2, 3])
def test_the_gamma_gamma_fit_is_a_maximum(cdnow, columns):
    """Finite differences of the likelihood as published, or of the density of every value, vanish there."""
    buyers = cdnow[cdnow["frequency"] > 0][["frequency", "monetary_value", "mean_log_value"][:columns]]
    model = GammaGammaModel().fit(buyers)
    x, total = buyers["frequency"].to_numpy(), (buyers["frequency"] * buyers["monetary_value"]).to_numpy()

    def log_likelihood(p, q, v):
        nodes, weights = np.polynomial.legendre.leggauss(200)
        share = (nodes + 1) / 2
        nu = gamma_distribution.ppf(share, q, scale=1 / v)
        if columns == 2:
            density = gamma_distribution.logpdf(total[:, None], p * x[:, None], scale=1 / nu) + np.log(x)[:, None]
        else:
            logs = (x * buyers["mean_log_value"].to_numpy())[:, None]
            size, sum_of = x[:, None], total[:, None]
            density = size * (p * np.log(nu) - gammaln(p)) + (p - 1) * logs - nu * sum_of
        top = density.max(axis=1)
        return float((np.log(np.exp(density - top[:, None]) @ weights / 2) + top).sum())

    assert log_likelihood(model.p_, model.q_, model.v_) == pytest.approx(model.log_likelihood_, abs=2)
    at = np.array([model.p_, model.q_, model.v_])
    best = log_likelihood(*at)
    for k in range(3):
        for factor in (0.8, 1.25):
            elsewhere = at.copy()
            elsewhere[k] *= factor
            assert log_likelihood(*elsewhere) < best


def test_quadrature_integrates_polynomials_and_the_beta_moments():
    points, weights = beta_quadrature(0.3, np.array([0.7, 50.0]), nodes=8)
    for row, b in enumerate((0.7, 50.0)):
        moment = 1.0
        for degree in range(1, 16):
            moment *= (0.3 + degree - 1) / (0.3 + b + degree - 1)
            assert weights[row] @ points[row] ** degree == pytest.approx(moment, rel=1e-10)


@pytest.mark.parametrize("t", [1.0, 32.0, 300.0])
def test_expected_purchases_equal_the_published_closed_form(t):
    model = BetaGeoModel().with_parameters(**KNOWN[BetaGeoModel])
    r, alpha, a, b = KNOWN[BetaGeoModel].values()
    z = t / (alpha + t)
    closed = (a + b - 1) / (a - 1) * (1 - (alpha / (alpha + t)) ** r * hyp2f1(r, b, a + b - 1, z))
    assert model.expected_purchases(t) == pytest.approx(closed, rel=1e-7)
    # a = 1 is a removable gap of the closed form
    gap, near = (
        BetaGeoModel().with_parameters(r=r, alpha=alpha, a=1 + epsilon, b=b).expected_purchases(t)
        for epsilon in (0, 1e-9)
    )
    assert gap == pytest.approx(near, rel=1e-8)


@pytest.mark.parametrize(("alpha", "beta"), [(10.6, 11.7), (11.7, 10.6), (4, 30)])
@pytest.mark.parametrize(("x", "t_x"), [(0, 0), (3, 20), (25, 37)])
def test_pareto_likelihood_equals_its_hypergeometric_form(alpha, beta, x, t_x):
    r, s = 0.55, 0.6
    model = ParetoNBDModel().with_parameters(r=r, alpha=alpha, s=s, beta=beta)
    larger, second = (alpha, s + 1) if alpha >= beta else (beta, r + x)

    def part(t):
        z = abs(alpha - beta) / (larger + t)
        return hyp2f1(r + s + x, second, r + s + x + 1, z) / (larger + t) ** (r + s + x)

    alive = (alpha + 38) ** -(r + x) * (beta + 38) ** -s
    dead = s / (r + s + x) * (part(t_x) - part(38))
    rate = np.prod([r + k for k in range(x)]) * alpha**r * beta**s
    customer = histories((x, t_x, 38))
    assert model.score(customer) == pytest.approx(np.log(rate * (alive + dead)), abs=1e-10)
    assert model.probability_alive(customer)[0] == pytest.approx(alive / (alive + dead), rel=1e-9)


def test_bg_likelihood_and_p_alive_equal_numerical_integration():
    r, alpha, a, b = KNOWN[BetaGeoModel].values()
    x, t_x, T = 3, 20.0, 38.0

    def integral(of):
        inner = [quad(lambda p, k=k: of(p, k) * beta_distribution.pdf(p, a, b), 0, 1, limit=200)[0] for k in range(2)]
        rate = np.prod([r + k for k in range(x)]) * alpha**r
        return inner[0] * rate / (alpha + T) ** (r + x), inner[1] * rate / (alpha + t_x) ** (r + x)

    alive, dead = integral(lambda p, k: (1 - p) ** x if k == 0 else p * (1 - p) ** (x - 1))
    model = BetaGeoModel().with_parameters(r=r, alpha=alpha, a=a, b=b)
    assert model.score(histories((x, t_x, T))) == pytest.approx(np.log(alive + dead), abs=1e-7)
    assert model.probability_alive(histories((x, t_x, T)))[0] == pytest.approx(alive / (alive + dead), abs=1e-7)


def simulate(model, parameters, customers, seed):
    """Customers of a model, observed for 60 after the first purchase, and their purchases in the 60 after that."""
    rng = np.random.default_rng(seed)
    T, until = 60.0, 120.0
    rate = rng.gamma(parameters["r"], 1 / parameters["alpha"], customers)
    if model is ParetoNBDModel:
        leaves_at = rng.exponential(1 / rng.gamma(parameters["s"], 1 / parameters["beta"], customers))
    else:
        chance = rng.beta(parameters["a"], parameters["b"], customers)
    rows = []
    for i in range(customers):
        times, now = [], 0.0
        alive = model is not ModifiedBetaGeoModel or rng.random() >= chance[i]
        while alive:
            now += rng.exponential(1 / rate[i]) if rate[i] > 0 else np.inf
            if now > until or (model is ParetoNBDModel and now > leaves_at[i]):
                break
            times.append(now)
            alive = model is ParetoNBDModel or rng.random() >= chance[i]
        known = [t for t in times if t <= T]
        rows.append((len(known), known[-1] if known else 0.0, T, len(times) - len(known)))
    return pd.DataFrame(rows, columns=["frequency", "recency", "T", "later"], dtype="float64")


@pytest.mark.parametrize("model", MODELS)
def test_simulated_customers_are_understood(model):
    """No likelihood-ratio test rejects the truth; later purchases come in number and distribution as predicted."""
    parameters = {name: value * (5 if name in ("alpha", "beta") else 1) for name, value in KNOWN[model].items()}
    parameters["r"] = 2.0
    world = simulate(model, parameters, 4000, 3)
    found = model().fit(world)
    true = model().with_parameters(**parameters)
    assert 0 < 2 * (found.log_likelihood_ - true.score(world)) < chi2.ppf(0.999, 4)
    for name in ("r", "alpha"):
        assert abs(found.parameters_[name] - parameters[name]) < 3 * found.standard_errors_[name]
    later = world["later"].to_numpy()
    expected = true.conditional_expected_purchases(world, 60.0)
    error = (later - expected).std() / np.sqrt(len(world))
    assert abs((later - expected).mean()) < 3 * error
    often = world["frequency"] >= 3
    assert abs((later - expected)[often].mean()) < 3 * (later - expected)[often].std() / np.sqrt(often.sum())
    probabilities = true.purchase_probabilities(world, 60.0, 60)
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert probabilities @ np.arange(61) == pytest.approx(expected, abs=1e-4)
    for number in range(4):
        share = (later == number).mean()
        assert abs(share - probabilities[:, number].mean()) < 3.5 * np.sqrt(share * (1 - share) / len(world))
    few = unique_histories(world.head(50))
    silence = true.silence(few, np.full(len(few), 60.0))[few.row_of]
    assert silence == pytest.approx(probabilities[:50, 0], abs=1e-9)


# ---------------------------------------------------------------------------------------------------------------------
# Behaviour
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_the_unit_of_time_changes_parameters_and_nothing_else(cdnow, fitted, model):
    weeks = fitted[model]
    days = model().fit(cdnow.assign(recency=7 * cdnow["recency"], T=7 * cdnow["T"]))
    for name, value in weeks.parameters_.items():
        assert days.parameters_[name] == pytest.approx(value * (7 if name in ("alpha", "beta") else 1), rel=1e-4)
    in_days = weeks.log_likelihood_ - cdnow["frequency"].sum() * np.log(7)
    assert days.log_likelihood_ == pytest.approx(in_days, abs=1e-5)
    assert weeks.score(cdnow) == pytest.approx(weeks.log_likelihood_, abs=1e-7)


def test_weights_stand_for_rows_and_their_order_changes_nothing(cdnow, fitted):
    counted = cdnow.groupby(["frequency", "recency", "T"], as_index=False).size().sample(frac=1, random_state=1)
    weighted = BetaGeoModel().fit(counted, sample_weight=counted["size"])
    assert weighted.parameters_ == pytest.approx(fitted[BetaGeoModel].parameters_, rel=1e-9)
    assert weighted.standard_errors_ == pytest.approx(fitted[BetaGeoModel].standard_errors_, rel=1e-6)
    shuffled = cdnow.sample(frac=1, random_state=2)
    assert BetaGeoModel().fit(shuffled).parameters_ == fitted[BetaGeoModel].parameters_


def test_a_horizon_a_row_is_the_same_as_each_by_itself(cdnow, fitted):
    few, times = cdnow.head(5), np.arange(5.0)
    together = fitted[BetaGeoModel].conditional_expected_purchases(few, times)
    alone = [fitted[BetaGeoModel].conditional_expected_purchases(few.iloc[[i]], times[i])[0] for i in range(5)]
    assert together == pytest.approx(alone)
    assert together[0] == 0


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "rows",
    [
        pd.concat([histories((0, 0, 10))] * 30 + [histories((0, 0, 300))]),
        histories((4, 80, 90)),
        histories((0, 0, 1)),
        pd.concat([histories((5, 50, 60))] * 40),
        histories((5000, 1000, 1001), (1, 0.001, 1000)),
    ],
    ids=["nobody came back", "one customer", "one customer of yesterday", "equal customers", "extremes"],
)
def test_degenerate_customers_are_fitted(model, rows):
    fitted = model().fit(rows)
    assert np.isfinite(list(fitted.parameters_.values())).all()
    assert np.isfinite(fitted.log_likelihood_)
    expected = fitted.conditional_expected_purchases(rows, 30)
    probabilities = fitted.purchase_probabilities(rows, 30, 400)
    assert np.isfinite(expected).all()
    assert (expected >= 0).all()
    assert ((fitted.probability_alive(rows) >= 0) & (fitted.probability_alive(rows) <= 1)).all()
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-3)
    rate = rows["frequency"] / rows["T"]
    assert (expected <= 35 * rate.max() + 1).all()
    assert fitted.undetermined_


def test_equal_customers_go_on_as_before():
    rows = pd.concat([histories((12, 59.5, 60))] * 200)
    expected = BetaGeoModel().fit(rows).conditional_expected_purchases(rows.head(1), 60)[0]
    assert expected == pytest.approx(12, rel=0.01)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (histories((1.5, 2, 3)), "whole number"),
        (histories((1, 4, 3)), "must not exceed T"),
        (histories((0, 2, 3)), "must be 0 without a repeat"),
        (histories((2, 0, 3)), "above 0 with one"),
        (histories((1, np.nan, 3)), "finite"),
        (histories((0, 0, 0)), "nobody was observed"),
        (histories((0, 0, 3)).drop(columns="T"), "'T' is absent"),
        (histories((0, 0, 3)).astype(object).assign(T="x"), "must be numeric"),
    ],
)
def test_impossible_histories_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        BetaGeoModel().fit(rows)


def test_impossible_values_are_refused():
    good = pd.DataFrame({"frequency": [1.0, 3.0], "monetary_value": [10.0, 20.0]})
    with pytest.raises(ValueError, match="must be above 0"):
        GammaGammaModel().fit(good.assign(monetary_value=[10.0, 0.0]))
    with pytest.raises(ValueError, match="no customer"):
        GammaGammaModel().fit(good.head(0))
    with pytest.raises(ValueError, match="must not exceed"):
        GammaGammaModel().fit(good.assign(mean_log_value=[5.0, 1.0]))
    with pytest.raises(ValueError, match="absent"):
        GammaGammaModel().fit(good[["frequency"]])
    with pytest.raises(ValueError, match="positive parameters"):
        BetaGeoModel().with_parameters(r=1, alpha=1, a=1)
    with pytest.raises(ValueError, match="at least 0"):
        BetaGeoModel().with_parameters(**KNOWN[BetaGeoModel]).purchase_probabilities(ODD, -1, 2)


def test_expected_values_lie_between_a_customer_and_all():
    model = GammaGammaModel().with_parameters(p=6.25, q=3.74, v=15.44)
    rows = pd.DataFrame({"frequency": [0, 1, 50], "monetary_value": [0.0, 100.0, 100.0]})
    nobody, once, often = model.expected_value(rows)
    assert nobody == pytest.approx(model.mean_)
    assert nobody == pytest.approx(6.25 * 15.44 / 2.74)
    # (q - 1) / (p x + q - 1) of the way from the customer's own mean back to that of all
    assert once == pytest.approx(100 + (nobody - 100) * 2.74 / (6.25 + 2.74))
    assert nobody < once < often < 100
