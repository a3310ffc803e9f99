"""The version of this engine, written once: pyproject.toml reads it from here.

`caffe.__version__` is that of the Caffe whose numbers the engine keeps, and says nothing of the engine.
"""

VERSION = "0.1.0"
ENGINE = f"caffe-fcn {VERSION}"
