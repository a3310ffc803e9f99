"""Training in several processes: how it scales on this machine, and what travels on a cluster, on paper.

    python -m benchmarks.parts.ranks [--ranks 1,2] [--width 0.25] [--size 160x160] [--runs 6]
    python -m benchmarks.parts.ranks --paper [--step-ms 60] [--gpus 8,64] [--gigabytes 25,1.25]

Scaling: FCN-8s, an image and a thread for each process, over Gloo; images a second over those of one process,
and over so many times as many. On paper: FCN-8s at full width and 500 x 500 with the buckets that the engine
makes; a ring all-reduce sends 2 (n - 1) / n of their bytes from each GPU; a bucket sets off when the layers
that it waits for have gone backward, by their multiply-adds, and the link carries one after the other. What
is left when backward ends is waited for. The time of a step is an assumption: measure yours.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import caffe
from benchmarks.arguments import size_type
from benchmarks.parts.paths import build, feed
from caffe._caffe.ranks.buckets import laid_out

#: Of a step's time, what forward takes where backward computes two products for each of its own.
FORWARD = 1 / 3
MIB = 2**20

Number = TypeVar("Number", int, float)


class Load(NamedTuple):
    """A bucket on paper: its bytes, and the part of backward after which its gradients are whole."""

    size: int
    whole: float


def loads(net: Any, bucket: int) -> list[Load]:
    """The buckets of a net, in the order in which they set off."""
    layers, plan = net.runner.layers, net.plan
    blobs = [
        [net.runner.blobs[n] for n in ids]
        for planned in plan.layers
        for ids in (planned.bottoms, planned.tops)
    ]
    adds = [layer.multiply_adds(*blobs[2 * i : 2 * i + 2]) for i, layer in enumerate(layers)]
    total, counts = sum(adds), [blob.count for blob in net.learnable]
    found = []
    for numbers, awaited in laid_out(plan, counts, bucket):
        done = sum(adds[min(awaited) :])
        found.append(Load(4 * sum(counts[n] for n in numbers), done / total))
    return found


def exposed(buckets: Sequence[Load], gpus: int, link: float, backward: float) -> float:
    """Seconds that a step waits for what still travels when backward ends.

    Args:
        link: bytes a second from one GPU to the next.
        backward: seconds that it computes.
    """
    free = 0.0
    for bucket in buckets:
        free = max(free, bucket.whole * backward) + 2 * (gpus - 1) / gpus * bucket.size / link
    return max(0.0, free - backward)


def on_paper(args: argparse.Namespace) -> None:
    """What FCN-8s sends, and how much of that is hidden behind backward."""
    with tempfile.TemporaryDirectory() as folder:
        buckets = loads(build(Path(folder), 1.0, (500, 500), caffe.TRAIN).net, int(args.bucket * MIB))
    total, step = sum(bucket.size for bucket in buckets), args.step_ms / 1e3
    print(
        f"FCN-8s: {total / MIB:.0f} MiB of gradients in {len(buckets)} buckets; a step of {args.step_ms:g} ms"
    )
    for gpus in args.gpus:
        for link in args.gigabytes:
            sent = 2 * (gpus - 1) / gpus * total
            waited = exposed(buckets, gpus, link * 1e9, step * (1 - FORWARD))
            bare = sent / (link * 1e9)
            print(
                f"{gpus:4} GPUs, {link:6g} GB/s: {sent / MIB:5.0f} MiB from each, {1e3 * bare:6.1f} ms; "
                f"waited for {1e3 * waited:6.1f} ms; efficiency {step / (step + waited):.2f}, "
                f"without overlap {step / (step + bare):.2f}"
            )


def work(args: argparse.Namespace) -> None:
    """One process of a measurement: prints seconds a step."""
    rank, count, uid = args.work.split(",")
    caffe.init_log(2)
    caffe.set_solver_count(int(count))
    caffe.set_solver_rank(int(rank))
    caffe.set_multiprocess(True)
    with tempfile.TemporaryDirectory() as folder:
        solver = build(Path(folder), args.width, args.size, caffe.TRAIN)
        feed(solver.net)
        nccl = caffe.NCCL(solver, uid, bucket_mb=args.bucket)
        nccl.bcast()
        solver.add_callback(nccl)
        times = []
        for _ in range(args.runs + 1):
            begun = time.perf_counter()
            solver.step(1)
            times.append(time.perf_counter() - begun)
    print(statistics.median(times[1:]))


def measured(count: int, args: argparse.Namespace) -> float:
    """Seconds of a step of so many processes."""
    uid = caffe.NCCL.new_uid().decode()
    size = "x".join(map(str, args.size))
    command = [sys.executable, "-m", "benchmarks.parts.ranks", "--size", size, "--width", str(args.width)]
    command += ["--runs", str(args.runs), "--bucket", str(args.bucket)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    processes = [
        subprocess.Popen(
            [*command, "--work", f"{rank},{count},{uid}"], stdout=subprocess.PIPE, text=True, env=env
        )
        for rank in range(count)
    ]
    found = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"a process of {count} failed: see above")
    return max(map(float, found))


def numbers(kind: Callable[[str], Number]) -> Callable[[str], list[Number]]:
    return lambda text: [kind(word) for word in text.split(",")]


def main() -> None:
    """Print a line for each number of processes, or for each cluster."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", type=numbers(int), default=[1, 2], help="numbers of processes")
    parser.add_argument("--width", type=float, default=0.25, help="multiplies the channels of VGG16")
    parser.add_argument("--size", type=size_type, default=(160, 160), help="height x width of the image")
    parser.add_argument("--runs", type=int, default=6, help="steps that are timed")
    parser.add_argument("--bucket", type=float, default=25.0, help="MiB")
    parser.add_argument("--paper", action="store_true", help="reckon, and measure nothing")
    parser.add_argument("--step-ms", type=float, default=60.0, help="of one GPU, an image")
    parser.add_argument("--gpus", type=numbers(int), default=[8, 64])
    parser.add_argument(
        "--gigabytes", type=numbers(float), default=[300.0, 25.0, 1.25], help="a second and link"
    )
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args)
        return
    caffe.init_log(2)
    if args.paper:
        on_paper(args)
        return
    alone = measured(1, args)
    for count in args.ranks:
        step = alone if count == 1 else measured(count, args)
        gain = count * alone / step
        print(
            f"{count} processes: {step:.3f} s a step, {gain:.2f} times the images of one, "
            f"efficiency {gain / count:.2f}"
        )


if __name__ == "__main__":
    main()
