"""The pages as a browser shows them, opened from disk: drawn, searched, sorted, at two widths, light and dark.

Axe comes with the package axe-core-python; a newer axe.min.js is taken where AXE_CORE names one.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.businesses import EVIL, PAGES, business, nothing, one_customer, publish, sales_only

WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of pages by the kind of business."""
    made = {
        "5,000 customers": business(5_000),
        "sales only": sales_only(2_357),
        "one customer": one_customer(),
        "nothing": nothing(),
    }
    return {name: publish(tmp_path_factory.mktemp("home"), frames) for name, frames in made.items()}


@pytest.fixture(scope="module")
def site(sites: dict[str, Path]) -> Path:
    return sites["5,000 customers"]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of 200,000 customers."""
    return publish(tmp_path_factory.mktemp("crowd"), business(200_000))


@pytest.fixture(params=SCHEMES)
def scheme(chromium: webdriver.Chrome, request: pytest.FixtureRequest) -> Iterator[str]:
    feature = {"name": "prefers-color-scheme", "value": request.param}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    yield request.param
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def open_page(chromium: webdriver.Chrome, page: Path, fragment: str = "") -> None:
    """Open a page and wait until it has drawn and filled everything on it."""
    # A fragment of the page that is open would not load it anew.
    chromium.get("about:blank")
    chromium.get(page.as_uri() + fragment)
    WebDriverWait(chromium, 60).until(
        lambda browser: browser.execute_script(
            """
            const charts = document.querySelectorAll('.plot').length
            const tables = [...document.querySelectorAll('.table')]
            return Number(document.body.dataset.drawn || 0) === charts && tables.every(table => table.dataset.ready)
            """
        )
    )


def found(chromium: webdriver.Chrome, table: str) -> str:
    return chromium.find_element(By.CSS_SELECTOR, f"#{table} .found").text


def first_row(chromium: webdriver.Chrome, table: str) -> list[str]:
    row = chromium.find_element(By.CSS_SELECTOR, f"#{table} tbody tr:not(.spacer)")
    return [cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", ["5,000 customers", "sales only", "one customer", "nothing"])
def test_a_page_is_whole(
    *,
    chromium: webdriver.Chrome,
    set_width: Callable[[int], None],
    log: Any,
    sites: dict[str, Path],
    kind: str,
    width: int,
    page: str,
) -> None:
    set_width(width)
    address = sites[kind] / f"{page}.html"
    open_page(chromium, address)

    undrawn = """
        return [...document.querySelectorAll('.plot')].filter(plot => ![...plot.querySelectorAll('.trace, .hm, .slice')]
            .some(trace => { const box = trace.getBoundingClientRect(); return box.width > 0 && box.height > 0 }))
            .map(plot => document.getElementById(`${plot.id}-title`).textContent)
    """
    assert chromium.execute_script(undrawn) == []
    assert log.console() == []
    seen = log.requests()
    assert address.as_uri() in seen
    assert [each for each in seen if not each.startswith(("file://", "data:", "about:"))] == []
    assert chromium.title != "harmed"

    assert chromium.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    wider_than_its_box = """
        return [...document.querySelectorAll('h1, h2, h3, p, dd, dt, figure, .card, nav, .js-plotly-plot')]
            .filter(each => !each.closest('.unseen') && each.scrollWidth > each.clientWidth + 1)
            .map(each => each.outerHTML.slice(0, 80))
    """
    assert chromium.execute_script(wider_than_its_box) == []
    outside_its_chart = """
        return [...document.querySelectorAll('.js-plotly-plot')].flatMap(chart => {
            const box = chart.getBoundingClientRect()
            const texts = chart.querySelectorAll('.xtick, .ytick, .xtitle, .ytitle, .legendtext, .slicetext')
            return [...texts].filter(text => {
                const place = text.getBoundingClientRect()
                return place.left < box.left - 1 || place.right > box.right + 1 || place.bottom > box.bottom + 1
            }).map(text => chart.id + ': ' + text.textContent)
        })
    """
    assert chromium.execute_script(outside_its_chart) == []


@pytest.mark.parametrize("page", PAGES)
def test_text_in_charts_is_legible(chromium: webdriver.Chrome, site: Path, scheme: str, page: str) -> None:
    """What axe does not look at: WCAG's contrast ratio of the charts' text against the page."""
    open_page(chromium, site / f"{page}.html")
    too_faint = """
        const light = colour => {
            const [r, g, b] = colour.match(/[\\d.]+/g).map(Number)
                .map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
            return .2126 * r + .7152 * g + .0722 * b
        }
        const page = light(getComputedStyle(document.body).backgroundColor)
        const written = '.xtick text, .ytick text, .xtitle, .ytitle, .legendtext, .slicetext, .cbaxis text'
        return [...document.querySelectorAll(written)].map(each => [each.textContent, getComputedStyle(each).fill])
            .filter(([_, colour]) => {
                const [a, b] = [light(colour), page].sort((x, y) => y - x)
                return (a + .05) / (b + .05) < 4.5
            })
    """
    assert chromium.execute_script(too_faint) == []
    background = chromium.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.usefixtures("scheme")
def test_axe_finds_nothing(
    chromium: webdriver.Chrome, set_width: Callable[[int], None], site: Path, width: int, page: str
) -> None:
    named = os.environ.get("AXE_CORE")
    axe = (Path(named) if named else files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    set_width(width)
    open_page(chromium, site / f"{page}.html")
    # Open what opens: the numbers behind a chart (they all look alike, and axe reads each), and a row's details.
    chromium.execute_script("document.querySelector('details')?.setAttribute('open', '')")
    chromium.execute_script(axe)
    # A chart is an image with a name and its numbers beside it: what it is made of is not announced.
    within = "{exclude: [['.js-plotly-plot']]}"
    run = f"const done = arguments[0]; axe.run({within}).then(result => done(result.violations))"
    violations = chromium.execute_async_script(run)
    chromium.execute_script("document.querySelector('.table tbody button')?.click()")
    violations += chromium.execute_async_script(run)
    assert [(each["impact"], each["id"], each["nodes"][0]["html"][:120]) for each in violations] == []


class TestSearch:
    def test_it_finds_by_parts_of_names_and_ids_whatever_the_accents(
        self, chromium: webdriver.Chrome, site: Path
    ) -> None:
        open_page(chromium, site / "customers.html")
        assert found(chromium, "everyone") == "5,000 customers"
        box = chromium.find_element(By.ID, "everyone-find")
        box.send_keys("NOVAK bela")
        # One in five is called Béla, one in seven Novák.
        assert found(chromium, "everyone") == "143 of 5,000 customers"
        assert "Béla Novák" in first_row(chromium, "everyone")[1]
        box.clear()
        box.send_keys("C0004999")
        assert found(chromium, "everyone") == "1 of 5,000 customers"
        box.clear()
        box.send_keys("nobody")
        assert found(chromium, "everyone") == "0 of 5,000 customers: nothing fits the search and the filters"
        box.send_keys(Keys.CONTROL, "a", Keys.DELETE)
        assert found(chromium, "everyone") == "5,000 customers"

    def test_an_address_leads_to_a_customer(self, chromium: webdriver.Chrome, site: Path) -> None:
        open_page(chromium, site / "customers.html", "#find=C0000042")
        assert first_row(chromium, "everyone")[0] == "C0000042"

    def test_filters_narrow_it_down(self, chromium: webdriver.Chrome, site: Path) -> None:
        open_page(chromium, site / "customers.html")
        people = business(5_000)["customers"]["customers"]
        expected = people[(people["risk_tier"] == "High") & (people["value_tier"] == "High")]
        Select(chromium.find_element(By.ID, "everyone-by-risk_tier")).select_by_visible_text("High")
        Select(chromium.find_element(By.ID, "everyone-by-value_tier")).select_by_visible_text("High")
        assert found(chromium, "everyone") == f"{len(expected):,} of 5,000 customers"
        assert first_row(chromium, "everyone")[0] == expected["customer_id"].iloc[0]
        assert first_row(chromium, "everyone")[3] == "High"

    def test_columns_sort_both_ways(self, chromium: webdriver.Chrome, site: Path) -> None:
        open_page(chromium, site / "customers.html")
        people = business(5_000)["customers"]["customers"]
        header = chromium.find_element(By.XPATH, "//div[@id='everyone']//button[text()='Orders']")
        column = header.find_element(By.XPATH, "..")
        for sort, order in (
            ("descending", people["purchase_count"].max()),
            ("ascending", people["purchase_count"].min()),
        ):
            header.send_keys(Keys.ENTER)
            assert column.get_attribute("aria-sort") == sort
            assert first_row(chromium, "everyone")[9] == str(order)

    def test_a_row_opens_by_keyboard_and_tells_the_rest(self, chromium: webdriver.Chrome, site: Path) -> None:
        open_page(chromium, site / "customers.html")
        chromium.find_element(By.CSS_SELECTOR, "#everyone tbody button").send_keys(Keys.ENTER)
        dialog = chromium.find_element(By.TAG_NAME, "dialog")
        assert "Why this probability" in dialog.text
        # A name is shown as it is written.
        assert "<script>document.title='harmed'</script>" in dialog.text
        dialog.find_element(By.TAG_NAME, "button").send_keys(Keys.ESCAPE)
        WebDriverWait(chromium, 10).until(lambda browser: not browser.find_elements(By.TAG_NAME, "dialog"))
        assert chromium.title != "harmed"

    def test_only_rows_in_view_are_drawn_down_to_the_last(self, chromium: webdriver.Chrome, crowd: Path) -> None:
        open_page(chromium, crowd / "customers.html")
        rows = "return document.querySelectorAll('#everyone tbody tr:not(.spacer)').length"
        assert chromium.execute_script(rows) < 60
        chromium.execute_script(
            "const box = document.querySelector('#everyone .rows'); box.scrollTop = box.scrollHeight"
        )
        last = "return [...document.querySelectorAll('#everyone tbody th')].at(-1).textContent"
        WebDriverWait(chromium, 10).until(lambda browser: browser.execute_script(last) == "C0200000")
        assert chromium.execute_script(rows) < 60
        box = "const box = document.querySelector('#everyone .rows').getBoundingClientRect()"
        bottom = (
            "[...document.querySelectorAll('#everyone tbody tr:not(.spacer)')].at(-1).getBoundingClientRect().bottom"
        )
        assert chromium.execute_script(f"{box}; return Math.abs({bottom} - box.bottom) < 20")

    def test_it_answers_at_once_among_200_000(self, chromium: webdriver.Chrome, crowd: Path) -> None:
        open_page(chromium, crowd / "customers.html")
        # What is searched is made ready after the page has shown.
        time.sleep(1)
        box = chromium.find_element(By.ID, "everyone-find")
        table = chromium.find_element(By.ID, "everyone")
        taken = []
        for text in ("n", "no", "nov", "c01", "smith dora", "C0123456", "nobody"):
            box.clear()
            box.send_keys(text)
            taken.append(float(table.get_attribute("data-milliseconds") or "inf"))
        assert found(chromium, "everyone").startswith("0 of 200,000 customers")
        assert statistics.median(taken) < 100, taken


class TestChoices:
    def test_another_product_shows_its_months(self, chromium: webdriver.Chrome, site: Path) -> None:
        open_page(chromium, site / "products.html")
        choice = Select(chromium.find_element(By.ID, "chart-1-choice"))
        assert choice.first_selected_option.text.startswith("</script>")
        choice.select_by_visible_text("Noise-Cancelling Product 7 (P007)")
        assert chromium.find_element(By.ID, "chart-1-title").text.startswith("Noise-Cancelling Product 7: ")
        heights = "return document.getElementById('chart-1').data[0].y.length"
        assert chromium.execute_script(heights) == 22
        chromium.execute_script("document.querySelector('#chart-1-numbers').parentElement.open = true")
        assert "2026-10" in chromium.find_element(By.ID, "chart-1-numbers").text

    def test_every_choice_draws_what_it_says(self, chromium: webdriver.Chrome, site: Path) -> None:
        for page in PAGES:
            open_page(chromium, site / f"{page}.html")
            for select in chromium.find_elements(By.CSS_SELECTOR, ".choice select"):
                chart = (select.get_attribute("id") or "").removesuffix("-choice")
                titles = set()
                for option in Select(select).options[:12]:
                    Select(select).select_by_visible_text(option.text)
                    titles.add(chromium.find_element(By.ID, f"{chart}-title").text)
                assert len(titles) == min(12, len(Select(select).options)), titles


def test_the_navigation_leads_to_every_page(chromium: webdriver.Chrome, site: Path) -> None:
    open_page(chromium, site / "index.html")
    links = [link.get_attribute("href") for link in chromium.find_elements(By.CSS_SELECTOR, "nav li a")]
    assert len(links) == 8
    for link in links:
        chromium.get(link)
        current = chromium.find_element(By.CSS_SELECTOR, "nav [aria-current=page]")
        assert current.get_attribute("href") == link


def test_the_first_tab_skips_the_navigation(chromium: webdriver.Chrome, site: Path) -> None:
    open_page(chromium, site / "index.html")
    chromium.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    focused = chromium.switch_to.active_element
    assert focused.text == "Skip to the content"
    focused.send_keys(Keys.ENTER)
    assert chromium.current_url.endswith("#main")


def test_names_are_shown_as_they_are_written(chromium: webdriver.Chrome, site: Path) -> None:
    for page in PAGES:
        open_page(chromium, site / f"{page}.html")
        assert chromium.title.endswith("· Customer Pulse")
        assert not chromium.find_elements(By.CSS_SELECTOR, "img")
        assert not chromium.find_elements(By.CSS_SELECTOR, "a[href^='javascript:']")
    open_page(chromium, site / "products.html")
    titles = chromium.find_element(By.ID, "chart-1-title").get_attribute("textContent") or ""
    assert titles.startswith(EVIL)


@pytest.mark.parametrize(("missing", "where"), [("plotly.min.js", ".plot"), ("customers.data.js", ".table")])
def test_a_missing_file_is_named(
    chromium: webdriver.Chrome, site: Path, tmp_path: Path, missing: str, where: str
) -> None:
    copy = shutil.copytree(site, tmp_path / "copy")
    (copy / missing).unlink()
    chromium.get((copy / "customers.html").as_uri())
    message = WebDriverWait(chromium, 30).until(
        lambda browser: browser.find_element(By.CSS_SELECTOR, f"{where} .failed").text
    )
    assert missing in message
