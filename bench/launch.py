"""Starts the servers that have no command line, or none that knows every setting needed here.

`python launch.py SERVER MODULE:NAME PORT THREADS [CERTIFICATE KEY]`, in the environment of the peers. Only
`side_by_side.peers` names it.
"""

import importlib
import socketserver
import sys

HOST = "127.0.0.1"
BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
CONNECTIONS = 11_000


def bjoern(application, port, threads):
    import bjoern

    bjoern.run(application, HOST, port, listen_backlog=BACKLOG)


def fastwsgi(application, port, threads):
    import fastwsgi

    fastwsgi.server.backlog = BACKLOG
    fastwsgi.run(application, HOST, port)


def fastpysgi(application, port, threads, certificate=None, key=None):
    import fastpysgi

    server = fastpysgi.server
    server.backlog = BACKLOG
    server.delete_all_binds()
    server.add_bind(HOST, port, (certificate, key, None) if certificate else None)
    server.init(application)
    server.run()


def cheroot(application, port, threads, certificate=None, key=None):
    from cheroot.ssl.builtin import BuiltinSSLAdapter
    from cheroot.wsgi import Server

    server = Server(
        (HOST, port),
        application,
        numthreads=threads,
        request_queue_size=BACKLOG,
        timeout=KEEP_ALIVE_SECONDS,
    )
    server.keep_alive_conn_limit = CONNECTIONS
    if certificate:
        server.ssl_adapter = BuiltinSSLAdapter(certificate, key)
    server.start()


def wsgiref(application, port, threads):
    """Serve with the standard library: a thread a connection, a connection a request."""
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args):
            pass

    class Threaded(socketserver.ThreadingMixIn, WSGIServer):
        daemon_threads = True
        request_queue_size = BACKLOG

    server = Threaded((HOST, port), Quiet)
    server.set_app(application)
    server.serve_forever()


SERVERS = {server.__name__: server for server in (bjoern, fastwsgi, fastpysgi, cheroot, wsgiref)}


def main():
    name, target, port, threads, *tls = sys.argv[1:]
    module, _, attribute = target.partition(":")
    application = getattr(importlib.import_module(module), attribute)
    SERVERS[name](application, int(port), int(threads), *tls)


if __name__ == "__main__":
    main()
