"""im2txt's four encoders on TF-Slim, thinned: Inception V1, V2 and V3 are tf_slim's own, Inception-ResNet-v2 is written
here after Szegedy et al. and the names of research/slim/nets/inception_resnet_v2.py, as tf_slim has it not.
"""

import importlib
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import tensorflow as tf2

# tensorflow 2.15 looks for Keras's v1 layers in a package that is not its Keras; pooling, norm and products use them.
for layers in ("base", "convolutional", "core", "normalization", "pooling"):
    sys.modules[f"tf_keras.legacy_tf_layers.{layers}"] = importlib.import_module(f"keras.src.legacy_tf_layers.{layers}")

import tf_slim as slim
from tf_slim.layers import layers as slim_layers
from tf_slim.nets import inception_v1, inception_v2, inception_v3

tf = tf2.compat.v1
tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)

MIN_DEPTH = 16


def assign(session, values):
    """Gives variables values, as pairs, in one run: `load` takes one for each, which is slow."""
    values = list(values)
    session.run([v.initializer for v, _ in values], {v.initializer.inputs[1]: value for v, value in values})


def chain(net, *rows):
    """Convolutions one after the other, each (name, channels, kernel[, stride])."""
    for name, channels, kernel, *stride in rows:
        halves = {"stride": stride[0], "padding": "VALID"} if stride else {}
        net = slim.conv2d(net, channels, kernel, scope=name, **halves)
    return net


def branches(net, *towers):
    """What towers make of one input, side by side; a tower is a list of rows, or a function."""
    made = []
    for i, tower in enumerate(towers):
        with tf.variable_scope(f"Branch_{i}"):
            made.append(tower(net) if callable(tower) else chain(net, *tower))
    return tf.concat(made, 3)


def residual(net, scope, scale, relu, *towers):
    with tf.variable_scope(scope):
        mixed = branches(net, *towers)
        net += scale * slim.conv2d(mixed, net.shape[3], 1, normalizer_fn=None, activation_fn=None, scope="Conv2d_1x1")
        return tf.nn.relu(net) if relu else net


def pool(net):
    return slim.max_pool2d(net, 3, stride=2, padding="VALID")


def inception_resnet_v2_base(net):
    block35 = [("Conv2d_1x1", 32, 1)], [("Conv2d_0a_1x1", 32, 1), ("Conv2d_0b_3x3", 32, 3)], \
        [("Conv2d_0a_1x1", 32, 1), ("Conv2d_0b_3x3", 48, 3), ("Conv2d_0c_3x3", 64, 3)]
    block17 = [("Conv2d_1x1", 192, 1)], \
        [("Conv2d_0a_1x1", 128, 1), ("Conv2d_0b_1x7", 160, [1, 7]), ("Conv2d_0c_7x1", 192, [7, 1])]
    block8 = [("Conv2d_1x1", 192, 1)], \
        [("Conv2d_0a_1x1", 192, 1), ("Conv2d_0b_1x3", 224, [1, 3]), ("Conv2d_0c_3x1", 256, [3, 1])]
    with slim.arg_scope([slim.conv2d, slim.avg_pool2d], stride=1, padding="SAME"):
        net = chain(net, ("Conv2d_1a_3x3", 32, 3, 2), ("Conv2d_2a_3x3", 32, 3, 1), ("Conv2d_2b_3x3", 64, 3))
        net = chain(pool(net), ("Conv2d_3b_1x1", 80, 1, 1), ("Conv2d_4a_3x3", 192, 3, 1))
        net = pool(net)
        with tf.variable_scope("Mixed_5b"):
            net = branches(
                net, [("Conv2d_1x1", 96, 1)], [("Conv2d_0a_1x1", 48, 1), ("Conv2d_0b_5x5", 64, 5)],
                [("Conv2d_0a_1x1", 64, 1), ("Conv2d_0b_3x3", 96, 3), ("Conv2d_0c_3x3", 96, 3)],
                lambda x: chain(slim.avg_pool2d(x, 3), ("Conv2d_0b_1x1", 64, 1)))
        for i in range(10):
            net = residual(net, f"Repeat/block35_{i + 1}", 0.17, True, *block35)
        with tf.variable_scope("Mixed_6a"):
            net = branches(
                net, [("Conv2d_1a_3x3", 384, 3, 2)],
                [("Conv2d_0a_1x1", 256, 1), ("Conv2d_0b_3x3", 256, 3), ("Conv2d_1a_3x3", 384, 3, 2)], pool)
        for i in range(20):
            net = residual(net, f"Repeat_1/block17_{i + 1}", 0.1, True, *block17)
        with tf.variable_scope("Mixed_7a"):
            net = branches(
                net, [("Conv2d_0a_1x1", 256, 1), ("Conv2d_1a_3x3", 384, 3, 2)],
                [("Conv2d_0a_1x1", 256, 1), ("Conv2d_1a_3x3", 288, 3, 2)],
                [("Conv2d_0a_1x1", 256, 1), ("Conv2d_0b_3x3", 288, 3), ("Conv2d_1a_3x3", 320, 3, 2)], pool)
        for i in range(9):
            net = residual(net, f"Repeat_2/block8_{i + 1}", 0.2, True, *block8)
        net = residual(net, "Block8", 1.0, False, *block8)
        return chain(net, ("Conv2d_7b_1x1", 1536, 1))


def thinned(build, multiplier):
    """Builds with every normalized convolution thinned as slim's depth_multiplier thins, for nets that have none."""
    whole = slim.conv2d

    def thinner(inputs, channels, *args, **kwargs):
        if kwargs.get("normalizer_fn", True) is not None:
            channels = max(int(channels * multiplier), MIN_DEPTH)
        return whole(inputs, channels, *args, **kwargs)

    thinner._key_op = whole._key_op  # so that arg scopes take it for the original
    slim.conv2d = slim_layers.conv2d = thinner
    try:
        return build()
    finally:
        slim.conv2d = slim_layers.conv2d = whole


SCOPES = {"inception_v1": "InceptionV1", "inception_v2": "InceptionV2", "inception_v3": "InceptionV3",
          "inception_resnet_v2": "InceptionResnetV2"}


def features(name, images, multiplier, epsilon):
    """The encoder in inference mode as im2txt's image_embedding.py has it. Images [B, S, S, 3], features [B, F]."""
    norm = {"is_training": False, "trainable": True, "decay": 0.9997, "epsilon": epsilon}
    with tf.variable_scope(SCOPES[name]) as scope, \
         slim.arg_scope([slim.conv2d], activation_fn=tf.nn.relu, normalizer_fn=slim.batch_norm, normalizer_params=norm):
        if name == "inception_v3":
            net = inception_v3.inception_v3_base(images, scope=scope, depth_multiplier=multiplier)[0]
        elif name == "inception_v2":
            net = inception_v2.inception_v2_base(images, scope=scope, depth_multiplier=multiplier)[0]
        elif name == "inception_v1":
            net = thinned(lambda: inception_v1.inception_v1_base(images, scope=scope)[0], multiplier)
        else:
            net = thinned(lambda: inception_resnet_v2_base(images), multiplier)
    return tf.reduce_mean(net, [1, 2])
