"""How much memory there is to take."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path


def available_bytes() -> int:
    """Memory that this process may still take: the least of what is free, its cgroup's and its own limit."""
    limits = [os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    try:
        with open("/proc/meminfo") as lines:
            limits = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")] or limits
    except OSError:
        pass  # not Linux: the free pages must do
    group = Path("/sys/fs/cgroup")
    try:
        most = (group / "memory.max").read_text().strip()
        if most != "max":
            limits.append(int(most) - int((group / "memory.current").read_text()))
    except OSError:
        pass  # no cgroup of one's own
    with contextlib.suppress(OSError):  # the first version of cgroups
        first = group / "memory"
        limits.append(_number(first / "memory.limit_in_bytes") - _number(first / "memory.usage_in_bytes"))
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    return max(min(limits), 0)


def _number(file: Path) -> int:
    return int(file.read_text())
