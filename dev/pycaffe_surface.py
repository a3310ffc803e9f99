"""What BVLC's pycaffe, tools and files offer (version 1.0.0), and where ours are better or differ.

`generate_compat.py` holds it against the engine and writes docs/compat.md.
"""

from __future__ import annotations

#: place -> (how the generator finds it, names)
PYCAFFE = {
    "caffe": (
        "caffe",
        "Net SGDSolver NesterovSolver AdaGradSolver RMSPropSolver AdaDeltaSolver AdamSolver NCCL Timer Layer "
        "get_solver layer_type_list init_log log set_mode_cpu set_mode_gpu set_device set_random_seed "
        "solver_count set_solver_count solver_rank set_solver_rank set_multiprocess has_nccl "
        "__version__ TRAIN "
        "TEST Classifier Detector io layers params NetSpec to_proto",
    ),
    "caffe.Net": (
        "caffe.Net",
        "blobs params layers layer_dict blob_loss_weights inputs outputs bottom_names top_names "
        "forward backward "
        "forward_all forward_backward_all reshape clear_param_diffs copy_from share_with save save_hdf5 "
        "load_hdf5 set_input_arrays before_forward after_forward before_backward after_backward _forward "
        "_backward _batch _blob_names _layer_names _inputs _outputs _bottom_ids _top_ids _blobs "
        "_blob_loss_weights",
    ),
    "Blob": (
        "caffe._caffe.Blob",
        "shape num channels height width count data diff reshape",
    ),
    "vectors": (
        "caffe._caffe",
        "Blob Solver SolverParameter LayerParameter BlobVec RawBlobVec LayerVec NetVec StringVec "
        "IntVec DtypeVec "
        "BoolVec",
    ),
    "BlobVec": ("caffe._caffe.BlobVec", "add_blob append extend",),
    "caffe.Layer": (
        "caffe.Layer",
        "blobs type setup reshape forward backward param_str phase",
    ),
    "solvers": (
        "caffe.SGDSolver",
        "net test_nets iter lr param step solve restore snapshot apply_update share_weights add_callback",
    ),
    "solver.param": (
        "caffe._caffe.SolverParameter",
        "max_iter display layer_wise_reduce base_lr",
    ),
    "caffe.Timer": (
        "caffe.Timer",
        "start stop ms",
    ),
    "caffe.NCCL": (
        "caffe.NCCL",
        "new_uid bcast",
    ),
    "caffe.net_spec": (
        "caffe.net_spec",
        "NetSpec Top Function Layers Parameters layers params to_proto param_name_dict assign_proto",
    ),
    "caffe.coord_map": (
        "caffe.coord_map",
        "coord_map coord_map_from_to compose inverse crop conv_params crop_params UndefinedMapException "
        "AxisMismatchException PASS_THROUGH_LAYERS",
    ),
    "caffe.io": (
        "caffe.io",
        "load_image resize_image oversample blobproto_to_array array_to_blobproto "
        "arraylist_to_blobprotovector_str blobprotovector_str_to_arraylist array_to_datum datum_to_array "
        "Transformer",
    ),
    "Transformer": (
        "caffe.io.Transformer",
        "preprocess deprocess set_transpose set_channel_swap set_raw_scale set_mean set_input_scale",
    ),
    "caffe.Classifier": ("caffe.Classifier", "predict",),
    "caffe.Detector": (
        "caffe.Detector",
        "detect_windows detect_selective_search crop configure_crop",
    ),
    "caffe.draw": (
        "caffe.draw",
        "draw_net draw_net_to_file get_pydot_graph get_pooling_types_dict get_edge_label get_layer_lr_mult "
        "get_layer_label choose_color_by_layertype LAYER_STYLE_DEFAULT NEURON_LAYER_STYLE BLOB_STYLE",
    ),
    "caffe.proto.caffe_pb2": (
        "caffe.proto.caffe_pb2",
        "NetParameter SolverParameter LayerParameter V1LayerParameter BlobProto BlobProtoVector "
        "BlobShape Datum "
        "SolverState NetState NetStateRule ParamSpec FillerParameter TRAIN TEST",
    ),
}  # fmt: skip

#: `place name` -> (verdict, what is other)
PYCAFFE_NOTES = {
    "caffe set_mode_gpu": (
        "differs",
        "raises where there is no GPU, or with CAFFE_FALLBACK=cpu warns",
    ),
    "caffe init_log": (
        "better",
        "a second call raises instead of aborting",
    ),
    "caffe set_solver_rank": (
        "differs",
        "holds for the process, not the thread",
    ),
    "caffe.Net backward": (
        "better",
        "takes a scalar for a scalar loss",
    ),
    "caffe.Net top_names": (
        "better",
        "right with several automatic tops; so are bottom_names, inputs and outputs",
    ),
    "solvers net": (
        "better",
        "one object, not a new one at every access",
    ),
    "solvers restore": (
        "better",
        "checks before it changes anything; goes on bit for bit",
    ),
    "solvers snapshot": (
        "better",
        "the old file or the new one, never half of it",
    ),
    "caffe.Timer ms": (
        "better",
        "fractions of milliseconds",
    ),
    "caffe.NCCL bcast": (
        "better",
        "also between CPU processes",
    ),
    "vectors RawBlobVec": (
        "better",
        "can be iterated",
    ),
    "caffe.io load_image": (
        "better",
        "without scikit-image",
    ),
    "Transformer set_mean": (
        "better",
        "a constant mean image can be resized",
    ),
    "caffe.Classifier predict": (
        "better",
        "image_dims below the input are refused",
    ),
    "caffe.Detector crop": (
        "better",
        "context_pad works",
    ),
}

#: layer type -> (verdict, what is other); the rest are the same
LAYER_NOTES = {
    "ArgMax": (
        "better",
        "refuses backward only where a gradient is wanted",
    ),
    "Threshold": (
        "better",
        "refuses backward only where a gradient is wanted",
    ),
    "Accuracy": (
        "better",
        "labels are checked",
    ),
    "SoftmaxWithLoss": (
        "better",
        "a second top works; labels are checked",
    ),
    "InfogainLoss": (
        "better",
        "labels are checked",
    ),
    "MultinomialLogisticLoss": (
        "better",
        "labels are checked",
    ),
    "HingeLoss": (
        "better",
        "backward may run twice; one label per item is required",
    ),
    "ContrastiveLoss": (
        "better",
        "the batch may grow",
    ),
    "DummyData": (
        "differs",
        "random tops are filled at construction too",
    ),
    "Eltwise": (
        "differs",
        "right in place; MAX with a NaN is NaN",
    ),
    "Embed": (
        "better",
        "indices are checked",
    ),
    "Flatten": (
        "better",
        "copies its diff",
    ),
    "MemoryData": (
        "better",
        "never writes into the user's arrays",
    ),
    "Pooling": (
        "better",
        "STOCHASTIC on the CPU too",
    ),
    "ReLU": (
        "differs",
        "0 for -inf, not NaN",
    ),
    "SPP": (
        "better",
        "pyramid_height is required",
    ),
    "Python": (
        "better",
        "a failing import says why",
    ),
    "Reduction": (
        "better",
        "refused in place",
    ),
    **dict.fromkeys(
        ("RNN", "LSTM"),
        (
            "better",
            "parameters in the prototxt are kept",
        ),
    ),
    **dict.fromkeys(
        ("MVN", "LRN"),
        (
            "better",
            "right in place",
        ),
    ),
    **dict.fromkeys(
        ("Convolution", "Deconvolution", "Im2col"),
        (
            "better",
            "a stride of 0 is refused",
        ),
    ),
}

#: Caffe's tools and scripts -> (ours, verdict, what is other)
TOOLS = {
    "caffe train": ("caffe train", "same", ""),
    "caffe test": ("caffe test", "same", ""),
    "caffe time": (
        "caffe time", "better", "waits for the device",
    ),
    "caffe device_query": ("caffe device_query", "same", ""),
    "convert_imageset": (
        "caffe convert_imageset", "same", "",
    ),
    "convert_mnist_data": ("caffe convert_mnist_data", "better", "refuses files that are cut off"),
    "convert_mnist_siamese_data": (
        "caffe convert_mnist_siamese_data", "better", "refuses files that are cut off",
    ),
    "convert_cifar_data": ("caffe convert_cifar_data", "better", "refuses files that are cut off"),
    "compute_image_mean": (
        "caffe compute_image_mean", "same", "",
    ),
    "extract_features": (
        "caffe extract_features", "same", "",
    ),
    "upgrade_net_proto_text": (
        "caffe upgrade_net_proto_text", "same", "",
    ),
    "upgrade_net_proto_binary": (
        "caffe upgrade_net_proto_binary", "same", "",
    ),
    "upgrade_solver_proto_text": (
        "caffe upgrade_solver_proto_text", "same", "",
    ),
    "parse_log.py, parse_log.sh": (
        "caffe parse_log", "better", "Python 3",
    ),
    "plot_training_log.py": (
        "caffe plot_training_log", "better", "Python 3",
    ),
    "classify.py": (
        "caffe classify", "same", "",
    ),
    "detect.py": (
        "caffe detect", "better", "CSV output works",
    ),
    "draw_net.py": (
        "caffe draw_net", "better", "`--fold` draws large nets with fewer boxes",
    ),
    "summarize.py": (
        "caffe summary", "better", "shapes, multiply-adds and memory too",
    ),
    "train.py (several GPUs)": (
        "caffe train -gpu 0,1", "better", "with tests and snapshots",
    ),
    "(none)": ("caffe compare", "better", "two nets or engines blob by blob",),
    "(none) ": ("caffe doctor", "better", "what is installed, shadowed or missing",),
}  # fmt: skip

#: file format -> (verdict, what is other)
FORMATS = {
    "net and solver prototxt": ("better", "errors name line, column, layer and field"),
    "V0 and V1 nets, legacy inputs": ("same", ""),
    ".caffemodel": ("same", "byte for byte"),
    ".caffemodel.h5": ("same", ""),
    ".solverstate": ("better", "with a .resume file beside it"),
    ".solverstate.h5": ("better", "with a .resume file beside it"),
    "LMDB of Datum": ("same", ""),
    "LevelDB of Datum": ("same", "through the extra 'leveldb'"),
    "HDF5 data": ("same", ""),
    "image lists, window files": ("same", ""),
    ".binaryproto (mean, infogain matrix)": ("same", ""),
    "glog log lines": ("same", ""),
}  # fmt: skip
