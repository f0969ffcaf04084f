"""The limits that hold when nobody says otherwise."""

from wsgix.wire.limits import DEFAULT_LIMITS, Limits


def test_the_defaults_fit_into_each_other():
    assert Limits() == DEFAULT_LIMITS
    assert DEFAULT_LIMITS.request_line >= 8000  # RFC 9112, 3
    assert DEFAULT_LIMITS.request_line < DEFAULT_LIMITS.head
    assert DEFAULT_LIMITS.field < DEFAULT_LIMITS.head
    assert DEFAULT_LIMITS.chunk_line < DEFAULT_LIMITS.chunk_overhead
    assert DEFAULT_LIMITS.refuse_underscores is False
