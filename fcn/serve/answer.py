"""The answer to an image: its label maps, as the page reads them."""

from __future__ import annotations

import base64
import io
import zlib
from typing import Any

from PIL import ImageOps

from voc_layers.reading import as_rgb, decode

from ..figures import ClassColours
from ..infer.model import Model
from ..score.histograms import label_image

#: What Pillow may take an upload for: decoders that run no programs and draw no fonts.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")


def segment(model: Model, data: bytes, pixels: int) -> dict[str, Any]:
    """What a net says of an image's file, turned as its EXIF tag says.

    Returns:
        `height`, `width` and `labelings`; of each the `classes`, their `colours`, the class that is `clear`
        (or None), the `png` that `fcn infer` writes (base64), and the `labels` row by row (a byte each, zlib,
        base64).

    Raises:
        SampleError: no image, or one of more than `pixels`.
    """
    image, depth = decode(io.BytesIO(data), "the image", pixels, FORMATS)
    array = as_rgb(ImageOps.exif_transpose(image), depth, "the image")
    found = model.look([array], "image")
    labelings = []
    for one in (found, *found.more):
        file = io.BytesIO()
        label_image(one.label).save(file, "PNG")
        colours = ClassColours.of(one.classes)
        labelings.append(
            {
                "name": one.name.removeprefix("image").lstrip("_"),
                "classes": one.classes,
                "colours": [colours.css(number) for number in range(len(one.classes))],
                "clear": colours.clear,
                "png": base64.b64encode(file.getvalue()).decode(),
                "labels": base64.b64encode(zlib.compress(one.label.tobytes())).decode(),
            }
        )
    return {"height": array.shape[0], "width": array.shape[1], "labelings": labelings}
