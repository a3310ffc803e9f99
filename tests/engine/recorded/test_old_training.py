"""Whole small programs that train nets or make data, as in `recorded/test_old_programs.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe

#: The scripts leave their files to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_an_lmdb_written_and_read(program):
    pytest.importorskip("lmdb")
    done = program("""
import numpy as np
import lmdb
import caffe

N = 7
X = np.arange(N * 3 * 4 * 4, dtype=np.uint8).reshape(N, 3, 4, 4)
y = np.arange(N)[::-1]
map_size = X.nbytes * 100
env = lmdb.open('mylmdb', map_size=map_size)
with env.begin(write=True) as txn:
    for i in range(N):
        datum = caffe.proto.caffe_pb2.Datum()
        datum.channels = X.shape[1]
        datum.height = X.shape[2]
        datum.width = X.shape[3]
        datum.data = X[i].tobytes()
        datum.label = int(y[i])
        str_id = '{:08}'.format(i)
        if i % 2:
            datum = caffe.io.array_to_datum(X[i], int(y[i]))
        txn.put(str_id.encode('ascii'), datum.SerializeToString())
env.close()

env = lmdb.open('mylmdb', readonly=True)
with env.begin() as txn:
    read = []
    for key, value in txn.cursor():
        datum = caffe.proto.caffe_pb2.Datum.FromString(value)
        flat_x = np.frombuffer(datum.data, dtype=np.uint8)
        x = flat_x.reshape(datum.channels, datum.height, datum.width)
        assert (x == caffe.io.datum_to_array(datum)).all()
        read.append((key, x, datum.label))
env.close()

n = caffe.NetSpec()
n.data, n.label = caffe.layers.Data(batch_size=4, backend=caffe.params.Data.LMDB, source='mylmdb',
                                    transform_param=dict(scale=1./255), ntop=2)
open('lmdb.prototxt', 'w').write(str(n.to_proto()))
net = caffe.Net('lmdb.prototxt', caffe.TEST)
batches = [dict((k, v.copy()) for k, v in list(net.forward().items())) for _ in range(2)]
""")
    pictures, labels = done["X"], done["y"]
    order = np.arange(8) % 7
    got = {name: np.concatenate([batch[name] for batch in done["batches"]]) for name in ("data", "label")}
    np.testing.assert_allclose(got["data"], pictures[order] / 255, rtol=1e-5)
    np.testing.assert_array_equal(got["label"], labels[order])
    assert [key for key, _, _ in done["read"]] == [b"%08d" % i for i in range(7)]
    np.testing.assert_array_equal([x for _, x, _ in done["read"]], pictures)


def write_shapes(folder: Path) -> None:
    """Train and test data in HDF5: five classes, each with a bright stripe of its own."""
    h5py = pytest.importorskip("h5py")
    noise = np.random.default_rng(5)
    for name, count in (("train", 60), ("test", 40)):
        label = np.arange(count) % 5
        data = noise.normal(0, 0.3, (count, 3, 10, 10)).astype(np.float32)
        for image, kind in zip(data, label, strict=True):
            image[kind % 3, 2 * kind : 2 * kind + 2] += 2
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["data"], file["label"] = data, label.astype(np.float32)
        (folder / f"{name}.txt").write_text(f"{name}.h5\n")


def test_a_training_loop_that_tests_by_hand(program, in_tmp, monkeypatch):
    write_shapes(in_tmp)
    monkeypatch.setenv("CAFFE_FALLBACK", "cpu")
    done = program("""
import numpy as np
import caffe
caffe.set_device(0)
caffe.set_mode_gpu()
solver = None  # ignore this workaround for lmdb data (can't instantiate two solvers on the same data)
solver = caffe.SGDSolver('solver.prototxt')
solver.net.forward()  # train net
solver.test_nets[0].forward()  # test net (there can be more than one)
niter = 60
test_interval = 20
train_loss = np.zeros(niter)
test_acc = np.zeros(int(np.ceil(niter / test_interval)))
output = np.zeros((niter, 10, 5))
for it in range(niter):
    solver.step(1)  # SGD by Caffe
    train_loss[it] = solver.net.blobs['loss'].data
    # store the output on the first test batch; start at the first layer to avoid loading new data
    solver.test_nets[0].forward(start='conv1')
    output[it] = solver.test_nets[0].blobs['fc'].data
    if it % test_interval == 0:
        correct = 0
        for test_it in range(4):
            solver.test_nets[0].forward()
            correct += sum(solver.test_nets[0].blobs['fc'].data.argmax(1)
                           == solver.test_nets[0].blobs['label'].data)
        test_acc[it // test_interval] = correct / 40.
solver.test_nets[0].share_with(solver.net)
accuracy = 0
for test_it in range(4):
    accuracy += solver.test_nets[0].forward()['accuracy']
solver.net.save('trained.caffemodel')
""")
    assert done["train_loss"][-10:].mean() < 0.2 * done["train_loss"][:3].mean()
    assert done["accuracy"] / 4 > 0.9
    net = done["solver"].test_nets[0]
    np.testing.assert_array_equal(net.params["fc"][0].data, done["solver"].net.params["fc"][0].data)
    again = caffe.Net("deploy.prototxt", "trained.caffemodel", caffe.TEST)
    np.testing.assert_array_equal(again.params["conv1"][0].data, net.params["conv1"][0].data)


def test_finetuning_with_frozen_and_new_layers(program, in_tmp):
    write_shapes(in_tmp)
    done = program("""
import numpy as np
import caffe
from caffe.proto import caffe_pb2
from google.protobuf import text_format

net = caffe_pb2.NetParameter()
text_format.Merge(open('train.prototxt').read(), net)
for layer in net.layer:
    if layer.name == 'conv1':
        for p in layer.param:
            p.lr_mult = 0
    if layer.name == 'fc':
        layer.name = 'fc_new'
open('finetune.prototxt', 'w').write(str(net))

s = caffe_pb2.SolverParameter()
text_format.Merge(open('solver.prototxt').read(), s)
s.net = 'finetune.prototxt'
s.solver_type = s.ADAM
s.base_lr = 0.01
with open('finetune_solver.prototxt', 'w') as f:
    f.write(str(s))

solver = caffe.get_solver('finetune_solver.prototxt')
solver.net.copy_from('small.caffemodel')
before = dict((k, [b.data.copy() for b in v]) for k, v in list(solver.net.params.items()))
solver.step(3)
after = dict((k, [b.data.copy() for b in v]) for k, v in list(solver.net.params.items()))
""")
    assert type(done["solver"]).__name__ == "AdamSolver"
    original = caffe.Net("deploy.prototxt", "small.caffemodel", caffe.TEST).params["conv1"][0].data
    np.testing.assert_array_equal(done["before"]["conv1"][0], original)
    np.testing.assert_array_equal(done["after"]["conv1"][0], original)
    assert (done["after"]["fc_new"][0] != done["before"]["fc_new"][0]).any()


PYLOSS = """
import caffe
import numpy as np

class EuclideanLossLayer(caffe.Layer):
    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs to compute distance.")

    def reshape(self, bottom, top):
        if bottom[0].count != bottom[1].count:
            raise Exception("Inputs must have the same dimension.")
        self.diff = np.zeros_like(bottom[0].data, dtype=np.float32)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff**2) / bottom[0].num / 2.

    def backward(self, top, propagate_down, bottom):
        for i in range(2):
            if not propagate_down[i]:
                continue
            if i == 0:
                sign = 1
            else:
                sign = -1
            bottom[i].diff[...] = sign * self.diff / bottom[i].num
"""


def test_a_loss_layer_in_python_equals_the_built_in_one(program):
    Path("pyloss.py").write_text(PYLOSS)
    text = """
import tempfile, os
import numpy as np
import caffe

def python_net_file(kind):
    with tempfile.NamedTemporaryFile(mode='w+', delete=False) as f:
        f.write('''name: 'linreg' force_backward: true
        layer { type: 'DummyData' name: 'x' top: 'x'
          dummy_data_param { shape { dim: 10 dim: 3 dim: 2 } data_filler { type: 'constant' value: 0.5 } } }
        layer { type: 'DummyData' name: 'y' top: 'y'
          dummy_data_param { shape { dim: 10 dim: 3 dim: 2 } data_filler { type: 'constant' value: 2 } } }
        layer { type: 'InnerProduct' name: 'ipx' top: 'ipx' bottom: 'x'
          inner_product_param { num_output: 4 weight_filler { type: 'constant' value: 0.1 } } }
        layer { type: 'InnerProduct' name: 'ipy' top: 'ipy' bottom: 'y'
          inner_product_param { num_output: 4 weight_filler { type: 'constant' value: 0.2 } } }
        layer { name: 'loss' top: 'loss' bottom: 'ipx' bottom: 'ipy' %s }''' % kind)
        return f.name

nets = []
for kind in ("type: 'Python' python_param { module: 'pyloss' layer: 'EuclideanLossLayer' } loss_weight: 1",
             "type: 'EuclideanLoss'"):
    net_file = python_net_file(kind)
    net = caffe.Net(net_file, caffe.TRAIN)
    os.remove(net_file)
    net.forward()
    net.backward()
    nets.append(net)
"""
    ours, builtin = program(text)["nets"]
    np.testing.assert_allclose(ours.blobs["loss"].data.ravel(), builtin.blobs["loss"].data.ravel(), rtol=1e-6)
    for blob in ("x", "y", "ipx"):
        np.testing.assert_allclose(ours.blobs[blob].diff, builtin.blobs[blob].diff, rtol=1e-5)
    for layer in ("ipx", "ipy"):
        np.testing.assert_allclose(ours.params[layer][0].diff, builtin.params[layer][0].diff, rtol=1e-5)


def test_solver_written_and_solved_in_one_go(program, in_tmp):
    write_shapes(in_tmp)
    done = program("""
import caffe
from caffe import layers as L
from caffe.proto import caffe_pb2

def logreg(hdf5, batch_size):
    n = caffe.NetSpec()
    n.data, n.label = L.HDF5Data(batch_size=batch_size, source=hdf5, ntop=2)
    n.ip1 = L.InnerProduct(n.data, num_output=5, weight_filler=dict(type='xavier'))
    n.accuracy = L.Accuracy(n.ip1, n.label)
    n.loss = L.SoftmaxWithLoss(n.ip1, n.label)
    return n.to_proto()

for name in ('train', 'test'):
    with open('logreg_%s.prototxt' % name, 'w') as f:
        f.write(str(logreg(name + '.txt', 10)))

def solver(train_net_path, test_net_path):
    s = caffe_pb2.SolverParameter()
    s.train_net = train_net_path
    s.test_net.append(test_net_path)
    s.test_interval = 50
    s.test_iter.append(4)
    s.max_iter = 100
    s.base_lr = 0.01
    s.lr_policy = 'step'
    s.gamma = 0.1
    s.stepsize = 80
    s.momentum = 0.9
    s.weight_decay = 5e-4
    s.display = 50
    s.snapshot = 100
    s.snapshot_prefix = 'logreg'
    s.solver_mode = caffe_pb2.SolverParameter.CPU
    return s

with open('logreg_solver.prototxt', 'w') as f:
    f.write(str(solver('logreg_train.prototxt', 'logreg_test.prototxt')))
caffe.set_mode_cpu()
solver = caffe.get_solver('logreg_solver.prototxt')
solver.solve()
accuracy = 0
for i in range(4):
    solver.test_nets[0].forward()
    accuracy += solver.test_nets[0].blobs['accuracy'].data
accuracy /= 4
""")
    assert done["accuracy"] > 0.9 and done["solver"].iter == 100
    assert Path("logreg_iter_100.caffemodel").exists() and Path("logreg_iter_100.solverstate").exists()
