"""Request content that the application reads while it arrives.

Runs on the thread that runs the application: it owns the connection, and here it may wait, with a deadline.
"""

import io
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from wsgix.core.framing import CHUNKED
from wsgix.core.streams import IncompleteBody, RefusedBody
from wsgix.facts.refusals import BODY_TIMEOUT, Refusal
from wsgix.server.phase import BUSY
from wsgix.server.poller import wait_readable
from wsgix.server.settings import Settings
from wsgix.wire.http1 import COMPLETE, Step
from wsgix.wire.http1_body import ChunkedBody, LengthBody
from wsgix.wire.http1_response import CONTINUE
from wsgix.wire.limits import Limits

if TYPE_CHECKING:
    from wsgix.server.connection import Connection

RECEIVE_SIZE: Final = 65536

_OVER: Final = "the response was over before all of the request was read"


class StreamedBody(io.RawIOBase):
    """The content of one request as a raw stream over its connection.

    Reading raises `IncompleteBody` if the client stops before the end, or the response is over, and
    `RefusedBody` if what it sends is malformed, too large or too slow.

    Attributes:
        is_complete: whether all content has arrived, read or not.
        awaits_continue: whether the client waits for 100 (Continue), which the first read sends.
        trailers: the trailer fields of chunked content, complete with it.
    """

    def __init__(
        self,
        connection: "Connection",
        framing: int,
        limits: Limits,
        settings: Settings,
        awaits_continue: bool,
    ) -> None:
        self._connection = connection
        self._decoder = ChunkedBody(limits) if framing == CHUNKED else LengthBody(framing)
        self._pieces: deque[bytes] = deque()
        self._received = 0
        self._waited = 0.0
        self._is_dropped = False
        self._settings = settings
        self.awaits_continue = awaits_continue
        self.is_complete = False
        self.trailers: list[tuple[str, str]] = []
        if isinstance(self._decoder, ChunkedBody):
            self.trailers = self._decoder.trailers

    @property
    def end(self) -> int:
        """Where the content ended in the bytes fed last, once it is complete."""
        return self._decoder.end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._pieces and not self.is_complete:
            self._receive()
        if self._is_dropped:
            raise IncompleteBody(_OVER)
        if not self._pieces:
            return 0
        piece = self._pieces.popleft()
        size = min(len(buffer), len(piece))
        buffer[:size] = piece[:size]
        if size < len(piece):
            self._pieces.appendleft(piece[size:])
        return size

    def feed(self, data: bytes, start: int) -> Step | Refusal:
        """Take content from *data*, from index *start* on."""
        step = self._decoder.feed(data, start, self._pieces.append)
        self.is_complete = step is COMPLETE
        return step

    def drop(self) -> None:
        """Forget content that nobody is to read any more."""
        self._is_dropped = True
        self._pieces.clear()

    def _receive(self) -> None:
        """Wait for more content and take it."""
        connection = self._connection
        self._check_turn()
        if self.awaits_continue:
            self.awaits_continue = False
            # Within a response it would be taken for content. The head of the response tells the client not
            # to wait: now it "sends the request body on its own" (PEP 3333, "HTTP 1.1 Expect/Continue"), or
            # it does not.
            if not connection.is_answering:
                try:
                    connection.send(CONTINUE)
                except OSError as error:
                    raise IncompleteBody(*error.args) from None
        data = connection.unread()
        if not data:
            data = connection.wait_for_content(self._wait)
        self._received += len(data)
        step = connection.feed(self, data)
        if isinstance(step, Refusal):
            raise RefusedBody(step)

    def _check_turn(self) -> None:
        """See that the application is still at it: what a thread that it has left behind took is the loop's.

        Raises:
            IncompleteBody: it is not; what comes now may be the next request.
        """
        connection = self._connection
        if connection.phase is not BUSY or connection.streamed is not self:
            raise IncompleteBody(_OVER)

    def _wait(self) -> bytes:
        settings = self._settings
        earned = settings.body_timeout + self._received / settings.body_rate
        while True:
            # Only this is the client's time: while the application does something else, it may have had no
            # room to send, or nobody has asked it to.
            begin = time.monotonic()
            if not wait_readable(self._connection.fd, earned - self._waited):
                raise RefusedBody(BODY_TIMEOUT)
            self._waited += time.monotonic() - begin
            self._check_turn()
            try:
                data = self._connection.socket.recv(RECEIVE_SIZE)
            except BlockingIOError:
                continue
            except OSError as error:
                raise IncompleteBody(*error.args) from None
            if not data:
                raise IncompleteBody("the client closed the connection before the end of its request")
            return data
