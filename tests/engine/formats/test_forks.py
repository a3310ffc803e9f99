"""Names of other Caffes are recognised, and names of this one are not taken for theirs."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import Descriptor

import caffe
from caffe._caffe.formats import forks
from caffe.proto import caffe_pb2


@pytest.mark.parametrize(
    ("name", "fork"),
    [("Upsample", "SegNet"), ("DenseImageData", "SegNet"), ("dense_image_data_param", "SegNet"),
     ("class_weighting", "SegNet"), ("Interp", "DeepLab"), ("interp_param", "DeepLab"), ("Normalize", "SSD"),
     ("norm_param", "SSD"), ("Permute", "SSD"), ("permute_param", "SSD"), ("PriorBox", "SSD"),
     ("prior_box_param", "SSD"), ("MultiBoxLoss", "SSD"), ("DetectionOutput", "SSD"),
     ("AnnotatedData", "SSD"),
     ("ROIPooling", "Faster R-CNN"), ("roi_pooling_param", "Faster R-CNN"), ("forward_type", "NVIDIA")],
)  # fmt: skip
def test_fork_is_named(name: str, fork: str) -> None:
    hint = forks.hint(name)
    assert hint is not None and name in hint and fork in hint


def test_unknown_names_have_no_hint() -> None:
    assert forks.hint("Convolutionn") is None


def fields(descriptor: Descriptor) -> set[str]:
    found = {field.name for field in descriptor.fields}
    found |= {value.name for enum in descriptor.enum_types for value in enum.values}
    return found.union(*(fields(inner) for inner in descriptor.nested_types))


def test_no_name_of_this_schema_is_called_foreign() -> None:
    own = set().union(*(fields(message) for message in caffe_pb2.DESCRIPTOR.message_types_by_name.values()))
    claimed = {name for _, names in forks.FORKS.values() for name in names.split()}
    assert not own & claimed
    types = {name for names, _ in forks.FORKS.values() for name in names.split()}
    assert not types & set(caffe.layer_type_list())


def test_every_name_is_claimed_once() -> None:
    for column in (0, 1):
        names = [name for row in forks.FORKS.values() for name in row[column].split()]
        assert len(names) == len(set(names))


def test_replacements_are_for_known_names() -> None:
    assert all(forks.hint(name) and text in forks.hint(name) for name, text in forks.REPLACEMENTS.items())
