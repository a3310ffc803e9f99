"""Whole small programs that use nets, as people wrote them for pycaffe in the days of Python 2, after `2to3`.

What a script leaves in its names is held against NumPy, or against the same thing done another way.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe.proto import caffe_pb2
from tests.engine.support.programs import DEPLOY, bgr, parameters, scores

#: The scripts leave their files to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_classification_with_a_transformer(program):
    done = program("""
import numpy as np
import caffe
caffe.set_mode_cpu()
net = caffe.Net('deploy.prototxt', 'small.caffemodel', caffe.TEST)
mu = np.load('mean.npy').mean(1).mean(1)
transformer = caffe.io.Transformer({'data': net.blobs['data'].data.shape})
transformer.set_transpose('data', (2,0,1))
transformer.set_mean('data', mu)
transformer.set_raw_scale('data', 255)
transformer.set_channel_swap('data', (2,1,0))
net.blobs['data'].reshape(1, 3, 10, 10)
image = caffe.io.load_image('cat0.png')
net.blobs['data'].data[...] = transformer.preprocess('data', image)
out = net.forward()
best = out['prob'][0].argmax()
shown = transformer.deprocess('data', net.blobs['data'].data[0])
shapes = [(k, v.data.shape) for k, v in list(net.blobs.items())]
params = [(k, v[0].data.shape, v[1].data.shape) for k, v in list(net.params.items())]
""")
    want = scores(parameters(done["net"]), bgr("cat0.png", (10, 10))[None])
    np.testing.assert_allclose(done["out"]["prob"], want, rtol=1e-4, atol=1e-6)
    assert done["best"] == want.argmax()
    assert ("conv1", (1, 4, 8, 8)) in done["shapes"] and ("fc", (5, 64), (5,)) in done["params"]
    np.testing.assert_allclose(
        done["shown"], caffe.io.resize_image(caffe.io.load_image("cat0.png"), (10, 10)), atol=1e-5
    )


def test_forward_all_on_a_list_of_pictures(program):
    done = program("""
import numpy as np, caffe, glob
net = caffe.Net('deploy.prototxt', 'small.caffemodel', caffe.TEST)
caffe.set_mode_cpu()
caffe_in = np.zeros((3, 3, 10, 10), dtype=np.float32)
files = sorted(glob.glob('cat*.png'))
for ix, f in enumerate(files):
    im = caffe.io.resize_image(caffe.io.load_image(f), (10, 10))
    caffe_in[ix] = im.transpose((2, 0, 1))
out = net.forward_all(data=caffe_in, blobs=['pool1'])
preds = [x.argmax() for x in out['prob']]
""")
    want = scores(parameters(done["net"]), done["caffe_in"])
    np.testing.assert_allclose(done["out"]["prob"], want, rtol=1e-4, atol=1e-6)  # three items, batches of two
    assert done["preds"] == list(want.argmax(1)) and done["out"]["pool1"].shape == (3, 4, 4, 4)


@pytest.mark.parametrize("oversample", [True, False])
def test_classifier(program, oversample):
    done = program("""
import numpy as np
import caffe
MODEL_FILE, PRETRAINED = 'deploy.prototxt', 'small.caffemodel'
net = caffe.Classifier(MODEL_FILE, PRETRAINED,
                       mean=np.load('mean.npy').mean(1).mean(1),
                       channel_swap=(2,1,0), raw_scale=255, image_dims=(12, 12))
caffe.set_mode_cpu()
input_image = caffe.io.load_image('cat1.png')
prediction = net.predict([input_image], oversample=oversample)
print('predicted class:', prediction[0].argmax())
""", oversample=oversample)  # fmt: skip
    image = bgr("cat1.png", (12, 12))
    corners = [(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]
    crops = [image[:, y : y + 10, x : x + 10] for y, x in (corners if oversample else corners[-1:])]
    crops += [crop[:, :, ::-1] for crop in crops] if oversample else []
    want = scores(parameters(done["net"]), np.array(crops)).mean(0)
    np.testing.assert_allclose(done["prediction"], want[None], rtol=1e-4, atol=1e-6)


def test_mean_from_a_binaryproto(program):
    mean = np.random.default_rng(1).random((3, 4, 5)).astype(np.float32)
    message = caffe_pb2.BlobProto(num=1, channels=3, height=4, width=5, data=mean.ravel())
    Path("mean.binaryproto").write_bytes(message.SerializeToString())
    done = program("""
import caffe
import numpy as np
blob = caffe.proto.caffe_pb2.BlobProto()
data = open('mean.binaryproto', 'rb').read()
blob.ParseFromString(data)
arr = np.array(caffe.io.blobproto_to_array(blob))
out = arr[0]
np.save('out.npy', out)
""")
    np.testing.assert_array_equal(np.load("out.npy"), mean)
    assert done["arr"].shape == (1, 3, 4, 5)


def test_surgery_from_a_classifier_to_a_fully_convolutional_net(program):
    Path("full_conv.prototxt").write_text(
        DEPLOY.replace("input_dim: 2 ", "input_dim: 1 ")
        .replace("input_dim: 10 input_dim: 10", "input_dim: 14 input_dim: 12")
        .replace('"fc"', '"fc-conv"').replace("InnerProduct", "Convolution")
        .replace("inner_product_param { num_output: 5", "convolution_param { num_output: 5 kernel_size: 4")
    )  # fmt: skip
    done = program("""
import numpy as np
import caffe
net = caffe.Net('deploy.prototxt', 'small.caffemodel', caffe.TEST)
params = ['fc']
fc_params = {pr: (net.params[pr][0].data, net.params[pr][1].data) for pr in params}
net_full_conv = caffe.Net('full_conv.prototxt', 'small.caffemodel', caffe.TEST)
params_full_conv = ['fc-conv']
conv_params = {pr: (net_full_conv.params[pr][0].data, net_full_conv.params[pr][1].data)
               for pr in params_full_conv}
for pr, pr_conv in zip(params, params_full_conv):
    conv_params[pr_conv][0].flat = fc_params[pr][0].flat  # flat unrolls the arrays
    conv_params[pr_conv][1][...] = fc_params[pr][1]
net_full_conv.save('full_conv.caffemodel')
im = np.random.RandomState(0).rand(1, 3, 14, 12).astype(np.float32)
out = net_full_conv.forward_all(data=im)
""")
    assert done["out"]["prob"].shape == (1, 5, 3, 2)
    for y in range(3):  # each place is the classifier on its window, every other pixel
        for x in range(2):
            window = done["im"][:, :, 2 * y : 2 * y + 10, 2 * x : 2 * x + 10]
            want = scores(parameters(done["net"]), window)[0]
            np.testing.assert_allclose(done["out"]["prob"][0, :, y, x], want, rtol=1e-4, atol=1e-6)
    again = caffe.Net("full_conv.prototxt", "full_conv.caffemodel", caffe.TEST)
    np.testing.assert_array_equal(again.params["fc-conv"][0].data.ravel(), done["fc_params"]["fc"][0].ravel())


def test_dreaming_upwards_from_a_layer(program):
    done = program("""
import numpy as np
import caffe
from google.protobuf import text_format
model = caffe.io.caffe_pb2.NetParameter()
text_format.Merge(open('deploy.prototxt').read(), model)
model.force_backward = True
open('tmp.prototxt', 'w').write(str(model))
net = caffe.Classifier('tmp.prototxt', 'small.caffemodel',
                       mean = np.float32([104.0, 116.0, 122.0]), channel_swap = (2,1,0))

def preprocess(net, img):
    return np.float32(np.rollaxis(img, 2)[::-1]) - net.transformer.mean['data']

def objective_L2(dst):
    dst.diff[:] = dst.data

def make_step(net, step_size=1.5, end='pool1', objective=objective_L2):
    src = net.blobs['data']
    dst = net.blobs[end]
    net.forward(end=end)
    energies.append(float((dst.data ** 2).sum()))
    objective(dst)
    net.backward(start=end)
    g = src.diff[0]
    src.data[:] += step_size/np.abs(g).mean() * g

img = np.float32(caffe.io.load_image('cat2.png') * 255)
src = net.blobs['data']
h, w = img.shape[:2]
src.reshape(1, 3, h, w)
src.data[0] = preprocess(net, img)
energies = []
for i in range(4):
    make_step(net)
""")
    assert done["src"].data.shape == (1, 3, 12, 14)
    assert all(b > a for a, b in zip(done["energies"], done["energies"][1:], strict=False))


def test_bilinear_upsampling_by_surgery(program):
    done = program("""
import numpy as np
import caffe
from caffe import layers as L, params as P

def upsample_filt(size):
    factor = (size + 1) // 2
    if size % 2 == 1:
        center = factor - 1
    else:
        center = factor - 0.5
    og = np.ogrid[:size, :size]
    return (1 - abs(og[0] - center) / factor) * (1 - abs(og[1] - center) / factor)

def interp_surgery(net, layers):
    for l in layers:
        m, k, h, w = net.params[l][0].data.shape
        if m != k:
            print('input + output channels need to be the same')
            raise Exception
        if h != w:
            print('filters need to be square')
            raise Exception
        filt = upsample_filt(h)
        net.params[l][0].data[list(range(m)), list(range(k)), :, :] = filt

n = caffe.NetSpec()
n.data = L.Input(shape=[dict(dim=[1, 2, 4, 4])])
n.up = L.Deconvolution(n.data, convolution_param=dict(num_output=2, kernel_size=4, stride=2, bias_term=False),
                       param=[dict(lr_mult=0)])
n.score = L.Crop(n.up, n.data, axis=2, offset=1)
with open('up.prototxt', 'w') as f:
    f.write(str(n.to_proto()))
net = caffe.Net('up.prototxt', caffe.TEST)
interp_layers = [k for k in list(net.params.keys()) if 'up' in k]
interp_surgery(net, interp_layers)
net.blobs['data'].data[...] = np.arange(16).reshape(4, 4)
net.forward()
""")
    up = done["net"].blobs["up"].data[0]
    np.testing.assert_allclose(up[0, 4], up[1, 4])
    # Inside, a plane that rises by 4 a row and 1 a column rises by half of that.
    np.testing.assert_allclose(np.diff(up[0], axis=0)[2:7, 2:8], 2, rtol=1e-5)
    np.testing.assert_allclose(np.diff(up[0], axis=1)[2:8, 2:7], 0.5, rtol=1e-5)
    np.testing.assert_array_equal(done["net"].blobs["score"].data[0], up[:, 1:5, 1:5])


def test_features_of_many_pictures_by_reshaping_the_batch(program):
    done = program("""
import numpy as np, caffe
net = caffe.Net('deploy.prototxt', 'small.caffemodel', caffe.TEST)
features = []
for batch in (1, 3):
    net.blobs['data'].reshape(batch, *net.blobs['data'].data.shape[1:])
    net.reshape()
    for i in range(batch):
        im = caffe.io.resize_image(caffe.io.load_image('cat%d.png' % i), (10, 10))
        net.blobs['data'].data[i] = im.transpose(2, 0, 1)
    net.forward(end='pool1')
    features.append(net.blobs['pool1'].data.reshape(batch, -1).copy())
""")
    one, three = done["features"]
    assert one.shape == (1, 64) and three.shape == (3, 64)
    np.testing.assert_allclose(three[:1], one, rtol=1e-5)
