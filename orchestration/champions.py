"""Champions: the churn models in use, kept between refreshes, and when to train a challenger.

A champion is one file a horizon: the models, what is known about them, and the earlier runs. How a challenger is judged
against it is decided in `ml.churn_protocol`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.artefacts import Artefact, ArtefactError, load_artefact, plain_values, save_artefact

if TYPE_CHECKING:
    import pandas as pd

    from ml.churn_results import Challenge, ChurnResult, ChurnTraining

MOST_EARLIER_RUNS = 12
"""Runs of a horizon that are kept on record besides the champion's."""

_PLAIN = ("horizon_days", "version", "features", "seed", "metrics", "messages", "profile")


@dataclass(frozen=True)
class Champion:
    """A model in use.

    Args:
        training: The model, and all that is known about it.
        tried_on: The day for which a model was last trained, whether it became the champion or not.
        trained_with: What the training went by besides the data, see `conditions`.
        earlier_runs: Rows of ml.model_runs of the other models of its horizon.
    """

    training: ChurnTraining
    tried_on: date
    trained_with: str
    earlier_runs: list[dict[str, Any]]


def conditions(source: str | None, seed: int, columns: Sequence[str], settings: Mapping[str, Any]) -> str:
    """What a training goes by besides the data, as text: source, seed, columns offered, settings."""
    return json.dumps(
        {"source": source, "seed": seed, "columns": sorted(columns), "settings": dict(settings)}, sort_keys=True
    )


def recall(
    folder: Path, horizon_days: int, now: pd.DataFrame, as_of: date, trained_with: str
) -> tuple[Champion | None, list[str]]:
    """The champion of a horizon, if it may score today.

    Args:
        folder: Folder of the home's models.
        horizon_days: The horizon.
        now: Today's features, which it has to be able to score.
        as_of: Today.
        trained_with: Today's `conditions`.

    Returns:
        The champion, or None; and what has to be said where one was passed over.
    """
    try:
        champion = _load(folder, horizon_days)
    except ArtefactError as error:
        return None, [f"The model in use is passed over: {error}."]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return None, [f"The model in use is passed over: its card cannot be understood ({error})."]
    if champion is None:
        return None, []
    reason = _unfit(champion, now, as_of, trained_with)
    return (None, [f"{champion.training.version} is passed over: {reason}."]) if reason else (champion, [])


def is_due(champion: Champion, as_of: date, trained_with: str, retrain_days: int) -> bool:
    """Whether to train a challenger: after so many days, or when columns or settings changed.

    Drift alone is no reason: the outcomes of those who moved are not known yet, so that a model trained now would know
    no more about them.
    """
    return (as_of - champion.tried_on).days >= retrain_days or champion.trained_with != trained_with


def keep(folder: Path, champion: Champion | None, horizon_days: int) -> None:
    """Store the champion of a horizon; None where a rule or a baseline took its place."""
    if champion is None:
        save_artefact(folder, _name(horizon_days), None)
        return
    training = champion.training
    card = {
        **{name: getattr(training, name) for name in _PLAIN},
        "as_of": training.as_of,
        "test_cutoff": training.test_cutoff,
        "training_cutoffs": training.training_cutoffs,
        "scoring_cutoffs": training.scoring_cutoffs,
        "backtest": training.backtest.to_dict("records"),
        "curves": training.curves.to_dict("records"),
        "tried_on": champion.tried_on,
        "trained_with": champion.trained_with,
        "earlier_runs": champion.earlier_runs,
    }
    models = {"scoring": training.model, "judged": training.judged}
    save_artefact(folder, _name(horizon_days), Artefact(models, card))


def after(
    result: ChurnResult, before: Champion | None, trained_with: str, remarks: Sequence[str], seed: int
) -> Champion | None:
    """The champion after a training; None by rule and for a baseline.

    Args:
        result: What the training gave.
        before: The champion until now.
        trained_with: The `conditions` of the training.
        remarks: What has to be said beside the training's own messages.
        seed: Seed, for the record.
    """
    if result.training is None:
        return None
    training = replace(result.training, messages=[*remarks, *result.training.messages])
    earlier = list(before.earlier_runs) if before else []
    if result.challenge is not None:
        earlier.append(_passed_over(result.challenge, result.horizon_days, seed))
    elif before is not None:
        earlier.append(_passed_over(before.training, result.horizon_days, seed))
    # One row a version: the latest; none of the champion's own.
    latest = {run["version"]: run for run in earlier if run["version"] != training.version}
    kept = sorted(latest.values(), key=lambda run: (run["as_of"], run["version"]))[-MOST_EARLIER_RUNS:]
    return Champion(training, result.as_of, trained_with, kept)


def run_of(
    version: str,
    *,
    horizon_days: int,
    as_of: date,
    test_cutoff: date | None,
    metrics: Mapping[str, Any],
    champion: bool,
    messages: Sequence[str],
) -> dict[str, Any]:
    """A row of ml.model_runs about one horizon, in plain values."""
    return plain_values(
        {
            "model": "churn",
            "version": version,
            "horizon_days": horizon_days,
            "as_of": as_of,
            "test_cutoff": test_cutoff,
            "metrics": dict(metrics),
            "champion": champion,
            "notes": " ".join(messages) or None,
        }
    )


def _passed_over(run: Challenge | ChurnTraining, horizon_days: int, seed: int) -> dict[str, Any]:
    """The row of a model that is not, or no longer, in use."""
    return run_of(
        run.version,
        horizon_days=horizon_days,
        as_of=run.as_of,
        test_cutoff=run.test_cutoff,
        metrics={**flat(run.metrics), "seed": seed},
        champion=False,
        messages=[],
    )


def flat(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The model's own figures first, the baselines' and the rest beside them."""
    return {**metrics.get("model", {}), **{name: value for name, value in metrics.items() if name != "model"}}


def _load(folder: Path, horizon_days: int) -> Champion | None:
    from ml.churn_results import BACKTEST_COLUMNS, CURVE_COLUMNS, ChurnTraining, typed

    artefact = load_artefact(folder, _name(horizon_days))
    if artefact is None:
        return None
    card = artefact.card
    training = ChurnTraining(
        **{name: card[name] for name in _PLAIN},
        as_of=date.fromisoformat(card["as_of"]),
        model=artefact.models["scoring"],
        judged=artefact.models["judged"],
        test_cutoff=date.fromisoformat(card["test_cutoff"]),
        training_cutoffs=[date.fromisoformat(day) for day in card["training_cutoffs"]],
        scoring_cutoffs=[date.fromisoformat(day) for day in card["scoring_cutoffs"]],
        backtest=typed(card["backtest"], BACKTEST_COLUMNS),
        curves=typed(card["curves"], CURVE_COLUMNS),
    )
    return Champion(training, date.fromisoformat(card["tried_on"]), card["trained_with"], card["earlier_runs"])


def _unfit(champion: Champion, now: pd.DataFrame, as_of: date, trained_with: str) -> str:
    """Why a champion may not be used today, or nothing."""
    before, today = json.loads(champion.trained_with), json.loads(trained_with)
    if before["source"] != today["source"]:
        return "it was trained on another source"
    if before["seed"] != today["seed"]:
        return "it was trained with another seed"
    if champion.tried_on > as_of:
        return f"it knows what came after {as_of}"
    absent = [name for name in champion.training.features if name not in now.columns]
    if absent:
        return f"columns are absent: {', '.join(absent)}"
    try:
        champion.training.model.predict_proba(now[champion.training.features].head(100))
    except ValueError as error:
        return f"it cannot score today's features: {error}"
    return ""


def _name(horizon_days: int) -> str:
    return f"churn_{horizon_days}d"
