"""What the machine can do, as far as options depend on it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import torch

from noisyweb.errors import TrainingError
from noisyweb.training.memory import available_bytes


@dataclass(frozen=True)
class Machine:
    """One device.

    Attributes:
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        num_cores: CPU cores that this process may use.
        has_bf16: bfloat16 is computed natively and faster than float32.
        memory_bytes: free memory of the device.
    """

    device: str
    num_cores: int
    has_bf16: bool
    memory_bytes: int = sys.maxsize


def this_machine(device: str = "auto") -> Machine:
    """Look at the machine.

    Args:
        device: ``auto`` takes the first CUDA GPU if there is one.

    Raises:
        TrainingError: there is no such device.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = "unknown"
    if kind not in ("cpu", "cuda"):
        raise TrainingError(f"device {device!r} is not known; expected auto, cpu, cuda or cuda:N")
    num_cores = len(os.sched_getaffinity(0))
    if kind == "cpu":
        return Machine("cpu", min(num_cores, torch.get_num_threads()), _cpu_has_bf16(), available_bytes())
    if (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise TrainingError(f"device {device!r} is not there; this torch sees {torch.cuda.device_count()} CUDA GPU(s)")
    has_bf16 = torch.cuda.get_device_capability(device) >= (8, 0)
    return Machine(device, num_cores, has_bf16, torch.cuda.mem_get_info(device)[0])


def _cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 (AVX512-BF16, AMX or Arm's extension)."""
    try:
        with open("/proc/cpuinfo") as lines:
            flags = next((line.split() for line in lines if line.startswith(("flags", "Features"))), [])
    except OSError:
        return False
    return any(flag in flags for flag in ("amx_bf16", "avx512_bf16", "bf16"))
