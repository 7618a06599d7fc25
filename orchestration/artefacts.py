"""Trained models and their cards on disk.

Models are skops files, which load without running code; a card is JSON that says what a model is and how it did.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED


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
    temporary.write_text(json.dumps(_plain(list(runs)), indent=1, sort_keys=True), encoding="utf-8")
    temporary.replace(folder / f"{name}.json")


def load_cards(folder: Path) -> list[dict[str, Any]]:
    """Every stored run, models in the order of their names."""
    return [run for file in sorted(folder.glob("*.json")) for run in json.loads(file.read_text(encoding="utf-8"))]


def _plain(value: Any) -> Any:
    """JSON knows neither numpy's numbers nor dates; what is not a number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
