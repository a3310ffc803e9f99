"""What data sets fix for everybody who uses them: the classes, the value of void, the mean of the inputs."""

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

#: NYUDv2's task of 40 classes (Gupta et al., CVPR 2013), in the order of the labels, which start at 1.
NYUD_CLASSES = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf",
    "picture", "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror",
    "floor mat", "clothes", "ceiling", "books", "refridgerator", "television", "paper", "towel",
    "shower curtain", "box", "whiteboard", "person", "night stand", "toilet", "sink", "lamp", "bathtub",
    "bag", "otherstructure", "otherfurniture", "otherprop",
)  # fmt: skip
#: B, G, R; the channels of HHA as its pictures have them; the logarithm of the depth.
NYUD_COLOR_MEAN = (116.190, 97.203, 92.318)
NYUD_HHA_MEAN = (132.431, 94.076, 118.477)
NYUD_LOG_DEPTH_MEAN = (7.844,)

#: SIFT Flow's two labelings, in the order of the labels, which start at 1.
SIFTFLOW_CLASSES = (
    "awning", "balcony", "bird", "boat", "bridge", "building", "bus", "car", "cow", "crosswalk",
    "desert", "door", "fence", "field", "grass", "moon", "mountain", "person", "plant", "pole", "river",
    "road", "rock", "sand", "sea", "sidewalk", "sign", "sky", "staircase", "streetlight", "sun", "tree",
    "window",
)  # fmt: skip
SIFTFLOW_GEOMETRY = ("sky", "horizontal", "vertical")
#: The classes that no image of its test list shows, which the paper leaves out of the means.
SIFTFLOW_UNSEEN = ("cow", "desert", "moon")
SIFTFLOW_MEAN = (114.578, 115.294, 108.353)

#: PASCAL-Context's task of 59 classes (Mottaghi et al., CVPR 2014), and background for all others.
CONTEXT_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor", "bag", "bed", "bench", "book", "building", "cabinet", "ceiling", "clothes", "computer",
    "cup", "door", "fence", "floor", "flower", "food", "grass", "ground", "keyboard", "light",
    "mountain", "mouse", "curtain", "platform", "sign", "plate", "road", "rock", "shelves", "sidewalk",
    "sky", "snow", "bedcloth", "track", "tree", "truck", "wall", "water", "window", "wood",
)  # fmt: skip
CONTEXT_MEAN = (104.007, 116.669, 122.679)
