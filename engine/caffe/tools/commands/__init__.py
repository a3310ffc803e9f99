"""The commands of `caffe <command>`: Caffe's own four, and doctor, compare and summary."""
