"""A page and a form in each framework, as its tutorial has it: what the referee must not accuse wrongly.

Each module-level function returns a WSGI application; the frameworks are imported when it is called.
"""

from __future__ import annotations


def flask():
    from flask import Flask, request

    app = Flask(__name__)

    @app.route("/")
    def index():
        return "<h1>Hello</h1><form method=post action=/form><input name=name></form>"

    @app.route("/form", methods=["GET", "POST"])
    def form():
        return f"Hello {request.form.get('name', 'nobody')}"

    return app


def bottle():
    import bottle

    app = bottle.Bottle()

    @app.get("/")
    def index():
        return "<h1>Hello</h1><form method=post action=/form><input name=name></form>"

    @app.route("/form", method=["GET", "POST"])
    def form():
        return f"Hello {bottle.request.forms.getunicode('name', 'nobody')}"

    return app


def falcon():
    import falcon

    class Index:
        def on_get(self, request, response):
            response.content_type = falcon.MEDIA_HTML
            response.text = "<h1>Hello</h1><form method=post action=/form><input name=name></form>"

    class Form:
        def on_get(self, request, response):
            response.text = "Hello nobody"

        def on_post(self, request, response):
            form = request.get_media(default_when_empty=None)
            response.text = f"Hello {(form or {}).get('name', 'nobody')}"

    app = falcon.App()
    app.add_route("/", Index())
    app.add_route("/form", Form())
    return app


def pyramid():
    from pyramid.config import Configurator
    from pyramid.response import Response

    def index(request):
        return Response("<h1>Hello</h1><form method=post action=/form><input name=name></form>")

    def form(request):
        return Response(f"Hello {request.POST.get('name', 'nobody')}")

    with Configurator() as configurator:
        configurator.add_route("index", "/")
        configurator.add_route("form", "/form")
        configurator.add_view(index, route_name="index")
        configurator.add_view(form, route_name="form")
        return configurator.make_wsgi_app()


def webob():
    from webob import Response
    from webob.dec import wsgify

    @wsgify
    def app(request):
        if request.path_info == "/form":
            return Response(f"Hello {request.POST.get('name', 'nobody')}")
        return Response("<h1>Hello</h1><form method=post action=/form><input name=name></form>")

    return app


def django():
    import os

    import django
    from django.core.wsgi import get_wsgi_application

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.conform.frameworks.django_settings"
    django.setup()
    return get_wsgi_application()


ALL = {
    "bottle": bottle,
    "django": django,
    "falcon": falcon,
    "flask": flask,
    "pyramid": pyramid,
    "webob": webob,
}
