"""A Flask application with a form and an upload: `wsgix serve examples/flask_app/app.py`."""

import hashlib

from flask import Flask, render_template, request

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 64 * 1024 * 1024


@app.get("/")
def index():
    return render_template("index.html")


@app.post("/greet")
def greet():
    name = request.form.get("name", "").strip()
    if not name:
        return render_template("index.html", fault="Please tell your name."), 422
    return render_template("greeting.html", name=name)


@app.post("/upload")
def upload():
    """Show the size and the SHA-256 of a file; the file itself is not kept."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return render_template("index.html", fault="Please choose a file."), 422
    # Flask keeps a large file on disk. It is read in pieces and never whole in memory.
    sha256 = hashlib.file_digest(file.stream, "sha256").hexdigest()
    return render_template("upload.html", name=file.filename, size=file.stream.tell(), sha256=sha256)


@app.get("/pages/<path:title>")
def page(title):
    return render_template("page.html", title=title)
