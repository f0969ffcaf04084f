"""Django's admin under `wsgix serve`, as a person uses it: Debian's chromium logs in and adds an entry."""

import os

import pytest
import requests

from tests.browsing import browsing, wait_for_element
from tests.serving import DEADLINE

pytestmark = pytest.mark.browser


@pytest.fixture
def browser(tmp_path):
    with browsing(tmp_path / "profile") as driver:
        yield driver


@pytest.mark.timeout(300)  # the first run may install the browser
def test_a_person_logs_in_and_adds_an_entry(django_server, password, browser):
    def wait_for(selector: str):
        return wait_for_element(browser, selector)

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
