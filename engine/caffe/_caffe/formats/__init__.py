"""Files and bytes: prototxt text, protobuf's wire format, HDF5, BlobProto; no nets and no layers."""
