"""What a worker tells every request of its listener, and that it ends when it is told to."""

import pytest


@pytest.mark.parametrize(("threads", "multithread"), [(1, False), (2, True)])
def test_the_environ_tells_the_truth_about_the_worker(serve, threads, multithread):
    seen = []

    def application(environ, start_response):
        seen.append(environ)
        start_response("200 OK", [])
        return []

    site = serve(application, threads=threads)
    site.get()
    (environ,) = seen
    assert environ["wsgi.multithread"] is multithread
    assert environ["wsgi.multiprocess"] is False
    assert environ["wsgi.run_once"] is False
    assert environ["wsgi.input_terminated"] is True
    assert (environ["SERVER_NAME"], int(environ["SERVER_PORT"])) == site.address


@pytest.mark.parametrize("shares", [True, False])
def test_who_shares_its_port_with_other_processes_says_so(serve, shares):
    def application(environ, start_response):
        start_response("200 OK", [])
        return [repr(environ["wsgi.multiprocess"]).encode()]

    assert serve(application, reuse_port=shares).get().content == repr(shares).encode()


def test_stopping_twice_is_stopping_once(serve, hello):
    site = serve(hello)
    assert site.get().content == b"hello"
    site.server._worker.stop()
    site.server._worker.stop()
