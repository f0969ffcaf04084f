"""Makes tests of the documents: each ```python block of README.md and docs/ is run, in its file's order.

Nothing else belongs here; what the tests share stands in tests/conftest.py.
"""

try:
    from sybil import Sybil
    from sybil.parsers.markdown import PythonCodeBlockParser
except ImportError:  # the test group alone: only `make check` reads the documents
    pass
else:
    documents = Sybil(parsers=[PythonCodeBlockParser()], patterns=["README.md", "docs/*.md"])
    pytest_collect_file = documents.pytest()
