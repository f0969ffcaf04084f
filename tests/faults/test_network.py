"""F12 and half of F10: a network that loses, delays and reorders packets, and a link that goes down."""

import fcntl
import hashlib
import os
import select
import shutil
import struct
import subprocess
import threading
import time
from collections import deque

import pytest

from tests.server.conftest import Client

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
MTU = 536


class Link:
    """A network of two hosts, *here* and *there*, with this process in the place of the cable.

    What goes to *there* comes back as if *there* had sent it to *here*: the addresses of each packet are
    swapped, which leaves its checksums right. So a server on *here* is reached over the cable by connecting
    to *there*.

    Attributes:
        is_bad: whether each 50th packet is lost, and each seventh late.
        is_down: whether all are lost.
        lost: how many were.
    """

    def __init__(self):
        number = os.getpid() % (
            1 << 15
        )  # one of the networks of 198.18.0.0/15, which are for tests (RFC 2544)
        network = (198 << 24) + (18 << 16) + number * 4
        self.here, self.there = (".".join(map(str, (network + host).to_bytes(4))) for host in (1, 2))
        self.is_down = False
        self.is_bad = True
        self.lost = 0
        self._tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        request = fcntl.ioctl(self._tun, TUNSETIFF, struct.pack("16sH22x", b"wsgix%d", IFF_TUN | IFF_NO_PI))
        name = request[:16].rstrip(b"\0").decode()
        for command in (f"addr add {self.here}/30 dev {name}", f"link set {name} up mtu {MTU}"):
            subprocess.run(["ip", *command.split()], check=True, capture_output=True)
        self._end = os.pipe()
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def _carry(self):
        late, carried = deque(), 0
        while True:
            ready, _, _ = select.select([self._tun, self._end[0]], [], [], 0.005 if late else None)
            if self._end[0] in ready:
                return
            if self._tun in ready:
                packet = os.read(self._tun, 65536)
                if packet[0] >> 4 == 4:
                    carried += 1
                    if self.is_down or (self.is_bad and carried % 50 == 0):
                        self.lost += 1
                    # Every seventh is overtaken by those behind it.
                    elif self.is_bad and carried % 7 == 0:
                        late.append((time.monotonic() + 0.005, packet))
                    else:
                        self._deliver(packet)
            while late and late[0][0] <= time.monotonic():
                self._deliver(late.popleft()[1])

    def _deliver(self, packet):
        os.write(self._tun, packet[:12] + packet[16:20] + packet[12:16] + packet[20:])

    def close(self):
        os.write(self._end[1], b"\0")
        self._thread.join()
        for fd in (self._tun, *self._end):
            os.close(fd)


@pytest.fixture
def link():
    """A `Link`."""
    if os.geteuid() or not os.path.exists("/dev/net/tun") or not shutil.which("ip"):
        pytest.skip("a network of its own needs root, /dev/net/tun and ip")
    made = Link()
    yield made
    made.close()


@pytest.fixture
def connect(link):
    """Connect over the link: `connect(site)`."""

    def over_the_link(site):
        client = Client((link.there, site.address[1]))
        site.clients.append(client)
        return client

    return over_the_link


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_f12_content_arrives_whole_over_a_bad_network(serve, link, connect, framing):
    content = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(6000))
    with serve(bind=(f"{link.here}:0",)) as site:
        client = connect(site)
        head = b"POST /digest HTTP/1.1\r\nHost: a\r\n"
        if framing == "length":
            client.send(head + b"Content-Length: %d\r\n\r\n" % len(content) + content)
        else:
            client.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
            for start in range(0, len(content), 5000):
                piece = content[start : start + 5000]
                client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            client.send(b"0\r\n\r\n")
        digest = hashlib.sha256(content).hexdigest()
        assert client.response().content == f"{len(content)} {digest}".encode()
        assert client.get("/blocks?count=200&size=1000").content == b"x" * 200_000
        assert client.get("/one-block?size=200000").content == b"x" * 200_000
        for _ in range(10):
            assert connect(site).get().content == b"hello"
        assert link.lost > 10
        assert site.end() == ""


def test_f10_connections_over_a_link_that_went_down_are_freed_by_their_deadlines(
    serve, link, connect, eventually
):
    options = [f"--{name}-timeout=1" for name in ("head", "body", "keep-alive", "write")]
    link.is_bad = False
    with serve(*options, bind=(f"{link.here}:0",), more_threads=10) as site:
        clients = [connect(site) for _ in range(20)]
        for number, client in enumerate(clients):
            if number % 2:
                client.get()
            else:
                client.send(b"GET /blocks?count=400&size=100000 HTTP/1.1\r\nHost: a\r\n\r\n")
                client.until(b"\r\n\r\n")
        link.is_down = True
        site.check_victims()
        eventually(lambda: not site.connections)
        assert site.counts["closed"] == site.counts["/blocks"]
        assert "ERROR" not in site.end()
        # Nobody waits for these any more; a reset takes them from the kernel, too.
        for client in clients:
            client.close()
