"""The only room with sockets, threads, processes and clocks."""
