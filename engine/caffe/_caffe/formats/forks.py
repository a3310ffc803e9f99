"""Layer types, fields and values of well-known forks of Caffe: whose they are, and what to do about them.

A net that uses one is refused, with advice that follows from what the name means there:

- where Caffe's own layers compute the same, the advice says how;
- what has no effect on numbers may be left out;
- what is part of the computation is never to be left out: a layer of the user's own receives it.

Sources: the `caffe.proto` and the layers of the forks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

#: What all advice says about what changes no number, or none that this engine makes.
LEAVES_OUT = "leave it out"
_NO_EFFECT = f"{LEAVES_OUT}: it changes no number here"
_PRECISION = "leave it out: everything is computed in float32 here, or float64"
_QUANTIZED = "leave it out to compute in float32, which the quantized numbers approximate"
_TRANSFORM = "it changes the images: do it in a Python data layer, or prepare the images with it"
_RATE = (
    "it changes the learning rate: run one solver per part of the schedule, each from the last one's snapshot"
)
_UPDATE = "it changes the updates, and no setting of Caffe's does the same"
_SCORING = "leave it out, and score detections in a program: tests here report the means of the outputs"
_AFFINE = "a Scale layer with bias_term: true after this one is the learned scale and bias"
_BATCH_NORM = "BatchNorm, then Scale with bias_term: true, compute the same; its blobs have another order"
_SAME_CONVOLUTION = "Convolution with group: (number of channels) computes the same with the same blobs"
_NORMALIZE = (
    "with across_spatial: false, LRN over all channels (local_size: n, alpha: n, beta: 0.5, k: 1e-10 with "
    "n = 2 * channels - 1), then Scale, compute the same; else"
)
_FLOAT_LAYER = "computes with quantized numbers: the type without 'Ristretto' is the same in float32"

#: (whose, types, what to do; empty: there is nothing like it, and the advice is a layer of one's own).
#: An advice that ends with "else" goes on with that.
_TYPES = (
    ("SegNet", "Upsample",
     "with one bottom (in the YOLO forks) a Deconvolution of weights 1, kernel_size and stride as its scale, "
     "group as the channels and bias_term: false computes the same; else"),
    ("SegNet", "DenseImageData", ""),
    ("the SegNet, DeconvNet and PSPNet forks", "BN", _BATCH_NORM),
    ("DeepLab", "Interp", "a Deconvolution with the bilinear filler enlarges too, with other values; else"),
    ("DeepLab", "SegAccuracy ImageSegData UniqueLabel MatRead MatWrite DenseCRF DomainTransform "
     "DomainTransformForwardOnly BilateralFilter AdaptiveBiasChannel BiasChannel SpatialProduct", ""),
    ("SSD", "Permute PriorBox MultiBoxLoss DetectionOutput DetectionEvaluate AnnotatedData VideoData", ""),
    ("SSD", "Normalize", _NORMALIZE),
    ("Faster R-CNN", "ROIPooling SmoothL1Loss Proposal", ""),
    ("R-FCN", "PSROIPooling BoxAnnotatorOHEM SoftmaxWithLossOHEM SmoothL1LossOHEM", ""),
    ("MNC", "ROIWarping ROIWarpingTest MaskPooling MaskResize", ""),
    ("the Mask R-CNN and deformable forks",
     "ROIAlign DeformableConvolution DeformablePSROIPooling DeformablePooling", ""),
    ("HED", "ImageLabelmapData", ""),
    ("NVIDIA's Caffe", "DetectNetTransformation L1Loss TRT", ""),
    ("Intel's Caffe", "MnActivation MnParamGrad MnParamGradCompress SpatialDropout", ""),
    ("Intel's Caffe", "MKLBatchNorm", _BATCH_NORM),
    ("the MobileNet forks", "ConvolutionDepthwise DepthwiseConvolution", _SAME_CONVOLUTION),
    ("the MobileNet forks", "ReLU6", "Clip with min: 0 and max: 6 computes the same"),
    ("the ShuffleNet forks", "ShuffleChannel",
     "Slice into `group` parts, for each a Reshape with shape { dim: 1 } axis: 2 num_axes: 0, Concat with "
     "axis: 2, and Reshape with shape { dim: -1 } axis: 1 num_axes: 2 compute the same"),
    ("SENet", "Axpy", "Flatten of the first bottom, Scale with axis: 0 of the second by it, and Eltwise with "
     "operation: SUM compute the same"),
    ("FlowNet", "Correlation Correlation1D FlowWarp Warp DataAugmentation FlowAugmentation "
     "GenerateAugmentationParameters BlackAugmentation Resample Downsample Accum CustomData LpqLoss "
     "ChannelNorm Mean NegReLU FLOWriter FloatReader FloatWriter ImgReader ImgWriter PFMWriter "
     "DisparityData", ""),
    ("CRF-RNN", "MultiStageMeanfield", ""),
    ("DeconvNet", "Unpooling SelectSegBinary WindowSegData WindowInstSegData WindowClsData "
     "EltwiseAccuracy DropoutChannel", ""),
    ("the temporal segment forks", "SyncBN", _BATCH_NORM),
    ("the temporal segment forks", "SegData BatchReduction Gather Scatter", ""),
    ("the spatial transformer forks", "SpatialTransformer", ""),
    ("the face recognition forks",
     "CenterLoss TripletLoss MarginInnerProduct LargeMarginInnerProduct LabelSpecificAdd FocalLoss "
     "InnerDistance Insanity Noise Flip", ""),
    ("the YOLO forks",
     "Reorg Region RegionLoss EvalDetection BoxData DetectionOut Yolov3DetectionOutput", ""),
    ("the self-normalizing forks", "SeLu", "ELU with alpha: 1.67326324, then Power with scale: 1.050700987, "
     "compute the same"),
    ("the self-normalizing forks", "SeLuDropout", ""),
    ("several forks", "RReLU CReLU Convolution3D Pooling3D NdConvolution NdPooling LocalConvolution Local "
     "Transpose Reverse L1LossLayer DiceLoss WeightedSoftmaxWithLoss GroupNorm InstanceNorm", ""),
    ("Cambricon's Caffe", "AddPad SsdDetection ImageDetect", ""),
    ("OpenPose", "CPMData OMData OPData ImResize Nms", ""),
    ("the CTC forks", "CtcLoss CTCLoss WarpCtcLoss CTCDecoder CTCGreedyDecoder", ""),
    ("Ristretto", "ConvolutionRistretto DeconvolutionRistretto FcRistretto LRNRistretto", _FLOAT_LAYER),
)  # fmt: skip

#: (whose, `message.field`s, what to do). A message is written without its "Parameter", and a field with the
#: value that changes nothing, if there is one: `Pooling.ceil_mode=True`. "{value}" is what the text gives.
_FIELDS = (
    ("Fast R-CNN", "Dropout.scale_train=True",
     "with false, TRAIN does not divide by 1 - ratio and TEST multiplies by it: a Power layer with "
     "scale: (1 - dropout_ratio) after this one computes that"),
    ("SegNet", "Dropout.sample_weights_test=False", "phase: TRAIN in the layer makes it draw in every net"),
    ("SegNet", "Loss.weight_by_label_freqs=False Loss.class_weighting",
     "InfogainLoss with a diagonal matrix weights the classes"),
    ("DeepLab", "Convolution.hole=1", "it is Caffe's dilation: write dilation: {value}"),
    ("DeepLab", "Convolution.hole_h=1 Convolution.hole_w=1",
     "it is Caffe's dilation, given per axis: write dilation: (hole_h) dilation: (hole_w)"),
    ("the temporal segment forks", "Convolution.dilation_h=1 Convolution.dilation_w=1",
     "dilation is given per axis: write dilation: (dilation_h) dilation: (dilation_w)"),
    ("DeepLab", "ImageData.label_type ImageData.ignore_label",
     "ImageData reads one class per image: read images of labels by a Python layer"),
    ("DeepLab", "Transformation.scale_factors Transformation.crop_width Transformation.crop_height",
     _TRANSFORM),
    ("SSD", "Transformation.crop_h Transformation.crop_w Transformation.resize_param "
     "Transformation.noise_param Transformation.distort_param Transformation.expand_param "
     "Transformation.emit_constraint", _TRANSFORM),
    ("SSD", "Solver.eval_type Solver.ap_version Solver.show_per_class_result", _SCORING),
    ("SSD", "Solver.plateau_winsize", _RATE),
    ("SSD", "Net.item", "the file is a map of labels, not a net"),
    ("NVIDIA's Caffe", "BatchNorm.scale_bias=False BatchNorm.scale_filler", _AFFINE),
    ("NVIDIA's Caffe", "BatchNorm.bias_filler", _AFFINE),
    ("NVIDIA's Caffe", "ELU.lambda=1", "a Power layer with scale: {value} after this one computes the same"),
    ("NVIDIA's Caffe", "Pooling.torch_pooling=False", "true is Caffe's round_mode: FLOOR"),
    ("NVIDIA's Caffe", "Solver.min_lr=0",
     "the rate stays above it: end this solver (max_iter) where its policy reaches {value}, and go on from "
     'the snapshot with lr_policy: "fixed" and base_lr: {value}'),
    ("NVIDIA's Caffe", "Solver.rampup_interval=0 Solver.rampup_lr=0", _RATE),
    ("NVIDIA's Caffe", "Solver.momentum_policy Solver.max_momentum Solver.momentum_power Solver.larc=False "
     "Solver.larc_policy Solver.larc_eta Solver.larc_turbo Solver.weight_decay_policy "
     "Solver.weight_decay_power Solver.max_weight_decay", _UPDATE),
    ("NVIDIA's Caffe", "Net.default_forward_type Net.default_backward_type Net.default_forward_math "
     "Net.default_backward_math Net.global_grad_scale Net.global_grad_scale_adaptive Layer.forward_type "
     "Layer.backward_type Layer.forward_math Layer.backward_math Solver.solver_data_type", _PRECISION),
    ("NVIDIA's Caffe", "Net.eltwise_mem_sharing Net.reduce_buckets Net.default_conv_algos_override "
     "Net.default_cudnn_math_override Layer.cudnn_math_override Layer.debug "
     "Convolution.cudnn_convolution_algo_seeker Convolution.conv_algos_override Data.threads "
     "Data.parser_threads Data.cache Data.precache ImageData.threads ImageData.cache ImageData.precache "
     "ImageData.dataset_share_per_node Transformation.use_gpu_transform Transformation.forward_packing "
     "Transformation.num_labels Transformation.display Solver.store_blobs_in_old_format BatchNorm.engine "
     "Dropout.engine", _NO_EFFECT),
    ("NVIDIA's Caffe", "Dropout.random_seed Transformation.random_seed",
     "leave it out: caffe.set_random_seed, or random_seed of the solver, sets one for all layers"),
    ("several forks", "Data.shuffle=False",
     "convert_imageset --shuffle shuffles while the database is made"),
    ("NVIDIA's Caffe", "ImageData.short_side Transformation.img_rand_resize_lower "
     "Transformation.img_rand_resize_upper Transformation.rand_resize_ratio_lower "
     "Transformation.rand_resize_ratio_upper Transformation.vertical_stretch_lower "
     "Transformation.vertical_stretch_upper Transformation.horizontal_stretch_lower "
     "Transformation.horizontal_stretch_upper Transformation.interpolation_algo_down "
     "Transformation.interpolation_algo_up Transformation.allow_upscale", _TRANSFORM),
    ("Intel's Caffe", "Net.engine Layer.engine Solver.engine Concat.engine Eltwise.engine Layer.split_param "
     "InnerProduct.engine Net.compile_net_state Net.multinode Layer.multinode Solver.disabled_update "
     "Convolution.conv_algorithm Concat.per_fla_fuse", _NO_EFFECT),
    ("Intel's Caffe", "Net.bn_stats_batch_size=0 BatchNorm.stats_batch_size=0",
     "a smaller batch_size with iter_size in the solver takes statistics over fewer images"),
    ("Intel's Caffe", "BatchNorm.use_weight_bias=False BatchNorm.bias_term BatchNorm.filler", _AFFINE),
    ("Intel's Caffe", "BatchNorm.relu=False Convolution.relu=False InnerProduct.relu=False ReLU.fuse=False "
     "Convolution.negative_slope InnerProduct.negative_slope",
     "a ReLU layer of its own after this one computes it"),
    ("Intel's Caffe", "Convolution.fusion_type=NONE_FUSION Convolution.coeff",
     "an Eltwise layer with operation: SUM after this one computes it"),
    ("Intel's Caffe", "Pooling.avg_include_pad=True",
     "Caffe counts the padding in averages, and no setting changes that; else"),
    ("Intel's Caffe", "Pooling.pad_3d Pooling.kernel_size_3d Pooling.stride_3d Pooling.axis", ""),
    ("Intel's Caffe", "Reshape.pixelshuffler=1", ""),
    ("Intel's Caffe", "Solver.warmup_iter=0 Solver.warmup_start_lr",
     "it lets the rate rise in a line at first: run one solver per step of the rise, each from the snapshot "
     "of the one before"),
    ("Intel's Caffe", "Solver.local_lr_auto=False Solver.local_gw_ratio", _UPDATE),
    ("Intel's Caffe", "Solver.test_offset=0", _NO_EFFECT),
    ("Intel's Caffe", "Transformation.random_resize_param Transformation.random_aspect_ratio_param "
     "Transformation.flow Transformation.bgr2rgb Transformation.pad ImageData.min_height "
     "ImageData.min_width", _TRANSFORM),
    ("Intel's Caffe", "Loss.label_smoothing=0", ""),
    ("R-FCN", "Loss.pre_fixed_normalizer",
     "normalization: NONE with loss_weight: 1 / (pre_fixed_normalizer) in the layer computes the same"),
    ("the YOLO forks", "Solver.stagelr Solver.stageiter",
     'lr_policy: "multistep" changes the rate at given iterations, by one factor; else one solver per stage, '
     "each from the last one's snapshot"),
    ("the YOLO forks", "Data.side Data.num_label", "the data layer is another one there"),
    ("the SGD of early forks", "Solver.stepearly", _RATE),
    ("FlowNet", "Filler.diag_val", "weights set in Python (net.params[..][0].data) start a layer like that"),
    ("FlowNet", "Layer.reshape_every_iter", _NO_EFFECT),
    ("FlowNet", "Data.disk_reader_threads Data.verbose Data.huge_video_dataset", _NO_EFFECT),
    ("FlowNet", "Data.limit_samples Data.preselection_file Data.preselection_label Data.range_start "
     "Data.range_end Data.rand_permute Data.rand_permute_order Data.rand_permute_seed Data.slice_point "
     "Data.encoding Data.subtract Data.permute_every_iter Data.block_size",
     "the data layer is another one there"),
    ("the temporal segment forks", "Net.mem_param Solver.richness Solver.group_id", _NO_EFFECT),
    ("the temporal segment forks", "Transformation.fix_crop Transformation.more_fix_crop "
     "Transformation.multi_scale Transformation.scale_ratios Transformation.max_distort "
     "Transformation.is_flow", _TRANSFORM),
    ("the MobileNet forks", "ReLU.upper_limit=0", "Clip with min: 0 and max: {value} computes the same"),
    ("several forks", "Pooling.ceil_mode=True",
     "false is Caffe's round_mode: FLOOR (true is CEIL, its default)"),
    ("the face recognition forks", "InnerProduct.normalize=False BatchNorm.disable_mean=False "
     "BatchNorm.disable_variance=False Dropout.sqrt_scale=False", ""),
    ("DeepLab", "BatchNorm.update_global_stats=False", ""),
    ("PSPNet", "BatchNorm.frozen=False BatchNorm.icf=False", ""),
    ("PSPNet", "BatchNorm.slope_filler", _AFFINE),
)  # fmt: skip

#: whose -> messages of its own layers' settings, fields of a LayerParameter.
_MESSAGES = {
    "SegNet": "upsample_param dense_image_data_param",
    "the SegNet, DeconvNet and PSPNet forks": "bn_param",
    "DeepLab": "interp_param seg_accuracy_param image_seg_data_param unique_label_param mat_read_param "
    "mat_write_param densecrf_param dense_crf_param domain_transform_param softmaxloss_param "
    "adaptive_bias_channel_param bias_channel_param",
    "SSD": "norm_param permute_param prior_box_param multibox_loss_param detection_output_param "
    "detection_evaluate_param annotated_data_param video_data_param",
    "Faster R-CNN": "roi_pooling_param smooth_l1_loss_param proposal_param",
    "R-FCN": "psroi_pooling_param box_annotator_ohem_param",
    "MNC": "roi_warping_param roi_warping_test_param mask_resize_param mask_pooling_param",
    "the Mask R-CNN and deformable forks": "roi_align_param deformable_convolution_param "
    "deformable_psroi_pooling_param",
    "NVIDIA's Caffe": "detectnet_augmentation_param detectnet_groundtruth_param trt_param",
    "Intel's Caffe": "mn_activation_param mn_param_grad_param mn_grad_compress_param spatial_dropout_param",
    "the MobileNet forks": "relu6_param depthwise_convolution_param",
    "the ShuffleNet forks": "shuffle_channel_param",
    "FlowNet": "correlation_param flow_warp_param augmentation_param resample_param downsample_param "
    "coeff_schedule_param l1_loss_param writer_param reader_param mean_param lpq_loss_param accum_param "
    "black_augmentation_param",
    "CRF-RNN": "multi_stage_meanfield_param",
    "DeconvNet": "unpooling_param select_seg_binary_param window_seg_data_param window_cls_data_param",
    "the temporal segment forks": "seg_data_param batch_reduction_param",
    "the spatial transformer forks": "st_param spatial_transformer_param",
    "the face recognition forks": "center_loss_param triplet_loss_param margin_inner_product_param "
    "large_margin_inner_product_param insanity_param noise_param flip_param focal_loss_param normalize_param",
    "the YOLO forks": "reorg_param region_param region_loss_param eval_detection_param yolov3_param",
    "the self-normalizing forks": "selu_param selu_dropout_param",
    "several forks": "rrelu_param crelu_param convolution3d_param pooling3d_param local_param "
    "transpose_param",
    "OpenPose": "cpm_transform_param cpmdata_param imresize_param nms_param",
    "the CTC forks": "ctc_loss_param warp_ctc_loss_param ctc_decoder_param",
}

#: (whose, values of enums and names that a string field can have, what to do).
_VALUES = (
    ("Intel's Caffe", "MKL2017 MKLDNN", "engine has no effect here: leave it out"),
    ("Cambricon's Caffe", "MLU", "leave it out here, or write CPU or GPU for solver_mode"),
    ("Intel's Caffe", "SUM_FUSION", "an Eltwise layer with operation: SUM after this one computes it"),
    ("R-FCN", "PRE_FIXED",
     "normalization: NONE with loss_weight: 1 / (pre_fixed_normalizer) in the layer computes the same"),
    ("SSD", "plateau", _RATE),
    ("the YOLO forks", "multifixed",
     "multistep changes the rate at given iterations, by one factor; else one solver per stage, each from "
     "the snapshot of the one before"),
    ("the SGD of early forks", "stepearly", _RATE),
    ("NVIDIA's Caffe", "SAG", _UPDATE),
    ("FlowNet", "diagonal", "weights set in Python (net.params[..][0].data) start a layer like that"),
    ("the temporal segment forks", "STOCHASTIC_SUM TOPK", ""),
)  # fmt: skip

#: Today's names of types that older formats call by names of another kind.
_OLD_NAMES = {"softmaxloss": "SoftmaxWithLoss", "conv": "Convolution", "pool": "Pooling"}


#: What to do about settings that a type of the user's own would have.
RECEIVES = "a layer registered with caffe.register_layer receives it, in self.fork_params"


class Foreign(NamedTuple):
    """What is known of a name: whose it is, and what to do."""

    name: str
    fork: str
    advice: str
    neutral: str = ""  #: the value of a field that changes nothing, as Python prints it


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _split(name: str) -> tuple[str, str]:
    name, _, neutral = name.partition("=")
    return name, neutral


TYPES = {name: Foreign(name, fork, advice) for fork, names, advice in _TYPES for name in names.split()}
FIELDS = {
    name: Foreign(name, fork, advice, neutral)
    for fork, names, advice in _FIELDS
    for name, neutral in map(_split, names.split())
}
MESSAGES = {name: fork for fork, names in _MESSAGES.items() for name in names.split()}
VALUES = {name: Foreign(name, fork, advice) for fork, names, advice in _VALUES for name in names.split()}
_PLAIN_TYPES = {_plain(name): name for name in TYPES}


def type_advice(name: str, known: Iterable[str]) -> str | None:
    """What to do about a layer type that there is not, or None where nothing is known of the name.

    Names in the spelling of older formats, or in another case, are found too: ``RELU``, ``PRIOR_BOX``.

    Args:
        known: the types that there are.

    >>> type_advice("SOFTMAX_LOSS", ["SoftmaxWithLoss"])
    'did you mean SoftmaxWithLoss?'
    """
    if name not in TYPES:
        today = modern_type(name, known)
        if today:
            return f"did you mean {today}?"
    foreign = TYPES.get(name) or TYPES.get(_PLAIN_TYPES.get(_plain(name), ""))
    if foreign is None:
        return None
    return f"a layer of {_fork(foreign.fork)}: {_either(foreign.advice, register(foreign.name))}"


def register(name: str) -> str:
    """The advice to register a layer type."""
    return f'register a layer of your own with caffe.register_layer("{name}", ..)'


def modern_type(name: str, known: Iterable[str]) -> str | None:
    """The type among `known` that `name` spells as an older format does, or in another case.

    >>> modern_type("INNER_PRODUCT", ["InnerProduct"])
    'InnerProduct'
    """
    by_plain = {_plain(today): today for today in known}
    plain = _plain(name)
    return by_plain.get(plain) or by_plain.get(_plain(_OLD_NAMES.get(plain, "")))


def field_advice(message: str, field: str, value: Any = None, layer_type: str = "") -> str | None:
    """What to do about a field that a message does not have, or None where nothing is known of it.

    Args:
        message: the name of the message, such as ``PoolingParameter``.
        value: what the text gives the field.
        layer_type: the type of the layer that the field belongs to, if it does.
    """
    message = message.removesuffix("Parameter").removeprefix("V1")
    if field in MESSAGES and message == "Layer":
        return f"a field of {_fork(MESSAGES[field])}: {RECEIVES}"
    foreign = FIELDS.get(f"{message}.{field}")
    if foreign is None:
        if "quantization" in field:
            return f"a field of the quantizing forks: {_QUANTIZED}"
        return None
    origin = f"a field of {_fork(foreign.fork)}"
    given = f"{value:g}" if isinstance(value, float) else str(value)
    if foreign.neutral and given == foreign.neutral:
        return f"{origin}, with the value that changes nothing: leave it out"
    return f"{origin}: {_either(foreign.advice, _own_layer(layer_type)).format(value=given)}"


def value_advice(value: str, layer_type: str = "") -> str | None:
    """What to do about a value of an enum or a name (a filler, a policy) that there is not, or None."""
    foreign = VALUES.get(value)
    if foreign is None:
        return None
    return f"a value of {_fork(foreign.fork)}: {_either(foreign.advice, _own_layer(layer_type))}"


def unless_registered(advice: str) -> str:
    """What to do about a setting of a layer whose type there is not, where `advice` is for other types."""
    return advice if LEAVES_OUT in advice else RECEIVES


def misplaced_advice(field: str, layer_type: str = "") -> str | None:
    """Whose a field is that stands in a message where its fork has none of that name, or None."""
    named = sorted(name for name in FIELDS if name.endswith(f".{field}"))
    if not named or field == "engine":
        return None
    homes = " or ".join(f"{name.split('.')[0]}Parameter" for name in named)
    foreign = FIELDS[named[0]]
    advice = foreign.advice if LEAVES_OUT in foreign.advice else _own_layer(layer_type)
    return f"a field of {_fork(foreign.fork)} (in {homes}): {advice}"


def _own_layer(layer_type: str) -> str:
    if not layer_type:
        return "it is part of the computation, and no setting of Caffe's does the same"
    return (
        "it is part of the computation: a layer of your own in the place of this type receives it in "
        f'self.fork_params, caffe.register_layer("{layer_type}", .., replace=True)'
    )


def _either(advice: str, own: str) -> str:
    if not advice:
        return own
    return f"{advice} {own}" if advice.endswith("else") else advice


def _fork(name: str) -> str:
    return name if name.endswith(("Caffe", "forks")) else f"{name}'s fork of Caffe"
