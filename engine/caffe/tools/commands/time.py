"""``caffe time``: how long each layer's forward and backward take."""

from __future__ import annotations

from ... import _caffe
from ..._caffe.log import log
from ...proto.caffe_pb2 import TEST, TRAIN
from ...pycaffe import Net
from .options import Options, require, use_device, use_precision

_PHASES = {"": TRAIN, "TRAIN": TRAIN, "TEST": TEST}


def run(options: Options) -> None:
    """Time the network, weights as its fillers make them, after one untimed pass.

    Every layer is waited for, on devices that work asynchronously too, so the sum of the layers is more
    than an unobserved pass takes there.

    Raises:
        CaffeError: a flag is missing or wrong, or the network cannot be read.
    """
    require(options.model, "Need a model definition to time: -model net.prototxt")
    require(options.phase in _PHASES, f"-phase {options.phase}: it is TRAIN or TEST")
    require(options.iterations > 0, f"-iterations {options.iterations}: at least 1 is needed")
    use_device(options.gpu)
    use_precision(options.precision)
    net = Net(options.model, _PHASES[options.phase], level=options.level, stages=options.stages)
    log.info("Performing Forward")
    log.info("Initial loss: %g", net.runner.forward())
    log.info("Performing Backward")
    net.runner.backward()

    clock, total = _caffe.NetTimer(net.runner), 0.0
    log.info("*** Benchmark begins ***")
    log.info("Testing for %d iterations.", options.iterations)
    for iteration in range(1, options.iterations + 1):
        elapsed = clock.iteration()
        total += elapsed
        log.info("Iteration: %d forward-backward time: %g ms.", iteration, elapsed)
    _report(clock, [layer.name for layer in net.plan.layers], options.iterations)
    log.info("Average Forward-Backward: %g ms.", total / options.iterations)
    log.info("Total Time: %g ms.", total)
    log.info("*** Benchmark ends ***")


def _report(clock: _caffe.NetTimer, names: list[str], iterations: int) -> None:
    log.info("Average time per layer: ")
    for name, forward, backward in zip(names, clock.layer_forward_ms, clock.layer_backward_ms):
        log.info("%10s\tforward: %g ms.", name, forward / iterations)
        log.info("%10s\tbackward: %g ms.", name, backward / iterations)
    log.info("Average Forward pass: %g ms.", clock.forward_ms / iterations)
    log.info("Average Backward pass: %g ms.", clock.backward_ms / iterations)
