"""What PASCAL VOC fixes for everybody who follows it: the classes, the value of void, the mean colour."""

from __future__ import annotations

#: Pixels with this label are neither trained nor scored.
VOID = 255
#: B, G, R of 0 to 255: what the published VOC nets subtract.
MEAN_BGR = (104.00699, 116.66877, 122.67892)
VOC_CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
