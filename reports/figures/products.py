"""Figures of products: categories, what changes, what sells together, and one product at a time."""

from __future__ import annotations

import pandas as pd

from reports.blocks import Chart, Option
from reports.figures.style import (
    AXIS,
    BLUE,
    COLORBAR,
    GREY,
    GRID_AXIS,
    ORANGE,
    SHADES,
    TIME_AXIS,
    blank,
    compared,
    count,
)

_PAIRED = 12
_CHANGES = 20
_VIEWS = 400
_NAME = 22
_NAME_IN_GRID = 16


def short(name: str, longest: int = _NAME) -> str:
    """A name that leaves room for what stands beside it on a telephone."""
    return name if len(name) <= longest else f"{name[: longest - 1].rstrip()}…"


def category_bars(categories: pd.DataFrame) -> Chart:
    """Net revenue and orders by category.

    Args:
        categories: category, revenue, transaction_count, average_transaction_value, customer_count.
    """
    if categories.empty:
        return Chart(
            "Categories: no sale has one",
            "They come from shop.products, or from a category column of the sales.",
            is_half=True,
        )
    rows = categories.sort_values(["revenue", "category"], ascending=[True, False])
    measures = {
        "net revenue": ("revenue", "{:,.0f}"),
        "orders": ("transaction_count", "{:,.0f}"),
        "customers": ("customer_count", "{:,.0f}"),
        "average per order": ("average_transaction_value", "{:,.2f}"),
    }
    options = []
    for name, (column, form) in measures.items():
        values = rows[column].astype(float)
        top = rows.loc[values.idxmax(), "category"]
        share = f", {values.max() / values.sum():.0%} of all" if column == "revenue" and values.sum() > 0 else ""
        options.append(
            Option(
                name=name,
                title=f"{top} leads by {name}: {form.format(values.max())}{share}",
                note=f"{count(len(rows), 'category', 'categories')}, since the first sale, returns taken off revenue.",
                traces=[{"x": values.round(2).tolist()}],
                layout={},
                table=pd.DataFrame(
                    {"Category": rows["category"], name.capitalize(): [form.format(value) for value in values]}
                ).iloc[::-1],
            )
        )
    figure = blank(110 + 32 * len(rows))
    figure.add_bar(
        y=[short(name) for name in rows["category"]],
        x=options[0].traces[0]["x"],
        orientation="h",
        marker_color=BLUE,
        hovertemplate="%{y}: %{x:,.2f}<extra></extra>",
    )
    figure.update_xaxes(AXIS, nticks=5, tickformat="~s")
    figure.update_yaxes(AXIS, ticksuffix=" ")
    first = options[0]
    return Chart(first.title, first.note, figure, first.table, options, "Show", is_half=True)


def level_changes(changes: pd.DataFrame) -> Chart:
    """Products that have settled at another level of sales, the latest change of each.

    Args:
        changes: product_id, name, changed_on, units_per_week_before, units_per_week_after, change_ratio; significant
            ones only.
    """
    latest = changes.sort_values(["product_id", "changed_on"]).drop_duplicates("product_id", keep="last")
    if latest.empty:
        return Chart(
            "No product has moved to another level of sales",
            "Weekly units of every product that sells enough are searched for lasting changes; chance is kept at 5 %.",
            is_half=True,
        )
    up, down = int((latest["change_ratio"] > 0).sum()), int((latest["change_ratio"] < 0).sum())
    drawn = latest.reindex(latest["change_ratio"].abs().sort_values(ascending=False, kind="stable").index).head(
        _CHANGES
    )
    drawn = drawn.sort_values(["change_ratio", "product_id"])
    figure = blank(110 + 28 * len(drawn))
    figure.add_bar(
        y=[short(name) for name in drawn["name"]],
        x=drawn["change_ratio"].round(4).tolist(),
        orientation="h",
        marker_color=[BLUE if ratio > 0 else ORANGE for ratio in drawn["change_ratio"]],
        customdata=[f"{day:%-d %b %Y}" for day in pd.to_datetime(drawn["changed_on"])],
        hovertemplate="%{y}: %{x:+.0%} since %{customdata}<extra></extra>",
    )
    figure.update_xaxes(AXIS, tickformat="+.0%", nticks=5, title_text="change in units a week")
    figure.update_yaxes(AXIS, ticksuffix=" ")
    some = "" if len(drawn) == len(latest) else f"; the {len(drawn)} largest changes are drawn"
    return Chart(
        title=f"{count(up, 'product')} sell{'s' if up == 1 else ''} more than before, {down:,} less",
        note=f"Lasting changes in units a week, the last one of each product{some}.",
        figure=figure,
        table=pd.DataFrame(
            {
                "Product": drawn["name"],
                "Since": [f"{day:%Y-%m-%d}" for day in pd.to_datetime(drawn["changed_on"])],
                "Units a week before": [f"{value:,.1f}" for value in drawn["units_per_week_before"]],
                "After": [f"{value:,.1f}" for value in drawn["units_per_week_after"]],
                "Change": [f"{value:+.0%}" for value in drawn["change_ratio"]],
            }
        ).iloc[::-1],
        is_half=True,
    )


def pair_heatmap(pairs: pd.DataFrame, names: pd.Series) -> Chart:
    """How much more often than by chance products are bought in one order.

    Args:
        pairs: product_id_a, product_id_b, pair_orders, lift, is_associated (beyond chance); every pair once.
        names: Name by product_id.
    """
    if pairs.empty:
        return Chart(
            "Pairs: no two products have been bought in one order often enough",
            "They need orders with more than one product.",
        )
    ranked = pairs.sort_values(
        ["is_associated", "lift", "product_id_a", "product_id_b"], ascending=[False, False, True, True]
    )
    drawn = list(dict.fromkeys(ranked[["product_id_a", "product_id_b"]].to_numpy().ravel()))[:_PAIRED]
    # Both triangles, so that a row can be read across.
    both = pd.concat([pairs, pairs.rename(columns={"product_id_a": "product_id_b", "product_id_b": "product_id_a"})])
    wide = both.pivot_table(index="product_id_a", columns="product_id_b", values="lift").reindex(
        index=drawn, columns=drawn
    )
    # Numbers for the columns: names beside both axes leave no room for the cells on a telephone.
    titles = [str(names.get(product, product)) for product in drawn]
    figure = blank(130 + 26 * len(drawn))
    figure.add_heatmap(
        x=[str(place + 1) for place in range(len(drawn))],
        y=[f"{short(title, _NAME_IN_GRID)} {place + 1}" for place, title in enumerate(titles)],
        customdata=[[f"{one} + {other}" for other in titles] for one in titles],
        z=[[None if pd.isna(value) else round(value, 3) for value in row] for row in wide.to_numpy()],
        colorscale=SHADES,
        zmin=1,
        xgap=1,
        ygap=1,
        colorbar={**COLORBAR, "tickformat": ".1f"},
        hoverongaps=False,
        hovertemplate="%{customdata}: %{z:.2f} times as often as by chance<extra></extra>",
    )
    figure.update_layout(margin_r=8)
    figure.update_xaxes(GRID_AXIS, type="category", side="top", dtick=1)
    figure.update_yaxes(GRID_AXIS, autorange="reversed", ticksuffix=" ", type="category")
    found = int(ranked["is_associated"].sum())
    top = ranked.iloc[0]
    best = " and ".join(str(names.get(top[column], top[column])) for column in ("product_id_a", "product_id_b"))
    table = ranked.head(_CHANGES)
    return Chart(
        title=(
            f"{best} sell together {top['lift']:.1f} times as often as by chance"
            if found
            else "No pair of products sells together more often than chance explains"
        ),
        note=(
            f"Lift: 1 is chance. {count(len(pairs), 'pair')} bought together, {found:,} of them beyond chance after "
            f"correction for their number; the {len(drawn)} products of the strongest pairs are drawn."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Product": [str(names.get(product, product)) for product in table["product_id_a"]],
                "With": [str(names.get(product, product)) for product in table["product_id_b"]],
                "Orders with both": [f"{value:,}" for value in table["pair_orders"]],
                "Lift": [f"{value:.2f}" for value in table["lift"]],
                "Beyond chance": ["yes" if value else "no" for value in table["is_associated"]],
            }
        ),
    )


def product_months(months: pd.DataFrame, products: pd.DataFrame) -> Chart:
    """Units by complete month, a product at a time, those of most revenue first.

    Args:
        months: product_id, month, units, net_revenue; complete months only.
        products: product_id, name, revenue_rank.
    """
    chosen = products.sort_values("revenue_rank").head(_VIEWS)
    wide = months.assign(month=pd.to_datetime(months["month"])).pivot_table(
        index="month", columns="product_id", values=["units", "net_revenue"], aggfunc="sum", fill_value=0
    )
    if wide.empty:
        return Chart(
            "Products by month: no calendar month is complete yet", "The first complete month of sales draws a bar."
        )
    # Months without any sale are months all the same.
    wide = wide.reindex(pd.date_range(wide.index.min(), wide.index.max(), freq="MS"), fill_value=0)
    days = [f"{day:%Y-%m-%d}" for day in wide.index]
    options = []
    sold = set(wide["units"].columns)
    left_out = f" To choose from: the {_VIEWS} products of most revenue." if len(products) > _VIEWS else ""
    for product in chosen.itertuples(index=False):
        units = wide["units"][product.product_id] if product.product_id in sold else pd.Series(0.0, wide.index)
        revenue = wide["net_revenue"][product.product_id] if product.product_id in sold else units
        last = float(units.iloc[-1])
        title = f"{product.name}: {last:,.0f} sold in {wide.index[-1]:%B %Y}"
        if len(units) > 12 and units.iloc[-13] > 0:
            title += f", {compared(last / float(units.iloc[-13]) - 1)} a year before"
        options.append(
            Option(
                name=f"{product.name} ({product.product_id})",
                title=title,
                note=f"Units in {count(len(days), 'complete month')}; returned ones are not taken off.{left_out}",
                traces=[{"y": units.astype(float).round(2).tolist()}],
                table=pd.DataFrame(
                    {
                        "Month": [day[:7] for day in days],
                        "Units": [f"{value:,.0f}" for value in units],
                        "Net revenue": [f"{value:,.2f}" for value in revenue],
                    }
                ),
            )
        )
    if not options:
        return Chart("Products by month: no product is known", "They come with a product_id in the sales.")
    figure = blank()
    figure.add_bar(
        x=days,
        y=options[0].traces[0]["y"],
        marker_color=BLUE,
        hovertemplate="%{x|%b %Y}: %{y:,.0f} units<extra></extra>",
    )
    figure.update_xaxes(TIME_AXIS, type="date")
    figure.update_yaxes(AXIS, title_text="units a month", rangemode="tozero", nticks=6, tickformat="~s")
    first = options[0]
    return Chart(first.title, first.note, figure, first.table, options, "Product")


def monthly_trends(trends: pd.DataFrame) -> Chart:
    """Products by whether the month differs from the one before, month by month.

    Args:
        trends: month, direction (up, down, flat), is_significant.
    """
    if trends.empty:
        return Chart(
            "Month against month: two complete months are needed",
            "Every product's complete month is compared with the one before.",
        )
    found = trends[trends["is_significant"].astype(bool)]
    months = sorted(pd.to_datetime(trends["month"]).unique())
    counts = {
        direction: found[found["direction"] == direction]
        .assign(month=pd.to_datetime(found["month"]))
        .groupby("month")
        .size()
        .reindex(months, fill_value=0)
        for direction in ("up", "down")
    }
    names = [f"{month:%Y-%m-%d}" for month in months]
    figure = blank()
    for direction, colour, sign in (("up", BLUE, 1), ("down", ORANGE, -1)):
        figure.add_bar(
            x=names,
            y=(sign * counts[direction]).tolist(),
            customdata=counts[direction].tolist(),
            name=f"products {direction}",
            marker_color=colour,
            hovertemplate=f"%{{x|%b %Y}}: %{{customdata}} {direction}<extra></extra>",
        )
    figure.update_layout(barmode="relative", showlegend=True)
    figure.update_xaxes(TIME_AXIS)
    figure.update_yaxes(AXIS, title_text="products", nticks=5, zerolinecolor=GREY)
    last = months[-1]
    up, down = (int(counts[direction].iloc[-1]) for direction in ("up", "down"))
    return Chart(
        title=(
            f"{pd.Timestamp(last):%B %Y}: {count(up, 'product')} up on the month before, {down:,} down"
            if up or down
            else f"{pd.Timestamp(last):%B %Y}: no product differs from the month before by more than chance explains"
        ),
        note=(
            f"Products whose units differ from the month before by more than chance explains, of "
            f"{count(int((pd.to_datetime(trends['month']) == last).sum()), 'product')} compared; complete months only."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Month": [name[:7] for name in names],
                "Up": [f"{value:,}" for value in counts["up"]],
                "Down": [f"{value:,}" for value in counts["down"]],
            }
        ),
        is_half=True,
    )
