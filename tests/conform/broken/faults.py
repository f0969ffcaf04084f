"""Further faults of servers: second ways to break a rule, beside the `bad` example that stands in its record.

Each is the ID of the rule, a name, and the body of a class that derives from `Reference`.
"""

FAULTS = (
    (
        "C3",
        "goes-on-without-the-client",
        """
def transmit(self, data):
    try:
        super().transmit(data)
    except OSError:
        pass
""",
    ),
    (
        "C4",
        "closes-the-iterator",
        """
def call(self, environ):
    super().call(environ)
    if type(self.result) not in (list, tuple, FileWrapper):
        self.result = iter(self.result)
""",
    ),
    (
        "E3",
        "uses-one-environ-twice",
        """
def make_environ(self, request):
    kept = self.__dict__.setdefault("kept", {})
    for key in list(kept):
        if key.startswith("HTTP_"):
            del kept[key]
    kept.update(super().make_environ(request))
    return kept
""",
    ),
    (
        "E6",
        "decodes-twice",
        """
def make_request_variables(self, request):
    variables = super().make_request_variables(request)
    path = unquote_to_bytes(variables["PATH_INFO"].encode("latin-1")).decode("latin-1")
    return {**variables, "PATH_INFO": path}
""",
    ),
    (
        "P3",
        "ends-the-chunks-of-head",
        """
def finish(self):
    super().finish()
    if self.request.method == "HEAD" and self.chunked:
        self.transmit(b"0\\r\\n\\r\\n")
""",
    ),
    (
        "P8",
        "refuses-to-invite",
        """
def answer(self, request):
    if request.values("expect") and request.version == "1.1":
        while b"hello" not in self.received:
            self.receive()
    return super().answer(request)
""",
    ),
    (
        "P16",
        "skips-only-a-little",
        """
def goes_on(self):
    if self.closes or self.awaited:
        return super().goes_on()
    self.source(100)
    return True
""",
    ),
    (
        "R15",
        "holds-small-blocks-back",
        """
def transmit(self, data):
    self.kept = getattr(self, "kept", b"") + data
    if len(self.kept) > 50000 or not hasattr(self, "started"):
        self.let_go()

def let_go(self):
    kept, self.kept = getattr(self, "kept", b""), b""
    if kept:
        super().transmit(kept)

def write(self, data):
    super().write(data)
    self.let_go()

def invite(self):
    super().invite()
    self.let_go()

def finish(self):
    super().finish()
    self.let_go()

def fail(self, error):
    super().fail(error)
    self.let_go()
""",
    ),
    (
        "S6",
        "reads-the-next-request",
        """
def make_input(self, source):
    def beyond(size):
        piece = source(size)
        if not piece and self.request.values("content-length") and self.received:
            piece, self.received = self.received, b""
        return piece
    return Input(beyond)
""",
    ),
    (
        "S10",
        "leaves-the-last-chunk",
        """
def chunks(self):
    decoded = super().chunks()
    told = False
    def source(size):
        nonlocal told
        piece = decoded(size)
        if not piece and not told:
            told = True
            return b"0"
        return piece
    return source
""",
    ),
)
