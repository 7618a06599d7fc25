"""Charts of the web page: how far visits come, carts left behind, personas, and who came close to an order.

Frames in, charts out. What a cart, a persona or an intent is was decided upstream; personas bring their colours.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from reports.blocks import Chart
from reports.figures.findings import (
    RECENT_DAYS,
    add_interval,
    bars_with_names,
    counted,
    last_days,
    leaders,
    listed,
    monthly,
    plane,
    share,
    share_interval,
    shares_differ,
    shortened,
    switched,
    timeline,
)
from reports.figures.style import BLUE, GREEN, GREY, OCHRE, ORANGE, PURPLE, amount

NO_VISITS = (
    "There are no visits: add web.sessions (session_id, started_at) to landing/, and web.events for what was done."
)
_STEPS = {
    "session_count": "visit",
    "product_view_count": "product page",
    "cart_count": "cart",
    "purchase_count": "order",
}
_DEVICE_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, OCHRE, GREY)
_MONTHS = 24
_WEEKS = 52
LIKELY = 50
"""Scores from here on came close to an order."""
_ALL = "all devices"


def funnel(days: pd.DataFrame, as_of: pd.Timestamp) -> Chart:
    """How far the visits of the recent past came, by device.

    Args:
        days: session_date, device_type, session_count, product_view_count, cart_count, purchase_count.
        as_of: The day everything was computed for.
    """
    recent = last_days(days, "session_date", as_of, RECENT_DAYS)
    steps = recent.groupby("device_type")[list(_STEPS)].sum()
    if not len(days):
        return Chart("From visit to order", NO_VISITS)
    if steps.empty:
        return Chart("From visit to order", f"There was no visit in the last {RECENT_DAYS} days.")
    steps = steps.sort_values("session_count", ascending=False, kind="stable")
    names = [name.replace(" ", "<br>") for name in _STEPS.values()]
    figure = plane("", "share of visits", tickformat=".0%", range=[0, 1.03])
    for device, colour in zip(steps.index, _colours(len(steps)), strict=True):
        counts = steps.loc[device]
        figure.add_bar(
            x=names,
            y=(counts / counts["session_count"]).round(6).tolist(),
            name=shortened(str(device)),
            marker_color=colour,
            customdata=counts.tolist(),
            hovertemplate=f"{device}, %{{x}}: %{{y:.1%}}, %{{customdata:,}} visits<extra></extra>",
        )
    figure.update_layout(barmode="group", showlegend=True)
    total = steps.sum()
    return Chart(
        title=_funnel_finding(total, steps),
        note=(
            f"{counted(total['session_count'], 'visit')} of the last {RECENT_DAYS} days: share that came as far as a "
            "product page, a cart and an order, by device."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Device": [*map(str, steps.index), _ALL],
                **{
                    f"As far as: {name}": [
                        f"{value:,} ({share(value, whole)})"
                        for value, whole in zip(
                            [*steps[column], total[column]],
                            [*steps["session_count"], total["session_count"]],
                            strict=True,
                        )
                    ]
                    for column, name in _STEPS.items()
                },
            }
        ),
    )


def _colours(number: int) -> list[str]:
    return [_DEVICE_COLOURS[place % len(_DEVICE_COLOURS)] for place in range(number)]


def _funnel_finding(total: pd.Series, steps: pd.DataFrame) -> str:
    visits, bought = total["session_count"], total["purchase_count"]
    if not bought:
        return f"None of {counted(visits, 'visit')} in the last {RECENT_DAYS} days ended in an order"
    finding = f"{share(bought, visits)} of {counted(visits, 'visit')} ended in an order"
    counts = total[list(_STEPS)].tolist()
    lost = {
        after: before - now for before, now, after in zip(counts, counts[1:], list(_STEPS.values())[1:], strict=False)
    }
    largest = max(lost, key=lambda step: lost[step])
    if lost[largest]:
        finding += f"; most are lost before the {largest}"
    best, worst = (
        steps.assign(rate=steps["purchase_count"] / steps["session_count"]).sort_values("rate").iloc[place]
        for place in (-1, 0)
    )
    pairs = (best["purchase_count"], best["session_count"], worst["purchase_count"], worst["session_count"])
    if shares_differ(*pairs):
        finding += f", and {worst.name} ({share(*pairs[2:])}) clearly sells less than {best.name} ({share(*pairs[:2])})"
    return finding


def conversion(days: pd.DataFrame, as_of: pd.Timestamp) -> Chart:
    """Share of visits with an order by week, of all devices or one.

    Args:
        days: As in `funnel`.
        as_of: The day everything was computed for.
    """
    if days.empty:
        return Chart("Conversion", NO_VISITS)
    sizes = days.groupby("device_type")["session_count"].sum().sort_values(ascending=False, kind="stable")
    devices = [str(device) for device in sizes.index]
    views = {_ALL: _conversion_of(days, _ALL, as_of)}
    if len(devices) > 1:
        views |= {device: _conversion_of(days[days["device_type"] == device], device, as_of) for device in devices}
    return switched(views, "Device")


def _conversion_of(days: pd.DataFrame, device: str, as_of: pd.Timestamp) -> Chart:
    weekly = _weekly(days, "session_date", ["session_count", "purchase_count"], as_of)
    rate = weekly["purchase_count"] / weekly["session_count"].where(weekly["session_count"] > 0)
    low, high = share_interval(weekly["purchase_count"], weekly["session_count"])
    ends = pd.DatetimeIndex(weekly.index).strftime("%Y-%m-%d").tolist()
    figure = timeline("visits with an order", tickformat=".0%")
    add_interval(figure, ends, low, high)
    figure.add_scatter(
        x=ends,
        y=[None if pd.isna(value) else round(value, 6) for value in rate],
        mode="lines+markers",
        marker={"size": 4},
        line={"color": BLUE, "width": 2},
        name="share of visits with an order",
        customdata=weekly["session_count"].tolist(),
        hovertemplate="week to %{x|%-d %b %Y}: %{y:.1%} of %{customdata:,} visits<extra></extra>",
    )
    figure.update_layout(showlegend=True)
    of = "" if device == _ALL else f", {device}"
    columns = ["purchase_count", "session_count"]
    now, before = (
        last_days(days, "session_date", as_of, RECENT_DAYS, ago)[columns].sum().tolist() for ago in (0, RECENT_DAYS)
    )
    return Chart(
        title=f"Conversion{of}: {_conversion_finding(now, before)}",
        note=(
            f"Visits that ended in an order, per visit, by week to {as_of:%-d %B %Y}: "
            f"{counted(weekly['session_count'].sum(), 'visit')}{of}. The band is the 95 % interval."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Week to": ends,
                "Visits": weekly["session_count"].map("{:,}".format).to_list(),
                "With an order": weekly["purchase_count"].map("{:,}".format).to_list(),
                "Conversion": ["" if pd.isna(value) else f"{value:.1%}" for value in rate],
            }
        ).iloc[::-1],
    )


def _conversion_finding(now: list[float], before: list[float]) -> str:
    if not now[1]:
        return f"no visit in the last {RECENT_DAYS} days"
    finding = f"{share(*now)} of the visits of the last {RECENT_DAYS} days"
    if not before[1]:
        return finding
    if shares_differ(*now, *before):
        word = "more" if now[0] / now[1] > before[0] / before[1] else "less"
        return f"{finding}, clearly {word} than the {share(*before)} of the {RECENT_DAYS} days before"
    return f"{finding}, no clear change from the {share(*before)} of the {RECENT_DAYS} days before"


def _weekly(days: pd.DataFrame, day: str, columns: list[str], as_of: pd.Timestamp) -> pd.DataFrame:
    """Sums by week to as_of, at most a year, whole weeks only unless there is none; by the week's last day."""
    dates = pd.to_datetime(days[day])
    weeks_ago = (as_of - dates).dt.days // 7
    weekly = days[columns].groupby(weeks_ago).sum()
    whole = ((as_of - dates.min()).days + 1) // 7
    span = range(min(max(whole, 1), _WEEKS))
    weekly = weekly.reindex(span, fill_value=0).sort_index(ascending=False)
    weekly.index = pd.DatetimeIndex([as_of - pd.Timedelta(weeks=int(week)) for week in weekly.index])
    return weekly


def carts(months: pd.DataFrame, as_of: pd.Timestamp) -> Chart:
    """Carts left behind by month, of all devices or one.

    Args:
        months: month, device_type, cart_count, abandoned_cart_count, abandoned_cart_value, recovered_cart_count.
        as_of: The day everything was computed for.
    """
    if months.empty:
        return Chart("Carts left behind", f"There are no carts. {NO_VISITS}")
    sizes = months.groupby("device_type")["cart_count"].sum().sort_values(ascending=False, kind="stable")
    views = {_ALL: _carts_of(months, _ALL, as_of)}
    if len(sizes) > 1:
        views |= {
            str(device): _carts_of(months[months["device_type"] == device], str(device), as_of)
            for device in sizes.index
        }
    return switched(views, "Device")


def _carts_of(months: pd.DataFrame, device: str, as_of: pd.Timestamp) -> Chart:
    columns = ["cart_count", "abandoned_cart_count", "abandoned_cart_value", "recovered_cart_count"]
    firsts, counts = monthly(months, "month", columns, _MONTHS)
    left = counts["abandoned_cart_count"]
    rate = left / counts["cart_count"]
    low, high = share_interval(left, counts["cart_count"])
    starts = firsts.strftime("%Y-%m-%d").tolist()
    figure = timeline("carts", tickformat="~s")
    bought = counts["cart_count"] - left
    recovered = counts["recovered_cart_count"]
    parts = {
        "bought": (bought, BLUE),
        "left, ordered within 7 days": (recovered, OCHRE),
        "left": (left - recovered, ORANGE),
    }
    for name, (values, colour) in parts.items():
        figure.add_bar(
            x=starts,
            y=values.tolist(),
            name=name,
            marker_color=colour,
            hovertemplate=f"%{{x|%B %Y}}: %{{y:,}} {name}<extra></extra>",
        )
    figure.update_layout(barmode="stack", showlegend=True, legend_traceorder="normal")
    month_ends = firsts + pd.offsets.MonthEnd(0)
    complete = counts[month_ends <= as_of]
    last = (complete if len(complete) else counts).iloc[-1]
    begun = "" if len(complete) else " so far"
    # Carts of the month's last days have not had their seven days yet.
    yet = "" if pd.Timestamp(str(last.name)) + pd.offsets.MonthEnd(0) + pd.Timedelta(days=7) <= as_of else " so far"
    of = "" if device == _ALL else f", {device}"
    worth = f", worth {amount(last['abandoned_cart_value'])}" if last["abandoned_cart_value"] > 0 else ""
    back = f"; {share(last['recovered_cart_count'], last['abandoned_cart_count'])} of these ordered within 7 days{yet}"
    return Chart(
        title=(
            f"Carts in {last.name:%B %Y}{begun}{of}: {share(last['abandoned_cart_count'], last['cart_count'])} of "
            f"{counted(last['cart_count'], 'cart')} left behind{worth}{back if last['abandoned_cart_count'] else ''}"
        ),
        note=(
            f"{counted(counts['cart_count'].sum(), 'visit')} with a cart{of}, by month. A cart is left when the visit "
            "ends without an order; values in the currency of the sales data, where visits carry one."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Month": firsts.strftime("%Y-%m"),
                "Carts": counts["cart_count"].map("{:,}".format).to_list(),
                "Left behind": left.map("{:,}".format).to_list(),
                "Share": [f"{value:.1%} ({a:.0%} to {b:.0%})" for value, a, b in zip(rate, low, high, strict=True)],
                "Value left": counts["abandoned_cart_value"].map("{:,.0f}".format).to_list(),
                "Ordered within 7 days": recovered.map("{:,}".format).to_list(),
            }
        ).iloc[::-1],
    )


_PERSONA_VIEWS: Mapping[str, tuple[str, str, str]] = {
    "Customers": ("customer_share", ".0%", "share of customers"),
    "Conversion": ("conversion_rate", ".0%", "visits of the last 90 days with an order"),
    "Value a customer": ("average_lifetime_value", ",.0f", "expected value of the next 365 days a customer"),
    "Net revenue so far": ("net_revenue", "~s", "net revenue of the customers so far"),
}


def personas(people: pd.DataFrame) -> Chart:
    """Who visits: size, conversion and value of each persona, in the personas' colours.

    Args:
        people: persona, display_order, description, colour, customer_count, customer_share, session_count,
            conversion_rate, net_revenue, average_lifetime_value; one row a persona.
    """
    if not people["customer_count"].sum():
        return Chart(
            "Personas",
            "There are too few customers with visits to tell personas apart. Visits belong to a customer by "
            "web.sessions.customer_id.",
        )
    people = people.sort_values("display_order")
    return switched({name: _personas_by(people, name) for name in _PERSONA_VIEWS}, "Figure")


def _personas_by(people: pd.DataFrame, view: str) -> Chart:
    column, tick, axis_title = _PERSONA_VIEWS[view]
    known = people[people[column].notna()]
    if known.empty:
        return Chart(f"Personas: {view}", "Not known.")
    upwards = people.iloc[::-1]
    figure = bars_with_names(upwards["persona"].tolist(), tickformat=tick, title_text=axis_title, rangemode="tozero")
    text = {".0%": ".1%"}.get(tick, ",.0f")
    figure.add_bar(
        y=upwards["persona"].tolist(),
        x=[None if pd.isna(value) else round(float(value), 6) for value in upwards[column]],
        orientation="h",
        marker_color=upwards["colour"].tolist(),
        customdata=upwards["customer_count"].tolist(),
        hovertemplate=f"%{{y}}: %{{x:{text}}}, %{{customdata:,}} customers<extra></extra>",
    )
    top = leaders(known, "persona", column)
    best = known[known["persona"] == top[0]].iloc[0]
    total, revenue = people["customer_count"].sum(), people["net_revenue"].sum()
    of_customers = f"{share(best['customer_count'], total)} of customers"
    if len(top) > 1:
        title = f"{listed(top)} come first together: {axis_title}"
    elif column == "customer_share":
        title = f"{top[0]} is the most frequent persona: {share(best['customer_count'], total)} of {total:,} customers"
    elif column == "conversion_rate":
        title = f"{top[0]} visits end in an order most often: {best[column]:.0%} of {best['session_count']:,}"
    elif column == "net_revenue":
        held = f", {share(best['net_revenue'], revenue)} of net revenue" if revenue > 0 else ""
        title = f"{top[0]}: {of_customers}{held}"
    else:
        title = f"{top[0]} is worth most: {amount(best[column])} a customer in the next 365 days, {of_customers}"
    return Chart(
        title=title,
        note=(
            f"{counted(total, 'customer')} with a visit in the last 365 days, and "
            f"{counted(people['session_count'].sum(), 'visit')} of the last 90. Value and revenue in the currency of "
            "the sales data."
        ),
        figure=figure,
        table=_persona_table(people),
    )


def _persona_table(people: pd.DataFrame) -> pd.DataFrame:
    def shown(column: str, pattern: str) -> list[str]:
        return ["" if pd.isna(value) else pattern.format(value) for value in people[column]]

    return pd.DataFrame(
        {
            "Persona": people["persona"],
            "Customers": shown("customer_count", "{:,}"),
            "Share": shown("customer_share", "{:.1%}"),
            "Visits in 90 days": shown("session_count", "{:,}"),
            "Conversion": shown("conversion_rate", "{:.1%}"),
            "Value a customer": shown("average_lifetime_value", "{:,.2f}"),
            "Net revenue so far": shown("net_revenue", "{:,.0f}"),
            "Who": people["description"],
        }
    )


def intent(bands: pd.DataFrame) -> Chart:
    """How close to an order the visits of customers came, and who has not ordered since.

    Args:
        bands: lower (0, 10, ... 90), has_ordered (on the day of the last visit, or later), customer_count; one row a
            band of the intent score and answer that has customers.
    """
    if bands.empty:
        return Chart(
            "Who came close to an order", f"No customer is known to have visited in the last {RECENT_DAYS} days."
        )
    ordered = bands["has_ordered"].astype(bool)
    parts = {
        "no order since": (bands[~ordered], BLUE),
        "has ordered": (bands[ordered], GREY),
    }
    counts = {
        name: part.set_index("lower")["customer_count"].reindex(range(0, 100, 10), fill_value=0)
        for name, (part, _) in parts.items()
    }
    figure = plane("intent score", "customers", tickformat="~s")
    for name, (_, colour) in parts.items():
        figure.add_bar(
            x=[lower + 5 for lower in counts[name].index],
            y=counts[name].tolist(),
            width=9,
            name=name,
            marker_color=colour,
            customdata=[f"{lower} to {lower + 10}" for lower in counts[name].index],
            hovertemplate=f"score %{{customdata}}: %{{y:,}} customers, {name}<extra></extra>",
        )
    figure.update_layout(barmode="stack", showlegend=True)
    figure.update_xaxes(range=[0, 100], dtick=25)
    total, waiting = int(bands["customer_count"].sum()), counts["no order since"]
    close = int(waiting[waiting.index >= LIKELY].sum())
    return Chart(
        title=(
            f"{close:,} of {counted(total, 'customer')} with recent visits came close to an order and "
            f"{'has' if close == 1 else 'have'} not ordered since"
            if close
            else f"None of {counted(total, 'customer')} with recent visits came close to an order without one since"
        ),
        note=(
            f"Customers with visits in the last {RECENT_DAYS} days by intent score: the probability, in percent, that "
            "one of these visits would end in an order by what was done in it, older visits counting less; close from "
            f"{LIKELY}."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Score": [f"{lower} to {lower + 10}" for lower in waiting.index],
                **{name.capitalize(): counts[name].map("{:,}".format).to_list() for name in parts},
            }
        ).iloc[::-1],
    )
