"""Whether the trunk is what the paper starts from: Caffe's VGG16, with fc6 and fc7."""

from __future__ import annotations

import numpy as np

from .finding import Finding
from .subject import Subject, thin

BASE, WIDE, FILLED = "base weights", "fc6 and fc7", "layers filled"

#: The top left tap of some filters of conv1_1 in VGG_ILSVRC_16_layers.caffemodel: filter -> for B, G, R. As
#: printed for Keras's VGG16, whose values are Caffe's and whose images are BGR less a mean, too.
CAFFES_VGG = {
    0: (0.42947057, 0.55037946, 0.48001540),
    1: (0.11727387, 0.02087744, -0.17269668),
    2: (0.03401296, 0.09883115, 0.03755771),
    61: (-0.13224158, -0.08482054, -0.12713556),
    62: (-0.05334752, -0.05113892, -0.05029916),
    63: (0.00757738, 0.03749434, 0.03489657),
}
#: How far from these a fine-tuned net may be: a part of their norm. RGB in the place of BGR is 0.44 away.
NEAR = 0.2
#: Correlation of a layer with what it was made of: weights of another origin have hardly any, by chance 0.03
#: in a thousand; those of a narrow net that Adam had moved through three stages had 0.48.
ALIKE = 0.2

_GET = "start from VGG_ILSVRC_16_layers.caffemodel: fcn weights get vgg16, then fcn train --weights"
_TRANSPLANT = (
    "start from a classifier that has fc6 and fc7: fcn train --weights transplants them; without them 32s "
    "was reported to stop at 30 mean IU"
)


def base_weights(subject: Subject) -> Finding:
    """conv1_1 of the net, and of the file that the chain began with, against that of Caffe's VGG16."""
    own = subject.weights("conv1_1")
    if own is None or own.shape != (64, 3, 3, 3):
        shape = "no conv1_1" if own is None else f"conv1_1 is {own.shape}"
        return Finding.unknown(BASE, f"{shape}: not VGG16's own widths, which alone have published weights")
    places = {"the net": own}
    if subject.base and "conv1_1" in subject.base[1]:
        places = {str(subject.base[0]): subject.base[1]["conv1_1"][0], **places}
    said = []
    for where, weights in places.items():
        evidence, remedy = _compare(weights)
        if remedy:
            return Finding.failed(BASE, f"conv1_1 of {where} {evidence}", remedy)
        said.append(f"conv1_1 of {where} {evidence}")
    return Finding.passed(BASE, "; ".join(said))


def _compare(weights: np.ndarray) -> tuple[str, str]:
    """What conv1_1 (64 x 3 x 3 x 3) looks like, and what to do; '' where it is Caffe's."""
    expected = np.array(list(CAFFES_VGG.values()))
    found = weights[list(CAFFES_VGG), :, 0, 0].astype(np.float64)
    straight, turned = _distance(found, expected), _distance(found[:, ::-1], expected)
    numbers = f"(standard deviation {weights.std():.3g})"
    if straight < NEAR:
        return f"is {straight:.2g} from Caffe's VGG16 {numbers}", ""
    if turned < NEAR:
        swap = "turn the input channels of conv1_1 around (R, G, B to B, G, R), or start afresh: " + _GET
        return f"is Caffe's VGG16 for RGB: {turned:.2g} from it turned around, {straight:.2g} as it is", swap
    scale = float((found * expected).sum() / (expected**2).sum())
    if scale > 0 and _distance(found / scale, expected) < NEAR:
        return f"is Caffe's VGG16 times {scale:.3g}: its images were of another range", _GET
    other = "torchvision's VGG16 gave 57.8 to 59.0 mean IU; " + _GET
    return f"is {straight:.2g} from Caffe's VGG16 {numbers}: other weights", other


def _distance(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def transplanted(subject: Subject) -> Finding:
    """fc6 and fc7: there, those of the classifier where its file is known, and not just drawn at random."""
    if subject.job.is_classifier:
        return Finding.unknown(WIDE, "a classifier: nothing is transplanted into it")
    found = [_wide(subject, layer) for layer in ("fc6", "fc7")]
    failed = [line for line, is_bad in found if is_bad]
    if failed:
        return Finding.failed(WIDE, "; ".join(failed), _TRANSPLANT)
    return Finding.passed(WIDE, "; ".join(line for line, _ in found))


def _wide(subject: Subject, layer: str) -> tuple[str, bool]:
    """What one of the two looks like, and whether that is wrong."""
    weights = subject.weights(layer)
    if weights is None or not weights.any():
        return f"{layer} is {'missing' if weights is None else 'all zero'}", True
    values = thin(weights)
    base = subject.base[1].get(layer) if subject.base else None
    if base and base[0].size == weights.size:
        likeness = _correlation(values, thin(base[0]))
        return f"{layer} correlates {likeness:.2f} with the classifier's", likeness < ALIKE
    tails, spread = _excess(values), _bias_spread(subject, layer)
    is_drawn = _is_drawn(values.size, tails) and spread < values.std()
    looks = f"excess kurtosis {tails:.2f}, standard deviation {values.std():.2g}, of its biases {spread:.2g}"
    return f"{layer} {'is as a filler makes it' if is_drawn else 'is no filler'}: {looks}", is_drawn


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-300))


def _excess(values: np.ndarray) -> float:
    """Excess kurtosis: 0 of a Gaussian, -1.2 of a uniform distribution; learned weights have longer tails."""
    centred = values - values.mean()
    return float((centred**4).mean() / max((centred**2).mean() ** 2, 1e-300) - 3)


def _is_drawn(count: int, excess: float) -> bool:
    tolerance = 0.1 + 3 * (24 / count) ** 0.5  # three standard errors
    return bool(min(abs(excess), abs(excess + 1.2)) < tolerance)


def _bias_spread(subject: Subject, layer: str) -> float:
    blobs = subject.net.params[layer]
    return float(blobs[1].data.std()) if len(blobs) > 1 else 0.0


def filled(subject: Subject) -> Finding:
    """No learning layer without weights: none all zero, none that no file gave. Scores may start at zero."""
    kinds = {layer.type for layer in subject.proto.layer} - {"Deconvolution"}
    learns = [name for kind in kinds for name, does in subject.learned(kind).items() if does]
    scores = [name for name in subject.net.params if "score" in name or name == subject.job.arch.scores]
    names = [name for name in subject.net.params if name in learns and name not in scores]
    zero = [name for name in names if not subject.net.params[name][0].data.any()]
    lost = [name for name in names if name in subject.untouched and name not in zero]
    said = [f"{', '.join(zero)}: all zero"] if zero else []
    said += [f"{', '.join(lost)}: nothing from the file, as the filler made it"] if lost else []
    if said:
        how = "give --weights a file with layers of these names (fcn weights import renames them)"
        return Finding.failed(FILLED, "; ".join(said), how)
    return Finding.passed(FILLED, f"{len(names)} learning layers, none all zero")
