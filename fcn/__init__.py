"""Training, scoring and using fully convolutional networks: what the command `fcn` does, as a library.

Rooms: `fcn.data` (what a net is trained and scored on), `fcn.train`, `fcn.score`, `fcn.weights` (files of
weights), `fcn.demo` (the paper on a laptop), `fcn.commands` (the command line). They stand on a few modules
here: a `Job` is what a stage is, a `Run` is the folder it leaves, a `Trained` net is found in a run or a
file, a `Predictor` labels images with it.
"""
