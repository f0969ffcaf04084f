"""One row for every server of the comparison: how it is installed and started. A table only.

Eight threads where a server has threads, access log off, a backlog of 2048, room for 10,000 connections and
75 s of keep-alive where these can be set; everything else is the server's default.
"""

from typing import Final, NamedTuple

THREADS: Final = 8


class Peer(NamedTuple):
    """One server.

    Attributes:
        command: what starts it. {python} and {bin} are its environment's; {module}, {name} and {port} are
            filled in for each start, as are {folder} (of the applications), {scratch}, {certificate}, {key}.
        plain: what to add to serve HTTP.
        tls: what to add to serve HTTPS; None: it cannot.
        requirements: what pip installs for it.
        module: what must be importable afterwards, if it is a module.
        applications: the only ones it can serve; empty: all.
    """

    name: str
    command: tuple[str, ...]
    plain: tuple[str, ...] = ()
    tls: tuple[str, ...] | None = None
    requirements: tuple[str, ...] = ()
    module: str = ""
    applications: tuple[str, ...] = ()


LAUNCH: Final = ("{python}", "{folder}/launch.py")
WSGIX: Final = (
    "{python}",
    *("-m", "wsgix", "serve", "{folder}/{module}.py:{name}"),
    *("--bind", "127.0.0.1:{port}", "--threads", str(THREADS)),
)
GUNICORN: Final = (
    "{bin}/gunicorn",
    "{module}:{name}",
    *("--bind", "127.0.0.1:{port}", "--backlog", "2048", "--log-level", "error", "--no-control-socket"),
)
CERTFILE: Final = ("--certfile", "{certificate}", "--keyfile", "{key}")

PEERS: Final = (
    Peer("wsgix", (*WSGIX, "--no-access-log"), tls=CERTFILE),
    Peer("wsgix-access-log", (*WSGIX, "--access-log")),
    Peer(
        "bjoern",
        (*LAUNCH, "bjoern", "{module}:{name}", "{port}", str(THREADS)),
        requirements=("bjoern",),
        module="bjoern",
    ),
    Peer(
        "fastwsgi",
        (*LAUNCH, "fastwsgi", "{module}:{name}", "{port}", str(THREADS)),
        # It imports pkg_resources, which later setuptools do not have.
        requirements=("fastwsgi", "setuptools<81"),
        module="fastwsgi",
    ),
    Peer(
        "fastpysgi",
        (*LAUNCH, "fastpysgi", "{module}:{name}", "{port}", str(THREADS)),
        tls=("{certificate}", "{key}"),
        requirements=("fastpysgi",),
        module="fastpysgi",
    ),
    Peer(
        "granian",
        (
            *("{bin}/granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}"),
            *("--workers", "1", "--blocking-threads", str(THREADS), "--backlog", "2048"),
            *("--backpressure", "11000", "--no-ws", "--no-log", "{module}:{name}"),
        ),
        tls=("--ssl-certificate", "{certificate}", "--ssl-keyfile", "{key}"),
        requirements=("granian",),
        module="granian",
    ),
    Peer(
        "uwsgi",
        (
            *("{bin}/uwsgi", "--master", "--need-app", "--die-on-term", "--disable-logging"),
            *("--threads", str(THREADS), "--listen", "2048", "--virtualenv", "{environment}"),
            *("--chdir", "{folder}", "--wsgi", "{module}:{name}"),
            *("--http-keepalive", "--http-auto-chunked", "--http-timeout", "75"),
        ),
        plain=("--http", "127.0.0.1:{port}"),
        tls=("--https", "127.0.0.1:{port},{certificate},{key}"),
        requirements=("uwsgi",),  # a program, not a module
    ),
    Peer(
        "gunicorn-sync",
        (*GUNICORN, "--worker-class", "sync"),
        tls=CERTFILE,
        requirements=("gunicorn",),
        module="gunicorn",
    ),
    Peer(
        "gunicorn-gthread",
        (
            *(*GUNICORN, "--worker-class", "gthread", "--threads", str(THREADS)),
            *("--worker-connections", "11000", "--keep-alive", "75"),
        ),
        tls=CERTFILE,
        requirements=("gunicorn",),
        module="gunicorn",
    ),
    Peer(
        "waitress",
        (
            *("{bin}/waitress-serve", "--host", "127.0.0.1", "--port", "{port}", "--threads", str(THREADS)),
            # select() could not watch more than 1024 connections.
            *("--backlog", "2048", "--connection-limit", "11000", "--asyncore-use-poll"),
            "{module}:{name}",
        ),
        requirements=("waitress",),
        module="waitress",
    ),
    Peer(
        "cheroot",
        (*LAUNCH, "cheroot", "{module}:{name}", "{port}", str(THREADS)),
        tls=("{certificate}", "{key}"),
        requirements=("cheroot",),
        module="cheroot",
    ),
    Peer("wsgiref", (*LAUNCH, "wsgiref", "{module}:{name}", "{port}", str(THREADS))),
    Peer(
        "nginx",
        ("nginx", "-e", "stderr", "-p", "{scratch}", "-c"),
        plain=("{scratch}/nginx.conf",),
        tls=("{scratch}/nginx-tls.conf",),
        applications=("apps:hello",),
    ),
)

# What the applications of the comparison need.
FRAMEWORKS: Final = ("flask", "django")

OURS: Final = "wsgix"
OURS_LOGGING: Final = "wsgix-access-log"
GTHREAD: Final = "gunicorn-gthread"
FLOOR: Final = "nginx"
IN_C: Final = ("bjoern", "fastwsgi", "fastpysgi")
RIVALS: Final = tuple(peer.name for peer in PEERS if peer.name not in (OURS, OURS_LOGGING, FLOOR))

# `return 200` from one process: what a request costs the kernel and a parser, and nothing else.
NGINX_CONF: Final = """\
daemon off; master_process off; pid {scratch}/{pid};
error_log stderr crit;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;
    default_type text/plain;
    server {{
        listen 127.0.0.1:{port}{ssl} backlog=2048;
        {tls}
        return 200 "Hello, world!\\n";
    }}
}}
"""
NGINX_TLS: Final = "ssl_certificate {certificate}; ssl_certificate_key {key};"
