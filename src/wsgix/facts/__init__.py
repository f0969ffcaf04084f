"""Tables that the whole package reads: what HTTP, CGI and PEP 3333 fix by name or by byte.

No logic lives here and nothing here imports another room; anything may import from here.
"""
