"""ml.personas: planted kinds of visitors get their names; names, seed and colours agree."""

import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.personas import (
    BROWSER,
    CASUAL,
    CLUSTERS,
    CUSTOMER_ROLES,
    FEWEST_OF_A_CLUSTER,
    QUICK,
    RESEARCH,
    SESSION_ROLES,
    SIDES,
    TYPICAL,
    VIP,
    fit_personas,
)

SEED = Path(__file__).resolve().parents[2] / "dbt_project" / "seeds" / "personas.csv"
KINDS = {
    VIP: (40, 4000, 0.5, 5, 1.6, 300),
    QUICK: (2, 150, 0.95, 4, 1.1, 250),
    RESEARCH: (0, 0, 0.0, 9, 4.0, 700),
    BROWSER: (3, 200, 0.2, 4, 1.2, 200),
    CASUAL: (0, 0, 0.0, 1, 0.0, 15),
}
"""Orders, revenue, conversion, pages, product views and seconds of a customer of each kind."""


def planted(each=120, seed=0):
    rng = np.random.default_rng(seed)
    values = np.vstack([np.array(kind) * rng.lognormal(0, 0.2, (each, 6)) for kind in KINDS.values()])
    frame = pd.DataFrame(values, columns=[column for side in SIDES for column in CUSTOMER_ROLES[side]])
    frame["customer_id"] = [f"c{i:05}" for i in range(len(frame))]
    frame["conversion_rate"] = frame["conversion_rate"].clip(0, 1)
    return frame.assign(kind=np.repeat(list(KINDS), each))


def test_planted_kinds_get_their_names():
    frame = planted()
    model = fit_personas(frame, CUSTOMER_ROLES, key="customer_id")
    assert (model.predict(frame) == frame["kind"]).mean() > 0.97
    assert model.metrics["stability"] > 0.9
    assert model.metrics["agreement"] > 0.95
    assert model.messages == []
    assert model.profile["rows"].sum() == len(frame)
    assert set(model.profile["persona"]) == set(TYPICAL)
    assert sum(model.metrics["shares"].values()) == pytest.approx(1)


def test_each_name_is_the_nearest_typical_profile():
    profile = fit_personas(planted(seed=2), CUSTOMER_ROLES, key="customer_id").profile
    for row in profile.to_dict("records"):
        apart = {n: sum((row[s] - t) ** 2 for s, t in zip(SIDES, side, strict=True)) for n, side in TYPICAL.items()}
        assert row["persona"] == min(apart, key=apart.get)


def test_order_of_rows_changes_nothing():
    frame = planted(each=60)
    one = fit_personas(frame, CUSTOMER_ROLES, key="customer_id", random_state=3)
    other = fit_personas(frame.sample(frac=1, random_state=1), CUSTOMER_ROLES, key="customer_id", random_state=3)
    np.testing.assert_array_equal(one.predict(frame), other.predict(frame))
    pd.testing.assert_frame_equal(one.profile, other.profile)
    assert one.metrics == other.metrics


def test_visits_have_personas_as_well():
    rng = np.random.default_rng(1)
    kinds = {
        VIP: (60, 150, 5, 2, 400),
        QUICK: (1, 120, 3, 1, 200),
        CASUAL: (0, 0, 1, 0, 10),
        RESEARCH: (0, 0, 9, 5, 900),
    }
    columns = [column for side in SIDES for column in SESSION_ROLES[side]]
    frame = pd.DataFrame(np.repeat(np.array(list(kinds.values()), dtype=float), 100, axis=0), columns=columns)
    frame = frame * rng.lognormal(0, 0.15, frame.shape)
    frame["session_id"] = range(len(frame))
    named = pd.Series(fit_personas(frame, SESSION_ROLES, key="session_id").predict(frame))
    most = named.groupby(np.repeat(list(kinds), 100)).agg(lambda names: names.mode()[0])
    assert most.to_dict() == {name: name for name in kinds}


def test_missing_values_are_imputed_and_an_empty_frame_has_no_persona():
    frame = planted()
    frame.loc[::5, "seconds_per_session"] = np.nan
    model = fit_personas(frame, CUSTOMER_ROLES, key="customer_id")
    assert set(model.predict(frame)) <= set(TYPICAL)
    assert len(model.predict(frame.head(0))) == 0


@pytest.mark.parametrize("rows", [0, 1, CLUSTERS * FEWEST_OF_A_CLUSTER - 1])
def test_too_few_rows_have_no_personas(rows):
    assert fit_personas(planted().head(rows), CUSTOMER_ROLES, key="customer_id") is None


def test_equal_rows_have_no_personas():
    frame = planted().assign(**dict.fromkeys((c for side in CUSTOMER_ROLES.values() for c in side), 1.0))
    assert fit_personas(frame, CUSTOMER_ROLES, key="customer_id") is None


def test_without_kinds_names_are_unstable_and_said_to_be():
    rng = np.random.default_rng(0)
    frame = planted().assign(**{c: rng.random(600) for side in CUSTOMER_ROLES.values() for c in side})
    model = fit_personas(frame, CUSTOMER_ROLES, key="customer_id")
    assert model.metrics["stability"] < 0.8
    assert "unstable" in model.messages[0]


def test_an_absent_column_is_named():
    with pytest.raises(ValueError, match="conversion_rate"):
        fit_personas(planted().drop(columns="conversion_rate"), CUSTOMER_ROLES, key="customer_id")


def test_the_seed_describes_every_persona_in_a_colour_of_its_own():
    rows = list(csv.DictReader(SEED.read_text(encoding="utf-8").splitlines()))
    assert {row["persona"] for row in rows} == set(TYPICAL)
    assert len({row["colour"] for row in rows}) == len(TYPICAL)
    assert all(re.fullmatch("#[0-9A-F]{6}", row["colour"]) and row["description"] for row in rows)


def test_colours_are_told_apart_by_colour_blind_readers():
    """Simulated as by Vienot, Brettel and Mollon (1999): any two stay some way apart in linear light."""
    protan = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    deutan = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    rows = list(csv.DictReader(SEED.read_text(encoding="utf-8").splitlines()))
    colours = np.array([[int(row["colour"][i : i + 2], 16) / 255 for i in (1, 3, 5)] for row in rows])
    light = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    for seen in (light, light @ protan.T, light @ deutan.T):
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)
        assert apart[np.triu_indices(len(rows), 1)].min() > 0.1
