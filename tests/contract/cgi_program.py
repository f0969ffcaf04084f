"""A CGI program. It runs that of the `applications` beside it which `WSGIX_CONTRACT_APPLICATION` names."""

import importlib.util
import os
import pathlib

from wsgix.handlers import CGIHandler

spec = importlib.util.spec_from_file_location(
    "applications", pathlib.Path(__file__).with_name("applications.py")
)
applications = importlib.util.module_from_spec(spec)
spec.loader.exec_module(applications)

name = os.environ.pop("WSGIX_CONTRACT_APPLICATION")
CGIHandler().run(getattr(applications, name))
