"""Layer types and fields of well-known forks of Caffe, so that an error can say where they come from.

Only names are known here: a net that uses one is refused, with the fork named and a way out.
"""

from __future__ import annotations

_REGISTER = "register a layer of your own with caffe.register_layer"

#: fork -> (its layer types, its fields and enum values)
FORKS = {
    "SegNet": (
        "Upsample DenseImageData BN",
        "upsample_param dense_image_data_param bn_param upsample_h upsample_w pad_out_h pad_out_w "
        "weight_by_label_freqs class_weighting scale_filler shift_filler bn_mode UPSAMPLE DENSE_IMAGE_DATA "
        "LEARN INFERENCE",
    ),
    "DeepLab": (
        "Interp SegAccuracy ImageSegData UniqueLabel MatRead MatWrite DenseCRF DomainTransform "
        "BilateralFilter",
        "interp_param seg_accuracy_param image_seg_data_param unique_label_param mat_read_param "
        "mat_write_param densecrf_param domain_transform_param softmaxloss_param weight_source shrink_factor "
        "zoom_factor pad_beg pad_end label_type hole hole_h hole_w",
    ),
    "SSD": (
        "Normalize Permute PriorBox MultiBoxLoss DetectionOutput DetectionEvaluate AnnotatedData VideoData",
        "norm_param permute_param prior_box_param multibox_loss_param detection_output_param "
        "detection_evaluate_param annotated_data_param video_data_param resize_param distort_param "
        "expand_param noise_param emit_constraint batch_sampler nms_param save_output_param eval_type "
        "ap_version show_per_class_result plateau_winsize",
    ),
    "Faster R-CNN": (
        "ROIPooling SmoothL1Loss Proposal",
        "roi_pooling_param smooth_l1_loss_param proposal_param pooled_h pooled_w spatial_scale "
        "ROIPOOLING SMOOTH_L1_LOSS",
    ),
    "R-FCN": (
        "PSROIPooling BoxAnnotatorOHEM",
        "psroi_pooling_param box_annotator_ohem_param",
    ),
    "NVIDIA's Caffe": (
        "DetectNetTransformation L1Loss",
        "default_forward_type default_backward_type default_forward_math default_backward_math forward_type "
        "backward_type forward_math backward_math solver_data_type global_grad_scale rampup_interval "
        "global_grad_scale_adaptive default_conv_algos_override default_cudnn_math_override rampup_lr "
        "cudnn_math_override cudnn_convolution_algo_seeker conv_algos_override threads parser_threads cache "
        "min_lr local_lr_auto local_gw_ratio larc larc_policy larc_turbo net_mode "
        "detectnet_augmentation_param detectnet_groundtruth_param scale_bias store_blobs_in_old_format "
        "img_rand_resize_lower img_rand_resize_upper",
    ),
    "Intel's Caffe": (
        "MnActivation MnParamGrad",
        "MKL2017 MKLDNN mn_activation_param mn_param_grad_param bn_stats_batch_size fusion_type "
        "quantization_param compile_net_state disabled_update",
    ),
    "PSPNet": ("", "slope_filler frozen icf"),
    "the MobileNet forks": ("ConvolutionDepthwise DepthwiseConvolution ReLU6", "relu6_param"),
    "the ShuffleNet forks": ("ShuffleChannel", "shuffle_channel_param"),
    "SENet": ("Axpy", ""),
    "FlowNet": (
        "Correlation FlowWarp DataAugmentation Resample Downsample CustomData LpqLoss",
        "correlation_param flow_warp_param augmentation_param resample_param coeff_schedule_param "
        "l1_loss_param writer_param",
    ),
    "CRF-RNN": ("MultiStageMeanfield", "multi_stage_meanfield_param"),
    "DeconvNet": ("Unpooling SelectSegBinary WindowSegData", "unpooling_param window_seg_data_param"),
    "the spatial transformer forks": ("SpatialTransformer", "st_param spatial_transformer_param"),
    "the face recognition forks": (
        "CenterLoss TripletLoss MarginInnerProduct",
        "center_loss_param triplet_loss_param margin_inner_product_param",
    ),
    "the YOLO forks": (
        "Reorg RegionLoss EvalDetection",
        "reorg_param region_loss_param eval_detection_param",
    ),
}
#: what BVLC's Caffe has in their place
REPLACEMENTS = {
    "BN": "BatchNorm followed by Scale computes the same",
    "bn_param": "BatchNorm followed by Scale computes the same",
    "Interp": "a fixed bilinear Deconvolution enlarges too",
    "interp_param": "a fixed bilinear Deconvolution enlarges too",
    "hole": "dilation is today's name",
    "hole_h": "dilation is today's name",
    "hole_w": "dilation is today's name",
    "ConvolutionDepthwise": "a Convolution with one group per channel computes the same",
    "DepthwiseConvolution": "a Convolution with one group per channel computes the same",
    "ReLU6": "Clip with min: 0 and max: 6 computes the same",
    "weight_by_label_freqs": "InfogainLoss with a diagonal matrix weights the classes",
    "class_weighting": "InfogainLoss with a diagonal matrix weights the classes",
    "MKL2017": "engine has no effect here: leave it out",
    "MKLDNN": "engine has no effect here: leave it out",
}
_TYPES = {name: fork for fork, (types, _) in FORKS.items() for name in types.split()}
_FIELDS = {name: fork for fork, (_, fields) in FORKS.items() for name in fields.split()}


def hint(field_or_type: str) -> str | None:
    """Which fork a layer type, field or enum value comes from and what to do, or None if none is known.

    >>> hint("Upsample")
    "'Upsample' is a layer of SegNet's fork of Caffe: register a layer of your own with caffe.register_layer"
    """
    name = field_or_type
    if name in _TYPES:
        origin, advice = f"'{name}' is a layer of {_fork(_TYPES[name])}", _REGISTER
    elif name in _FIELDS:
        kind = "value" if name.isupper() else "field"
        origin, advice = f"'{name}' is a {kind} of {_fork(_FIELDS[name])}", "leave it out"
        if name.endswith("_param"):
            advice = f'{_REGISTER}, with its settings in python_param {{ param_str: ".." }}'
    else:
        return None
    replacement = REPLACEMENTS.get(name)
    return f"{origin}: {replacement}; or {advice}" if replacement else f"{origin}: {advice}"


def _fork(name: str) -> str:
    return name if name.endswith(("Caffe", "forks")) else f"{name}'s fork of Caffe"
