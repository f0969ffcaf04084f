"""`wire.date`: the one date format that a sender of HTTP may generate."""

import email.utils
import time

import pytest

from wsgix.wire.date import http_date


def test_the_example_of_the_rfc():
    assert http_date(time.gmtime(784111777)) == "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize("month", range(1, 13))
def test_every_month_has_the_name_that_others_give_it(month):
    seconds = time.mktime((2024, month, 1 + month, 0, month, 0, 0, 0, 0))

    assert http_date(time.gmtime(seconds)) == email.utils.formatdate(seconds, usegmt=True)


def test_a_year_has_four_digits():
    assert http_date((33, 4, 3, 15, 0, 0, 4)) == "Fri, 03 Apr 0033 15:00:00 GMT"


@pytest.mark.parametrize("day", range(7))
def test_every_day_has_the_name_that_others_give_it(day):
    seconds = 86400 * day

    assert http_date(time.gmtime(seconds)) == email.utils.formatdate(seconds, usegmt=True)
