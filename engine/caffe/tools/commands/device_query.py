"""``caffe device_query``: the properties of GPUs."""

from __future__ import annotations

from ... import _caffe
from ..._caffe.log import log
from ..command import device_wish
from .options import Options, gpu_ids


def run(options: Options) -> None:
    """Log the properties of the devices that `-gpu` names.

    Raises:
        DeviceError: there is no such device.
    """
    log.info("Querying GPUs %s", options.gpu)
    with device_wish(f"-gpu {options.gpu}", "`caffe doctor` lists what there is"):
        for device_id in gpu_ids(options.gpu):
            log.info("%-31s%d", "Device id:", device_id)
            for name, value in _caffe.gpu_properties(device_id).items():
                log.info("%-31s%s", f"{name}:", value)
