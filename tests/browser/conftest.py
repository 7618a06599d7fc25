"""Headless Chromium, and what it saw: console messages and requests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from selenium import webdriver

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    # Otherwise it looks for hosts of its maker at every start.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@dataclass
class Log:
    """What a browser has done since it was last asked.

    Args:
        chromium: The browser.
    """

    chromium: webdriver.Chrome

    def console(self) -> list[str]:
        return [entry["message"] for entry in self.chromium.get_log("browser")]

    def requests(self) -> list[str]:
        events = [json.loads(entry["message"])["message"] for entry in self.chromium.get_log("performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        # The browser's own start page may still be loading.
        return [each["request"]["url"] for each in sent if not each["documentURL"].startswith("chrome:")]


# Not longer: a page left open, of a server that has ended, keeps a core busy.
@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.fail("This tier needs the programs chromium and chromedriver on the path.", pytrace=False)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    # The cores may be busy with other tests.
    chrome.set_page_load_timeout(120)
    yield chrome
    chrome.quit()


@pytest.fixture
def set_width(chromium: webdriver.Chrome) -> Iterator[Callable[[int], None]]:
    def emulate(width: int) -> None:
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    yield emulate
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.fixture
def log(chromium: webdriver.Chrome) -> Log:
    """From here on."""
    log = Log(chromium)
    log.console()
    log.requests()
    return log
