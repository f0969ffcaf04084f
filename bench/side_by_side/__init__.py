"""The parts of `bench/servers.py`: tables of servers, workloads and targets, measurement, and the page."""
