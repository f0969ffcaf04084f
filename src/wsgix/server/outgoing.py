"""The half of a connection that sends: a response, whole or in pieces, and what the client has not taken yet.

Nothing here waits, but `send` and `push` once the client is far behind its response. Until then what the
socket does not take is kept, and the loop is told of it.
"""

import contextlib
import errno
import os
import socket
import struct
from threading import Lock
from typing import Final

from wsgix.server.poller import wait_writable
from wsgix.server.shared import TURN, Common
from wsgix.wire.http1_response import CHUNK_END, chunk_start

TOGETHER: Final = 65536
"""Bytes of small blocks that leave together."""

RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: on, zero seconds. Closing then resets the connection."""

_NO_SENDFILE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""`sendfile` is not for files of this file system."""

FILE_FAULTS: Final = frozenset({errno.EBADF, errno.EIO, errno.ESTALE})
"""Of `sendfile`, these speak of the file, all others of the client."""

_EMPTY: Final = memoryview(b"")
"""Stands where nothing is kept."""
_NOTHING: Final[list[bytes]] = []
"""Stands where nothing is gathered; never added to."""
_NO_LOCK: Final = contextlib.nullcontext()
"""Stands where no other thread sends."""


class Outgoing:
    """An accepted socket, as far as a response needs it.

    The methods run on the thread that owns the connection, where none other is named.

    Attributes:
        outbox, file_left: what the client has not taken yet of the response; bytes, and how many of a file.
        is_simple: whether nothing but its response is left to see to, once the request at hand is answered.
        is_inline: whether the application runs on the leader, when it runs for it.
        is_taken: whether the application speaks to the client itself; then nothing is sent here any more.
        is_given_up: whether the request has timed out, though the application may still be at it.
        is_until_close: whether the end of the connection is the end of the response's content, too.
        lost: what sending to the client failed with; from then on nothing more is sent.
    """

    __slots__ = (
        "_common",
        "_file",
        "_file_offset",
        "_gathered",
        "_gathers_chunks",
        "_stalled",
        "fd",
        "file_left",
        "is_given_up",
        "is_inline",
        "is_simple",
        "is_taken",
        "is_until_close",
        "lost",
        "outbox",
        "socket",
    )

    def __init__(self, accepted: socket.SocketType, common: Common) -> None:
        self.socket = accepted
        self.fd = accepted.fileno()
        self._common = common
        self.is_simple = self.is_inline = True
        self.is_taken = self.is_given_up = self.is_until_close = False
        self.outbox: bytearray | memoryview = _EMPTY
        self.file_left = 0
        self.lost: OSError | None = None
        self._stalled: Lock | None = None
        self._gathered = _NOTHING
        self._file = -1

    def _end_response(self) -> None:
        """Begin anew, for the next response."""
        self.is_simple = self.is_inline = True
        self._stalled = None
        self._gathered = _NOTHING

    def send(self, data: bytes, is_last: bool = False) -> None:
        """Send what the socket takes and keep the rest; wait if the rest is too much, unless *is_last*.

        Raises:
            OSError: the client is gone, or did not read for the write timeout.
        """
        if self._stalled is None:
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return
            self._stalled = Lock()
            was_clear = True
            self._keep(memoryview(data)[sent:])
        else:
            was_clear = self._queue(data)
        self._push(is_last, was_clear)

    def gather(self, start: bytes, chunked: bool) -> list[bytes]:
        """Keep *start*; return where blocks may be put that are to leave with it, until `push` or `release`.

        They wait here only while the application runs on the leader, `is_inline`, and produces the next ones
        quickly. If it does not, it loses the lead, and the new leader sends them: "Use a different thread to
        ensure that the block continues to be transmitted while the application produces the next block"
        (PEP 3333, "Buffering and Streaming").

        Args:
            start: what leaves before them, the head of the response perhaps.
            chunked: whether they are to be chunks: all that leave together are one.
        """
        self._gathers_chunks = chunked
        gathered: list[bytes] = []
        self._gathered = gathered
        if self._stalled is None:
            self.outbox = memoryview(start)
            self._stalled = Lock()
        else:
            with self._stalled:
                self._keep(start)
        # Whoever takes the lead away looks at what is here afterwards: one of the two has it sent.
        if not self.is_inline:
            self._common.on_stall(self)
        return gathered

    def release(self, size: int, ending: bytes) -> None:
        """Send all that is gathered, blocks of *size* bytes, and *ending*, with which the response is whole.

        Raises:
            OSError: the client is gone.
        """
        with self._stalled or _NO_LOCK:
            is_untouched = self.is_simple  # since `gather`, by this thread or another
            if is_untouched:
                start, self.outbox = self.outbox, _EMPTY
                blocks, self._gathered = self._gathered, _NOTHING
                self._stalled = None
        if is_untouched:
            ending = b"".join((start, *self._framed(blocks, size), ending))
        self.send(ending, True)

    def fall_silent(self) -> None:
        """Send nothing more, whatever comes; on any thread."""
        if self._stalled is None:
            self._stalled = Lock()  # from here on all that is sent takes the way through `flush`
        with self._stalled:
            self.is_taken = True
            self.flush()

    def lose(self, error: OSError) -> None:
        """Send nothing more: *error* has kept something of the response from leaving."""
        if self._stalled is None:
            self._stalled = Lock()  # from here on all that is sent takes the way through `flush`
        self.is_simple = False
        self.lost = error

    def push(self, is_last: bool = False) -> None:
        """Send what the socket takes of what is kept or gathered; wait and raise as `send` does."""
        self.is_simple = False
        self._push(is_last, self._queue() if self._gathered else False)

    def _queue(self, *pieces: bytes) -> bool:
        """Keep what was gathered, and *pieces*, behind what is kept; tell whether nothing was."""
        # Looked at under the lock: what the leader is sending, it may have sent a moment later.
        with self._stalled or _NO_LOCK:
            was_clear = not self.outbox
            self._keep(*pieces)
        return was_clear

    def _push(self, is_last: bool, was_clear: bool) -> None:
        """Push, and have the loop go on with what stays; unless *was_clear*, it is at it already."""
        if not self.flush_meanwhile() and was_clear:
            self._common.on_stall(self)
        # Waiting keeps the application from producing more; behind the last block there is no more.
        if not is_last and len(self.outbox) > self._common.settings.response_buffer:
            self._common.waiting(self, self._wait_for_client)
        if self.lost is not None:
            raise ConnectionAbortedError(*self.lost.args)

    def let_go(self) -> None:
        """Note that the application no longer runs on the leader; on whoever takes the lead from it."""
        self.is_simple = False
        with self._stalled or _NO_LOCK:
            self.is_inline = False
        if self._stalled is not None:
            self._common.on_stall(self)

    def _keep(self, *pieces: bytes | memoryview) -> None:
        """Keep *pieces*, behind what was gathered; nothing is copied twice, and one piece not at all."""
        self.is_simple = False
        if self._gathered:
            pieces = (*self._take_gathered(), *pieces)
        outbox = self.outbox
        if not outbox:
            self.outbox = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        elif isinstance(outbox, memoryview):
            self.outbox = bytearray().join((outbox, *pieces))
        else:
            for piece in pieces:
                outbox += piece

    def _take_gathered(self) -> list[bytes]:
        """Take what was gathered; only what is there now, as the application may be adding to it."""
        gathered = self._gathered
        size = len(gathered)
        blocks = gathered[:size]
        del gathered[:size]
        return self._framed(blocks, sum(map(len, blocks)))

    def _framed(self, blocks: list[bytes], size: int) -> list[bytes]:
        """Return gathered *blocks*, of *size* bytes, as they are to leave."""
        if not self._gathers_chunks:
            return blocks
        # An empty chunk would end the content.
        return [chunk_start(size), *blocks, CHUNK_END] if size else []

    def _wait_for_client(self) -> None:
        settings = self._common.settings
        while len(self.outbox) > settings.response_buffer:
            if not wait_writable(self.fd, settings.write_timeout):
                raise ConnectionAbortedError(
                    f"the client read nothing for {settings.write_timeout:g} seconds"
                )
            self.flush_meanwhile()

    def send_last(self, data: bytes) -> None:
        """Send as much of *data* as the client takes at once, and end this side of the connection.

        For the thread that watches, while the application is stuck.
        """
        with contextlib.suppress(OSError):
            with self._stalled or _NO_LOCK:
                # In the middle of an interim response it would be no answer.
                if not self.outbox:
                    self.socket.send(data)
            self.socket.shutdown(socket.SHUT_WR)

    def cut_off(self) -> None:
        """Let the client see that its response will not be complete."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def will_reset(self) -> None:
        """Have closing reset the connection: only that differs from an end."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    @property
    def has_all_left(self) -> bool:
        """Whether nothing of the response is kept."""
        return not (self.outbox or self.file_left)

    def reset(self) -> None:
        """Let the client see the same where the end of the connection would mean the end of the content.

        On any thread, as others may use the descriptor meanwhile: it gets another socket below it, which has
        ended already, so that no other connection can get its number.
        """
        try:
            ended, other = socket.socketpair()
            with ended, other:
                other.shutdown(socket.SHUT_RDWR)
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                os.dup2(ended.fileno(), self.fd, inheritable=False)
        except OSError:  # no descriptor is left
            self.cut_off()

    def flush_meanwhile(self) -> bool:
        """Send more of what is kept while the application goes on; tell whether all has left.

        On the leader, or on the thread of the application: "guarantee that they will continue transmission
        even while the application is producing its next block" (PEP 3333, "Buffering and Streaming").
        """
        stalled = self._stalled  # on the leader: the other thread may end the request meanwhile
        if stalled is None:
            return True
        with stalled:
            try:
                return self.flush()
            except OSError as error:
                self.lost = error
            except MemoryError:  # something of the response may be gone
                self.lost = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            return self.flush()

    def send_file(self, fd: int, offset: int, size: int) -> bool:
        """Send *size* bytes of the regular file *fd*, from *offset* on; keep what the socket does not take.

        The descriptor is duplicated: the application may close its own. False, and nothing is sent, if none
        is left.

        Raises:
            OSError: the client is gone, or the file cannot be read (`FILE_FAULTS`).
        """
        self.is_simple = False
        # Once a client has stalled, the leader may be sending what comes before the file.
        with self._stalled or _NO_LOCK:
            try:
                self._file = os.dup(fd)
            except OSError:
                return False
            self._file_offset = offset
            self.file_left = size
            self.flush()
        return True

    def flush(self) -> bool:
        """Send more of what is kept, or forget it if the connection is taken or lost.

        Tells whether nothing is left; else the client is to be polled for.

        Raises:
            OSError: the client is gone, or a file is shorter than it was.
        """
        # Once something has not left, what follows it would pass for what comes next in the response.
        if self.is_taken or self.lost is not None:
            self._gathered = _NOTHING
            self.outbox = _EMPTY
            self.file_left = 0
            self._close_file()
            return True
        try:
            if self._gathered:
                self._keep()
            if self.outbox:
                sent = self.socket.send(self.outbox)
                if isinstance(self.outbox, memoryview):
                    self.outbox = self.outbox[sent:]
                else:
                    del self.outbox[:sent]
                if self.outbox:
                    return False
            turn = TURN
            while self.file_left:
                if turn <= 0:
                    return False
                sent = self._send_of_file(min(self.file_left, turn))
                if not sent:
                    raise OSError(errno.EIO, "it became shorter while it was sent")  # among `FILE_FAULTS`
                self._file_offset += sent
                self.file_left -= sent
                turn -= sent
        except BlockingIOError:
            return False
        self._close_file()
        return True

    def _send_of_file(self, size: int) -> int:
        """Send at most *size* bytes of the file; return how many the socket has taken, 0 at its end."""
        try:
            return os.sendfile(self.fd, self._file, self._file_offset, size)
        except OSError as error:
            if error.errno not in _NO_SENDFILE:
                raise
        block = os.pread(self._file, min(size, TOGETHER), self._file_offset)
        return self.socket.send(block) if block else 0

    def renew_lock(self) -> None:
        """Wait for nobody who was sending: in a child that was forked, no other thread is there any more."""
        if self._stalled is not None:
            self._stalled = Lock()

    def _close_file(self) -> None:
        if self._file >= 0:
            # First: if closing is interrupted, as it may be when the request times out, it is not done again.
            fd, self._file = self._file, -1
            os.close(fd)
