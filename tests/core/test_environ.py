"""`core.environ`: the `wsgi.*` variables that PEP 3333 demands, spelled once."""

from wsgix.core.environ import WSGI_VERSION, add_wsgi_variables

GIVEN = {
    "input": object(),
    "errors": object(),
    "url_scheme": "https",
    "multithread": True,
    "multiprocess": False,
    "run_once": False,
}


def test_the_variables_of_pep_3333_are_added_in_place():
    environ = {"PATH_INFO": "/"}
    add_wsgi_variables(environ, **GIVEN, file_wrapper=list)

    assert environ == {
        "PATH_INFO": "/",
        "wsgi.version": (1, 0),
        "wsgi.input": GIVEN["input"],
        "wsgi.errors": GIVEN["errors"],
        "wsgi.url_scheme": "https",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": list,
    }


def test_without_a_file_wrapper_none_is_offered():
    environ = {}
    add_wsgi_variables(environ, **GIVEN, file_wrapper=None)

    assert "wsgi.file_wrapper" not in environ


def test_what_was_there_before_is_replaced():
    environ = {"wsgi.url_scheme": "gopher", "wsgi.input": None}
    add_wsgi_variables(environ, **GIVEN, file_wrapper=None)

    assert environ["wsgi.url_scheme"] == "https"
    assert environ["wsgi.input"] is GIVEN["input"]


def test_a_handler_may_state_another_version():
    environ = {}
    add_wsgi_variables(environ, **GIVEN, file_wrapper=None, version=(1, 1))

    assert environ["wsgi.version"] == (1, 1)
    assert WSGI_VERSION == (1, 0)
