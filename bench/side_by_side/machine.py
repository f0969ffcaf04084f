"""Describes the machine and the programs of a run, without a name or a path of either."""

import os
import platform
import re
import shutil
import subprocess
import time
from pathlib import Path


def describe(python_version: str) -> dict[str, str]:
    """Return terms and descriptions for the head of the report."""
    kernel = ".".join(re.findall(r"\d+", platform.release())[:2])
    return {
        "Date": time.strftime("%Y-%m-%d", time.gmtime()),
        "Processor": f"{_processor()}, {os.cpu_count()} CPUs",
        "Memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "System": f"{platform.system()} {kernel}, {platform.machine()}",
        "Interpreter": f"CPython {python_version}, the same for all servers",
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def without_paths(text: str) -> str:
    """Leave only the last part of each absolute path in *text*, and at most 200 characters."""
    return re.sub(r"(?<![\w/])/(?:[^\s/:'\",]+/)+", "", text)[:200]


def versions() -> dict[str, str]:
    """Return the versions of the programs that do not come from the package index."""
    found = {}
    for name in ("wrk", "nginx"):
        if shutil.which(name):
            done = subprocess.run([name, "-v"], capture_output=True, text=True, check=False)
            match = re.search(r"\d+\.\d+[.\d]*", done.stdout + done.stderr)
            found[name] = match[0] if match else "of an unknown version"
    return found
