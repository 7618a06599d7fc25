"""The overview page as a browser shows it, opened from disk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from reports.overview import overview_page
from reports.site import publish_site, write_site

SEGMENTS = ("Champions", "Loyal Customers", "Potential Loyalists", "Cannot Lose Them", "About to Sleep")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dates = pd.date_range("2024-01-01", periods=7 * 80)
    daily = pd.DataFrame({"sales_date": dates, "net_revenue": [41_234.5 + day for day in range(560)], "order_count": 9})
    people = pd.DataFrame({"segment": [SEGMENTS[number % 5] for number in range(1000)]})
    people["total_spend"] = [98_765.4 + number for number in range(1000)]
    people["churn_probability"] = [number / 1000 for number in range(1000)]
    people["is_at_risk"] = people["churn_probability"] >= 0.7
    people["has_unusual_sentiment"] = False
    home = tmp_path_factory.mktemp("home")
    write_site(home, 1, {"index.html": overview_page(daily, people, date(2025, 7, 13), 1)})
    publish_site(home, 1)
    return home / "reports" / "index.html"


def open_page(chromium: webdriver.Chrome, page: Path) -> None:
    chromium.get(page.as_uri())
    WebDriverWait(chromium, 60).until(
        lambda browser: len(browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .main-svg .trace")) >= 5
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_whole(
    chromium: webdriver.Chrome,
    set_width: Callable[[int], None],
    log: Any,
    page: Path,
    width: int,
) -> None:
    set_width(width)
    open_page(chromium, page)

    drawn = chromium.find_elements(By.CSS_SELECTOR, ".js-plotly-plot")
    assert [chart.get_attribute("id") for chart in drawn] == ["revenue", "segments", "churn"]
    for chart in drawn:
        paths = chart.find_elements(By.CSS_SELECTOR, ".trace path")
        assert any(path.size["width"] > 0 and path.size["height"] > 0 for path in paths), chart.get_attribute("id")
    assert log.console() == []
    seen = log.requests()
    assert page.as_uri() in seen
    assert [address for address in seen if not address.startswith(("file://", "data:"))] == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off(
    chromium: webdriver.Chrome, set_width: Callable[[int], None], page: Path, width: int
) -> None:
    set_width(width)
    open_page(chromium, page)
    assert chromium.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    wider_than_its_box = """
        return [...document.querySelectorAll('h1, h2, p, dd, dt, figure, .js-plotly-plot')]
            .filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.outerHTML.slice(0, 80))
    """
    assert chromium.execute_script(wider_than_its_box) == []
    outside_its_chart = """
        return [...document.querySelectorAll('.js-plotly-plot')].flatMap(chart => {
            const box = chart.getBoundingClientRect()
            return [...chart.querySelectorAll('.xtick, .ytick, .xtitle, .ytitle, .legendtext')].filter(text => {
                const place = text.getBoundingClientRect()
                return place.left < box.left - 1 || place.right > box.right + 1 || place.bottom > box.bottom + 1
            }).map(text => chart.id + ': ' + text.textContent)
        })
    """
    assert chromium.execute_script(outside_its_chart) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_in_either_scheme(chromium: webdriver.Chrome, page: Path, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    open_page(chromium, page)
    # WCAG's contrast ratio of what is written, in the page and in the charts, against the page.
    too_faint = """
        const light = colour => {
            const [r, g, b] = colour.match(/[\\d.]+/g).map(Number)
                .map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
            return .2126 * r + .7152 * g + .0722 * b
        }
        const page = light(getComputedStyle(document.body).backgroundColor)
        const written = [...document.querySelectorAll('h1, h2, p, dt, dd, summary')]
            .map(each => [each.textContent, getComputedStyle(each).color])
            .concat([...document.querySelectorAll('.xtick text, .ytick text, .xtitle, .ytitle, .legendtext')]
            .map(each => [each.textContent, getComputedStyle(each).fill]))
        return written.filter(([_, colour]) => {
            const [a, b] = [light(colour), page].sort((x, y) => y - x)
            return (a + .05) / (b + .05) < 4.5
        })
    """
    assert chromium.execute_script(too_faint) == []
    background = chromium.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
