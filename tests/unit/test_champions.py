"""orchestration.champions and artefacts: what is kept, what is passed over and why, and when a challenger is due."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from ml.churn_protocol import evaluate_and_score, feature_columns, score
from ml.churn_results import ChurnResult
from orchestration import artefacts
from orchestration.artefacts import Artefact, ArtefactError, load_artefact, load_cards, save_artefact, save_card
from orchestration.assets.insights.churn import refresh_models
from orchestration.champions import MOST_EARLIER_RUNS, Champion, after, conditions, is_due, keep, recall
from orchestration.settings import Settings
from tests.unit.test_churn import AS_OF, CUTOFFS, champion, features, trained

NOW = features()[lambda frame: frame["cutoff_date"] == AS_OF]
WITH = conditions("a file", 0, feature_columns(NOW), {})


def kept(folder: Path, **changes: Any) -> Champion:
    """The champion of the frame that most tests begin with, stored."""
    found = after(trained(), None, WITH, [], 0)
    assert found is not None
    stored = replace(found, **changes)
    keep(folder, stored, 30)
    return stored


def test_a_champion_comes_back_as_it_was(tmp_path: Path) -> None:
    stored = kept(tmp_path)
    found, said = recall(tmp_path, 30, NOW, AS_OF, WITH)
    assert found is not None
    assert said == []
    one, other = score(stored.training, NOW, AS_OF), score(found.training, NOW, AS_OF)
    pd.testing.assert_frame_equal(one.scores, other.scores)
    pd.testing.assert_frame_equal(one.backtest, other.backtest)
    pd.testing.assert_frame_equal(one.curves, other.curves)
    assert one.drift == other.drift
    assert artefacts.plain_values(one.metrics) == artefacts.plain_values(other.metrics)
    assert (found.training.features, found.training.seed) == (stored.training.features, 0)
    assert found.training.training_cutoffs == stored.training.training_cutoffs
    assert not list(tmp_path.glob(".*"))


def test_nothing_kept_is_nothing_to_say(tmp_path: Path) -> None:
    assert recall(tmp_path, 30, NOW, AS_OF, WITH) == (None, [])
    kept(tmp_path)
    keep(tmp_path, None, 30)
    assert recall(tmp_path, 30, NOW, AS_OF, WITH) == (None, [])


@pytest.mark.parametrize(
    ("today", "as_of", "frame", "words"),
    [
        (conditions("another file", 0, [], {}), AS_OF, NOW, "another source"),
        (conditions("a file", 1, [], {}), AS_OF, NOW, "another seed"),
        (WITH, AS_OF - timedelta(days=1), NOW, "knows what came after 2024-06-29"),
        (WITH, AS_OF, NOW.drop(columns="region"), "columns are absent: region"),
        (WITH, AS_OF, NOW.assign(order_count="many"), "cannot score today's features"),
    ],
)
def test_who_may_not_score_today_is_passed_over(
    tmp_path: Path, today: str, as_of: date, frame: pd.DataFrame, words: str
) -> None:
    kept(tmp_path)
    found, (said,) = recall(tmp_path, 30, frame, as_of, today)
    assert found is None
    assert said.startswith("logistic-30d-2024-06-30 is passed over: ")
    assert words in said


def test_a_damaged_or_older_file_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(tmp_path)
    path = tmp_path / "churn_30d.skops"
    whole = path.read_bytes()
    for damage, words in (
        (whole[: len(whole) // 2], "cannot be read (BadZipFile)"),
        (b"", "cannot be read (BadZipFile)"),
        (_without_numbers(whole, tmp_path), "cannot be read (KeyError)"),
    ):
        path.write_bytes(damage)
        found, (said,) = recall(tmp_path, 30, NOW, AS_OF, WITH)
        assert found is None
        assert words in said
    path.write_bytes(whole)
    with monkeypatch.context() as patch:
        patch.setattr(artefacts, "ARTEFACT_FORMAT", artefacts.ARTEFACT_FORMAT + 1)
        assert "is of an older format" in recall(tmp_path, 30, NOW, AS_OF, WITH)[1][0]
    with monkeypatch.context() as patch:
        patch.setattr(artefacts, "version", lambda _: "9.9")
        assert "was written with scikit-learn 1." in recall(tmp_path, 30, NOW, AS_OF, WITH)[1][0]
    # what an earlier version of the project left under the same name: a model and no card
    artefacts.save_model(tmp_path, "churn_30d", LogisticRegression())
    assert "is of an older format" in recall(tmp_path, 30, NOW, AS_OF, WITH)[1][0]
    save_artefact(tmp_path, "churn_30d", Artefact({}, {"version": "x"}))
    assert "its card cannot be understood" in recall(tmp_path, 30, NOW, AS_OF, WITH)[1][0]


def _without_numbers(whole: bytes, folder: Path) -> bytes:
    """The archive without its arrays."""
    before, after_ = folder / "before.zip", folder / "after.zip"
    before.write_bytes(whole)
    with zipfile.ZipFile(before) as source, zipfile.ZipFile(after_, "w") as target:
        for name in source.namelist():
            if name.endswith(".json"):
                target.writestr(name, source.read(name))
    return after_.read_bytes()


def test_types_that_nobody_named_are_not_loaded(tmp_path: Path) -> None:
    save_artefact(tmp_path, "odd", Artefact({"scoring": Path("x")}, {}))
    with pytest.raises(ArtefactError, match="UntrustedTypesFoundException"):
        load_artefact(tmp_path, "odd")


def test_boosted_champions_are_kept_as_well(tmp_path: Path) -> None:
    from ml.churn import ChurnClassifier
    from tests.unit.test_churn import crossed

    X, y = crossed(1000)
    model = ChurnClassifier(model="boosting", n_trees=20, random_state=0).fit(X, y)
    save_artefact(tmp_path, "boosted", Artefact({"scoring": model}, {}))
    found = load_artefact(tmp_path, "boosted")
    assert found is not None
    np.testing.assert_array_equal(found.models["scoring"].predict_proba(X), model.predict_proba(X))
    pd.testing.assert_frame_equal(found.models["scoring"].explain(X).reasons, model.explain(X).reasons)


def test_a_challenger_is_due_after_some_days_or_when_the_frame_changes() -> None:
    training = trained().training
    assert training is not None
    found = Champion(training, AS_OF, WITH, [])
    assert not is_due(found, AS_OF, WITH, 7)
    assert not is_due(found, AS_OF + timedelta(days=6), WITH, 7)
    assert is_due(found, AS_OF + timedelta(days=7), WITH, 7)
    assert is_due(found, AS_OF, conditions("a file", 0, [*feature_columns(NOW), "new"], {}), 7)
    assert is_due(found, AS_OF, conditions("a file", 0, feature_columns(NOW), {"cost": 2}), 7)


def test_every_model_of_a_horizon_stays_on_record_and_one_is_in_use() -> None:
    old = Champion(champion(), date(2024, 6, 20), WITH, [])
    result: ChurnResult = evaluate_and_score(features(), AS_OF, 30, champion=old.training)
    assert result.challenge is not None
    found = after(result, old, WITH, ["said"], 0)
    assert found is not None
    assert found.tried_on == AS_OF
    assert found.training.messages[0] == "said"
    (run,) = found.earlier_runs
    assert {run["version"], found.training.version} == {"logistic-30d-2024-06-20", "logistic-30d-2024-06-30"}
    assert run["champion"] is False
    assert run["test_cutoff"] == "2024-05-31"
    assert run["metrics"]["brier"] == pytest.approx(result.challenge.metrics["model"]["brier"])
    # the same again changes nothing, and the record does not grow without end
    again = after(result, found, WITH, ["said"], 0)
    assert again is not None
    assert (again.training.version, again.earlier_runs) == (found.training.version, found.earlier_runs)
    many = [{**run, "version": f"v{i:02}", "as_of": f"2024-01-{i + 1:02}"} for i in range(20)]
    longest = after(result, replace(old, earlier_runs=many), WITH, [], 0)
    assert longest is not None
    assert len(longest.earlier_runs) == MOST_EARLIER_RUNS
    assert run["version"] in {each["version"] for each in longest.earlier_runs}


def test_a_rule_leaves_no_champion() -> None:
    few = evaluate_and_score(features(20), AS_OF, 30)
    assert few.model_version == "recency_rule"
    assert after(few, Champion(champion(), AS_OF, WITH, []), WITH, [], 0) is None


class Shelf:
    """A warehouse that holds nothing but features."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.whole_reads = 0

    def read(self, query: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        self.whole_reads += "select *" in query and "<" in query
        with duckdb.connect() as connection:
            connection.execute("create schema marts")
            connection.register("frame", self.frame)
            connection.execute("create view marts.customer_features as select * from frame")
            return connection.execute(query, list(parameters)).df()


class Said:
    """What was said to the reader of a run."""

    def __init__(self) -> None:
        self.log = self
        self.messages: list[str] = []

    def warning(self, message: str) -> None:
        self.messages.append(message)


def refresh(
    home: Path, as_of: date, source: str = "a file", train_rows: int = 1_000_000, **settings: Any
) -> tuple[dict[int, list[tuple[str, bool]]], Shelf, list[str]]:
    """A refresh of the models: version and champion of each run by horizon, what was read, and what was said."""
    frame = features(200, cutoffs=CUTOFFS[6:])
    at = frame["cutoff_date"] == AS_OF
    others = {f"churned_{horizon}d": pd.array([None] * len(frame), dtype="boolean") for horizon in (90, 180)}
    shelf = Shelf(pd.concat([frame[~at], frame[at].assign(cutoff_date=as_of)]).assign(**others))
    said = Said()
    # fewer than anybody may ask for
    chosen = Settings.from_environment({}, home=home, seed=0, **settings).model_copy(update={"train_rows": train_rows})
    results, runs = refresh_models(said, chosen, shelf, as_of, source)  # type: ignore[arg-type]
    assert all(set(r.scores["model_version"]) == {r.model_version} for r in results)
    of_horizon = {
        horizon: [(run["version"], run["champion"]) for run in runs if run["horizon_days"] == horizon]
        for horizon in (30, 90, 180)
    }
    for result in results:
        assert [v for v, champion in of_horizon[result.horizon_days] if champion] == [result.model_version]
    return of_horizon, shelf, said.messages


def test_a_refresh_trains_scores_for_a_week_and_then_challenges(tmp_path: Path) -> None:
    first, shelf, _ = refresh(tmp_path, AS_OF)
    assert first[30] == [("logistic-30d-2024-06-30", True)]
    assert first[90] == first[180] == [("recency_rule", True)]
    assert shelf.whole_reads == 1
    same, _, _ = refresh(tmp_path, AS_OF)
    assert same == first
    before = (tmp_path / "models" / "churn_30d.skops").stat().st_mtime_ns
    later, _, _ = refresh(tmp_path, AS_OF + timedelta(days=6))
    assert later[30] == first[30]
    assert (tmp_path / "models" / "churn_30d.skops").stat().st_mtime_ns == before
    # a week later the same cutoffs are closed: an equal challenger does not win, and is on record
    challenged, _, said = refresh(tmp_path, AS_OF + timedelta(days=7))
    assert challenged[30] == [("logistic-30d-2024-07-07", False), ("logistic-30d-2024-06-30", True)]
    assert any("logistic-30d-2024-06-30 stays" in message for message in said)
    assert refresh(tmp_path, AS_OF + timedelta(days=8))[0][30] == challenged[30]


def test_a_full_refresh_another_source_or_a_damaged_file_train_anew(tmp_path: Path) -> None:
    refresh(tmp_path, AS_OF)
    second, third, fourth = (AS_OF + timedelta(days=days) for days in (1, 2, 3))
    (tmp_path / "models" / "churn_30d.skops").write_bytes(b"not a zip file")
    found, _, said = refresh(tmp_path, second)
    assert found[30] == [("logistic-30d-2024-07-01", True)]
    assert any("The model in use is passed over: churn_30d.skops cannot be read" in message for message in said)
    found, _, said = refresh(tmp_path, third, source="another file")
    assert found[30] == [("logistic-30d-2024-07-02", True)]
    assert any("another source" in message for message in said)
    found, _, said = refresh(tmp_path, fourth, source="another file", full_refresh=True)
    assert found[30] == [("logistic-30d-2024-07-03", True)]
    assert not any("passed over" in message for message in said)


def test_of_very_many_customers_a_part_is_read(tmp_path: Path) -> None:
    _, shelf, said = refresh(tmp_path, AS_OF, train_rows=400)
    assert shelf.whole_reads == 1
    assert "Churn models are trained on 67% of the customers: more change nothing but the time." in said


def test_cards_are_plain(tmp_path: Path) -> None:
    save_card(tmp_path, "b", [{"metrics": {"auc": np.float64(0.5), "none": float("nan"), "day": date(2024, 1, 2)}}])
    save_card(tmp_path, "a", [{"metrics": {1: np.int64(3)}}])
    assert load_cards(tmp_path) == [
        {"metrics": {"1": 3}},
        {"metrics": {"auc": 0.5, "day": "2024-01-02", "none": None}},
    ]
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == [{"metrics": {"1": 3}}]
