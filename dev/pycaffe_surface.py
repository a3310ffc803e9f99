"""What BVLC's pycaffe, tools and files offer (version 1.0.0), and where ours are better or differ.

`generate_compat.py` holds it against the engine and writes docs/compat.md. Tests are paths in tests/engine/.
"""

from __future__ import annotations

#: place -> (how the generator finds it, names, the test that holds most of them)
PYCAFFE = {
    "caffe": (
        "caffe",
        "Net SGDSolver NesterovSolver AdaGradSolver RMSPropSolver AdaDeltaSolver AdamSolver NCCL Timer Layer "
        "get_solver layer_type_list init_log log set_mode_cpu set_mode_gpu set_device set_random_seed "
        "solver_count set_solver_count solver_rank set_solver_rank set_multiprocess has_nccl "
        "__version__ TRAIN "
        "TEST Classifier Detector io layers params NetSpec to_proto",
        "test_golden.py::test_api_program",
    ),
    "caffe.Net": (
        "caffe.Net",
        "blobs params layers layer_dict blob_loss_weights inputs outputs bottom_names top_names "
        "forward backward "
        "forward_all forward_backward_all reshape clear_param_diffs copy_from share_with save save_hdf5 "
        "load_hdf5 set_input_arrays before_forward after_forward before_backward after_backward _forward "
        "_backward _batch _blob_names _layer_names _inputs _outputs _bottom_ids _top_ids _blobs "
        "_blob_loss_weights",
        "test_golden.py::test_api_program",
    ),
    "Blob": (
        "caffe._caffe.Blob",
        "shape num channels height width count data diff reshape",
        "test_blob.py::test_data_and_diff_are_zero_and_of_the_shape",
    ),
    "vectors": (
        "caffe._caffe",
        "Blob Solver SolverParameter LayerParameter BlobVec RawBlobVec LayerVec NetVec StringVec "
        "IntVec DtypeVec "
        "BoolVec",
        "test_golden.py::test_api_program",
    ),
    "BlobVec": ("caffe._caffe.BlobVec", "add_blob append extend", "test_golden.py::test_api_program"),
    "caffe.Layer": (
        "caffe.Layer",
        "blobs type setup reshape forward backward param_str phase",
        "test_net.py::test_python_errors_pass_unchanged_and_ours_name_the_layer",
    ),
    "solvers": (
        "caffe.SGDSolver",
        "net test_nets iter lr param step solve restore snapshot apply_update share_weights add_callback",
        "test_golden.py::test_numbers",
    ),
    "solver.param": (
        "caffe._caffe.SolverParameter",
        "max_iter display layer_wise_reduce base_lr",
        "solvers/test_solver_loop.py::test_base_lr_can_be_set_and_the_rest_cannot",
    ),
    "caffe.Timer": (
        "caffe.Timer",
        "start stop ms",
        "test_deviations.py::test_a_timer_counts_fractions_of_milliseconds",
    ),
    "caffe.NCCL": (
        "caffe.NCCL",
        "new_uid bcast",
        "test_deviations.py::test_solvers_average_their_gradients_without_nccl",
    ),
    "caffe.net_spec": (
        "caffe.net_spec",
        "NetSpec Top Function Layers Parameters layers params to_proto param_name_dict assign_proto",
        "test_golden.py::test_netspec_program",
    ),
    "caffe.coord_map": (
        "caffe.coord_map",
        "coord_map coord_map_from_to compose inverse crop conv_params crop_params UndefinedMapException "
        "AxisMismatchException PASS_THROUGH_LAYERS",
        "test_coord_map.py::test_known_offsets",
    ),
    "caffe.io": (
        "caffe.io",
        "load_image resize_image oversample blobproto_to_array array_to_blobproto "
        "arraylist_to_blobprotovector_str blobprotovector_str_to_arraylist array_to_datum datum_to_array "
        "Transformer",
        "test_golden.py::test_io_program",
    ),
    "Transformer": (
        "caffe.io.Transformer",
        "preprocess deprocess set_transpose set_channel_swap set_raw_scale set_mean set_input_scale",
        "test_io.py::test_preprocess_is_the_formula",
    ),
    "caffe.Classifier": ("caffe.Classifier", "predict", "test_golden.py::test_api_program"),
    "caffe.Detector": (
        "caffe.Detector",
        "detect_windows detect_selective_search crop configure_crop",
        "test_detector.py::test_windows_of_several_images",
    ),
    "caffe.draw": (
        "caffe.draw",
        "draw_net draw_net_to_file get_pydot_graph get_pooling_types_dict get_edge_label get_layer_lr_mult "
        "get_layer_label choose_color_by_layertype LAYER_STYLE_DEFAULT NEURON_LAYER_STYLE BLOB_STYLE",
        "test_draw.py::test_the_graph_is_the_net",
    ),
    "caffe.proto.caffe_pb2": (
        "caffe.proto.caffe_pb2",
        "NetParameter SolverParameter LayerParameter V1LayerParameter BlobProto BlobProtoVector "
        "BlobShape Datum "
        "SolverState NetState NetStateRule ParamSpec FillerParameter TRAIN TEST",
        "test_proto.py::test_schema_is_the_field_table",
    ),
}  # fmt: skip

#: `place name` -> (verdict, what is other, the test that holds it)
PYCAFFE_NOTES = {
    "caffe set_mode_gpu": (
        "differs",
        "raises where there is no GPU, or with CAFFE_FALLBACK=cpu warns",
        "test_deviations.py::test_gpu_mode_without_a_gpu",
    ),
    "caffe init_log": ("better", "a second call raises instead of aborting", "test_golden.py::test_error"),
    "caffe set_solver_rank": (
        "differs",
        "holds for the process, not the thread",
        "test_deviations.py::test_settings_are_the_processs_and_not_the_threads",
    ),
    "caffe.Net backward": (
        "better",
        "takes a scalar for a scalar loss",
        "test_deviations.py::test_a_scalar_loss_takes_a_scalar_diff",
    ),
    "caffe.Net top_names": (
        "better",
        "right with several automatic tops; so are bottom_names, inputs and outputs",
        "test_deviations.py::test_names_are_right_with_several_automatic_tops",
    ),
    "solvers net": (
        "better",
        "one object, not a new one at every access",
        "test_deviations.py::test_the_net_of_a_solver_is_one_object",
    ),
    "solvers restore": (
        "better",
        "checks before it changes anything; goes on bit for bit",
        "solvers/test_solver_loop.py::test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit",
    ),
    "solvers snapshot": (
        "better",
        "the old file or the new one, never half of it",
        "solvers/test_solver_loop.py::test_a_snapshot_leaves_the_old_file_or_the_new_one",
    ),
    "caffe.Timer ms": (
        "better",
        "fractions of milliseconds",
        "test_deviations.py::test_a_timer_counts_fractions_of_milliseconds",
    ),
    "caffe.NCCL bcast": (
        "better",
        "also between CPU processes",
        "test_deviations.py::test_solvers_average_their_gradients_without_nccl",
    ),
    "vectors RawBlobVec": (
        "better",
        "can be iterated",
        "test_deviations.py::test_layers_of_a_python_layer_can_be_walked_through",
    ),
    "caffe.io load_image": (
        "better",
        "without scikit-image",
        "test_io.py::test_colour_images_become_rgb_and_lose_their_alpha",
    ),
    "Transformer set_mean": (
        "better",
        "a constant mean image can be resized",
        "test_io.py::test_means_of_every_shape",
    ),
    "caffe.Classifier predict": (
        "better",
        "image_dims below the input are refused",
        "test_classifier.py::test_what_it_cannot_classify_is_refused",
    ),
    "caffe.Detector crop": (
        "better",
        "context_pad works",
        "test_detector.py::test_context_inside_the_image",
    ),
}

#: layer type -> (verdict, what is other, the test that holds it); the rest are the same
LAYER_NOTES = {
    "ArgMax": (
        "better",
        "refuses backward only where a gradient is wanted",
        "test_deviations.py::test_what_has_no_gradient_is_refused_only_where_one_is_wanted",
    ),
    "Threshold": (
        "better",
        "refuses backward only where a gradient is wanted",
        "test_deviations.py::test_what_has_no_gradient_is_refused_only_where_one_is_wanted",
    ),
    "Accuracy": ("better", "labels are checked", "layers/test_metric.py::test_accuracy_refuses"),
    "SoftmaxWithLoss": (
        "better",
        "a second top works; labels are checked",
        "layers/test_loss.py::test_the_second_top_holds_the_probabilities_and_shares_them",
    ),
    "InfogainLoss": (
        "better",
        "labels are checked",
        "layers/test_loss.py::test_a_label_that_is_no_class_is_refused",
    ),
    "MultinomialLogisticLoss": (
        "better",
        "labels are checked",
        "layers/test_loss.py::test_a_label_that_is_no_class_is_refused",
    ),
    "HingeLoss": (
        "better",
        "backward may run twice; one label per item is required",
        "test_deviations.py::test_a_hinge_loss_may_run_backward_twice",
    ),
    "ContrastiveLoss": (
        "better",
        "the batch may grow",
        "test_deviations.py::test_the_batch_of_a_contrastive_loss_may_grow",
    ),
    "DummyData": (
        "differs",
        "random tops are filled at construction too",
        "test_deviations.py::test_random_dummy_data_is_there_before_the_first_forward",
    ),
    "Eltwise": (
        "differs",
        "right in place; MAX with a NaN is NaN",
        "test_deviations.py::test_a_maximum_with_nan_is_nan_whichever_bottom_it_is_in",
    ),
    "Embed": (
        "better",
        "indices are checked",
        "layers/test_dense.py::test_embed_refuses_indices_outside_its_table",
    ),
    "Flatten": (
        "better",
        "copies its diff",
        "layers/test_shape.py::test_the_gradient_passes_a_chain_of_layers_that_share_memory",
    ),
    "MemoryData": (
        "better",
        "never writes into the user's arrays",
        "layers/test_data_memory.py::test_memory_data_reads_the_users_arrays_and_never_writes_them",
    ),
    "Pooling": (
        "better",
        "STOCHASTIC on the CPU too",
        "layers/test_pooling.py::test_stochastic_pooling_at_training_draws_in_proportion",
    ),
    "ReLU": (
        "differs",
        "0 for -inf, not NaN",
        "layers/test_activation.py::test_relu_of_what_is_not_finite",
    ),
    "SPP": ("better", "pyramid_height is required", "layers/test_pooling.py::test_spp_refusals"),
    "Python": ("better", "a failing import says why", "test_golden.py::test_error"),
    "Reduction": ("better", "refused in place", "layers/test_arithmetic.py::test_reduction_refuses"),
    **dict.fromkeys(
        ("RNN", "LSTM"),
        (
            "better",
            "parameters in the prototxt are kept",
            "test_deviations.py::test_recurrent_layers_start_from_the_blobs_of_the_prototxt",
        ),
    ),
    **dict.fromkeys(
        ("MVN", "LRN"),
        (
            "better",
            "right in place",
            "test_deviations.py::test_in_place_gives_the_values_and_the_gradient_it_gives_elsewhere",
        ),
    ),
    **dict.fromkeys(
        ("Convolution", "Deconvolution", "Im2col"),
        (
            "better",
            "a stride of 0 is refused",
            "test_deviations.py::test_a_stride_of_zero_is_refused_by_name",
        ),
    ),
}

#: Caffe's tools and scripts -> (ours, verdict, what is other, the test that holds it)
TOOLS = {
    "caffe train": ("caffe train", "same", "", "test_golden.py::test_command_line"),
    "caffe test": ("caffe test", "same", "", "test_golden.py::test_command_line"),
    "caffe time": (
        "caffe time", "better", "waits for the device",
        "tools/test_caffe.py::test_a_gpu_is_described_and_timed",
    ),
    "caffe device_query": ("caffe device_query", "same", "", "test_golden.py::test_command_line"),
    "convert_imageset": (
        "caffe convert_imageset", "same", "",
        "tools/test_databases.py::test_pixels_labels_and_keys",
    ),
    "compute_image_mean": (
        "caffe compute_image_mean", "same", "",
        "tools/test_databases.py::test_the_mean_is_numpy_s_and_serves_as_mean_file",
    ),
    "extract_features": (
        "caffe extract_features", "same", "",
        "tools/test_databases.py::test_features_are_the_blobs_item_by_item",
    ),
    "upgrade_net_proto_text": (
        "caffe upgrade_net_proto_text", "same", "",
        "tools/test_upgrade.py::test_a_net_of_each_age",
    ),
    "upgrade_net_proto_binary": (
        "caffe upgrade_net_proto_binary", "same", "",
        "tools/test_upgrade.py::test_weights_survive",
    ),
    "upgrade_solver_proto_text": (
        "caffe upgrade_solver_proto_text", "same", "",
        "tools/test_upgrade.py::test_a_solver",
    ),
    "parse_log.py, parse_log.sh": (
        "caffe parse_log", "better", "Python 3",
        "tools/test_parse_log.py::test_a_log_of_caffe",
    ),
    "plot_training_log.py": (
        "caffe plot_training_log", "better", "Python 3",
        "tools/test_parse_log.py::test_the_numbers_of_the_charts_are_those_of_caffe_s_script",
    ),
    "classify.py": (
        "caffe classify", "same", "",
        "tools/test_images.py::test_a_folder_is_classified_in_the_order_of_names",
    ),
    "detect.py": (
        "caffe detect", "better", "CSV output works",
        "tools/test_images.py::test_windows_are_scored",
    ),
    "draw_net.py": (
        "caffe draw_net", "same", "",
        "tools/test_images.py::test_a_net_of_an_old_format_is_drawn",
    ),
    "summarize.py": (
        "caffe summary", "better", "shapes, multiply-adds and memory too",
        "tools/commands/test_summary.py::test_counts_are_those_made_by_hand",
    ),
    "train.py (several GPUs)": (
        "caffe train -gpu 0,1", "better", "with tests and snapshots",
        "tools/commands/test_train.py::test_two_processes_train_what_one_trains_on_twice_the_batch",
    ),
    "(none)": ("caffe compare", "better", "two nets or engines blob by blob",
               "tools/commands/test_compare.py::test_the_layer_in_place_is_told_from_the_one_before"),
    "(none) ": ("caffe doctor", "better", "what is installed, shadowed or missing",
                "tools/commands/test_doctor.py::test_all_is_well_here"),
}  # fmt: skip

#: file format -> (verdict, what is other, the test that holds it)
FORMATS = {
    "net and solver prototxt": (
        "better", "errors name line, column, layer and field",
        "formats/test_proto_io.py::test_agrees_with_protobuf_or_refuses",
    ),
    "V0 and V1 nets, legacy inputs": ("same", "", "graph/test_upgrade.py::test_v1_layer"),
    ".caffemodel": (
        "same", "byte for byte",
        "weights/test_binary.py::test_caffes_own_snapshot_is_written_again_byte_for_byte",
    ),
    ".caffemodel.h5": (
        "same", "", "weights/test_hdf5_layout.py::test_caffes_own_hdf5_is_written_again_alike",
    ),
    ".solverstate": (
        "better", "with a .resume file beside it",
        "solvers/test_state.py::test_states_written_by_caffe",
    ),
    ".solverstate.h5": (
        "better", "with a .resume file beside it",
        "solvers/test_state.py::test_states_written_by_caffe",
    ),
    "LMDB of Datum": ("same", "", "test_golden.py::test_data"),
    "LevelDB of Datum": (
        "same", "through the extra 'leveldb'",
        "data/test_db.py::test_records_come_in_the_order_of_their_keys",
    ),
    "HDF5 data": ("same", "", "test_golden.py::test_data"),
    "image lists, window files": ("same", "", "test_golden.py::test_data"),
    ".binaryproto (mean, infogain matrix)": (
        "same", "", "layers/test_loss.py::test_infogain_from_a_file",
    ),
    "glog log lines": ("same", "", "solvers/test_solver_loop.py::test_lines_that_log_parsers_read"),
}  # fmt: skip
