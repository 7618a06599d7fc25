"""Charts of campaigns on hand-made figures: every number in a title is worked out by hand here."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from reports.blocks import Chart, Listing, Page, Stamp, Table, Tile
from reports.campaigns import campaigns_page
from reports.figures.profit import NO_CAMPAIGNS, NOT_JUDGED, by_campaign, by_part, costs, over_time
from reports.figures.uplift import NO_UPLIFT, message_effect, ranking
from reports.page import render

AS_OF = pd.Timestamp("2026-06-30")


def campaign(name: str, start: str | None, profit: float | None, half: float = 0.0, **more: Any) -> dict[str, Any]:
    return {
        "campaign_id": name,
        "name": name,
        "offer_type": "discount",
        "target_segment": "everyone",
        "starts_on": start and pd.Timestamp(start),
        "treated_count": 100,
        "control_count": 20,
        "incremental_orders": None if profit is None else 5.0,
        "fixed_cost": 30.0,
        "contact_cost": 10.0,
        "discount_given": 100.0,
        "total_cost": 40.0,
        "profit_basis": None if profit is None else "margin",
        "net_profit": profit,
        "net_profit_low": None if profit is None else profit - half,
        "net_profit_high": None if profit is None else profit + half,
        "incremental_retained": None,
        **more,
    }


# Errors of 300 and 400 add up to 500.
TWO = pd.DataFrame([campaign("spring", "2026-03-05", 1000.0, 300.0), campaign("winter", "2025-12-01", -200.0, 400.0)])
OPEN = pd.DataFrame([campaign("june", "2026-06-20", None)]).astype({"net_profit": "float64"})


def drawn(chart: Chart) -> go.Figure:
    assert chart.figure is not None
    return chart.figure


def both(frame: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(frame.to_dict("records") + other.to_dict("records"))


class TestByCampaign:
    def test_together_and_apart(self) -> None:
        chart = by_campaign(TWO)
        assert chart.title == (
            "The 2 judged campaigns together earned 800 more than they cost (95 % interval 300 to 1,300)"
        )
        clear, chance = drawn(chart).data
        assert dict(zip(clear.y, clear.x, strict=True)) == {"all together": 800.0, "spring": 1000.0}
        assert dict(zip(chance.y, chance.x, strict=True)) == {"winter": -200.0}
        assert clear.error_x.array == (500.0, 300.0)
        assert chart.table is not None
        assert chart.table.iloc[-1].tolist() == ["All together", "", "200", "40", "800", "300 to 1,300"]

    def test_what_could_be_chance_is_called_so(self) -> None:
        assert by_campaign(TWO.tail(1)).title == (
            "The one judged campaign: a net profit of -200 (95 % interval -600 to 200), which could be chance"
        )

    def test_a_clear_loss(self) -> None:
        lost = pd.DataFrame([campaign("a", "2026-01-01", -500.0, 100.0)])
        assert by_campaign(lost).title == "The one judged campaign lost 500 (95 % interval -600 to -400)"

    def test_an_interval_that_is_not_known_is_not_made_up(self) -> None:
        one_held_back = pd.DataFrame(
            [campaign("a", "2026-01-01", 50.0, float("nan")), campaign("b", "2026-02-01", 50.0, 1.0)]
        )
        assert by_campaign(one_held_back).title == (
            "The 2 judged campaigns together: a net profit of 100 (no interval is known), which could be chance"
        )

    def test_an_open_one_is_left_out_and_told(self) -> None:
        chart = by_campaign(both(TWO, OPEN))
        assert "The 2 judged campaigns" in chart.title
        assert "1 campaign without control group or with an open window is left out." in chart.note

    def test_campaigns_of_one_name_keep_their_own_lines(self) -> None:
        twins = TWO.assign(name="sale")
        assert {label for trace in drawn(by_campaign(twins)).data for label in trace.y} == {
            "all together",
            "sale",
            "sale (2)",
        }

    def test_nothing_to_judge_is_not_nothing_at_all(self) -> None:
        assert by_campaign(OPEN).note == NOT_JUDGED
        assert by_campaign(TWO.head(0)).note == NO_CAMPAIGNS


PROFITS = pd.DataFrame(
    [
        ("month", "2025-12-01", 1, 40.0, -200.0, -5.0, None),
        ("month", "2026-03-01", 1, 40.0, 1000.0, 25.0, 1200.0),
        ("quarter", "2025-10-01", 1, 40.0, -200.0, -5.0, None),
        ("quarter", "2026-01-01", 1, 40.0, 1000.0, 25.0, 1200.0),
        ("year", "2025-01-01", 1, 40.0, -200.0, -5.0, None),
        ("year", "2026-01-01", 1, 40.0, 1000.0, 25.0, 1200.0),
        ("segment", "everyone", 2, 80.0, 800.0, 10.0, None),
    ],
    columns=["breakdown", "part", "campaign_count", "total_cost", "net_profit", "roi", "net_profit_change"],
)


class TestOverTime:
    def test_each_period(self) -> None:
        assert [(option.name, option.title) for option in over_time(PROFITS, TWO).options] == [
            ("Year", "Campaigns of 2026 made a net profit of 1,000, 1,200 more than in 2025"),
            ("Quarter", "Campaigns of 2026 Q1 made a net profit of 1,000, 1,200 more than in 2025 Q4"),
            ("Month", "Campaigns of Mar 2026 made a net profit of 1,000, 1,200 more than in Dec 2025"),
        ]

    def test_intervals_come_from_the_campaigns(self) -> None:
        bars = drawn(over_time(PROFITS, TWO)).data[0]
        assert bars.error_y.array == (400.0, 300.0)

    def test_a_first_period_that_could_be_chance(self) -> None:
        first = PROFITS[PROFITS["part"].str.startswith("2025")]
        assert over_time(first, TWO.tail(1)).title == (
            "Campaigns of 2025 made a net profit of -200; by itself, it could be chance"
        )

    def test_nothing(self) -> None:
        assert over_time(PROFITS.head(0), OPEN).note == NOT_JUDGED
        assert over_time(PROFITS.head(0), OPEN.head(0)).note == NO_CAMPAIGNS


class TestByPart:
    SEGMENTS = PROFITS[PROFITS["breakdown"] == "segment"]

    def test_the_highest_with_what_it_rests_on(self) -> None:
        chart = by_part(self.SEGMENTS, TWO, "target_segment", "segment")
        assert chart.title == "Profit by segment, highest: everyone with 800 from 2 campaigns"
        assert drawn(chart).data[0].error_x.array == (500.0,)

    def test_chance(self) -> None:
        offers = pd.DataFrame(
            {
                "part": ["loyalty_points"],
                "campaign_count": [1],
                "net_profit": [-200.0],
                "total_cost": [40.0],
                "roi": [-5.0],
            }
        )
        chart = by_part(offers, TWO.tail(1).assign(offer_type="loyalty_points"), "offer_type", "offer")
        assert chart.title == "Profit by offer, highest: loyalty points with -200, which could be chance"

    def test_nothing(self) -> None:
        assert by_part(self.SEGMENTS.head(0), OPEN, "offer_type", "offer").note == NOT_JUDGED


class TestCosts:
    def test_parts(self) -> None:
        chart = costs(TWO)
        assert chart.title == "2 campaigns cost 80: 75% fixed, 25% for messages; discounts of 200 came on top"
        assert [bar.x for bar in drawn(chart).data] == [(30.0, 30.0), (10.0, 10.0), (100.0, 100.0)]

    def test_free_campaigns(self) -> None:
        free = TWO.assign(fixed_cost=None, contact_cost=None, total_cost=0.0, discount_given=0.0)
        assert costs(free).title == "2 campaigns cost 0"


METRICS = {
    "contacts": 120,
    "treated": 100,
    "control": 20,
    "campaigns": 2,
    "average_effect": {"estimate": 0.06, "low": 0.02, "high": 0.1},
    "qini": {"estimate": 0.0026, "low": -0.01, "high": 0.015},
    "qini_above_churn": {"estimate": 0.009, "low": -0.02, "high": 0.04},
    "top_10": {"estimate": 0.2, "low": 0.1, "high": 0.3},
    "top_50": {"estimate": 0.1, "low": 0.05, "high": 0.15},
}
DECILES = pd.DataFrame(
    {
        "uplift_decile": [1, 2],
        "customer_count": [10, 10],
        "contactable_count": [4, 5],
        "uplift": [0.1, 0.02],
        "uplift_low": [0.0, -0.1],
        "uplift_high": [0.2, 0.1],
        "uplift_value": [3.0, 1.0],
    }
)


class TestUplift:
    @pytest.mark.parametrize(
        ("effect", "title"),
        [
            ((0.06, 0.02, 0.1), "A message brings 0.060 extra orders on average (95 % interval 0.020 to 0.100)"),
            ((-0.06, -0.1, -0.02), "A message costs 0.060 orders on average (95 % interval -0.100 to -0.020)"),
            (
                (0.06, -0.02, 0.1),
                "Messages: 0.060 extra orders on average (95 % interval -0.020 to 0.100), which could be chance",
            ),
        ],
    )
    def test_the_average_effect(self, effect: tuple[float, float, float], title: str) -> None:
        metrics = {**METRICS, "average_effect": dict(zip(("estimate", "low", "high"), effect, strict=True))}
        assert message_effect(DECILES, metrics, "").title == title

    def test_everyone_alike_is_one_bar(self) -> None:
        alike = DECILES.head(1).assign(uplift_decile=None)
        assert drawn(message_effect(alike, METRICS, "")).data[0].x == ("everyone",)

    @pytest.mark.parametrize(
        ("ends", "words"),
        [
            ((-0.01, 0.015), "Whether writing to the best-ranked first pays cannot be told yet: Qini 0.0026"),
            ((0.001, 0.015), "Writing to the best-ranked first pays: Qini 0.0026"),
            ((-0.02, -0.01), "Writing to the best-ranked first is worse than by lot: Qini 0.0026"),
        ],
    )
    def test_the_ranking(self, ends: tuple[float, float], words: str) -> None:
        chart = ranking({**METRICS, "qini": {"estimate": 0.0026, "low": ends[0], "high": ends[1]}}, "")
        assert chart.title.startswith(words)
        assert drawn(chart).data[0].x == ("10%", "50%", "all")
        assert drawn(chart).data[0].y == (0.2, 0.1, 0.06)

    def test_without_a_model_its_own_words(self) -> None:
        assert message_effect(DECILES.head(0), {}, "Only 3 contacts.").note == "Only 3 contacts."
        assert ranking({}, "").note == NO_UPLIFT


MESSAGES = pd.DataFrame(
    {
        "campaign_id": ["spring", "winter"],
        "name": ["<i>Spring</i>", None],
        "offer_type": "discount",
        "discount_rate": [0.1, None],
        "target_segment": "everyone",
        "starts_on": pd.to_datetime(["2026-03-05", "2025-12-01"]),
        "control_count": 20,
        "sent_count": [100, 100],
        "converted_count": [10, 2],
        "open_rate": 0.3,
        "click_rate": 0.1,
        "conversion_rate": [0.1, 0.02],
    }
)
SIMPLE = pd.DataFrame({"customer_count": [2], "spend": [1000.0], "cost": [100.0], "net_profit": [900.0], "roi": [9.0]})


def page_of(campaigns: pd.DataFrame, messages: pd.DataFrame, profits: pd.DataFrame, deciles: pd.DataFrame) -> Page:
    incentives = pd.DataFrame(
        {
            "offer_type": ["discount"],
            "judged_campaign_count": [2],
            "campaign_count": [2],
            "total_cost": [80.0],
            "net_profit": [800.0],
            "roi": [10.0],
        }
    )
    return campaigns_page(
        campaigns=campaigns,
        messages=messages,
        profits=profits,
        incentives=incentives if len(campaigns) else incentives.head(0),
        deciles=deciles,
        uplift={"metrics": METRICS if len(deciles) else {}, "notes": ""},
        simple=SIMPLE,
    )


class TestPage:
    def test_tiles_and_the_formula_that_measures_nothing(self) -> None:
        page = page_of(TWO, MESSAGES, PROFITS, DECILES)
        tiles = {
            tile.name: tile
            for section in page.sections
            for block in section.blocks
            if isinstance(block, list)
            for tile in block
        }
        assert all(isinstance(tile, Tile) for tile in tiles.values())
        assert (tiles["Net profit"].value, tiles["Net profit"].note) == ("800", "95 % interval 300 to 1,300")
        assert tiles["Profit per cost"].value == "10.0"
        assert tiles["Messages with an order"].value == "6%"
        assert tiles["Not measured: return"].value == "900%"
        assert page.sections[-1].title == "A simple formula, not a measurement"
        assert page.lead.startswith("2 of 2 campaigns can be judged")

    def test_the_table_has_every_campaign(self) -> None:
        page = page_of(TWO, MESSAGES, PROFITS, DECILES)
        (table,) = [block for section in page.sections for block in section.blocks if isinstance(block, Table)]
        assert table.rows["name"].tolist() == ["<i>Spring</i>", "winter"]
        assert table.rows["net_profit"].tolist() == [1000.0, -200.0]
        assert "<i>Spring" not in render(page, Stamp(AS_OF.date(), 1))["campaigns.html"]

    def test_without_campaigns_the_page_says_what_to_add(self) -> None:
        page = page_of(TWO.head(0), MESSAGES.head(0), PROFITS.head(0), DECILES.head(0))
        (listing,), formula = [section.blocks for section in page.sections]
        assert isinstance(listing, Listing)
        assert [item.title for item in listing.items] == ["marketing.campaigns", "marketing.contacts"]
        assert len(formula) == 1
        assert 'class="plot"' not in render(page, Stamp(AS_OF.date(), 1))["campaigns.html"]

    def test_a_campaign_that_cannot_be_judged_yet(self) -> None:
        page = page_of(OPEN, MESSAGES.head(1).assign(campaign_id="june"), PROFITS.head(0), DECILES.head(0))
        charts = [block for section in page.sections for block in section.blocks if isinstance(block, Chart)]
        assert len(charts) == 7
        assert {chart.note for chart in charts[:2]} == {NOT_JUDGED}
        assert page.lead == NOT_JUDGED
