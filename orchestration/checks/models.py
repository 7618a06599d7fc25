"""Checks of models: quality and drift.

Each is a pure function from figures to a verdict; the assets that compute the figures yield it. Checks on models warn
and never block: small data must still publish.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestration.checks.verdict import Verdict

CHURN_QUALITY = "churn_model_beats_its_baselines"
CHURN_DRIFT = "churn_features_resemble_training"
MOST_ECE = 0.05
"""A larger calibration error makes a probability useless as a number."""
IMPLAUSIBLE_AUC = 0.98
"""Nobody's leaving is known so well in advance: a model this good has the label among its features."""


def churn_quality(metrics: Mapping[str, Any], messages: Sequence[str]) -> Verdict:
    """Whether a churn model is better than guessing and than recency and frequency, and calibrated, on the test cutoff.

    Args:
        metrics: As in `ml.churn.ChurnResult`: ``model`` and ``baselines``, each with auc, brier, ece.
        messages: What the training said; shown when there is no model to judge.
    """
    if not metrics:
        return Verdict(False, " ".join(messages) or "There was no model to judge.")
    model, baselines = metrics["model"], metrics["baselines"]
    figures = f"AUC {_figure(model['auc'])}, Brier {model['brier']:.4f}, ECE {model['ece']:.3f}"
    faults = []
    if model["brier"] >= baselines["base_rate"]["brier"]:
        faults.append(f"the base rate alone has a Brier score of {baselines['base_rate']['brier']:.4f}")
    if model["brier"] > baselines["recency_frequency"]["brier"]:
        faults.append(f"recency and frequency alone have {baselines['recency_frequency']['brier']:.4f}")
    if (model["auc"] or 0) < (baselines["recency"]["auc"] or 0):
        faults.append(f"recency alone has an AUC of {_figure(baselines['recency']['auc'])}")
    if model["ece"] > MOST_ECE:
        faults.append(f"its probabilities are off by {model['ece']:.3f} on average")
    if (model["auc"] or 0) >= IMPLAUSIBLE_AUC:
        faults.append(f"an AUC of {IMPLAUSIBLE_AUC} or more is implausible: look for a leak of the label")
    if faults:
        return Verdict(False, f"{figures}; {'; '.join(faults)}.")
    return Verdict(True, f"{figures}, against a base rate's Brier score of {baselines['base_rate']['brier']:.4f}.")


GROWS_BY_ITSELF = ("days_since_first_order", "days_since_last_order")
"""Features that grow with the calendar in any business: customers get older, and who has left stays away longer. That
orders stay away shows in their counts."""


def churn_drift(drift: Mapping[str, Mapping[str, float]]) -> Verdict:
    """Whether today's features and scores are distributed as those the model was trained on.

    Args:
        drift: Per column ``psi`` (population stability index) and ``bound``, as in `ml.churn_results.ChurnResult`; the
            scores are called churn_probability. What grows with the calendar alone is no drift.
    """
    drift = {name: figures for name, figures in drift.items() if name not in GROWS_BY_ITSELF}
    if not drift:
        return Verdict(True, "There was nothing to compare.")
    beyond = {name: figures["psi"] for name, figures in drift.items() if figures["psi"] > figures["bound"]}
    if not beyond:
        largest = max(drift, key=lambda name: drift[name]["psi"])
        return Verdict(True, f"The largest shift is that of {largest}, PSI {drift[largest]['psi']:.2f}.")
    furthest = sorted(beyond, key=lambda name: -beyond[name])
    named = ", ".join(f"{name} (PSI {beyond[name]:.2f})" for name in furthest[:3])
    more = f" and {len(furthest) - 3} more" if len(furthest) > 3 else ""
    return Verdict(False, f"Moved away from training: {named}{more}.")


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
