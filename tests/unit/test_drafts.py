"""Campaign drafts: nothing promised that the offer does not hold, and names that stay names."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from reports.drafts import Draft, draft_letters, drafts_page
from tests.unit.hostile import NAMES

ROOT = Path(__file__).resolve().parents[2]
WORDINGS = {
    "discount": "{discount_percent} % off your order until {valid_until}.",
    "loyalty_points": "Double points on your order until {valid_until}.",
    "none": "We look forward to your order until {valid_until}.",
}
DAY = pd.Timestamp("2026-12-04")
COLUMNS = ["kind", "about", "label", "offer_type", "discount_rate", "valid_until", "recipients"]


def letters(*groups: tuple[Any, ...], business: str | None = "Corner Shop") -> list[Draft]:
    return draft_letters(pd.DataFrame(groups, columns=COLUMNS), WORDINGS, business)


def retention(rate: float | None = 0.15, offer: str | None = "discount", about: str = "retention") -> Draft:
    return letters(("action", about, about.capitalize(), offer, rate, DAY, 7))[0]


@pytest.mark.parametrize(("rate", "told"), [(0.05, "5"), (0.15, "15"), (0.3, "30"), (0.125, "12.5")])
def test_the_discount_is_the_groups_and_stands_in_both_bodies(rate: float, told: str) -> None:
    draft = retention(rate)
    sentence = f"{told} % off your order until 4 December 2026."
    assert sentence in draft.html
    assert sentence in draft.text
    assert draft.name == f"action-retention-discount-{told}"
    assert draft.offer_label == f"{told} % off"
    assert draft.offer == sentence


def test_other_offers_in_their_own_words() -> None:
    assert "Double points on your order until 4 December 2026." in retention(None, "loyalty_points").text


@pytest.mark.parametrize(
    ("offer", "rate", "until"),
    [
        ("none", None, DAY),
        (None, None, None),
        ("unheard_of", 0.5, DAY),
        ("discount", 0.15, None),
        ("discount", None, DAY),
    ],
)
def test_nothing_is_promised_where_nothing_or_not_all_of_it_is_known(
    offer: str | None, rate: float | None, until: Any
) -> None:
    (draft,) = letters(("segment", "At Risk", "At Risk", offer, rate, until, 7))
    for body in (draft.subject, draft.text, draft.html):
        assert not [word for word in ("% off", "points", "until", "{discount", "{valid") if word in body]


def test_the_words_themselves_promise_nothing() -> None:
    words = (ROOT / "reports" / "draft_words.yml").read_text(encoding="utf-8")
    said = " ".join(line.partition("#")[0] for line in words.splitlines()).lower()
    assert not [word for word in ("%", "discount", "free", "points", "% off", "gift", "guarantee") if word in said]


def test_every_segment_and_action_of_the_seeds_has_words_of_its_own() -> None:
    words = yaml.safe_load((ROOT / "reports" / "draft_words.yml").read_text(encoding="utf-8"))
    seeds = ROOT / "dbt_project" / "seeds"
    rules = pd.read_csv(seeds / "action_rules.csv")
    assert set(pd.read_csv(seeds / "rfm_segments.csv")["segment"]) <= set(words["segments"])
    # a plain reminder is what `other` is for
    assert set(rules[rules["channel"] == "email"]["action"]) - {"reminder"} == set(words["actions"])


def test_each_draft_has_a_subject_of_one_line_and_a_way_out() -> None:
    for draft in letters(*(("segment", about, about, "none", None, DAY, 1) for about in ("Lost", "At Risk", "Mine"))):
        assert draft.subject
        assert "\n" not in draft.subject
        for body in (draft.html, draft.text):
            assert "Unsubscribe" in body
            assert "{{unsubscribe_url}}" in body
            assert "agreed to news from Corner Shop" in body


def test_a_segment_of_ones_own_gets_the_general_words() -> None:
    assert letters(("segment", "Regulars", "Regulars", None, None, None, 3))[0].subject == "News from Corner Shop"


def test_without_a_name_a_placeholder_stays_and_the_page_says_so() -> None:
    drafts = letters(("action", "win_back", "Win back", "none", None, DAY, 1), business=None)
    assert "{{business_name}}" in drafts[0].text
    page = drafts_page(drafts, date(2026, 11, 20), 3)
    assert "by your mailing program: {{business_name}}, {{shop_url}}, {{unsubscribe_url}}." in page


def test_the_suggested_product_is_left_to_the_mailing_program() -> None:
    drafts = letters(("action", "cross_sell", "Cross sell", "none", None, DAY, 1))
    assert "often chose this with it: {{suggested_product_name}}." in drafts[0].text
    page = drafts_page(drafts, date(2026, 11, 20), 3)
    assert "by your mailing program: {{suggested_product_name}}, {{shop_url}}, {{unsubscribe_url}}." in page


@pytest.mark.parametrize("name", NAMES)
def test_names_are_values_never_markup_templates_or_headers(name: str) -> None:
    drafts = draft_letters(
        pd.DataFrame([("segment", name, name, name, 0.1, DAY, 1)], columns=COLUMNS), {name: name}, business=name
    )
    (draft,) = drafts
    page = drafts_page(drafts, date(2026, 11, 20), 3)
    for html in (draft.html, page):
        assert not [element for element in ("<script", "<b>") if element in html]
        # what a template engine would make of {{7*7}}
        assert "49" not in html
    for text in (draft.subject, draft.offer_label, draft.about):
        assert text.isprintable()
    assert "\x1b" not in draft.text + draft.html + page
    assert draft.name.isascii()
    assert "/" not in draft.name


def test_names_that_look_alike_keep_files_of_their_own() -> None:
    groups = [("segment", about, about, None, None, None, 1) for about in ("At Risk", "at-risk", "李雷", "韩梅")]
    names = [draft.name for draft in letters(*groups)]
    assert names == ["segment-at-risk-none", "segment-at-risk-none-2", "segment-none", "segment-none-2"]


def test_the_page_links_the_files_and_counts_the_recipients() -> None:
    page = drafts_page(
        letters(
            ("action", "retention", "Retention", "discount", 0.15, DAY, 1234),
            ("segment", "At Risk", "At Risk", "discount", 0.15, DAY, 1),
        ),
        date(2026, 11, 20),
        3,
    )
    assert "As of 20 November 2026, refresh 3" in page
    assert "Retention, 15 % off: 1,234\nrecipients." in page
    assert "At Risk, 15 % off: 1\nrecipient." in page
    for ending in ("html", "txt", "csv"):
        assert f'href="action-retention-discount-15.{ending}"' in page
    assert "<p>Offered: 15 % off your order until 4 December 2026.</p>" in page
    assert page.count('sandbox=""') == 2


def test_nobody_to_write_to() -> None:
    page = drafts_page(letters(), date(2026, 11, 20), 3)
    assert page.count("Nobody is selected") == 2
    assert "<iframe" not in page
