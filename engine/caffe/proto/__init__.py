"""Caffe's messages: `caffe.proto` is the schema, `caffe_pb2` the module generated from it."""
