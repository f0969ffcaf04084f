"""PEP 3333: environ, streams, framing decisions, and the one caller of an application."""
