"""Settings: what comes from where, what is refused, and that a refusal says what is wanted."""

import ipaddress
import os
import pathlib

import pytest

from wsgix.facts.settings import SETTINGS
from wsgix.server.settings import (
    ConfigurationError,
    SocketOptions,
    make_settings,
    option_of,
    variable_of,
)
from wsgix.server.values import Address, Owner
from wsgix.wire.limits import DEFAULT_LIMITS, Limits

DEFAULTS = {
    "bind": (Address("127.0.0.1", 8000),),
    "backlog": 2048,
    "reuse_port": False,
    "unix_mode": 0o660,
    "unix_owner": None,
    "threads": 8,
    "request_buffer": 262_144,
    "request_memory": 67_108_864,
    "response_buffer": 1_048_576,
    "stream_requests": False,
    "limit_request_line": 8190,
    "limit_request_field": 8190,
    "limit_request_fields": 100,
    "limit_request_head": 65_536,
    "limit_request_body": 1_073_741_824,
    "limit_connections": 20_000,
    "limit_requests_per_connection": 0,
    "limit_waiting": 1000,
    "refuse_underscores": False,
    "head_timeout": 10.0,
    "body_timeout": 20.0,
    "body_rate": 500,
    "handshake_timeout": 10.0,
    "write_timeout": 30.0,
    "keep_alive_timeout": 75.0,
    "request_timeout": 0.0,
    "graceful_timeout": 30.0,
    "certfile": (),
    "keyfile": (),
    "ca_certs": None,
    "client_certs": "none",
    "proxy_protocol": "off",
    "proxy_protocol_from": (),
    "forwarded_from": (),
    "forwarded_header": "x-forwarded",
    "access_log": True,
    "access_log_format": "combined",
    "log_level": "info",
}


def refusal(*environ, **values):
    """Return the only line of the error that the settings are."""
    with pytest.raises(ConfigurationError) as caught:
        make_settings(*environ, **values)
    message = str(caught.value)
    assert "\n" not in message
    return message


# The record


def test_without_values_the_defaults_hold():
    assert make_settings()._asdict() == {
        **DEFAULTS,
        "bind": (Address("127.0.0.1", 8000),),
    }


def test_every_row_has_a_field_and_every_field_a_row():
    assert [*make_settings()._fields] == [row.name for row in SETTINGS]


def test_settings_are_frozen():
    with pytest.raises(AttributeError):
        make_settings().threads = 3


def test_what_the_codec_may_hold_comes_from_the_settings():
    assert make_settings().limits == DEFAULT_LIMITS
    settings = make_settings(
        limit_request_line="1k",
        limit_request_field=2000,
        limit_request_fields=3,
        limit_request_head="4k",
        limit_request_body="5m",
        refuse_underscores=True,
    )
    assert settings.limits == Limits(1024, 2000, 3, 4096, 5 << 20, refuse_underscores=True)


def test_how_sockets_are_opened_comes_from_the_settings():
    assert make_settings().socket_options == SocketOptions()
    settings = make_settings(backlog=5, reuse_port=True, unix_mode="600", unix_owner="1:2", certfile="a.pem")
    assert settings.socket_options == SocketOptions(5, True, 0o600, Owner(1, 2), "https")


# Values


def test_bind_takes_one_address_or_several():
    assert make_settings(bind="h:1").bind == (Address("h", 1),)
    assert make_settings(bind=["h:1", "unix:p"]).bind == (Address("h", 1), Address(path="p"))
    assert make_settings(bind=(text for text in ["h:1"])).bind == (Address("h", 1),)
    assert make_settings(bind=[Address(fd=3)]).bind == (Address(fd=3),)


@pytest.mark.parametrize("bind", [[], None, "none", ["none"]])
def test_there_is_at_least_one_address(bind):
    assert refusal(bind=bind) == "bind is empty, but must have at least one address"


@pytest.mark.parametrize(("bind", "seen"), [("localhost", "localhost"), (["h:1", "localhost"], "localhost")])
def test_a_bad_address_is_refused_in_one_line_that_says_what_to_write(bind, seen):
    assert refusal(bind=bind) == (
        f"cannot bind to {seen!r}: it has no port; "
        "write HOST:PORT, [IPV6]:PORT, *:PORT, unix:PATH, unix:@NAME or fd://N, as in 127.0.0.1:8000"
    )


def test_several_files_are_given_as_one_path_or_many_or_none():
    assert make_settings(certfile="/a.pem").certfile == ("/a.pem",)
    assert make_settings(certfile=pathlib.Path("/a.pem")).certfile == ("/a.pem",)
    assert make_settings(certfile=["/a.pem", pathlib.Path("/b,c.pem")]).certfile == ("/a.pem", "/b,c.pem")
    assert make_settings(certfile="none").certfile == ()
    assert make_settings(certfile=["none"]).certfile == ()
    assert make_settings(certfile=[]).certfile == ()
    assert make_settings(certfile=None).certfile == ()


@pytest.mark.parametrize("value", [3, True, ["a.pem", "none"], ["a.pem", ""]])
def test_other_files_are_refused(value):
    assert refusal(certfile=value).endswith("but must be the path of a file, or none")


def test_a_relative_path_without_a_current_directory_is_refused(monkeypatch):
    def getcwd():
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "getcwd", getcwd)
    assert refusal(access_log="logs/access.log") == (
        "access_log is 'logs/access.log', but there is no current directory to look in "
        "(No such file or directory); write an absolute path"
    )
    assert make_settings(access_log="/access.log").access_log == "/access.log"


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"threads": 0}, "threads is 0, but must be a number from 1 to 10000"),
        ({"threads": "many"}, "threads is 'many', but must be a number from 1 to 10000"),
        (
            {"head_timeout": "1d"},
            (
                "head_timeout is '1d', but must be a time from 1ms to 24h, "
                "in seconds or with a unit as in 250ms, 30s, 5m, 2h"
            ),
        ),
        (
            {"request_buffer": "2g"},
            (
                "request_buffer is '2g', but must be a size from 0 to 1g, "
                "in bytes or with a unit as in 64k, 1m, 1g"
            ),
        ),
        ({"reuse_port": "maybe"}, "reuse_port is 'maybe', but must be on or off"),
        ({"proxy_protocol": "v3"}, "proxy_protocol is 'v3', but must be off, v1, v2 or auto"),
        ({"unix_mode": "rw"}, "unix_mode is 'rw', but must be octal permissions from 0 to 0777 as in 0660"),
        (
            {"unix_owner": "root:no-such-group"},
            (
                "unix_owner is 'root:no-such-group', but must be USER, USER:GROUP or :GROUP, "
                "known to this system, or none"
            ),
        ),
        (
            {"forwarded_from": ["::1", "localhost"]},
            (
                "forwarded_from is 'localhost', but must be a network as in 10.0.0.0/8 or 2001:db8::/32, "
                "an address, unix, or none"
            ),
        ),
        (
            {"access_log": ""},
            "access_log is '', but must be the path of a file, - for standard output, on or off",
        ),
        (
            {"access_log_format": "short"},
            "access_log_format is 'short', but must be combined, json or one line with atoms such as %(h)s",
        ),
    ],
)
def test_a_refusal_names_the_setting_what_was_seen_and_what_is_wanted(values, line):
    assert refusal(**values) == line


def test_an_unknown_setting_is_a_type_error_with_the_near_ones():
    with pytest.raises(TypeError, match=r"there is no setting 'theads'; did you mean threads\?"):
        make_settings(theads=3)
    with pytest.raises(TypeError, match=r"there is no setting 'qqq'$"):
        make_settings(qqq=3)


# The environment


def test_a_setting_names_its_option_and_its_variable():
    assert option_of("reuse_port") == "--reuse-port"
    assert variable_of("reuse_port") == "WSGIX_REUSE_PORT"


def test_the_default_gives_way_to_the_environment_and_that_to_the_caller():
    environ = {"WSGIX_THREADS": "3", "WSGIX_BACKLOG": "4", "PATH": "/bin", "wsgix_nothing": "x"}
    settings = make_settings(environ, threads=5)
    assert (settings.threads, settings.backlog, settings.request_buffer) == (5, 4, 262_144)


def test_without_an_environment_none_is_read(monkeypatch):
    monkeypatch.setenv("WSGIX_THREADS", "3")
    assert make_settings().threads == 8


def test_several_values_in_a_variable_are_separated_by_commas():
    environ = {"WSGIX_BIND": "h:1,unix:/p", "WSGIX_FORWARDED_FROM": "10.0.0.0/8, unix"}
    settings = make_settings(environ)
    assert settings.bind == (Address("h", 1), Address(path="/p"))
    assert settings.forwarded_from == ("10.0.0.0/8", "unix")
    assert make_settings(environ, forwarded_from="none").forwarded_from == ()
    assert make_settings({"WSGIX_FORWARDED_FROM": "none"}).forwarded_from == ()


def test_an_address_or_a_network_of_ipaddress_is_one_value():
    # Iterating over the network would take longer than anybody waits.
    for value in (ipaddress.ip_network("2001:db8::/32"), [ipaddress.ip_network("2001:db8::/32")]):
        assert make_settings(forwarded_from=value).forwarded_from == ("2001:db8::/32",)
    assert make_settings(forwarded_from=ipaddress.ip_address("10.0.0.1")).forwarded_from == ("10.0.0.1/32",)


def test_an_empty_variable_is_not_set():
    assert make_settings({"WSGIX_THREADS": "", "WSGIX_BIND": "", "WSGIX_ACCESS_LOG": ""}) == make_settings()


def test_a_wrong_variable_is_named_as_such():
    assert refusal({"WSGIX_THREADS": "x"}) == "WSGIX_THREADS is 'x', but must be a number from 1 to 10000"


def test_a_wrong_variable_that_the_caller_overrides_does_no_harm():
    assert make_settings({"WSGIX_THREADS": "x"}, threads=3).threads == 3


@pytest.mark.parametrize("label", ["WSGIX_THEADS", "WSGIX_threads"])
@pytest.mark.parametrize("value", ["", "3"])
def test_an_unknown_variable_is_refused_with_the_near_ones(label, value):
    assert refusal({label: value}) == (
        f"the environment variable {label} is no setting; did you mean WSGIX_THREADS?"
    )


def test_an_unknown_variable_that_is_near_to_none_is_to_be_removed():
    assert refusal({"WSGIX_": "3"}) == "the environment variable WSGIX_ is no setting; remove it"


# Together

TOGETHER = [
    {"certfile": "a"},
    {"certfile": ["a", "b"]},
    {"certfile": ["a", "b"], "keyfile": ["a", "b"]},
    {"certfile": "a", "ca_certs": "b", "client_certs": "required"},
    {"proxy_protocol": "v1", "proxy_protocol_from": "unix"},
    {"forwarded_from": "unix"},
    {"forwarded_header": "forwarded"},
]


@pytest.mark.parametrize("values", TOGETHER)
def test_settings_that_go_together(values):
    make_settings(**values)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"keyfile": "a"}, "keyfile is given 1 times and certfile 0 times; give a keyfile for each certfile"),
        ({"certfile": ["a", "b"], "keyfile": "a"}, "keyfile is given 1 times and certfile 2 times"),
        (
            {"certfile": "a", "client_certs": "optional"},
            "client_certs is optional, which needs certfile and ca_certs; give both",
        ),
        ({"ca_certs": "a"}, "ca_certs is given without certfile"),
        (
            {"certfile": "a", "ca_certs": "b"},
            "ca_certs is given and client_certs is none; write optional or required for client_certs",
        ),
        (
            {"ca_certs": "a", "client_certs": "required"},
            "client_certs is required, which needs certfile and ca_certs",
        ),
        (
            {"proxy_protocol": "v2"},
            "proxy_protocol is v2 and proxy_protocol_from is none; give both, or neither",
        ),
        (
            {"proxy_protocol_from": ["::1", "unix"]},
            "proxy_protocol is off and proxy_protocol_from is ::1/128 unix; give both, or neither",
        ),
    ],
)
def test_settings_that_do_not_go_together(values, line):
    assert refusal(**values).startswith(line)
