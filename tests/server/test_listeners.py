"""Listening sockets: addresses of every kind, what stands in the way, what is cleaned up."""

import contextlib
import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from tests.serving import COMMAND, DEADLINE, ROOT, ServerProcess, environment_with, run_wsgix
from wsgix.server import listeners as listeners_module
from wsgix.server.listeners import close_listeners, inherited_addresses, open_listeners
from wsgix.server.settings import ConfigurationError, SocketOptions
from wsgix.server.values import Address, Owner

PLAIN = str(ROOT / "examples" / "plain" / "app.py")

needs_abstract = pytest.mark.skipif(sys.platform != "linux", reason="abstract Unix sockets are Linux's")
needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="the system has no dual-stack IPv6")


@pytest.fixture
def listen():
    """Open listeners, and close them at the end of the test."""
    opened = []

    def open_all(*addresses, **options):
        listeners = open_listeners(addresses, SocketOptions(**options))
        opened.extend(listeners)
        return listeners

    yield open_all
    close_listeners(opened)


@pytest.fixture
def resolves(monkeypatch):
    """Have every host stand for the given names of `socket.getaddrinfo`, each (family, host)."""

    def resolve(*found):
        def getaddrinfo(host, port, **_):
            return [(family, socket.SOCK_STREAM, 6, "", (name, port)) for family, name in found]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return resolve


@pytest.fixture
def path(tmp_path):
    """A path for a Unix socket: short, as the system allows some 100 bytes."""
    name = f"/tmp/wsgix-{os.getpid()}-{abs(hash(tmp_path)) % 10**8}"
    yield name
    if os.path.lexists(name):
        os.unlink(name)


def reaches(listener, family, where):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.connect(where)
        listener.socket.setblocking(True)
        listener.socket.settimeout(20)
        accepted, _ = listener.socket.accept()
        accepted.close()
    return True


@pytest.mark.parametrize("has_accept", [True, False])
def test_a_connection_is_accepted_with_its_address_and_without_delay(listen, has_accept):
    (listener,) = listen(Address("127.0.0.1", 0))
    if not has_accept:
        listener._accept = None
    with pytest.raises(BlockingIOError):
        listener.accept()
    with socket.create_connection(listener.socket.getsockname()) as client:
        listener.socket.settimeout(20)
        accepted, address = listener.accept()
        with contextlib.closing(accepted):
            assert address == client.getsockname()
            assert (accepted.family, accepted.type) == (socket.AF_INET, socket.SOCK_STREAM)
            assert listener.is_delaying
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
            listener.set_no_delay(accepted)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert listener.is_delaying
            listener.set_no_delay(accepted)
            assert not listener.is_delaying


def test_a_tcp_listener_describes_itself(listen):
    (listener,) = listen(Address("127.0.0.1", 0))
    port = listener.socket.getsockname()[1]
    assert port != 0
    assert (listener.server_name, listener.server_port) == ("127.0.0.1", str(port))
    assert listener.url == f"http://127.0.0.1:{port}"
    assert not listener.is_unix
    assert listener.socket.gettimeout() == 0.0
    assert reaches(listener, socket.AF_INET, ("127.0.0.1", port))


@needs_ipv6
def test_an_ipv6_listener_takes_only_ipv6_and_has_brackets_in_its_name_and_url(listen):
    (listener,) = listen(Address("::1", 0))
    port = listener.socket.getsockname()[1]
    assert listener.url == f"http://[::1]:{port}"
    assert listener.server_name == "[::1]"
    assert reaches(listener, socket.AF_INET6, ("::1", port))
    assert listener.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


@needs_ipv6
def test_the_name_of_a_listener_has_no_zone(listen, resolves):
    resolves((socket.AF_INET6, "::1"))  # in the place of an address with a zone, which not every machine has
    (listener,) = listen(Address("fe80::1%eth0", 0))
    assert listener.server_name == "[fe80::1]"


@needs_ipv6
def test_without_a_host_both_families_are_served(listen):
    (listener,) = listen(Address("", 0))
    port = listener.socket.getsockname()[1]
    assert listener.url == f"http://127.0.0.1:{port}"
    assert listener.server_name
    assert reaches(listener, socket.AF_INET, ("127.0.0.1", port))
    assert reaches(listener, socket.AF_INET6, ("::1", port))


@needs_ipv6
def test_without_dual_stack_each_family_has_a_socket_at_the_same_port(listen, monkeypatch):
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    opened = {listener.socket.family: listener for listener in listen(Address("", 0))}
    assert set(opened) == {socket.AF_INET, socket.AF_INET6}
    port = opened[socket.AF_INET].socket.getsockname()[1]
    assert opened[socket.AF_INET].url == f"http://127.0.0.1:{port}"
    assert opened[socket.AF_INET6].url == f"http://[::1]:{port}"
    assert reaches(opened[socket.AF_INET], socket.AF_INET, ("127.0.0.1", port))
    assert reaches(opened[socket.AF_INET6], socket.AF_INET6, ("::1", port))


def test_a_listener_of_all_addresses_has_the_name_of_the_machine(listen, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "machine")
    (named,) = listen(Address("0.0.0.0", 0))
    assert named.server_name == "machine"
    assert named.url == f"http://127.0.0.1:{named.server_port}"
    monkeypatch.setattr(socket, "gethostname", lambda: "")
    (nameless,) = listen(Address("0.0.0.0", 0))
    assert nameless.server_name == "localhost"


@pytest.mark.parametrize(
    ("host", "reached"), [("0", "127.0.0.1"), pytest.param("0::0", "[::1]", marks=needs_ipv6)]
)
def test_all_addresses_may_be_spelled_otherwise(listen, monkeypatch, host, reached):
    monkeypatch.setattr(socket, "gethostname", lambda: "machine")
    (listener,) = listen(Address(host, 0))
    assert listener.server_name == "machine"
    assert listener.url == f"http://{reached}:{listener.server_port}"


# A host with several addresses


def test_every_address_of_a_host_is_served_at_the_same_port_and_url(listen, resolves):
    resolves((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2"), (socket.AF_INET, "127.0.0.1"))
    first, second = listen(Address("host.example", 0))
    port = first.socket.getsockname()[1]
    assert first.socket.getsockname() == ("127.0.0.1", port)
    assert second.socket.getsockname() == ("127.0.0.2", port)
    assert first.url == second.url == f"http://host.example:{port}"
    assert first.server_name == second.server_name == "host.example"
    assert reaches(second, socket.AF_INET, ("127.0.0.2", port))


def test_an_address_of_a_host_that_this_machine_lacks_is_left_out(listen, resolves):
    resolves((socket.AF_INET, "198.51.100.1"), (socket.AF_INET, "127.0.0.1"))
    (listener,) = listen(Address("host.example", 0))
    assert listener.socket.getsockname()[0] == "127.0.0.1"


def test_a_host_none_of_whose_addresses_is_this_machine_is_refused(resolves):
    resolves((socket.AF_INET, "198.51.100.1"), (socket.AF_INET, "203.0.113.1"))
    with pytest.raises(ConfigurationError, match=r"host\.example:0: this machine has no such address"):
        open_listeners([Address("host.example", 0)])


def test_a_port_that_one_address_of_a_host_cannot_have_is_refused(resolves):
    with socket.socket() as other:
        other.bind(("127.0.0.2", 0))
        other.listen()
        port = other.getsockname()[1]
        resolves((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2"))
        with pytest.raises(ConfigurationError, match="in use"):
            open_listeners([Address("host.example", port)])


@pytest.mark.parametrize(("collisions", "is_served"), [(1, True), (15, True), (16, False)])
def test_a_free_port_that_is_taken_on_another_address_is_asked_for_anew(
    resolves, listen, monkeypatch, collisions, is_served
):
    resolves((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2"))
    bind, refused = socket.socket.bind, []

    class Chance(socket.socket):
        def bind(self, name):
            if name[0] == "127.0.0.2" and len(refused) < collisions:
                refused.append(name)
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            bind(self, name)

    monkeypatch.setattr(socket, "socket", Chance)
    if is_served:
        assert len(listen(Address("host.example", 0))) == 2
    else:
        with pytest.raises(ConfigurationError, match="in use"):
            listen(Address("host.example", 0))
    assert len(refused) == collisions


# Options


def test_the_scheme_is_in_the_url_and_decides_the_port_of_a_unix_socket(listen, path):
    tcp, unix = listen(Address("127.0.0.1", 0), Address(path=path), scheme="https")
    assert tcp.url == f"https://127.0.0.1:{tcp.server_port}"
    assert unix.url == f"unix:{path}"
    assert (tcp.scheme, unix.scheme, unix.server_port) == ("https", "https", "443")


def test_the_backlog_is_what_listen_gets(listen, path, monkeypatch):
    asked = []

    class Asked(socket.socket):
        def listen(self, backlog):
            asked.append(backlog)
            super().listen(backlog)

    monkeypatch.setattr(socket, "socket", Asked)
    listen(Address("127.0.0.1", 0), Address(path=path), backlog=7)
    assert asked == [7, 7]


def test_a_port_is_shared_only_if_both_ask_for_it(listen):
    (first,) = listen(Address("127.0.0.1", 0), reuse_port=True)
    again = Address("127.0.0.1", first.socket.getsockname()[1])
    assert len(listen(again, reuse_port=True)) == 1
    with pytest.raises(ConfigurationError, match="in use"):
        listen(again)


def test_a_system_without_shared_ports_says_so(listen, monkeypatch):
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(ConfigurationError, match="this system has no SO_REUSEPORT; leave it off"):
        listen(Address("127.0.0.1", 0), reuse_port=True)
    assert len(listen(Address("127.0.0.1", 0))) == 1


# Unix sockets


def test_a_unix_listener_describes_itself_and_takes_its_file_along(listen, path):
    (listener,) = listen(Address(path=path))
    assert listener.is_unix
    assert listener.url == f"unix:{path}"
    assert (listener.server_name, listener.server_port) == ("localhost", "80")
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert reaches(listener, socket.AF_UNIX, path)
    listener.close()
    assert not os.path.lexists(path)
    listener.close()


@pytest.mark.parametrize("mode", [0o660, 0o600, 0o666, 0o777, 0])
def test_the_file_has_the_mode_whatever_the_mask_of_the_process(listen, path, mode):
    mask = os.umask(0o777 if mode else 0)
    try:
        listen(Address(path=path), unix_mode=mode)
        assert os.umask(0) == (0o777 if mode else 0)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(os.stat(path).st_mode) == mode


def test_the_file_has_its_owner_before_anybody_can_connect(listen, path, monkeypatch):
    steps = []
    chown = os.chown

    class Noted(socket.socket):
        def listen(self, backlog):
            steps.append("listen")
            super().listen(backlog)

    def noted_chown(name, user, group, *, follow_symlinks):
        steps.append((name, user, group))
        chown(name, user, group, follow_symlinks=follow_symlinks)
        assert not follow_symlinks

    monkeypatch.setattr(socket, "socket", Noted)
    monkeypatch.setattr(os, "chown", noted_chown)
    listen(Address(path=path), unix_owner=Owner(os.getuid(), -1))
    assert steps == [(path, os.getuid(), -1), "listen"]
    assert os.stat(path).st_uid == os.getuid()


def test_an_owner_that_cannot_be_had_leaves_no_file(path, monkeypatch):
    def chown(*_, **__):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chown", chown)
    with pytest.raises(ConfigurationError, match="its owner cannot be changed without privileges"):
        open_listeners([Address(path=path)], SocketOptions(unix_owner=Owner(0, 0)))
    assert not os.path.lexists(path)


def test_a_file_that_another_server_has_put_there_since_stays(listen, path):
    (first,) = listen(Address(path=path))
    os.unlink(path)
    (second,) = listen(Address(path=path))
    first.close()
    assert reaches(second, socket.AF_UNIX, path)


def test_a_process_that_did_not_make_the_file_leaves_it(listen, path, monkeypatch):
    (listener,) = listen(Address(path=path))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    listener.close()
    assert os.path.lexists(path)


def test_the_file_goes_also_after_a_change_of_directory(listen, path, monkeypatch):
    monkeypatch.chdir(os.path.dirname(path))
    (listener,) = listen(Address(path=os.path.basename(path)))
    monkeypatch.chdir("/")
    listener.close()
    assert not os.path.lexists(path)


def test_a_file_that_is_gone_already_is_no_fault_at_the_end(listen, path, monkeypatch):
    def unlink(name):
        remove(name)
        raise FileNotFoundError(errno.ENOENT, name)

    remove = os.unlink
    (listener,) = listen(Address(path=path))
    monkeypatch.setattr(os, "unlink", unlink)
    listener.close()
    assert not os.path.lexists(path)


def test_a_symbolic_link_is_neither_followed_nor_removed(path, tmp_path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(ConfigurationError, match="in use"):
        open_listeners([Address(path=str(link))])
    assert link.is_symlink()
    assert os.path.lexists(path)


def test_a_stale_file_that_another_server_replaces_meanwhile_stays(path, monkeypatch):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    rival = socket.socket(socket.AF_UNIX)

    class Slow(socket.socket):
        def connect(self, name):
            try:
                super().connect(name)
            finally:
                os.rename(path, path + "-old")
                rival.bind(path)

    monkeypatch.setattr(socket, "socket", Slow)
    with rival:
        with pytest.raises(ConfigurationError, match="in use"):
            open_listeners([Address(path=path)])
        assert os.path.lexists(path)
    os.unlink(path + "-old")


def test_a_server_that_cannot_be_asked_keeps_its_file(listen, path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(path)
        with pytest.raises(ConfigurationError, match="a server listens there"):
            open_listeners([Address(path=path)])
        assert os.path.lexists(path)


def test_of_two_servers_of_one_process_that_start_at_once_on_one_path_one_serves(path):
    outcomes = []

    def start():
        try:
            outcomes.append(open_listeners([Address(path=path)]))
        except ConfigurationError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    served = [one for one in outcomes if isinstance(one, list)]
    for listeners in served:
        close_listeners(listeners)
    assert len(served) == 1


@pytest.fixture
def locked(path):
    """The directory of the path, locked as by another server that starts: `locked.release()`."""
    fd = os.open(os.path.dirname(path), os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    yield SimpleNamespace(release=lambda: fcntl.flock(fd, fcntl.LOCK_UN))
    os.close(fd)


def test_a_server_waits_for_another_process_that_starts_on_its_path(path, locked, monkeypatch):
    other = socket.socket(socket.AF_UNIX)

    def sleep(_):
        other.listen()
        locked.release()

    monkeypatch.setattr(listeners_module, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    with other:
        other.bind(path)  # and looks stale, as it does not listen yet
        with pytest.raises(ConfigurationError, match="a server listens there"):
            open_listeners([Address(path=path)])
        assert os.path.lexists(path)


@pytest.mark.usefixtures("locked")
def test_a_directory_that_somebody_keeps_locked_is_not_waited_for_for_ever(listen, path, monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(
        listeners_module, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: next(now))
    )
    (listener,) = listen(Address(path=path))
    assert reaches(listener, socket.AF_UNIX, path)


def test_a_directory_that_cannot_be_locked_will_do(listen, path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    (listener,) = listen(Address(path=path))
    assert reaches(listener, socket.AF_UNIX, path)


def test_a_system_without_unix_sockets_says_so(monkeypatch):
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(ConfigurationError, match="unix:path: this system has no Unix sockets"):
        open_listeners([Address(path="path")])


@needs_abstract
def test_an_abstract_socket_has_a_name_and_no_file(listen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = f"wsgix-{os.getpid()}-{os.path.basename(tmp_path)}"
    (listener,) = listen(Address(path=f"@{name}"))
    assert listener.url == f"unix:@{name}"
    assert listener.is_unix
    assert listener.server_name == "localhost"
    assert reaches(listener, socket.AF_UNIX, f"\0{name}")
    with pytest.raises(ConfigurationError, match="in use"):
        open_listeners([Address(path=f"@{name}")])
    assert not [*tmp_path.iterdir()]
    listener.close()


def test_a_system_without_abstract_sockets_says_so(monkeypatch):
    class Pathy(socket.socket):
        def bind(self, name):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(socket, "socket", Pathy)
    with pytest.raises(ConfigurationError, match="unix:@name: this system has no abstract Unix sockets"):
        open_listeners([Address(path="@name")])


def test_the_socket_file_of_a_server_that_is_gone_is_replaced(listen, path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    assert os.path.lexists(path)
    (listener,) = listen(Address(path=path))
    assert reaches(listener, socket.AF_UNIX, path)


@pytest.mark.parametrize(
    ("name", "number", "fault"),
    [
        ("unlink", errno.EPERM, "another user has left a socket there"),  # in a directory as /tmp
        ("unlink", errno.EACCES, "the directory must be writable"),
        ("connect", errno.EACCES, "a socket is there that this user may not connect to"),
    ],
)
def test_a_socket_file_that_another_user_has_left_is_called_so(path, monkeypatch, name, number, fault):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    monkeypatch.setattr(os if name == "unlink" else socket.socket, name, fail)
    with pytest.raises(ConfigurationError, match=fault):
        open_listeners([Address(path=path)])
    assert os.path.lexists(path)


def test_the_socket_file_of_a_server_that_listens_stays(listen, path):
    (first,) = listen(Address(path=path))
    with pytest.raises(ConfigurationError, match="a server listens there"):
        open_listeners([Address(path=path)])
    assert reaches(first, socket.AF_UNIX, path)


def test_a_file_that_is_no_socket_stays(path):
    with open(path, "w") as file:
        file.write("precious")
    with pytest.raises(ConfigurationError, match="it is no socket"):
        open_listeners([Address(path=path)])
    with open(path) as file:
        assert file.read() == "precious"


@pytest.mark.parametrize(
    ("socket_path", "fault"),
    [("/nonexistent/directory/socket", "its directory does not exist"), ("/tmp/" + "x" * 200, "too long")],
)
def test_a_path_that_cannot_be_bound_is_one_line(socket_path, fault):
    with pytest.raises(ConfigurationError, match=fault) as caught:
        open_listeners([Address(path=socket_path)])
    assert f"unix:{socket_path}" in str(caught.value)


def test_an_address_in_use_is_named_and_the_others_are_closed_again(path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            open_listeners([Address(path=path), Address("127.0.0.1", port), Address("127.0.0.1", 0)])
    assert str(caught.value).startswith(f"cannot listen on 127.0.0.1:{port}: the address is in use")
    assert not os.path.lexists(path)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(ConfigurationError, match="no such address"):
        open_listeners([Address("192.0.2.1", 0)])


def test_a_host_that_does_not_exist_is_refused(monkeypatch):
    def getaddrinfo(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(
        ConfigurationError, match=r"cannot listen on host\.invalid:80: Name or service not known"
    ):
        open_listeners([Address("host.invalid", 80)])


def test_a_port_without_privileges_says_so(monkeypatch):
    def bind(self, address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", bind)
    with pytest.raises(ConfigurationError, match="ports below 1024 need privileges"):
        open_listeners([Address("127.0.0.1", 80)])


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".example"])
def test_a_host_with_an_impossible_label_is_refused(host):
    with pytest.raises(ConfigurationError):
        open_listeners([Address(host, 80)])


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_an_address_that_is_given_twice_is_refused_as_such(path, kind):
    address = Address(path=path)
    if kind == "tcp":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = Address(*free.getsockname())
    with pytest.raises(ConfigurationError, match=f"cannot listen on {address}: it is given twice"):
        open_listeners([address, address])
    assert not os.path.lexists(path)


def test_any_port_may_be_given_twice(listen):
    first, second = listen(Address("127.0.0.1", 0), Address("127.0.0.1", 0))
    assert first.url != second.url


# Sockets that listen already


@contextlib.contextmanager
def listening(family=socket.AF_INET, name=("127.0.0.1", 0)):
    with socket.socket(family, socket.SOCK_STREAM) as passed:
        passed.bind(name)
        passed.listen()
        yield passed


def test_a_socket_that_listens_is_taken_over(listen):
    with listening() as passed:
        port = passed.getsockname()[1]
        fd = os.dup(passed.fileno())
    os.set_inheritable(fd, True)
    (listener,) = listen(Address(fd=fd))
    assert listener.socket.fileno() == fd
    assert listener.url == f"http://127.0.0.1:{port}"
    assert (listener.server_name, listener.server_port) == ("127.0.0.1", str(port))
    assert not os.get_inheritable(fd)
    assert listener.socket.gettimeout() == 0.0
    assert reaches(listener, socket.AF_INET, ("127.0.0.1", port))


@needs_ipv6
@pytest.mark.parametrize(("only_ipv6", "host"), [(1, "[::1]"), (0, "127.0.0.1")])
def test_a_socket_of_all_addresses_is_described_as_reached_from_here(listen, only_ipv6, host):
    with socket.socket(socket.AF_INET6) as passed:
        passed.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_ipv6)
        passed.bind(("::", 0))
        passed.listen()
        (listener,) = listen(Address(fd=os.dup(passed.fileno())))
    assert listener.url == f"http://{host}:{listener.server_port}"
    assert listener.server_name == socket.gethostname()


def test_the_file_of_a_unix_socket_that_was_passed_on_is_left(listen, path):
    with listening(socket.AF_UNIX, path) as passed:
        (listener,) = listen(Address(fd=os.dup(passed.fileno())))
    assert listener.is_unix
    assert listener.url == f"unix:{path}"
    assert (listener.server_name, listener.server_port) == ("localhost", "80")
    assert reaches(listener, socket.AF_UNIX, path)
    listener.close()
    assert os.path.lexists(path)


@needs_abstract
def test_an_abstract_socket_that_was_passed_on_is_spelled(listen):
    name = f"wsgix-passed-{os.getpid()}"
    with listening(socket.AF_UNIX, f"\0{name}") as passed:
        (listener,) = listen(Address(fd=os.dup(passed.fileno())))
    assert listener.url == f"unix:@{name}"


def test_a_descriptor_that_is_not_open_is_refused():
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(
        ConfigurationError, match=f"cannot listen on fd://{reading}: no descriptor of that number"
    ):
        open_listeners([Address(fd=reading)])


def test_a_descriptor_that_is_no_socket_is_refused_and_left():
    reading, writing = os.pipe()
    try:
        with pytest.raises(ConfigurationError, match="the descriptor is no socket"):
            open_listeners([Address(fd=reading)])
        os.fstat(reading)
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_socket_that_does_not_listen_is_refused_and_left(kind):
    with socket.socket(socket.AF_INET, kind) as passed:
        passed.bind(("127.0.0.1", 0))
        with pytest.raises(ConfigurationError, match="does not listen for connections"):
            open_listeners([Address(fd=passed.fileno())])
        assert passed.getsockname()[1]


def test_a_socket_of_another_family_is_refused_and_left(monkeypatch):
    # In the place of AF_VSOCK, which not every machine has.
    monkeypatch.setattr(listeners_module, "_FAMILIES", listeners_module._FAMILIES - {socket.AF_INET})
    with listening() as passed:
        with pytest.raises(ConfigurationError, match="the socket is neither one of TCP nor a Unix socket"):
            open_listeners([Address(fd=passed.fileno())])
        assert passed.getsockname()[1]


@pytest.mark.skipif(not hasattr(socket, "AF_VSOCK"), reason="needs sockets of virtual machines")
def test_a_socket_of_a_virtual_machine_is_refused():
    try:
        passed = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    except OSError:
        pytest.skip("this machine has no sockets of virtual machines")
    with passed:
        passed.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
        passed.listen()
        with pytest.raises(ConfigurationError, match="neither one of TCP nor a Unix socket"):
            open_listeners([Address(fd=passed.fileno())])


def test_a_descriptor_that_is_given_twice_is_refused():
    with listening() as passed:
        address = Address(fd=os.dup(passed.fileno()))
        with pytest.raises(ConfigurationError, match="given twice"):
            open_listeners([address, address])


# Sockets from systemd


def passed_on(count, **changes):
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count, "LISTEN_FDNAMES": "a:b", "X": "y", **changes}


def test_what_systemd_passes_on_is_named_once_and_closed_for_programs(monkeypatch):
    closed = []
    monkeypatch.setattr(os, "set_inheritable", lambda fd, inheritable: closed.append((fd, inheritable)))
    environ = passed_on("2")
    assert inherited_addresses(environ) == ["fd://3", "fd://4"]
    assert closed == [(3, False), (4, False)]
    assert environ == {"X": "y"}
    assert inherited_addresses(environ) == []


@pytest.mark.parametrize(
    "environ",
    [
        {},
        passed_on("0"),
        passed_on(""),
        passed_on("2", LISTEN_PID="1"),
        passed_on("2", LISTEN_PID=""),
        {"LISTEN_FDS": "2"},
        {"LISTEN_PID": str(os.getpid())},
    ],
)
def test_what_is_not_for_this_process_is_left(environ):
    left = {**environ}
    assert inherited_addresses(left) == []
    assert set(left) <= {"X"}


@pytest.mark.parametrize("count", ["x", "-1", "1.0", "\u0662", "99999"])
def test_a_count_of_sockets_that_is_none_is_refused(count):
    with pytest.raises(ConfigurationError, match=r"LISTEN_FDS is .*, but must be the number of sockets"):
        inherited_addresses(passed_on(count))


def test_a_socket_that_systemd_promised_and_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(listeners_module, "_FIRST_INHERITED", 900_000)
    with pytest.raises(ConfigurationError, match="LISTEN_FDS is 1, but descriptor 900000 is not open"):
        inherited_addresses(passed_on("1"))


# All of it in a process


@contextlib.contextmanager
def started(command, passed=(), addresses=1, **environment):
    """Run a server that is given the sockets *passed*; on leaving, see that it ends with 0."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment_with(environment),
        pass_fds=[one.fileno() for one in passed],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        server = ServerProcess(process, addresses)
        yield server
        assert server.stop() == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def answer(family, name):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(DEADLINE)
        client.connect(name)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_sockets_are_served_that_the_parent_has_opened(path):
    with listening() as tcp, listening(socket.AF_UNIX, path) as unix:
        binds = [f"--bind=fd://{one.fileno()}" for one in (tcp, unix)]
        with started([*COMMAND, "serve", PLAIN, *binds], (tcp, unix), addresses=2) as server:
            name = tcp.getsockname()
            assert server.urls == [f"http://127.0.0.1:{name[1]}", f"unix:{path}"]
            assert b"Hello, world!" in answer(socket.AF_INET, name)
            assert b"Hello, world!" in answer(socket.AF_UNIX, path)
        assert os.path.lexists(path)


# What systemd does between fork and exec: the sockets from descriptor 3 on, no others, and the variables.
AS_SYSTEMD = """
import fcntl, os, sys
kept = []
for fd in map(int, sys.argv[1].split(",")):
    kept.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100))
    os.close(fd)
for number, fd in enumerate(kept, 3):
    os.dup2(fd, number, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(kept)), LISTEN_FDNAMES="a:b")
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""

# An application that tells which variables and sockets a program of its own gets.
TELLS = """
import subprocess, sys
PROGRAM = '''
import os, stat
print([name for name in os.environ if name.startswith("LISTEN_")])
for fd in range(3, 64):
    try:
        print(fd, stat.S_ISSOCK(os.fstat(fd).st_mode))
    except OSError:
        pass
'''

def app(environ, start_response):
    start_response("200 OK", [])
    return [subprocess.run([sys.executable, "-c", PROGRAM], close_fds=False, stdout=subprocess.PIPE).stdout]
"""


def as_systemd(passed, *arguments):
    numbers = ",".join(str(one.fileno()) for one in passed)
    return [sys.executable, "-c", AS_SYSTEMD, numbers, *COMMAND[1:], "serve", *arguments]


def test_sockets_of_systemd_are_served_and_nothing_of_them_reaches_programs(path, tmp_path):
    (tmp_path / "tells.py").write_text(TELLS)
    with listening() as tcp, listening(socket.AF_UNIX, path) as unix:
        command = as_systemd((tcp, unix), str(tmp_path / "tells.py"))
        with started(command, (tcp, unix), addresses=2) as server:
            name = tcp.getsockname()
            assert server.urls == [f"http://127.0.0.1:{name[1]}", f"unix:{path}"]
            told = answer(socket.AF_INET, name).partition(b"\r\n\r\n")[2]
            assert told.startswith(b"[]\n")
            assert b"True" not in told
            assert answer(socket.AF_UNIX, path).endswith(told)


@pytest.mark.parametrize(
    ("options", "environment"), [(["--bind=127.0.0.1:0"], {}), ([], {"WSGIX_BIND": "127.0.0.1:0"})]
)
def test_an_address_that_is_given_wins_over_the_sockets_of_systemd(options, environment):
    with listening() as passed:
        with started(as_systemd([passed], PLAIN, *options), [passed], **environment) as server:
            assert server.address != passed.getsockname()
            assert b"Hello, world!" in answer(socket.AF_INET, server.address)


def test_the_environment_sets_what_the_command_line_leaves():
    with started([*COMMAND, "serve", PLAIN], WSGIX_BIND="127.0.0.1:0", WSGIX_ACCESS_LOG="off") as server:
        assert b"Hello, world!" in answer(socket.AF_INET, server.address)
    assert server.out.text() == ""


def test_a_wrong_variable_is_one_line():
    done = run_wsgix("serve", PLAIN, WSGIX_THREADS="x")
    assert done.returncode == 1
    assert done.stderr == "wsgix: WSGIX_THREADS is 'x', but must be a number from 1 to 10000\n"
