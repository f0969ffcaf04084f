"""Values of settings: each kind at its edges, as text and as Python value."""

import os
import pathlib
import sys
from types import SimpleNamespace

import pytest

from wsgix.facts.settings import SETTINGS, Kind, Section, Setting
from wsgix.server.values import Address, Owner, parse_address, read_value, wanted


def row_of(kind, least="", most="", choices=(), several=False):
    return Setting("knob", Section.LIMITS, kind, "", "", "", least, most, choices, several)


def refused(row, value):
    with pytest.raises(ValueError):  # noqa: PT011 (the words are those of `wanted`)
        read_value(row, value)
    return True


# Addresses

ADDRESSES = [
    ("127.0.0.1:8000", Address("127.0.0.1", 8000), "127.0.0.1:8000"),
    ("localhost:0", Address("localhost", 0), "localhost:0"),
    ("localhost:00080", Address("localhost", 80), "localhost:80"),
    ("[::1]:8000", Address("::1", 8000), "[::1]:8000"),
    ("[::]:65535", Address("::", 65535), "[::]:65535"),
    ("*:8000", Address("", 8000), "*:8000"),
    (":8000", Address("", 8000), "*:8000"),
    ("unix:/run/app.sock", Address(path="/run/app.sock"), "unix:/run/app.sock"),
    ("unix:///run/app.sock", Address(path="///run/app.sock"), "unix:///run/app.sock"),
    ("unix:relative:8000", Address(path="relative:8000"), "unix:relative:8000"),
    ("unix:@name", Address(path="@name"), "unix:@name"),
    ("@name:8000", Address(path="@name:8000"), "unix:@name:8000"),
    ("unix:./@file", Address(path="./@file"), "unix:./@file"),
    ("fd://3", Address(fd=3), "fd://3"),
    ("fd://0", Address(fd=0), "fd://0"),
]

NO_ADDRESSES = [
    ("", "no port"),
    ("8000", "no port"),
    ("localhost", "no port"),
    ("localhost:", "the port ''"),
    ("localhost:http", "the port 'http'"),
    ("localhost:-1", "the port '-1'"),
    ("localhost:+1", "the port '\\+1'"),
    ("localhost: 80", "the port ' 80'"),
    ("localhost:8_0", "the port '8_0'"),
    ("localhost:65536", "the port '65536'"),
    ("localhost:100000", "the port '100000'"),
    ("localhost:000080", "the port '000080'"),
    ("localhost:\u0663", "the port"),
    ("localhost:" + "9" * 5000, "the port"),
    ("local\0host:80", "the host is no name"),
    ("::1:8000", "needs brackets"),
    ("[::1:8000", "needs brackets"),
    ("::1]:8000", "needs brackets"),
    ("http://localhost:8000", "leave out http://"),
    ("[]:8000", "no IPv6 address"),
    ("[localhost]:8000", "no IPv6 address"),
    ("unix:", "path of the Unix socket is missing"),
    ("unix:@", "path of the Unix socket is missing"),
    ("@", "path of the Unix socket is missing"),
    ("unix:a\0b", "path of the Unix socket is missing"),
    ("fd://", "the descriptor ''"),
    ("fd://-1", "the descriptor '-1'"),
    ("fd://x", "the descriptor 'x'"),
    ("fd://3/", "the descriptor '3/'"),
    ("fd://" + "9" * 10, "the descriptor"),
]


@pytest.mark.parametrize(("text", "address", "spelled"), ADDRESSES)
def test_an_address_is_read_and_spelled(text, address, spelled):
    assert parse_address(text) == address
    assert str(address) == spelled
    assert parse_address(spelled) == address
    assert parse_address(address) == address


@pytest.mark.parametrize(("text", "fault"), NO_ADDRESSES)
def test_what_is_no_address_is_refused_with_the_reason(text, fault):
    with pytest.raises(ValueError, match=fault):
        parse_address(text)


# Numbers


@pytest.mark.parametrize(
    ("value", "count"), [("3", 3), ("10", 10), (3, 3), (10, 10), ("010", 10), ("0" * 17 + "3", 3)]
)
def test_a_count_within_its_bounds(value, count):
    assert read_value(row_of(Kind.COUNT, "3", "10"), value) == count


@pytest.mark.parametrize(
    "value",
    [
        "2",
        "11",
        2,
        11,
        -3,
        "",
        " 3",
        "3 ",
        "3\n",
        "+3",
        "-3",
        "3.0",
        "1e1",
        "0x5",
        "1_0",
        3.0,
        True,
        None,
        "\u0665",
        "\u00b2",
        "9" * 18,
        "9" * 5000,
        b"3",
    ],
)
def test_another_count(value):
    assert refused(row_of(Kind.COUNT, "3", "10"), value)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("100", 100),
        ("1k", 1024),
        ("1K", 1024),
        ("3k", 3072),
        ("3m", 3 * 1024 * 1024),
        ("2M", 2 * 1024 * 1024),
        ("1g", 1024**3),
        ("1G", 1024**3),
        (100, 100),
        (1 << 30, 1024**3),
    ],
)
def test_a_size_within_its_bounds(value, size):
    assert read_value(row_of(Kind.SIZE, "100", "1g"), value) == size


@pytest.mark.parametrize(
    "value",
    [
        "99",
        99,
        (1 << 30) + 1,
        "1073741825",
        "1025m",
        "2g",
        "k",
        "1kb",
        "1 k",
        "1.5k",
        "1t",
        "-1k",
        "",
        None,
        True,
        100.0,
        "\u0661k",
        "200\u212a",
        "9" * 5000 + "k",
    ],
)
def test_another_size(value):
    assert refused(row_of(Kind.SIZE, "100", "1g"), value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("250ms", 0.25),
        ("250.5ms", 0.2505),
        ("0.25", 0.25),
        ("30", 30.0),
        ("30s", 30.0),
        ("1.5s", 1.5),
        ("5m", 300.0),
        ("2h", 7200.0),
        ("0.5h", 1800.0),
        ("120m", 7200.0),
        ("7200000ms", 7200.0),
        (0.25, 0.25),
        (7200, 7200.0),
        (7200.0, 7200.0),
    ],
)
def test_a_time_within_its_bounds(value, seconds):
    read = read_value(row_of(Kind.SECONDS, "250ms", "2h"), value)
    assert read == seconds
    assert type(read) is float


@pytest.mark.parametrize(
    "value",
    [
        "249ms",
        "249.999999ms",
        0.2499999,
        7200.000001,
        7201,
        "7200001ms",
        "121m",
        "2.1h",
        "0",
        0,
        -1,
        10**400,
        "",
        "s",
        "1d",
        "1 s",
        "1.s",
        ".5s",
        "1e3",
        "1,5",
        "-1s",
        "+1s",
        "inf",
        "nan",
        "1M",
        None,
        True,
        float("nan"),
        float("inf"),
        "\u0661s",
        "9" * 5000,
    ],
)
def test_another_time(value):
    assert refused(row_of(Kind.SECONDS, "250ms", "2h"), value)


NUMBERS = {Kind.COUNT: int, Kind.SIZE: int, Kind.SECONDS: float}


@pytest.mark.parametrize("row", [row for row in SETTINGS if row.kind in NUMBERS], ids=lambda row: row.name)
def test_every_bound_of_the_table_holds(row):
    least, most = read_value(row, row.least), read_value(row, row.most)
    step = 1e-6 if row.kind is Kind.SECONDS else 1
    assert type(least) is NUMBERS[row.kind]
    assert read_value(row, least) == least
    assert read_value(row, least + step) == least + step
    assert refused(row, least - step)
    assert read_value(row, most) == most
    assert read_value(row, most - step) == most - step
    assert refused(row, most + step)


# Words


@pytest.mark.parametrize("value", [True, 1, "1", "on", "On", "TRUE", "yes"])
def test_a_switch_that_is_on(value):
    assert read_value(row_of(Kind.SWITCH), value) is True


@pytest.mark.parametrize("value", [False, 0, "0", "off", "Off", "FALSE", "no"])
def test_a_switch_that_is_off(value):
    assert read_value(row_of(Kind.SWITCH), value) is False


@pytest.mark.parametrize("value", ["", "y", "onn", " on", 2, None, [], 0.5])
def test_another_switch(value):
    assert refused(row_of(Kind.SWITCH), value)


def test_a_choice_is_one_of_its_words_in_any_case():
    row = row_of(Kind.CHOICE, choices=("off", "v1"))
    assert read_value(row, "off") == "off"
    assert read_value(row, "V1") == "v1"
    for value in ("", "v", "v11", "of", None, 1, ["off"]):
        assert refused(row, value)


def test_a_format_is_one_of_its_words_or_has_an_atom():
    row = row_of(Kind.FORMAT, choices=("combined", "json"))
    assert read_value(row, "json") == "json"
    assert read_value(row, "%(h)s \u00e9") == "%(h)s \u00e9"
    assert read_value(row, "%(h)s\t%(s)s") == "%(h)s\t%(s)s"
    for value in ("", "jso", "JSON", "text", "%(h)s\n", "%(h)s\x1b", None, 1):
        assert refused(row, value)


# Files and their permissions


@pytest.mark.parametrize(
    ("value", "mode"),
    [("0660", 0o660), ("660", 0o660), ("0o660", 0o660), ("0", 0), ("777", 0o777), (0o660, 0o660), (0, 0)],
)
def test_a_mode_is_octal(value, mode):
    assert read_value(row_of(Kind.MODE, "0", "0777"), value) == mode


@pytest.mark.parametrize("value", ["", "1000", 0o1000, 660, -1, "668", "rw", "0x1", "-1", 6.0, True, None])
def test_another_mode(value):
    assert refused(row_of(Kind.MODE, "0", "0777"), value)


OWNER = row_of(Kind.OWNER)


@pytest.fixture
def people(monkeypatch):
    """A system with one user, ann, and one group, www."""

    def getpwnam(name):
        return SimpleNamespace(pw_uid={"ann": 1001}[name])

    def getgrnam(name):
        return SimpleNamespace(gr_gid={"www": 2002}[name])

    monkeypatch.setitem(sys.modules, "pwd", SimpleNamespace(getpwnam=getpwnam))
    monkeypatch.setitem(sys.modules, "grp", SimpleNamespace(getgrnam=getgrnam))


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("value", "owner"),
    [
        ("ann", Owner(1001, -1)),
        ("ann:www", Owner(1001, 2002)),
        (":www", Owner(-1, 2002)),
        ("33:www", Owner(33, 2002)),
        ("ann:0", Owner(1001, 0)),
        ("4294967294:4294967294", Owner(2**32 - 2, 2**32 - 2)),
        (Owner(1, 2), Owner(1, 2)),
        ("none", None),
        (None, None),
    ],
)
def test_an_owner_is_a_user_a_group_or_both(value, owner):
    assert read_value(OWNER, value) == owner


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    "value",
    ["", ":", "ann:", "www", "ann:ann", "nobody-of-that-name", "4294967295", ":4294967295", "-1", "1:2:3"],
)
def test_another_owner(value):
    assert refused(OWNER, value)


def test_a_system_without_users_knows_numbers_only(monkeypatch):
    monkeypatch.setitem(sys.modules, "pwd", None)
    monkeypatch.setitem(sys.modules, "grp", None)
    assert refused(OWNER, "root")
    assert refused(OWNER, ":root")
    assert read_value(OWNER, "0:0") == Owner(0, 0)


def test_a_file_is_a_path_or_none():
    row = row_of(Kind.FILE)
    assert read_value(row, "/a b,c.pem") == "/a b,c.pem"
    assert read_value(row, pathlib.Path("/a") / "b") == "/a/b"
    assert read_value(row, "./none") == f"{os.getcwd()}/./none"
    assert read_value(row, "none") is None
    assert read_value(row, None) is None
    for value in ("", "a\0b", b"a", 3, True):
        assert refused(row, value)


def test_among_several_files_there_is_no_none():
    row = row_of(Kind.FILE, several=True)
    assert read_value(row, "/a.pem") == "/a.pem"
    assert refused(row, "none")
    assert refused(row, None)


@pytest.mark.parametrize(
    ("value", "log"),
    [
        ("-", True),
        ("on", True),
        (True, True),
        ("off", False),
        (False, False),
        ("/access.log", "/access.log"),
        ("./on", f"{os.getcwd()}/./on"),
        (pathlib.Path("/access.log"), "/access.log"),
    ],
)
def test_a_log_is_standard_output_a_file_or_off(value, log):
    assert read_value(row_of(Kind.LOG), value) == log


@pytest.mark.parametrize("value", ["", "a\0b", None, 3, b"-"])
def test_another_log(value):
    assert refused(row_of(Kind.LOG), value)


@pytest.mark.parametrize("kind", [Kind.FILE, Kind.LOG])
def test_a_relative_path_starts_where_it_was_read_and_is_not_normalized(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = read_value(row_of(kind), "link/../file")
    monkeypatch.chdir("/")
    assert path == f"{tmp_path}/link/../file"
    assert read_value(row_of(kind), path) == path


# Networks


@pytest.mark.parametrize(
    ("value", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.1", "10.0.0.1/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("unix", "unix"),
    ],
)
def test_a_network_is_spelled_in_one_way(value, network):
    assert read_value(row_of(Kind.NETWORK), value) == network
    assert read_value(row_of(Kind.NETWORK), network) == network


@pytest.mark.parametrize(
    "value",
    [
        "",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0",
        "010.0.0.0/8",
        "[::1]",
        "localhost",
        "*",
        "none",
        None,
        10,
        "10.0.0.0/8,10.0.0.1",
    ],
)
def test_another_network(value):
    assert refused(row_of(Kind.NETWORK), value)


# What is wanted


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_what_is_wanted_is_said_in_a_line_with_the_bounds_and_the_choices(row):
    text = wanted(row)
    assert "\n" not in text
    assert all(word in text for word in (row.least, row.most, *row.choices))
