"""How many descriptors are for connections; what the loop makes of that is tried over sockets."""

import sys

import pytest

from wsgix.server.arrivals import _last_descriptor

resource = pytest.importorskip("resource")


@pytest.mark.parametrize(
    ("limit", "last"),
    [
        (resource.RLIM_INFINITY, sys.maxsize),
        (64, 55),
        (1024, 895),
        (2048, 1791),
        (4096, 3839),
        (1 << 20, (1 << 20) - 257),
    ],
)
def test_an_eighth_of_the_descriptors_is_the_applications_but_no_more_than_256(monkeypatch, limit, last):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    assert _last_descriptor() == last


def test_without_a_limit_of_descriptors_all_are_for_connections(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert _last_descriptor() == sys.maxsize
