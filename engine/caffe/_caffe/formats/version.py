"""Whose work a file is: written once, and read from here by pyproject.toml.

`caffe.__version__` is that of the Caffe whose numbers the engine keeps, and says nothing of the engine.
"""

ENGINE = "caffe-fcn 0.1.0"
