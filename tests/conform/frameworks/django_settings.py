"""The settings and the views of the Django application in `applications`, in one module."""

from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

ROOT_URLCONF = __name__
ALLOWED_HOSTS = ["localhost"]
SECRET_KEY = "not secret at all"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


def index(request):
    return HttpResponse("<h1>Hello</h1><form method=post action=/form><input name=name></form>")


@csrf_exempt
def form(request):
    return HttpResponse(f"Hello {request.POST.get('name', 'nobody')}")


urlpatterns = [path("", index), path("form", form)]
