"""Campaign drafts: an e-mail's subject, HTML and text for each group of customers, and a page that shows them all.

Frames in, text out; nothing is sent, and no file but the templates and words beside this module is read. Whom a draft
goes to, and what is offered, is decided in dbt.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import chain, count
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

BUSINESS_PLACEHOLDER = "{{business_name}}"
SHOP_PLACEHOLDER = "{{shop_url}}"
UNSUBSCRIBE_PLACEHOLDER = "{{unsubscribe_url}}"
PRODUCT_PLACEHOLDER = "{{suggested_product_name}}"
"""Named as the column of the recipients that fills it."""

NO_OFFER = "none"
KINDS = {"action": "actions", "segment": "segments"}
"""What groups customers, and where its words are."""

_LONGEST_NAME = 80
_HERE = Path(__file__).parent
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
_BLANK_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True)
class Draft:
    """An e-mail to one group of customers.

    Args:
        name: File name without ending.
        kind: What groups them: action or segment.
        about: The action or the segment.
        offer_label: What is offered, in short.
        offer: What is offered, as the letter says it; None for nothing.
        recipients: How many they are.
        subject: One line.
        html: The body as a page.
        text: The body as plain text.
    """

    name: str
    kind: str
    about: str
    offer_label: str
    offer: str | None
    recipients: int
    subject: str
    html: str
    text: str


def draft_letters(groups: pd.DataFrame, wordings: Mapping[str, str], business: str | None) -> list[Draft]:
    """One draft a group, in the groups' order.

    Args:
        groups: kind (action or segment), about (its name), label (its name for people), offer_type, discount_rate
            (0 to 1, null without), valid_until (the earliest of the group, null without), recipients.
        wordings: The sentence of each offer type, with {discount_percent} and {valid_until} where these go; what is
            not listed is offered nothing.
        business: The business's own name; None leaves a placeholder.

    Returns:
        The drafts. A discount and a day in one of them are those of its group, and nothing else is promised.
    """
    name = _line(business) if business else BUSINESS_PLACEHOLDER
    drafts: list[Draft] = []
    for group in groups.to_dict("records"):
        drafts.append(_draft(group, wordings, name, {draft.name for draft in drafts}))
    return drafts


def drafts_page(drafts: Sequence[Draft], as_of: date, refresh: int) -> str:
    """The page that lists and previews the drafts.

    Args:
        drafts: As `draft_letters` gives them; their files lie beside the page.
        as_of: The day they were computed for.
        refresh: Number of the refresh.
    """
    every = (BUSINESS_PLACEHOLDER, PRODUCT_PLACEHOLDER, SHOP_PLACEHOLDER, UNSUBSCRIBE_PLACEHOLDER)
    placeholders = [each for each in every if any(each in draft.text for draft in drafts)]
    return (
        _templates()
        .get_template("drafts.html.j2")
        .render(drafts=drafts, as_of=f"{as_of:%-d %B %Y}", refresh=refresh, placeholders=placeholders)
    )


def _draft(group: Mapping[Hashable, Any], wordings: Mapping[str, str], business: str, taken: Set[str]) -> Draft:
    kind, about = str(group["kind"]), str(group["about"])
    known = _words()[KINDS[kind]].get(about) or _words()["other"]
    subject = _filled(known["subject"], business)
    words = {
        "heading": _filled(known["heading"], business),
        "paragraphs": [_filled(paragraph, business) for paragraph in known["paragraphs"]],
        "button": _filled(known["button"], business),
    }
    offer_type = None if pd.isna(group["offer_type"]) else str(group["offer_type"])
    rate = None if pd.isna(group["discount_rate"]) else float(group["discount_rate"])
    offer = _offer(offer_type, rate, group["valid_until"], wordings)
    values = {
        "words": words,
        "subject": subject,
        "business": business,
        "offer": offer,
        "shop_link": SHOP_PLACEHOLDER,
        "unsubscribe_link": UNSUBSCRIBE_PLACEHOLDER,
    }
    templates = _templates()
    text = templates.get_template("letter.txt.j2").render(values)
    return Draft(
        name=_name((kind, about, offer_type or NO_OFFER, "" if rate is None else _percent(rate)), taken),
        kind=kind,
        about=_line(str(group["label"])),
        offer_label=_label(offer_type, rate),
        offer=offer,
        recipients=int(group["recipients"]),
        subject=subject,
        html=templates.get_template("letter.html.j2").render(values),
        text=_BLANK_LINES.sub("\n\n", text),
    )


def _name(parts: Sequence[str], taken: Set[str]) -> str:
    """A file name that can be read, whatever the names hold; a number tells those apart that then look alike."""
    name = re.sub(r"[^a-z0-9.]+", "-", "-".join(filter(None, parts)).lower()).strip("-.")[:_LONGEST_NAME]
    return next(each for each in chain([name], (f"{name}-{n}" for n in count(2))) if each not in taken)


def _offer(offer_type: str | None, rate: float | None, valid_until: Any, wordings: Mapping[str, str]) -> str | None:
    """The sentence that offers something; None where nothing is, or where the sentence would be incomplete."""
    wording = wordings.get(offer_type or NO_OFFER)
    if wording is None or offer_type in (None, NO_OFFER):
        return None
    known = {
        "discount_percent": None if rate is None else _percent(rate),
        "valid_until": None if pd.isna(valid_until) else f"{pd.Timestamp(valid_until):%-d %B %Y}",
    }
    sentence = wording
    for name, value in known.items():
        tag = f"{{{name}}}"
        if tag in sentence and value is None:
            return None
        sentence = sentence.replace(tag, value or "")
    return _line(sentence)


def _label(offer_type: str | None, rate: float | None) -> str:
    if offer_type in (None, NO_OFFER):
        return "no offer"
    if offer_type == "discount" and rate is not None:
        return f"{_percent(rate)} % off"
    told = {"urgency": "limited time"}.get(str(offer_type), _line(str(offer_type)).replace("_", " "))
    return told if rate is None else f"{told} of {_percent(rate)} %"


def _percent(rate: float) -> str:
    return f"{100 * float(rate):.10g}"


def _filled(words: str, business: str) -> str:
    # Only the project's own words are templates; the name is a value, whatever it looks like.
    template = Environment(autoescape=False).from_string(words)  # noqa: S701 - plain text, escaped where it becomes HTML
    return _line(template.render(business=business, product=PRODUCT_PLACEHOLDER))


def _line(text: str) -> str:
    """One line without control characters: a line feed in a subject would begin a header of its own."""
    return _CONTROLS.sub(" ", text).strip()


@cache
def _words() -> dict[str, Any]:
    return yaml.safe_load((_HERE / "draft_words.yml").read_text(encoding="utf-8"))


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE / "draft_templates"),
        autoescape=select_autoescape(enabled_extensions=("html", "html.j2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
