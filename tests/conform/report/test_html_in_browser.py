"""The page in a real browser: a person opens a cell, reads the evidence, filters, with and without script."""

import os

import pytest

from tests.browsing import browsing, wait_for_element
from tests.serving import DEADLINE
from wsgix.conform.report import render_html

selenium = pytest.importorskip("selenium", reason="selenium drives the browser")

from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]  # the first run may install the browser

SCRIPT_SHOWN = "<script>alert(1)</script>\\x1b[31m\\x00\\xff"


@pytest.fixture
def page(reports, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render_html(reports), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def browser(tmp_path):
    with browsing(tmp_path / "profile") as driver:
        yield driver
        # Nothing of the page was refused, by the policy in it or otherwise.
        assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def keep_screenshot(driver, name):
    folder = os.environ.get("SCREENSHOTS")  # for whoever wants to look
    if folder:
        driver.save_screenshot(os.path.join(folder, f"{name}.png"))


def wait_until(driver, condition):
    return WebDriverWait(driver, DEADLINE).until(lambda _: condition())


def shown_rules(driver):
    rows = driver.find_elements(By.CSS_SELECTOR, "tr.rule")
    return [row.find_element(By.CSS_SELECTOR, ".id").text for row in rows if row.is_displayed()]


def test_a_person_opens_a_cell_and_sees_the_evidence(page, browser):
    browser.get(page)
    evidence = wait_for_element(browser, "#E10-s1 pre:last-of-type")
    assert not evidence.is_displayed()

    wait_for_element(browser, "a[href='#E10-s1']").click()

    wait_until(browser, evidence.is_displayed)
    found = wait_for_element(browser, "#E10-s1")
    assert SCRIPT_SHOWN in found.text
    assert "REMOTE_USER is ''" in found.text
    assert "Why no-empty-variables <matters> & how." in wait_for_element(browser, "#E10").text
    keep_screenshot(browser, "report-cell")


def test_a_cell_opens_by_keyboard_and_again_after_it_was_closed(page, browser):
    browser.get(page)
    cell = wait_for_element(browser, "a[href='#R1-s1']")
    found = wait_for_element(browser, "#R1-s1")
    for _ in range(2):
        cell.send_keys(Keys.ENTER)
        wait_until(browser, found.is_displayed)
        wait_until(browser, lambda: browser.switch_to.active_element.tag_name == "summary")
        summary = browser.switch_to.active_element
        assert "alpha" in summary.text
        summary.send_keys(Keys.ENTER)
        wait_until(browser, lambda: not found.is_displayed())


def test_a_link_to_the_evidence_opens_it(page, browser):
    browser.get(f"{page}#C4-s2")

    wait_until(browser, wait_for_element(browser, "#C4-s2").is_displayed)


def test_a_person_filters_the_rules(page, browser):
    browser.get(page)
    everything = ["H3", "B2", "E2", "E10", "R1", "C4", "X1", "X2"]
    assert shown_rules(browser) == everything
    count = wait_for_element(browser, ".filters output")
    assert count.text == "8 of 8 rules"

    verdict = Select(wait_for_element(browser, "select[name=verdict]"))
    verdict.select_by_visible_text("fail")
    wait_until(browser, lambda: count.text == "4 of 8 rules")
    assert shown_rules(browser) == ["H3", "E10", "R1", "X1"]
    assert [
        row.text for row in browser.find_elements(By.CSS_SELECTOR, "tr.chapter") if row.is_displayed()
    ] == [
        "Applications: the head",
        "Servers: environ",
        "Servers: responses",
        "Servers: extensions and custom",
    ]
    keep_screenshot(browser, "report-filter")

    Select(wait_for_element(browser, "select[name=level]")).select_by_visible_text("MUST NOT")
    wait_until(browser, lambda: shown_rules(browser) == ["R1"])

    wait_for_element(browser, ".filters button").click()
    wait_until(browser, lambda: shown_rules(browser) == everything)

    Select(wait_for_element(browser, "select[name=profile]")).select_by_visible_text("de-facto")
    wait_until(browser, lambda: shown_rules(browser) == ["X1"])

    wait_for_element(browser, ".filters button").click()
    wait_for_element(browser, "input[name=text]").send_keys("REMOTE_USER e10")
    wait_until(browser, lambda: shown_rules(browser) == ["E10"])


def test_a_link_leads_through_a_filter(page, browser):
    browser.get(page)
    wait_for_element(browser, "input[name=text]").send_keys("file-wrapper")
    wait_until(browser, lambda: shown_rules(browser) == ["X2"])

    browser.execute_script("location.hash = 'E2-s1'")

    wait_until(browser, wait_for_element(browser, "#E2-s1").is_displayed)
    assert len(shown_rules(browser)) == 8


def test_it_reads_without_script(page, tmp_path):
    with browsing(tmp_path / "profile", javascript=False) as browser:
        browser.get(page)
        assert not wait_for_element(browser, ".filters").is_displayed()
        evidence = wait_for_element(browser, "#E10-s1")
        assert not evidence.is_displayed()

        wait_for_element(browser, "a[href='#E10-s1']").click()

        wait_until(browser, evidence.is_displayed)
        assert SCRIPT_SHOWN in evidence.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_either_scheme(page, browser, scheme):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
    )
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(f"{page}#E10-s1")
    wait_until(browser, wait_for_element(browser, "#E10-s1").is_displayed)

    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    ground, text = (
        sum(map(int, wait_for_element(browser, "body").value_of_css_property(name)[5:-4].split(", ")))
        for name in ("background-color", "color")
    )
    assert (ground > text) is (scheme == "light")
    keep_screenshot(browser, f"report-phone-{scheme}")
