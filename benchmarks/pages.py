"""What the customers page weighs and how soon it shows and answers, against the table that `DataFrame.to_html` writes.

Makes the page for each number of customers, opens it from disk in headless Chromium several times, and prints sizes,
the first contentful paint, when the table stands, and what a search takes. Needs the programs chromium and
chromedriver. Run it with `.venv/bin/python benchmarks/pages.py`; nothing else should be running.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reports.blocks import Stamp  # noqa: E402
from reports.customers import COLUMNS, customers_page  # noqa: E402
from reports.page import render  # noqa: E402
from reports.site import write_page  # noqa: E402
from tests.businesses import AS_OF, business  # noqa: E402

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
TYPED = ("n", "no", "novak", "c01", "smith dora", "c0000042", "nobody")
MOMENTS = """
    const paint = performance.getEntriesByName('first-contentful-paint')[0]
    return paint ? paint.startTime : null
"""
READY = "return document.querySelector('#everyone')?.dataset.ready ? performance.now() : null"
LOADED = "return document.readyState === 'complete' ? performance.now() : null"
SEARCH = """
    const box = document.getElementById('everyone-find')
    return arguments[0].map(text => {
        box.value = text
        const started = performance.now()
        box.dispatchEvent(new Event('input'))
        document.body.getBoundingClientRect()
        return performance.now() - started
    })
"""


def browser() -> webdriver.Chrome:
    """A fresh Chromium, so that nothing is in its caches."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in FLAGS:
        options.add_argument(flag)
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    chrome.set_page_load_timeout(600)
    return chrome


def opened(page: Path, ready: str) -> tuple[float, float, list[float]]:
    """First contentful paint, when the table stands, and what each search takes; in milliseconds."""
    chrome = browser()
    try:
        chrome.get(page.as_uri())
        stands = WebDriverWait(chrome, 600, poll_frequency=0.02).until(lambda each: each.execute_script(ready))
        paint = WebDriverWait(chrome, 600).until(lambda each: each.execute_script(MOMENTS))
        searches = []
        if ready == READY:
            # What is searched is made ready after the table shows.
            time.sleep(1)
            searches = chrome.execute_script(SEARCH, list(TYPED))
        return paint, stands, searches
    finally:
        chrome.quit()


def megabytes(size: int) -> str:
    """A size as the tables show it."""
    return f"{size / 1e6:,.2f}"


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, nargs="+", default=[5_000, 200_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain-most", type=int, default=20_000, help="of more, the plain table is only weighed")
    arguments = parser.parse_args()
    print(
        "| customers | page | CPU-s to make | MB without plotly.js | first paint, ms | table, ms | search, ms (worst) |"
    )
    print("|---|---|---|---|---|---|---|")
    for size in arguments.customers:
        frames = business(size)["customers"]
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            started = time.process_time()
            files = render(customers_page(**frames), Stamp(AS_OF.date(), 1))
            taken = time.process_time() - started
            write_page(home / "customers.html", files)
            started = time.process_time()
            columns = [column.name for column in COLUMNS if not column.is_detail]
            plain = frames["customers"][columns].to_html(index=False)
            taken_plain = time.process_time() - started
            (home / "plain.html").write_text(f"<!doctype html><meta charset='utf-8'>{plain}", encoding="utf-8")
            for name, page, ready, cpu, weight in (
                ("ours", home / "customers.html", READY, taken, sum(len(text.encode()) for text in files.values())),
                ("DataFrame.to_html", home / "plain.html", LOADED, taken_plain, len(plain.encode())),
            ):
                if ready == LOADED and size > arguments.plain_most:
                    # Chromium needs minutes, and gives up its connection to the driver.
                    print(f"| {size:,} | {name} | {cpu:.1f} | {megabytes(weight)} | not opened | | |", flush=True)
                    continue
                rounds = [opened(page, ready) for _ in range(arguments.rounds)]
                paint, stands = (statistics.median(each[place] for each in rounds) for place in (0, 1))
                searches = [taken for *_, each in rounds for taken in each]
                search = f"{statistics.median(searches):.1f} ({max(searches):.1f})" if searches else "none"
                cells = (f"{size:,}", name, f"{cpu:.1f}", megabytes(weight), f"{paint:,.0f}", f"{stands:,.0f}", search)
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
