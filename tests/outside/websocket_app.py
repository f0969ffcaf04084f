"""Flask with WebSockets by two libraries: Flask-Sock, and Flask-SocketIO on threads."""

from flask import Flask
from flask_sock import Sock
from flask_socketio import SocketIO

app = Flask(__name__)
sock = Sock(app)
socketio = SocketIO(app, async_mode="threading")


@app.get("/plain")
def plain():
    """Answer an ordinary request."""
    return "plain"


@sock.route("/echo")
def echo(connection):
    """Send back what comes, until the client closes."""
    while True:
        connection.send(connection.receive())


@socketio.on("shout")
def shout(text):
    """Acknowledge *text*, louder."""
    return text.upper()
