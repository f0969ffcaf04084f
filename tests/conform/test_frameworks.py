"""Real frameworks under watch: they come out clean, and answer as without it."""

import io
import sys
import warnings
from pathlib import Path
from urllib.parse import urlencode

import bottle
import falcon
import flask
import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path
from whitenoise import WhiteNoise

from tests.conform.exchanges import findings, ids, make_environ, serve
from wsgix.conform import watch
from wsgix.conform.rule import Level

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # WebOb imports cgi, and Pyramid pkg_resources
    import pyramid.config
    import pyramid.httpexceptions
    import pyramid.response
    import webob.dec
    import webob.exc
    import webob.static

FORM = urlencode({"name": "Grüße", "size": "3"}).encode()
UPLOAD = b"x" * 10_000  # WebOb leaves files for larger ones to the garbage collector


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


def falcon_application():
    class Responder:
        def __init__(self, answer):
            self.answer = answer

        def on_get(self, request, response):
            self.answer(request, response)

        on_post = on_get

    def hello(request, response):
        response.content_type = "text/plain"
        response.text = "Hello"

    def form(request, response):
        response.text = f"Hello, {request.get_media()['name']}"

    def upload(request, response):
        response.text = str(len(request.bounded_stream.read()))

    def stream(request, response):
        response.content_type = "text/plain"
        response.stream = (b"line %d\n" % number * 100 for number in range(3))

    def file(request, response):
        response.content_type = "text/plain"
        response.stream = io.BytesIO(b"content")
        response.content_length = 7

    def empty(request, response):
        response.status = 204

    def away(request, response):
        raise falcon.HTTPFound("/")

    def fails(request, response):
        raise LookupError("on purpose")

    application = falcon.App()
    application.add_route("/", Responder(hello))
    for answer in (form, upload, stream, file, empty, away, fails):
        application.add_route(f"/{answer.__name__}", Responder(answer))
    return application


def pyramid_application():
    def fails(request):
        raise LookupError("on purpose")

    def tween_factory(handler, registry):
        def tween(request):
            try:
                return handler(request)
            except LookupError:
                return pyramid.response.Response("Sorry", status=500)

        return tween

    response = pyramid.response.Response
    views = {
        "/": lambda request: response("Hello"),
        "/form": lambda request: response(f"Hello, {request.POST['name']}"),
        "/upload": lambda request: response(str(len(request.body))),
        "/stream": lambda request: response(
            app_iter=(b"line %d\n" % number * 100 for number in range(3)), content_type="text/plain"
        ),
        "/file": lambda request: response(
            app_iter=pyramid.response.FileIter(io.BytesIO(b"content")), content_type="text/plain"
        ),
        "/empty": lambda request: response(status=204),
        "/away": lambda request: pyramid.httpexceptions.HTTPFound("/"),
        "/fails": fails,
    }
    with pyramid.config.Configurator() as config:
        for number, (route, view) in enumerate(views.items()):
            config.add_route(str(number), route)
            config.add_view(view, route_name=str(number))
    application = config.make_wsgi_app()
    handle = application.handle_request
    application.handle_request = tween_factory(handle, application.registry)
    return application


@webob.dec.wsgify
def webob_application(request):
    match request.path_info:
        case "/form":
            return f"Hello, {request.POST['name']}"
        case "/upload":
            return str(len(request.body))
        case "/stream":
            blocks = (b"line %d\n" % number * 100 for number in range(3))
            return webob.Response(app_iter=blocks, content_type="text/plain")
        case "/file":
            return webob.Response(
                app_iter=webob.static.FileIter(io.BytesIO(b"content")), content_type="text/plain"
            )
        case "/empty":
            return webob.Response(status=204)
        case "/away":
            raise webob.exc.HTTPFound(location="/")
        case "/missing":
            raise webob.exc.HTTPNotFound
        case "/fails":
            raise webob.exc.HTTPInternalServerError
    return "Hello"


def whitenoise_around_flask():
    return WhiteNoise(flask_application(), root=Path(__file__).parent, prefix="static")


APPLICATIONS = {
    "flask": flask_application,
    "bottle": bottle_application,
    "django": django_application,
    "falcon": falcon_application,
    "pyramid": pyramid_application,
    "webob": lambda: webob_application,
    "whitenoise": whitenoise_around_flask,
}


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
    "static": lambda: make_environ(PATH_INFO="/static/test_frameworks.py"),
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


# What correct applications are told of, and why: docs/referee-watch.md.
TOLD = {
    "flask": {"empty": ["H23"]},
    "whitenoise": {"empty": ["H23"]},
    "django": {"empty": ["H23"], "head": ["B9"], "head of missing": ["B9"]},
}
ARGUED = {
    "empty": lambda: make_environ(PATH_INFO="/empty"),
    "head": lambda: make_environ("HEAD"),
    "head of missing": lambda: make_environ("HEAD", PATH_INFO="/missing"),
}


@pytest.mark.parametrize("name", APPLICATIONS)
@pytest.mark.parametrize("request_name", ARGUED)
def test_a_framework_is_told_what_the_documents_argue_and_no_more(name, request_name):
    found = findings(APPLICATIONS[name](), ARGUED[request_name]())

    assert ids(found) == TOLD.get(name, {}).get(request_name, [])
    assert all(judgement.rule.level is Level.DE_FACTO for judgement in found)
