"""Every request file of the corpus, fed four ways, and against two other parsers."""

import json
import random
from collections import deque
from pathlib import Path

import h11
import httptools
import pytest

from wsgix.core.framing import CHUNKED, KEEP
from wsgix.facts import refusals
from wsgix.facts.refusals import Refusal
from wsgix.wire.http1 import NEED_MORE, RequestReader
from wsgix.wire.http1_body import ChunkedBody, LengthBody

CORPUS = Path(__file__).parent / "http1"
VALID = sorted(CORPUS.glob("valid/*.http"))
INVALID = sorted(CORPUS.glob("invalid/*.http"))
NEXT = b"GET /next HTTP/1.1\r\nHost: n\r\n\r\n"
WORDS = {row.word for row in vars(refusals).values() if isinstance(row, Refusal)}


def names(path):
    return path.stem


def expectation(path):
    return json.loads(path.with_suffix(".json").read_text("ascii"))


def converse(pieces):
    """Read all requests from the pieces; return them and the word of the refusal that ended it, or None."""
    queue = deque(pieces)
    reader = RequestReader()
    template = {}  # always the same, as that of a connection is: only so does the reader use its memory
    held = b""
    messages = []
    while True:
        while (environ := reader.read(held, 0, template)) is NEED_MORE:
            if not queue:
                return messages, "incomplete" if held else None
            held = bytearray(held) + queue.popleft() if held else queue.popleft()
        if isinstance(environ, Refusal):
            return messages, environ.word
        body = ChunkedBody() if reader.framing == CHUNKED else LengthBody(reader.framing)
        parts = []
        piece = bytes(held[reader.end :])
        while (step := body.feed(piece, 0, parts.append)) is NEED_MORE:
            if not queue:
                return messages, "incomplete"
            piece = queue.popleft()
        if isinstance(step, Refusal):
            return messages, step.word
        held = piece[body.end :]
        messages.append(
            {
                "variables": environ,
                "body": b"".join(parts).decode("latin-1"),
                "trailers": [list(pair) for pair in getattr(body, "trailers", [])],
                "keep": reader.wish is KEEP,
                "expects_continue": reader.expects_continue,
            }
        )
        if reader.wish is not KEEP:
            return messages, None


def random_cuts(raw, seed):
    cut_at = sorted(random.Random(seed).choices(range(len(raw) + 1), k=5))
    return [raw[a:b] for a, b in zip([0, *cut_at], [*cut_at, len(raw)], strict=True) if a < b]


def ways(raw):
    yield [raw]
    yield [raw[i : i + 1] for i in range(len(raw))]
    for seed in range(3):
        yield random_cuts(raw, seed)


@pytest.mark.parametrize("path", VALID, ids=names)
def test_a_valid_request_gives_what_its_file_says(path):
    expected = expectation(path)
    [message], end = converse([path.read_bytes()])
    assert end is None
    for key, value in expected.get("variables", {}).items():
        assert message["variables"][key] == value
    assert not set(expected.get("absent", [])) & set(message["variables"])
    assert message["keep"] is expected.get("keep", True)
    for key in ("body", "trailers", "expects_continue"):
        assert message[key] == expected.get(key, type(message[key])())


@pytest.mark.parametrize("path", VALID, ids=names)
def test_a_valid_request_reads_the_same_however_it_is_cut(path):
    raw = path.read_bytes()
    results = [converse(pieces) for pieces in ways(raw)]
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("path", VALID, ids=names)
def test_a_request_behind_a_valid_one_is_read_iff_the_connection_persists(path):
    raw = path.read_bytes() + NEXT
    for pieces in ways(raw):
        messages, end = converse(pieces)
        assert end is None
        assert [m["variables"]["PATH_INFO"] for m in messages[1:]] == (
            ["/next"] if messages[0]["keep"] else []
        )


@pytest.mark.parametrize("path", INVALID, ids=names)
def test_an_invalid_request_is_refused_for_the_reason_in_its_file_however_it_is_cut(path):
    word = expectation(path)["refusal"]
    for pieces in ways(path.read_bytes()):
        assert converse(pieces) == ([], word)


@pytest.mark.parametrize("path", INVALID, ids=names)
def test_no_request_is_read_behind_an_invalid_one(path):
    word = expectation(path)["refusal"]
    if word != "incomplete":
        for pieces in ways(path.read_bytes() + NEXT):
            assert converse(pieces) == ([], word)


def test_the_corpus_is_complete_and_paired():
    assert len(VALID) + len(INVALID) >= 300
    for path in VALID + INVALID:
        expected = expectation(path)
        assert expected["rule"]
        assert expected["says"].endswith(".")
        assert ("refusal" in expected) == (path.parent.name == "invalid")
        assert expected.get("refusal", "incomplete") in WORDS
    assert len(list(CORPUS.glob("*/*"))) == 2 * len(VALID + INVALID)


def h11_accepts(raw):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(raw)
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.EndOfMessage):
                return True
            if event is h11.NEED_DATA:
                return False
    except h11.RemoteProtocolError:
        return False


class Collector:
    complete = False

    def on_message_complete(self):
        self.complete = True


def httptools_accepts(raw):
    collector = Collector()
    try:
        httptools.HttpRequestParser(collector).feed_data(raw)
    except httptools.HttpParserUpgrade:
        return True
    except httptools.HttpParserError:
        # What follows the message may be faulty; the message was read.
        return collector.complete
    return collector.complete


# What the other parsers leave to their caller, or judge otherwise. A row covers all files of one refusal.
FOR_THE_CALLER = "left to the caller, which knows the target, the host or the policy"
H11_ACCEPTS = {
    "bad-path": FOR_THE_CALLER,
    "bad-query": FOR_THE_CALLER,
    "bad-target": FOR_THE_CALLER,
    "bad-authority": FOR_THE_CALLER,
    "bad-host": "checks that Host is there, not what it says",
    "misdirected": FOR_THE_CALLER,
    "method-not-implemented": FOR_THE_CALLER,
    "bad-version": "reads any major version",
    "version-not-supported": "reads any major version",
    "unknown-expectation": FOR_THE_CALLER,
    "bare-lf": "takes LF for a line end, as RFC 9112, 2.2, lets it, and behind the last chunk too",
    "obs-fold": "replaces a fold by a space, as RFC 9112, 5.2, lets it",
    "bad-field-value": "lets controls other than NUL, CR and LF through",
    "bad-chunk-extension": "skips an extension without a look at its grammar",
    "bad-chunk-size": "takes twenty digits, and white space behind them",
    "chunk-overhead": "has no budget for extensions",
    "bad-length": "takes a list of equal lengths, as RFC 9112, 6.3, lets it",
    "repeated-field": "takes equal lengths twice (RFC 9112, 6.3); judges no other field",
    "length-and-coding": "lets the coding override the length, as RFC 9112, 6.3, lets it",
    "coding-in-1.0": "reads the coding in any version",
    "forbidden-trailer": "judges no trailer by its name",
    "fields-too-large": "was given a megabyte",
    "trailers-too-large": "was given a megabyte",
    "line-too-long": "was given a megabyte",
}
H11_REFUSES = {
    "chunked-extension-bad-white-space": "wants the semicolon right behind the size",
    "one-empty-line-before": "ignores no empty line",
    "four-empty-lines-before": "ignores no empty line",
    "length-with-leading-zeros": "takes twenty digits at most",
}
HTTPTOOLS_ACCEPTS = {
    "bad-path": FOR_THE_CALLER,
    "bad-query": FOR_THE_CALLER,
    "bad-target": FOR_THE_CALLER,
    "bad-authority": FOR_THE_CALLER,
    "bad-host": FOR_THE_CALLER,
    "no-host": FOR_THE_CALLER,
    "misdirected": FOR_THE_CALLER,
    "method-not-implemented": FOR_THE_CALLER,
    "unknown-expectation": FOR_THE_CALLER,
    "bad-version": "knows HTTP/0.9",
    "version-not-supported": "knows HTTP/2.0",
    "bad-request-line": "skips spaces between the parts and reads HTTP/0.9 without a version",
    "bare-lf": "ignores any empty line before the request",
    "empty-lines": "ignores any number of empty lines",
    "bad-chunk-extension": "lets empty names and values through",
    "bad-chunk-size": "counts leading zeros for nothing",
    "chunk-overhead": "has no budget for extensions",
    "bad-coding": "looks at the last coding only",
    "coding-not-implemented": "leaves other codings to the caller",
    "coding-in-1.0": "reads the coding in any version",
    "repeated-field": "keeps no fields",
    "forbidden-trailer": "judges few trailers by their name",
    "fields-too-large": "keeps no fields",
    "trailers-too-large": "keeps no fields",
    "line-too-long": "keeps no line",
}
HTTPTOOLS_REFUSES = {
    "chunked-extension-bad-white-space": "wants no white space around the semicolon",
    "method-of-32-letters": "knows a fixed set of methods",
    "method-of-tchars": "knows a fixed set of methods",
    "method-with-underscore": "knows a fixed set of methods",
    "version-1-2": "knows a fixed set of versions",
}
SECOND_OPINIONS = pytest.mark.parametrize(
    ("accepts", "too_strict", "too_lax"),
    [
        pytest.param(h11_accepts, H11_REFUSES, H11_ACCEPTS, id="h11"),
        pytest.param(httptools_accepts, HTTPTOOLS_REFUSES, HTTPTOOLS_ACCEPTS, id="httptools"),
    ],
)


@SECOND_OPINIONS
def test_another_parser_accepts_what_is_valid_or_we_know_why_not(accepts, too_strict, too_lax):
    refused = {path.stem for path in VALID if not accepts(path.read_bytes())}
    assert refused <= set(too_strict)


@SECOND_OPINIONS
def test_another_parser_refuses_what_is_invalid_or_we_know_why_not(accepts, too_strict, too_lax):
    accepted = {expectation(path)["refusal"] for path in INVALID if accepts(path.read_bytes())}
    assert accepted <= set(too_lax)
