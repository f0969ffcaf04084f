"""Real frameworks under watch: they come out clean, and answer as without it."""

import io
import sys
from urllib.parse import urlencode

import bottle
import flask
import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path

from tests.conform.exchanges import findings, make_environ, serve
from wsgix.conform import watch

FORM = urlencode({"name": "Grüße", "size": "3"}).encode()
UPLOAD = b"x" * 300_000


def flask_application():
    application = flask.Flask("hello")

    @application.get("/")
    def hello():
        return "Hello"

    @application.post("/form")
    def form():
        return f"Hello, {flask.request.form['name']}"

    @application.post("/upload")
    def upload():
        return str(len(flask.request.get_data()))

    @application.get("/stream")
    def stream():
        return flask.Response((f"line {number}\n" * 100 for number in range(3)), mimetype="text/plain")

    @application.get("/file")
    def file():
        return flask.send_file(io.BytesIO(b"content"), mimetype="text/plain")

    @application.get("/empty")
    def empty():
        return "", 204

    @application.get("/away")
    def away():
        return flask.redirect("/")

    @application.get("/fails")
    def fails():
        raise LookupError("on purpose")

    return application


def bottle_application():
    application = bottle.Bottle()
    application.get("/")(lambda: "Hello")
    application.post("/form")(lambda: f"Hello, {bottle.request.forms.name}")
    application.post("/upload")(lambda: str(len(bottle.request.body.read())))
    application.get("/stream")(lambda: (f"line {number}\n" * 100 for number in range(3)))
    application.get("/file")(lambda: io.BytesIO(b"content"))
    application.get("/empty")(lambda: bottle.HTTPResponse(status=204))
    application.get("/away")(lambda: bottle.redirect("/"))

    @application.get("/fails")
    def fails():
        raise LookupError("on purpose")

    return application


def django_fails(request):
    raise LookupError("on purpose")


urlpatterns = [
    path("", lambda request: HttpResponse("Hello")),
    path("form", lambda request: HttpResponse(f"Hello, {request.POST['name']}")),
    path("upload", lambda request: HttpResponse(str(len(request.body)))),
    path("stream", lambda request: StreamingHttpResponse(f"line {number}\n" * 100 for number in range(3))),
    path("file", lambda request: FileResponse(io.BytesIO(b"content"), content_type="text/plain")),
    path("empty", lambda request: HttpResponse(status=204)),
    path("away", lambda request: HttpResponse(status=302, headers={"Location": "/"})),
    path("fails", django_fails),
]


def django_application():
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF=sys.modules[__name__],
            LOGGING_CONFIG=None,
            SECRET_KEY="tests",
        )
        import django

        django.setup()
    return WSGIHandler()


APPLICATIONS = {"flask": flask_application, "bottle": bottle_application, "django": django_application}


@pytest.fixture(scope="module", params=APPLICATIONS)
def application(request):
    return APPLICATIONS[request.param]()


REQUESTS = {
    "hello": make_environ,
    "form": lambda: make_environ("POST", FORM, PATH_INFO="/form"),
    "upload": lambda: make_environ(
        "POST", UPLOAD, PATH_INFO="/upload", CONTENT_TYPE="application/octet-stream"
    ),
    "stream": lambda: make_environ(PATH_INFO="/stream"),
    "file": lambda: make_environ(PATH_INFO="/file"),
    "redirection": lambda: make_environ(PATH_INFO="/away"),
    "missing": lambda: make_environ(PATH_INFO="/missing"),
    "failing": lambda: make_environ(PATH_INFO="/fails"),
    "method": lambda: make_environ("DELETE"),
    "minimal": lambda: make_environ(**dict.fromkeys(("QUERY_STRING", "HTTP_HOST", "wsgi.file_wrapper"))),
}


@pytest.mark.parametrize("make_request", REQUESTS.values(), ids=REQUESTS)
def test_a_framework_is_clean(application, make_request):
    found = findings(application, make_request())

    assert found == []


@pytest.mark.parametrize("make_request", REQUESTS.values(), ids=REQUESTS)
def test_a_framework_answers_under_watch_as_without(application, make_request):
    with_watch, without = serve(watch(application), make_request()), serve(application, make_request())

    assert without.status
    assert (with_watch.error, without.error) == (None, None)
    assert with_watch.status == without.status
    assert [name for name, _ in with_watch.headers] == [name for name, _ in without.headers]
    assert with_watch.content == without.content
