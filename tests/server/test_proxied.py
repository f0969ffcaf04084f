"""Receiving a PROXY header: all of it, and nothing of what follows."""

import socket
from ipaddress import ip_address

import pytest

from wsgix.facts.refusals import BAD_PROXY_HEADER, NO_PROXY_HEADER
from wsgix.server.proxied import ProxyHeaderReceiver
from wsgix.wire.addresses import Endpoint
from wsgix.wire.http1 import NEED_MORE
from wsgix.wire.proxy_protocol import MAXIMUM_SIZE, ProxyVersion

LINE = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LARGEST = SIGNATURE + b"\x20\0" + (MAXIMUM_SIZE - 16).to_bytes(2, "big") + b"a" * (MAXIMUM_SIZE - 16)
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


@pytest.fixture
def receiver():
    return ProxyHeaderReceiver(ProxyVersion.AUTO)


@pytest.mark.parametrize("header", [LINE, LARGEST])
def test_what_follows_the_header_stays_in_the_socket(pair, receiver, header):
    ours, theirs = pair
    theirs.sendall(header + REQUEST)
    assert receiver.receive(ours).end == len(header)
    assert ours.recv(1000) == REQUEST


@pytest.mark.parametrize("header", [LINE, LARGEST])
def test_a_header_in_pieces_is_taken_off_piece_by_piece(pair, receiver, header):
    ours, theirs = pair
    for cut in range(0, len(header) - 1, 7):
        theirs.sendall(header[cut : min(cut + 7, len(header) - 1)])
        assert receiver.receive(ours) is NEED_MORE
        # A poller would report what were left.
        with pytest.raises(BlockingIOError):
            receiver.receive(ours)
    theirs.sendall(header[-1:] + REQUEST)
    assert receiver.receive(ours).end == len(header)
    assert ours.recv(1000) == REQUEST


def test_the_client_is_the_source(pair, receiver):
    ours, theirs = pair
    theirs.sendall(LINE)
    assert receiver.receive(ours).source == Endpoint(ip_address("192.0.2.1"), 56324)


@pytest.mark.parametrize(
    ("data", "refusal"),
    [(REQUEST, NO_PROXY_HEADER), (b"PROXY a\r\n" + REQUEST, BAD_PROXY_HEADER), (LINE, NO_PROXY_HEADER)],
)
def test_what_is_no_header_is_refused_and_stays(pair, data, refusal):
    ours, theirs = pair
    versions = ProxyVersion.V2 if data == LINE else ProxyVersion.V1
    theirs.sendall(data)
    assert ProxyHeaderReceiver(versions).receive(ours) == refusal
    assert ours.recv(1000) == data


@pytest.mark.parametrize("sent", [b"", LINE[:-1]])
def test_a_peer_that_leaves_before_its_header_is_whole_is_an_error(pair, receiver, sent):
    ours, theirs = pair
    if sent:
        theirs.sendall(sent)
        assert receiver.receive(ours) is NEED_MORE
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionAbortedError):
        receiver.receive(ours)
