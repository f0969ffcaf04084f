"""A real browser for the tests that need one: Debian's chromium, headless, driven by selenium."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serving import DEADLINE

selenium = pytest.importorskip("selenium", reason="selenium drives the browser")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.remote.webelement import WebElement  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

COMMANDS = ("chromium", "chromedriver")


def install_browser() -> None:
    """See that chromium and its driver are there; install Debian's where that is allowed, else skip."""
    if all(map(shutil.which, COMMANDS)):
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        pytest.skip("chromium or chromedriver is missing, and only root with apt-get can install them")
    install = subprocess.run(
        ["apt-get", "install", "-y", "--no-install-recommends", "chromium", "chromium-driver"],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )
    if not all(map(shutil.which, COMMANDS)):
        pytest.skip(f"apt-get could not install chromium and chromium-driver: {install.stderr[-300:]}")


@contextmanager
def browsing(profile: Path, *, javascript: bool = True) -> Iterator[webdriver.Chrome]:
    """Start a browser whose profile lies in the folder *profile*; end it at the exit."""
    install_browser()
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--no-proxy-server",
        "--window-size=1200,900",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    if not javascript:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    # The driver's path is given, so that selenium downloads none.
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        driver.set_page_load_timeout(DEADLINE)
        yield driver
    finally:
        driver.quit()


def wait_for_element(driver: webdriver.Chrome, selector: str) -> WebElement:
    """Return the first element that the CSS *selector* finds, as soon as there is one."""
    return WebDriverWait(driver, DEADLINE).until(lambda page: page.find_element(By.CSS_SELECTOR, selector))
