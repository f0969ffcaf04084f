"""Reports in every form: for a person at a terminal, for other programs, and as one page for a browser.

Each form is a pure function from reports to text. Nothing here judges, and nothing writes: `wsgix.cli.output`
does. Only what leaves this package is named here.
"""

from .html import render_html
from .json_document import ReportFormatError, parse_json, render_json, render_rules
from .junit import render_junit
from .sarif import render_sarif
from .terminal import render_terminal

__all__ = [
    "ReportFormatError",
    "parse_json",
    "render_html",
    "render_json",
    "render_junit",
    "render_rules",
    "render_sarif",
    "render_terminal",
]
