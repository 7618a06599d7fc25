"""Charts of how good the models are: against plain rules, on what came later, on planted truth, and whether data moved.

Frames and figures of `ml.model_runs` in, charts out. The curves of the churn model are in `churn_models`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from reports.blocks import Chart
from reports.figures.findings import (
    bars_with_names,
    counted,
    error_bars,
    listed,
    plane,
    share,
    shortened,
    span,
    switched,
)
from reports.figures.style import BLUE, GREEN, GREY, ORANGE

_FEATURES = 12
_HORIZON = 90


def against_baselines(scores: pd.DataFrame) -> Chart:
    """Brier scores of the probability models beside those of plain rules.

    Args:
        scores: task, rival (the first of a task is the model), brier, rows; missing Brier scores are left out.
    """
    known = scores[scores["brier"].notna()]
    tasks = list(dict.fromkeys(known["task"]))
    if not tasks:
        return Chart("Against plain rules", "No model of probabilities could be judged: there are too few customers.")
    rivals = list(dict.fromkeys(known["rival"]))
    figure = bars_with_names(tasks, len(known) * 0.7, title_text="Brier score", tickformat=".2f")
    colours = dict(zip(rivals, [BLUE, ORANGE, GREY, GREEN], strict=False))
    for rival in rivals:
        rows = known[known["rival"] == rival]
        figure.add_bar(
            y=rows["task"].tolist(),
            x=rows["brier"].round(6).tolist(),
            orientation="h",
            name=rival,
            marker_color=colours.get(rival, GREY),
            customdata=rows["rows"].tolist(),
            hovertemplate=f"%{{y}}: %{{x:.4f}} by {rival}, %{{customdata:,}} rows<extra></extra>",
        )
    figure.update_layout(barmode="group", showlegend=True)
    figure.update_yaxes(autorange="reversed")
    beaten = []
    for task in tasks:
        rows = known[known["task"] == task]
        ours, others = rows[rows["rival"] == "model"], rows[rows["rival"] != "model"]
        if len(ours) and len(others) and not (ours["brier"].iloc[0] < others["brier"].min()):
            beaten.append(task)
    judged = [task for task in tasks if ((known["task"] == task) & (known["rival"] == "model")).any()]
    if not judged:
        title = "No model could be judged against plain rules"
    elif beaten:
        title = f"A plain rule does as well for {listed(beaten)}"
    else:
        title = f"{'Each of ' if len(judged) > 1 else ''}{counted(len(judged), 'model')} beats its plain rules"
    return Chart(
        title=title,
        note=(
            "Mean squared error of the probabilities on rows the models had not seen, "
            f"{span(known['rows'].min(), known['rows'].max())} of them; less is better, 0 is perfect."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Task": known["task"],
                "By": known["rival"],
                "Brier": known["brier"].map("{:.4f}".format),
                "Rows": known["rows"].map("{:,.0f}".format),
            }
        ),
    )


def lifetime_holdout(metrics: Mapping[str, Any], notes: str, cutoff: pd.Timestamp | None) -> Chart:
    """What customers were expected to do in the last window, beside what they did.

    Args:
        metrics: Of the model customer_lifetime_value.
        notes: What the model says of itself.
        cutoff: Day after which the window lies.
    """
    holdout = metrics.get("holdout")
    if not holdout or cutoff is None:
        return Chart("Lifetime value", notes or "There is too little history to hold a window back and compare.")
    parts = {name: holdout[name] for name in ("orders", "value") if (holdout.get(name) or {}).get("actual")}
    if not parts:
        return Chart("Lifetime value", f"Nothing was ordered in the window after {cutoff:%-d %B %Y}.")
    figure = plane("", "what came = 100 %", tickformat=".0%")
    for name, colour, ratio in (
        ("came", GREY, lambda part: 1.0),  # noqa: ARG005
        ("expected", BLUE, lambda part: part["expected"] / part["actual"]),
    ):
        figure.add_bar(
            x=list(parts),
            y=[round(ratio(part), 6) for part in parts.values()],
            name=name,
            marker_color=colour,
            customdata=[part["actual" if name == "came" else "expected"] for part in parts.values()],
            hovertemplate=f"%{{x}}: %{{customdata:,.0f}} {name}<extra></extra>",
        )
    figure.update_layout(barmode="group", showlegend=True)
    said = [f"{name} {_off(part['expected'] / part['actual'] - 1)}" for name, part in parts.items()]
    return Chart(
        title=f"Lifetime value, foretold against what came: {', '.join(said)}",
        note=(
            f"{counted(holdout['customers'], 'customer')}, the {counted(holdout['days'], 'day')} after "
            f"{cutoff:%-d %B %Y}, foretold with what was known then. Value is {metrics.get('basis', 'revenue')}, in "
            "the currency of the sales data."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Of": list(parts),
                "Expected": [f"{part['expected']:,.0f}" for part in parts.values()],
                "Came": [f"{part['actual']:,.0f}" for part in parts.values()],
                "Correlation": [_figure(part.get("correlation")) for part in parts.values()],
                "90 % intervals of groups of 50 that held": [
                    _percent(part.get("group_coverage")) for part in parts.values()
                ],
            }
        ),
    )


def _off(ratio: float) -> str:
    return "as it came" if abs(ratio) < 0.0005 else f"{abs(ratio):.1%} too {'high' if ratio > 0 else 'low'}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def forecast_accuracy(metrics: Mapping[str, Any], notes: str) -> Chart:
    """Errors of the forecasting methods, and how often days lay within the interval.

    Args:
        metrics: Of the model revenue_forecast.
        notes: What the model says of itself.
    """
    errors = pd.Series(
        {name.removeprefix("mase_"): value for name, value in metrics.items() if name.startswith("mase_")}, dtype=float
    )
    if errors.empty:
        return Chart("Revenue forecast", notes or "There is too little history to try the forecast on.")
    errors = errors.sort_values(ascending=False, kind="stable")
    names = [name.replace("_", " ") for name in errors.index]
    used = str(metrics.get("method", ""))
    figure = bars_with_names(names, tickformat=".2f", title_text="MASE, less is better", rangemode="tozero")
    figure.add_bar(
        y=names,
        x=errors.round(6).tolist(),
        orientation="h",
        marker_color=[BLUE if name == used else GREY for name in errors.index],
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
    figure.add_vline(x=1, line={"color": ORANGE, "dash": "dash", "width": 1.5})
    title = "Revenue forecast"
    if used in errors.index:
        title += f" by {used.replace('_', ' ')}: error {errors[used]:.2f}"
        naive = errors.get("seasonal_naive")
        if naive is not None and used != "seasonal_naive":
            title += f", against {naive:.2f} of the same weekday a week before"
    coverage = metrics.get("coverage")
    if coverage is not None:
        title += f"; {coverage:.0%} of days within the 90 % interval"
    return Chart(
        title=title,
        note=(
            f"{counted(metrics['origins'], 'origin')} four weeks apart in {counted(metrics['days'], 'day')}, each "
            "forecast with what was known by then. MASE: mean absolute error over that of repeating the same weekday "
            f"in the days known, which is 1.{f' {notes}' if notes else ''}"
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Method": names,
                "MASE": errors.map("{:.4f}".format),
                "In use": ["yes" if name == used else "no" for name in errors.index],
            }
        ).iloc[::-1],
    )


def drift(shifts: pd.DataFrame) -> Chart:
    """How far today's features have moved from those the churn model was trained on.

    Args:
        shifts: horizon_days, feature, psi, bound, grows_by_itself; one row a horizon and feature.
    """
    horizons = sorted(set(shifts["horizon_days"]), key=lambda days: (days != _HORIZON, days))
    if not horizons:
        return Chart("Drift", "There is nothing to compare: no churn model has been trained.")
    views = {f"{days} days": _drift(shifts[shifts["horizon_days"] == days], f"{days} days") for days in horizons}
    return switched(views, "Horizon")


def _drift(shifts: pd.DataFrame, horizon: str) -> Chart:
    judged = shifts[~shifts["grows_by_itself"].astype(bool)]
    beyond = judged[judged["psi"] > judged["bound"]].sort_values(["psi", "feature"], ascending=[False, True])
    shown = judged.sort_values(["psi", "feature"], ascending=[False, True]).head(_FEATURES).iloc[::-1]
    if shown.empty:
        return Chart(f"Drift, {horizon}", "There is nothing to compare.")
    names = [name.replace("_", " ") for name in shown["feature"]]
    figure = bars_with_names(names, tickformat=".2f", title_text="PSI", rangemode="tozero")
    figure.add_bar(
        y=names,
        x=shown["psi"].round(6).tolist(),
        orientation="h",
        marker_color=[ORANGE if psi > bound else GREY for psi, bound in zip(shown["psi"], shown["bound"], strict=True)],
        hovertemplate="%{y}: PSI %{x:.3f}<extra></extra>",
    )
    bound = float(shown["bound"].iloc[0])
    figure.add_vline(x=bound, line={"color": ORANGE, "dash": "dash", "width": 1.5})
    largest = shown.iloc[-1]
    title = (
        f"{horizon}: {counted(len(beyond), 'feature')} moved away from training: {listed(_plain(beyond['feature']))}"
        if len(beyond)
        else f"{horizon}: no feature moved away from training; {_plain([largest['feature']])[0]} did most, PSI "
        f"{largest['psi']:.3f}"
    )
    left = _plain(shifts.loc[shifts["grows_by_itself"].astype(bool), "feature"])
    return Chart(
        title=title,
        note=(
            f"Population stability index of {counted(len(judged), 'feature')} and of the scores, today against "
            f"training; beyond {bound:g}, the dashed line, a model may no longer fit."
            + (f" Left out, as it grows with the calendar alone: {listed(left)}." if left else "")
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Feature": _plain(shifts.sort_values(["psi", "feature"], ascending=[False, True])["feature"]),
                "PSI": shifts.sort_values(["psi", "feature"], ascending=[False, True])["psi"].map("{:.3f}".format),
            }
        ),
    )


def _plain(names: Sequence[str] | pd.Series) -> list[str]:
    return [str(name).replace("_", " ") for name in names]


_GRADES = {
    "Precision": ("found", "true_found", "findings that are true"),
    "Recall": ("planted", "planted_found", "planted effects that were found"),
}


def scorecard(grades: pd.DataFrame) -> Chart:
    """How the detectors did on what was planted; only a synthetic business has such a truth.

    Args:
        grades: As ml.scorecard.
    """
    if grades.empty:
        return Chart(
            "Scorecard",
            "Detectors are graded where the truth is known: on the synthetic business, in which it was planted. This "
            "is real data: nobody knows its truth, and no grade is made up.",
        )
    whole = grades[grades["effect"].eq("all")]
    bounded = grades[grades["passed"].notna()]
    kept = int(bounded["passed"].astype(bool).sum())
    verdict = f"Planted truth: {kept} of {counted(len(bounded), 'grade')} in their bounds"
    missed = bounded[~bounded["passed"].astype(bool)]
    if len(missed):
        verdict += f"; not {listed(sorted(set(_plain(missed['detector']))))}"
    views = {name: _graded(whole, verdict, name.lower()) for name in _GRADES}
    return switched(views, "Grade")


def _graded(whole: pd.DataFrame, verdict: str, grade: str) -> Chart:
    of, hits, what = _GRADES[grade.capitalize()]
    known = whole[whole[grade].notna()].iloc[::-1]
    names = _plain(known["detector"])
    figure = bars_with_names(names, tickformat=".0%", range=[0, 1.03])
    figure.add_scatter(
        y=[shortened(name) for name in names],
        x=known[grade].round(6).tolist(),
        mode="markers",
        marker={"color": BLUE, "size": 10},
        error_x=error_bars(known[grade], known[f"{grade}_low"], known[f"{grade}_high"]),
        customdata=np.stack([known[hits].astype(float), known[of].astype(float)], axis=-1).tolist(),
        hovertemplate="%{y}: %{x:.0%}, %{customdata[0]:,.0f} of %{customdata[1]:,.0f}<extra></extra>",
        showlegend=False,
    )
    figure.update_yaxes(showgrid=True)
    total, found = whole[of].fillna(0).sum(), whole[hits].fillna(0).sum()
    return Chart(
        title=f"{verdict}; {grade} {share(found, total)}" if total else f"{verdict}; {grade} of nothing",
        note=(
            f"{grade.capitalize()}: {what}, {found:,.0f} of {total:,.0f} over {counted(len(whole), 'detector')}; lines "
            "are 95 % intervals. A detector without any has no dot."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Detector": _plain(whole["detector"]),
                "Planted": whole["planted"].map("{:,.0f}".format),
                "Of these found": whole["planted_found"].map("{:,.0f}".format),
                "Found": whole["found"].fillna(0).map("{:,.0f}".format),
                "Of these true": whole["true_found"].fillna(0).map("{:,.0f}".format),
                "95 % interval of the " + grade: [
                    "" if pd.isna(low) else f"{low:.0%} to {high:.0%}"
                    for low, high in zip(whole[f"{grade}_low"], whole[f"{grade}_high"], strict=True)
                ],
            }
        ),
    )


def scorecard_by_effect(grades: pd.DataFrame) -> Chart:
    """How much of what was planted is found, by the size of the effect.

    Args:
        grades: As ml.scorecard.
    """
    bands = grades[grades["effect"].notna() & grades["effect"].ne("all") & grades["recall"].notna()]
    if bands.empty:
        return Chart("Found by size of the effect", "Known on the synthetic business alone.")
    bands = bands.assign(size=bands.groupby("detector", sort=False).cumcount())
    sizes = ("smallest third", "middle third", "largest third")
    figure = bars_with_names(
        list(bands["detector"].unique()), len(bands) * 0.7, title_text="found", tickformat=".0%", range=[0, 1.03]
    )
    for place, (size, colour) in enumerate(zip(sizes, (GREY, ORANGE, BLUE), strict=True)):
        rows = bands[bands["size"] == place]
        figure.add_bar(
            y=_plain(rows["detector"]),
            x=rows["recall"].round(6).tolist(),
            orientation="h",
            name=size,
            marker_color=colour,
            customdata=[
                f"{found:.0f} of {planted:.0f}, effects {effect}"
                for found, planted, effect in zip(rows["planted_found"], rows["planted"], rows["effect"], strict=True)
            ],
            hovertemplate="%{y}: %{x:.0%}, %{customdata}<extra></extra>",
        )
    figure.update_layout(barmode="group", showlegend=True)
    figure.update_yaxes(autorange="reversed")
    totals = bands.groupby("size")[["planted", "planted_found"]].sum()
    said = [
        f"{found:,.0f} of {planted:,.0f} in the {sizes[place]}"
        for place, planted, found in zip(totals.index, totals["planted"], totals["planted_found"], strict=True)
    ]
    return Chart(
        title=f"Planted effects found by their size: {', '.join(said)}",
        note="Each detector's planted effects in three parts by size. What is small cannot be told from chance.",
        figure=figure,
        table=pd.DataFrame(
            {
                "Detector": _plain(bands["detector"]),
                "Effect": bands["effect"].astype(str),
                "Planted": bands["planted"].map("{:,.0f}".format),
                "Found": bands["planted_found"].map("{:,.0f}".format),
            }
        ),
    )
