"""How fast each layer of the engine is beside what the machine allows. `python -m benchmarks.roofline FOLDER`

A layer that does few multiply-adds for each byte it touches cannot be faster than memory; one that does many,
not faster than the arithmetic units. Intensity is counted in floating point operations (two a multiply-add)
for each byte of bottoms, tops and parameters, each read or written once.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

import caffe
from caffe._caffe import net_footprint

from .case import Case

BYTES = 4  # of a number


@dataclass(frozen=True)
class Layer:
    """One layer: operations of a forward, bytes touched, the median seconds of its forward."""

    name: str
    type: str
    flop: int
    bytes: int
    seconds: float

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.flop / self.bytes

    @property
    def gflops(self) -> float:
        """10^9 operations a second."""
        return self.flop / self.seconds / 1e9


def measure(case: Case, repeats: int) -> list[Layer]:
    """The layers of the case's net that do multiply-adds, each timed in whole forward passes."""
    net = caffe.Net(str(case.deploy), caffe.TEST)
    net.copy_from(str(case.caffemodel))
    net.blobs["data"].data[...] = case.read("image")
    net.forward()
    seconds = _time(net, repeats)
    costs = net_footprint(net.plan, net.runner.layers, net.runner.blobs).layers
    found = []
    for number, (planned, cost) in enumerate(zip(net.plan.layers, costs)):
        touched = [net.runner.blobs[index].count for index in {*planned.bottoms, *planned.tops}]
        parameters = [blob.count for blob in net.layers[number].blobs]
        if cost.macs:
            size = BYTES * sum((*touched, *parameters))
            found.append(Layer(cost.name, cost.type, 2 * cost.macs, size, seconds[number]))
    return found


def _time(net: caffe.Net, repeats: int) -> list[float]:
    """Median seconds of each layer's forward, in the order of the plan."""
    timer = caffe.Timer()
    found: list[list[float]] = [[] for _ in net.plan.layers]

    def stop(layer: int) -> None:
        timer.stop()
        found[layer].append(timer.ms / 1e3)

    net.before_forward(lambda layer: timer.start())
    net.after_forward(stop)
    for _ in range(repeats):
        net.forward()
    return [statistics.median(times) for times in found]


def main() -> None:
    """Print the layers of a case as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(json.dumps([asdict(layer) for layer in measure(Case.open(args.folder), args.repeats)]))


if __name__ == "__main__":
    main()
