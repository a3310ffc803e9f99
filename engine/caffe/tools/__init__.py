"""The command-line tools, a module each; `caffe.__main__` knows them by name."""
