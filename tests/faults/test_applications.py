"""F16 to F19: applications that fail, exit or hang."""

import pytest

from tests.faults.conftest import read_to_the_end


@pytest.mark.parametrize("error", ["ValueError", "MemoryError", "SystemExit", "KeyboardInterrupt"])
@pytest.mark.parametrize("threads", [1, 8])
def test_f16_f17_whatever_is_raised_before_the_head_is_one_500_without_a_trace(serve, error, threads):
    times = 10
    with serve(threads=threads, tracebacks=times) as site:
        for _ in range(times):
            response = site.get(f"/fail?error={error}")
            assert response.status == "500"
            assert response.content == b"The application failed.\n"
        site.check_victims()


@pytest.mark.parametrize("error", ["GeneratorExit", "BaseException"])
def test_f17_what_no_except_exception_catches_is_one_500(serve, error):
    with serve(tracebacks=10) as site:
        for _ in range(10):
            assert site.get(f"/fail?error={error}").status == "500"


def test_f17_a_recursion_without_an_end_is_one_500(serve):
    with serve(tracebacks=10) as site:
        for _ in range(10):
            assert site.get("/recurse").status == "500"


@pytest.mark.parametrize("declared", ["", "&declared=1"])
def test_f16_a_failure_behind_the_head_leaves_the_response_visibly_truncated(serve, truncated, declared):
    with serve(tracebacks=5) as site:
        for _ in range(5):
            client = site.dial()
            with pytest.raises(truncated):
                client.get(f"/blocks?count=5&size=10&fails_at=2{declared}")
            assert not client.received.endswith(b"0\r\n\r\n")
        assert site.counts["closed"] == 5


def test_f16_http_1_0_sees_a_reset_where_the_end_would_mean_completeness(serve):
    with serve(tracebacks=1) as site:
        client = site.dial()
        client.send(b"GET /blocks?count=5&size=10&fails_at=2 HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            read_to_the_end(client)


def test_f18_an_application_that_hangs_in_all_threads_is_answered_for_and_interrupted(serve, eventually):
    threads = 2
    # One traceback each: that of the exception which was raised inside the application.
    with serve("--request-timeout", "0.5", threads=threads, tracebacks=threads, more_threads=threads) as site:
        stuck = [site.dial() for _ in range(threads)]
        for client in stuck:
            client.send(b"GET /spin HTTP/1.1\r\nHost: a\r\n\r\n")
        site.check_victims(5)
        for client in stuck:
            assert client.response().status == "504"
            assert client.ended
        eventually(lambda: site.counts["RequestTimeout"] == threads)
        site.check_victims()
        log = site.end()
        assert log.count("ran for more than 0.5 seconds: 'GET /spin HTTP/1.1' from 127.0.0.1") == threads
        assert log.count("in spin\n") == 2 * threads  # where it was stuck, and where the exception met it


def test_f18_a_thread_that_cannot_be_interrupted_is_no_longer_counted(serve):
    threads = 2
    # Waiting for a lock, a thread runs no Python code in which an exception could be raised.
    # The exception meets it once it comes back.
    hangs = 2 * threads
    with serve("--request-timeout", "0.5", threads=threads, tracebacks=hangs, more_threads=hangs) as site:
        stuck = [site.dial() for _ in range(hangs)]
        for client in stuck:
            client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        site.check_victims(5)
        for client in stuck:
            assert client.response().status == "504"
            assert client.ended
        site.check_victims()
        site.open_gate()
        site.check_victims()


def test_f18_a_response_that_has_begun_is_cut_off(serve, truncated):
    with serve("--request-timeout", "0.5", threads=2, tracebacks=1, more_threads=1) as site:
        client = site.dial()
        with pytest.raises(truncated):
            client.get("/blocks?count=3&size=10&waits_at=1")
        site.open_gate()
        site.check_victims()


def test_f19_requests_wait_their_turn_behind_slow_ones_and_none_is_lost(serve, eventually):
    with serve(threads=2) as site:
        waiting = [site.dial() for _ in range(100)]
        for client in waiting:
            client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: site.connections == 100)
        site.open_gate()
        assert all(client.response().content == b"held" for client in waiting)


def test_f19_more_requests_than_may_wait_are_told_to_come_again(serve, eventually):
    threads, may_wait, refused = 2, 10, 30
    with serve("--limit-waiting", str(may_wait), threads=threads) as site:
        waiting = []
        for number in range(threads + may_wait):
            client = site.dial()
            client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
            waiting.append(client)
            eventually(lambda number=number: site.connections == number + 1)
        for _ in range(refused):
            with site.dial() as client:
                response = client.get()
                assert response.status == "503"
                assert response.get("Retry-After").isdigit()
                assert client.ended
        site.open_gate()
        assert all(client.response().content == b"held" for client in waiting)
        site.check_victims()
        assert site.end().count("overloaded") == refused
