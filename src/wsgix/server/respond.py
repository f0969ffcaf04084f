"""One call of the application for one request, with what looks at it from outside: the log, the time-out.

Any thread may respond. What the response is made of is `responder`'s; who responds is `scheduler`'s.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from wsgix.core.exchange import Application
from wsgix.core.framing import ABORT, Outcome
from wsgix.server.call_timeout import CallTimeout, RequestTimeout
from wsgix.server.connection import Connection
from wsgix.server.responder import Responder
from wsgix.server.sure_log import log

if TYPE_CHECKING:
    from wsgix.server.access_log import AccessLog

Respond: TypeAlias = Callable[[Connection], Outcome]
"""Runs the application for the request that a connection has collected."""


def make_respond(
    application: Application, access_log: "AccessLog | None", call_timeout: CallTimeout | None
) -> Respond:
    """Return what responds; it does no more than those who look on need."""
    note = _note_nothing if access_log is None else access_log.add

    def respond(connection: Connection) -> Outcome:
        responder = Responder(connection, connection.environ, connection.reader)
        try:
            responder.run(application)
        except BaseException:
            _fail(responder)
        return responder.outcome

    def respond_logged(connection: Connection) -> Outcome:
        responder = Responder(connection, connection.environ, connection.reader)
        try:
            responder.run(application)
        except BaseException:
            _fail(responder)
        if responder.status_sent:
            note(connection.client, responder)
        return responder.outcome

    def respond_timed(connection: Connection) -> Outcome:
        responder = Responder(connection, connection.environ, connection.reader)
        begin = time.monotonic()
        if call_timeout is None:
            _run(responder)
        else:
            note_answer = partial(note, connection.client, responder, begin)
            _run_in_time(responder, call_timeout, note_answer)
        # Whoever answered for the application has noted it, as this may come hours later.
        if responder.status_sent and not responder.is_answered_for:
            note(connection.client, responder, begin)
        return responder.outcome

    def _run(responder: Responder) -> None:
        try:
            responder.run(application)
        except BaseException:
            _fail(responder)

    def _run_in_time(
        responder: Responder, call_timeout: CallTimeout, note_answer: Callable[[], object]
    ) -> None:
        responder.share()
        try:
            call_timeout.begin(responder, note_answer)
            _run(responder)
            call_timeout.end()
        except RequestTimeout:
            # It was sent while the call began or ended, and reached this thread outside of the application.
            responder.outcome = ABORT
            call_timeout.end()

    if call_timeout is not None or (access_log is not None and access_log.timed):
        return respond_timed
    return respond if access_log is None else respond_logged


def _note_nothing(_client: str, _responder: Responder, _begin: float = 0.0) -> None:
    """Stand for an access log that is off."""


def _fail(responder: Responder) -> None:
    """Note that not even the answer to a failure could be given; in an `except` clause."""
    responder.outcome = ABORT
    log.exception("the response failed: %s", responder.name)
