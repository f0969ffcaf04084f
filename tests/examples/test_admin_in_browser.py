"""Django's admin under `wsgix serve`, as a person uses it: Debian's chromium logs in and adds an entry."""

import os
import shutil
import subprocess

import pytest
import requests

from tests.serving import DEADLINE

selenium = pytest.importorskip("selenium", reason="selenium drives the browser")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

pytestmark = pytest.mark.browser

COMMANDS = ("chromium", "chromedriver")


@pytest.fixture(scope="module")
def installed_browser() -> None:
    """See that chromium and its driver are there; install Debian's where that is allowed."""
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


@pytest.fixture
def browser(installed_browser, tmp_path):
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
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(argument)
    # The driver's path is given, so that selenium downloads none.
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(DEADLINE)
    yield driver
    driver.quit()


@pytest.mark.timeout(300)  # the first run may install the browser
def test_a_person_logs_in_and_adds_an_entry(django_server, password, browser):
    def wait_for(selector: str):
        return WebDriverWait(browser, DEADLINE).until(
            lambda page: page.find_element(By.CSS_SELECTOR, selector)
        )

    browser.get(f"{django_server.url}/admin/")
    wait_for("#id_username").send_keys("admin")
    wait_for("#id_password").send_keys(password)
    wait_for("[type=submit]").click()
    header = wait_for("#user-tools")
    assert "WELCOME, ADMIN." in header.text.upper()

    # The style sheets have arrived and are in force.
    assert wait_for("#header").value_of_css_property("background-color") != "rgba(0, 0, 0, 0)"
    sheets = browser.execute_script("return [...document.styleSheets].map(sheet => sheet.cssRules.length)")
    assert sheets
    assert all(sheets)

    wait_for("a[href='/admin/guestbook/entry/add/']").click()
    wait_for("#id_name").send_keys("Grace <h1>")
    wait_for("#id_message").send_keys("Greetings, naïve café.")
    screenshots = os.environ.get("SCREENSHOTS")  # a folder, for whoever wants to look
    if screenshots:
        browser.save_screenshot(os.path.join(screenshots, "admin-add.png"))
    wait_for("[name=_save]").click()
    assert "was added successfully" in wait_for(".messagelist .success").text
    assert wait_for("#result_list .field-message").text == "Greetings, naïve café."
    if screenshots:
        browser.save_screenshot(os.path.join(screenshots, "admin-list.png"))
    # Browsers ask for an icon that the project does not have; everything else loaded.
    faults = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [fault for fault in faults if "/favicon.ico" not in fault] == []

    page = requests.get(django_server.url, timeout=DEADLINE).text
    assert "<h2>Grace &lt;h1&gt;</h2>" in page
