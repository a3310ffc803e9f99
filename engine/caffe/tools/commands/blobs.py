"""Records what every layer of a net computes, in any Python 3 with NumPy and a pycaffe, ours or another.

The other interpreter gets this file as text (`python -c TEXT JSON`), so it imports nothing of this package
and keeps to what old pycaffes understand.
"""

import json
import sys
import zipfile
from typing import Any

import numpy as np


def record(request: "dict[str, Any]") -> None:
    """Run a net once and keep the tops of each layer as they are right after it ran.

    `request` names: `net`; `phase` ("TRAIN" or "TEST"); `seed` for the fillers; `weights`, a caffemodel or
    None; `save_weights`, where to write the parameters, or None; `inputs`, an .npz of values by blob name,
    to which the blobs are reshaped; `out`, the zip to write. It holds `index.json`, a list of {layer, type,
    top, shape, file} in the order of running, and each file's float32 numbers.
    """
    import caffe

    caffe.set_random_seed(request["seed"])
    net = caffe.Net(str(request["net"]), getattr(caffe, request["phase"]))
    if request["weights"]:
        net.copy_from(str(request["weights"]))
    if request["save_weights"]:
        net.save(str(request["save_weights"]))
    inputs = np.load(request["inputs"])
    given = [name for name in inputs.files if name in net.blobs]
    for name in given:
        net.blobs[name].reshape(*inputs[name].shape)
    net.reshape()
    for name in given:
        net.blobs[name].data[...] = inputs[name]
    index: list[dict[str, Any]] = []
    with zipfile.ZipFile(request["out"], "w", allowZip64=True) as out:
        for number, layer in enumerate(net._layer_names):
            net._forward(number, number)
            for blob in net._top_ids(number):
                data = net._blobs[blob].data
                entry: dict[str, Any] = {"layer": layer, "type": net.layers[number].type}
                entry.update(top=net._blob_names[blob], shape=list(data.shape), file=str(len(index)))
                index.append(entry)
                out.writestr(entry["file"], np.ascontiguousarray(data, np.float32).tobytes())
        out.writestr("index.json", json.dumps(index))


if __name__ == "__main__":
    record(json.loads(sys.argv[1]))
