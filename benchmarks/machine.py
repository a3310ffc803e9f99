"""The machine that results belong to: what it is, what it can do at most."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

#: Instruction sets that decide how fast a convolution is, as Linux names them.
_SETS = (
    "sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512dq", "avx512vl",
    "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "asimd", "asimdhp", "sve", "sve2",
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """Attributes: cores: those that this process may use; memory: bytes; flags: instruction sets."""

    cpu: str
    cores: int
    memory: int
    flags: tuple[str, ...]
    system: str
    python: str


@dataclass(frozen=True)
class Limits:
    """gflops: of a large float32 matrix product; gbytes: read and written per second by a large copy."""

    gflops: float
    gbytes: float


def describe() -> Machine:
    """This machine."""
    facts = _cpuinfo()
    have = set((facts.get("flags") or facts.get("Features", "")).split())
    return Machine(
        cpu=facts.get("model name") or platform.processor() or platform.machine(),
        cores=cores(),
        memory=memory_bytes(),
        flags=tuple(name for name in _SETS if name in have),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int:
    """The machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cpuinfo() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty where there is none."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    pairs = [line.split(":", 1) for line in path.read_text().split("\n\n")[0].splitlines() if ":" in line]
    return {key.strip(): value.strip() for key, value in pairs}


def measure(threads: int, side: int = 4096, repeats: int = 5) -> Limits:
    """The best of some products of `side` x `side` matrices, and of some copies of as many bytes x 4."""
    import torch

    torch.set_num_threads(threads)
    a, b, c = (torch.rand(side, side) for _ in range(3))
    large = torch.rand(4 * side * side)
    target = torch.empty_like(large)
    product = _best(lambda: torch.mm(a, b, out=c), repeats)
    copy = _best(lambda: target.copy_(large), repeats)
    return Limits(2 * side**3 / product / 1e9, 2 * large.nbytes / copy / 1e9)


def _best(call: Callable[[], object], repeats: int) -> float:
    call()
    found = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        found.append(time.perf_counter() - begun)
    return min(found)


def main() -> None:
    """Print the limits of this machine as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=cores())
    print(json.dumps(asdict(measure(parser.parse_args().threads))))


if __name__ == "__main__":
    main()
