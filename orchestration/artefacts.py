"""Trained models and their cards on disk.

Models are skops files, which load without running code; a card is JSON that says what a model is and how it did. Which
model is in use is decided in `orchestration.champions`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED

ARTEFACT_FORMAT = 1
"""Raised when an older artefact no longer says what a newer one would."""
TRUSTED = (
    "functools.partial",
    "ml.churn.ChurnClassifier",
    "ml.columns.signed_log1p",
    "ml.columns.weaken",
    "numpy.dtype",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)
"""What an artefact may hold beyond the types that skops trusts; nothing here runs code of the file's own."""


class ArtefactError(Exception):
    """An artefact cannot be used; the message says why."""


@dataclass(frozen=True)
class Artefact:
    """Models that belong together, and what is known about them.

    Args:
        models: Fitted estimators by role; None where a role is empty.
        card: Plain values: feature list, seed, cutoffs, metrics.
    """

    models: dict[str, Any]
    card: dict[str, Any]


def save_artefact(folder: Path, name: str, artefact: Artefact | None) -> None:
    """Store an artefact, replacing the one of the same name in one step.

    Args:
        folder: Folder of the home's models.
        name: File name without ending.
        artefact: None where there is no model (any more): an earlier file goes.
    """
    if artefact is None:
        save_model(folder, name, None)
        return
    content = {
        "format": ARTEFACT_FORMAT,
        "scikit-learn": version("scikit-learn"),
        "card": json.dumps(plain_values(artefact.card)),
        **{f"model {role}": model for role, model in artefact.models.items()},
    }
    save_model(folder, name, content)


def load_artefact(folder: Path, name: str) -> Artefact | None:
    """Read an artefact; None where there is none.

    Raises:
        ArtefactError: The file is damaged, of another format or scikit-learn, or holds types that are not trusted.
    """
    import skops.io

    path = folder / f"{name}.skops"
    if not path.exists():
        return None
    try:
        content = skops.io.load(path, trusted=list(TRUSTED))
    except Exception as error:
        raise ArtefactError(f"{path.name} cannot be read ({type(error).__name__})") from error
    if not isinstance(content, dict) or content.get("format") != ARTEFACT_FORMAT:
        raise ArtefactError(f"{path.name} is of an older format")
    if content.get("scikit-learn") != version("scikit-learn"):
        raise ArtefactError(f"{path.name} was written with scikit-learn {content.get('scikit-learn')}")
    models = {key.removeprefix("model "): value for key, value in content.items() if key.startswith("model ")}
    return Artefact(models, json.loads(content["card"]))


def save_model(folder: Path, name: str, model: Any | None) -> None:
    """Store a fitted model, replacing the one of the same name in one step.

    Args:
        folder: Folder of the home's models.
        name: File name without ending.
        model: A fitted estimator; None where a rule took the model's place, and an earlier file goes.
    """
    import skops.io

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.skops"
    if model is None:
        target.unlink(missing_ok=True)
        return
    temporary = folder / f".{name}.skops"
    skops.io.dump(model, temporary, compression=ZIP_DEFLATED)
    temporary.replace(target)


def save_card(folder: Path, name: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Store what is known about a model's runs, one row of ml.model_runs each.

    Args:
        folder: Folder of the home's models.
        name: The model's name.
        runs: Rows with plain values; ``metrics`` is a mapping.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.json"
    temporary.write_text(json.dumps(plain_values(list(runs)), indent=1, sort_keys=True), encoding="utf-8")
    temporary.replace(folder / f"{name}.json")


def load_cards(folder: Path) -> list[dict[str, Any]]:
    """Every stored run, models in the order of their names."""
    return [run for file in sorted(folder.glob("*.json")) for run in json.loads(file.read_text(encoding="utf-8"))]


def plain_values(value: Any) -> Any:
    """JSON knows neither numpy's numbers nor dates; what is not a number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
