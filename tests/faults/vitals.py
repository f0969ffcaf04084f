"""What the kernel tells of a process: descriptors, threads, CPU time, memory. Linux only, as /proc is."""

import contextlib
import os
from pathlib import Path


class Vitals:
    """The process *pid*, looked at from outside."""

    def __init__(self, pid):
        self._proc = Path("/proc") / str(pid)

    def descriptors(self):
        """How many descriptors are open."""
        return len(os.listdir(self._proc / "fd"))

    def files(self):
        """What the descriptors refer to."""
        return [os.readlink(self._proc / "fd" / fd) for fd in os.listdir(self._proc / "fd")]

    def thread_ids(self):
        """The kernel's numbers of the threads; the main one has that of the process."""
        return [int(task) for task in os.listdir(self._proc / "task")]

    def threads(self):
        """How many threads there are."""
        return len(self.thread_ids())

    def children(self):
        """The pids of child processes, zombies too."""
        return [child for text in self._of_threads("children") for child in text.split()]

    def cpu(self):
        """Seconds of CPU time used so far by the threads that there are, to the nanosecond."""
        return sum(int(text.split()[0]) for text in self._of_threads("schedstat")) / 1e9

    def _of_threads(self, file):
        """The content of a file of each thread that does not end meanwhile."""
        texts = []
        for thread in self.thread_ids():
            with contextlib.suppress(OSError):
                texts.append((self._proc / "task" / str(thread) / file).read_text())
        return texts

    def is_traced(self):
        """Whether a debugger follows all threads."""
        return all(self._status("TracerPid", Path("task") / task) for task in os.listdir(self._proc / "task"))

    def resident(self):
        """Bytes of memory."""
        return self._status("VmRSS") * 1024

    def virtual(self):
        """Bytes of address space."""
        return self._status("VmSize") * 1024

    def peak(self):
        """Most bytes of memory since `forget_peak`."""
        return self._status("VmHWM") * 1024

    def page_faults(self):
        """How often the kernel had to give a page of memory that it had at hand."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return int(fields[7])  # minflt, the tenth of all

    def arenas(self):
        """How many arenas glibc has made for threads: each a reservation of 64 MiB, at a multiple of it."""
        size, count, begin = 64 << 20, 0, 0
        for line in (self._proc / "maps").read_text().splitlines():
            first, last = (int(number, 16) for number in line.split()[0].split("-"))
            if " rw-p 00000000 00:00 0" in line and first % size == 0:
                begin = first
            count += " ---p " in line and last == begin + size
        return count

    def forget_peak(self):
        """Let the peak be what is resident now."""
        (self._proc / "clear_refs").write_text("5")

    def _status(self, field, task="."):
        for line in (self._proc / task / "status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
        raise AssertionError(f"/proc has no {field}")
