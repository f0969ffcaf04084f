"""Codecs between bytes and CGI variables. Sans-I/O: no socket, clock, thread or log in here."""
