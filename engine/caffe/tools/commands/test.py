"""``caffe test``: the mean of a network's outputs over batches."""

from __future__ import annotations

import numpy as np

from ..._caffe.log import log
from ...proto.caffe_pb2 import TEST
from ...pycaffe import Net
from .options import Options, require, use_device, use_precision


def run(options: Options) -> None:
    """Run the network in phase TEST, logging each output of each batch, then their means and the loss.

    Raises:
        CaffeError: a flag is missing, or the network or its weights cannot be read.
    """
    require(options.model, "Need a model definition to score: -model net.prototxt")
    require(options.weights, "Need model weights to score: -weights net.caffemodel")
    use_device(options.gpu)
    use_precision(options.precision)
    net = Net(options.model, TEST, level=options.level, stages=options.stages)
    net.copy_from(options.weights)
    log.info("Running for %d iterations.", options.iterations)
    losses, batches = [], []
    for batch in range(options.iterations):
        losses.append(net.runner.forward())
        batches.append([net.blobs[name].data.ravel().copy() for name in net.outputs])
        for name, values in zip(net.outputs, batches[-1]):
            for value in values.tolist():
                log.info("Batch %d, %s = %g", batch, name, value)
    if not batches:
        return
    log.info("Loss: %g", np.mean(losses))
    for name, values in zip(net.outputs, zip(*batches)):
        weight = net.blob_loss_weights[name]
        for mean in np.mean(values, axis=0).tolist():
            loss = f" (* {weight:g} = {weight * mean:g} loss)" if weight else ""
            log.info("%s = %g%s", name, mean, loss)
