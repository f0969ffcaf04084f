"""What the tests of the examples share: no proxy in between, and the project with a database."""

import os
import subprocess
import sys

import pytest

from tests.serving import DEADLINE, ROOT, environment_with, serving

DJANGO = ROOT / "examples" / "django_project"
PASSWORD = "a password for one test"


@pytest.fixture(autouse=True, scope="session")
def no_proxy():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        patch.setenv("no_proxy", "*")
        yield


@pytest.fixture(scope="module")
def django_server(tmp_path_factory):
    """The Django project with an empty database, served; its superuser is `admin` with `PASSWORD`."""
    data = str(tmp_path_factory.mktemp("django"))
    for command in (["migrate", "--verbosity=0"], ["createsuperuser", "--noinput", "--verbosity=0"]):
        subprocess.run(
            [sys.executable, DJANGO / "manage.py", *command],
            env=environment_with(
                {
                    "DJANGO_DATA": data,
                    "DJANGO_SUPERUSER_USERNAME": "admin",
                    "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
                    "DJANGO_SUPERUSER_EMAIL": "admin@example.org",
                }
            ),
            check=True,
            timeout=DEADLINE,
        )
    assert os.listdir(data) == ["db.sqlite3"]
    with serving("examples/django_project/website/wsgi.py", DJANGO_DATA=data) as server:
        yield server


@pytest.fixture(scope="session")
def password():
    return PASSWORD
