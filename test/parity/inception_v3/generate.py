"""What TensorFlow and TF-Slim compute for Inception V3 and im2txt's decoder, as values to hold showtell against.

    python3.11 -m venv VENV && VENV/bin/pip install -r requirements.txt && VENV/bin/python generate.py

writes variables.json (slim's variable list at full size, and its multiply-adds) and values.json (a small model: features,
losses, gradients, moving averages, word probabilities). The graph is im2txt's: its show_and_tell_model.py and
image_embedding.py on slim's own inception_v3_base, with dropout's masks fed instead of drawn. Every parameter and
input is a function of its name and index that the test computes too (formula.ts), so no weights are stored.
"""

import base64
import importlib
import json
import os
import platform
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import numpy as np
import tensorflow as tf2

# tensorflow 2.15 looks for Keras's v1 layers in a package that is not its Keras; pooling, norm and products use them.
for layers in ("base", "convolutional", "core", "normalization", "pooling"):
    sys.modules[f"tf_keras.legacy_tf_layers.{layers}"] = importlib.import_module(f"keras.src.legacy_tf_layers.{layers}")

import tf_slim as slim
from tf_slim.nets import inception_v3

tf = tf2.compat.v1
tf.disable_v2_behavior()
HERE = os.path.dirname(os.path.abspath(__file__))

B, T, SIZE, MULTIPLIER = 8, 7, 107, 0.25
E, U, V = 24, 32, 50
KEEP, FEATURE_KEEP, DECAY = 0.7, 0.8, 0.5
LENGTHS = [7, 5, 7, 3, 6, 1, 4, 7]


def unit(name, *shape):
    """Values in [0, 1), multiples of 2^-24: a 32-bit mix of the index and an FNV-1a hash of the name."""
    h = 0x811C9DC5
    for byte in name.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    with np.errstate(over="ignore"):
        x = np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(h)
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x85EBCA6B)
        x ^= x >> np.uint32(13)
        x *= np.uint32(0xC2B2AE35)
        x ^= x >> np.uint32(16)
    return ((x >> np.uint32(8)).astype(np.float64) / 2**24).reshape(shape)


def parameter(name, shape):
    u = unit(name, *shape)
    if name.endswith("moving_variance"):
        return (0.5 + u).astype(np.float32)
    if name.startswith("InceptionV3") and name.endswith("/weights"):
        return ((2 * u - 1) * np.sqrt(6.0 / np.prod(shape[:-1]))).astype(np.float32)
    return ((2 * u - 1) * 0.2).astype(np.float32)


def mask(name, keep, *shape):
    return ((unit(name, *shape) < keep) / keep).astype(np.float32)


IMAGES = (2 * unit("images", B, SIZE, SIZE, 3) - 1).astype(np.float32)
INPUTS = (unit("inputs", B, T) * V).astype(np.int32)
TARGETS = (unit("targets", B, T) * V).astype(np.int32)
MASK = (np.arange(T)[None] < np.array(LENGTHS)[:, None]).astype(np.int32)
FEATURE_MASK = mask("feature dropout", FEATURE_KEEP, B, 512)
INPUT_MASK = mask("input dropout", KEEP, T + 1, B, E)
OUTPUT_MASK = mask("output dropout", KEEP, T, B, U)


def encoder(images, trainable, multiplier):
    norm = {
        "is_training": trainable,
        "trainable": trainable,
        "decay": DECAY,
        "epsilon": 0.001,
        "updates_collections": tf.GraphKeys.UPDATE_OPS,
    }
    with tf.variable_scope("InceptionV3") as scope:
        with slim.arg_scope([slim.conv2d], trainable=trainable, activation_fn=tf.nn.relu,
                            normalizer_fn=slim.batch_norm, normalizer_params=norm):
            net, _ = inception_v3.inception_v3_base(images, scope=scope, depth_multiplier=multiplier)
            with tf.variable_scope("logits"):
                net = slim.avg_pool2d(net, net.get_shape()[1:3], padding="VALID", scope="pool")
                return slim.flatten(net)


def show_and_tell(features, train):
    """im2txt's build_image_embeddings, build_seq_embeddings and build_model."""
    uniform = tf.random_uniform_initializer(-0.08, 0.08)
    with tf.variable_scope("image_embedding") as scope:
        image = slim.fully_connected(features, E, activation_fn=None, weights_initializer=uniform,
                                     biases_initializer=None, scope=scope)
    with tf.variable_scope("seq_embedding"):
        table = tf.get_variable("map", [V, E], initializer=uniform)
        words = tf.nn.embedding_lookup(table, INPUTS)
    cell = tf.nn.rnn_cell.BasicLSTMCell(U, state_is_tuple=True)
    if train:
        image *= INPUT_MASK[0]
        words *= INPUT_MASK[1:].transpose(1, 0, 2)
    with tf.variable_scope("lstm", initializer=uniform) as scope:
        _, state = cell(image, cell.zero_state(B, tf.float32))
        scope.reuse_variables()
        outputs, _ = tf.nn.dynamic_rnn(cell, words, sequence_length=MASK.sum(1), initial_state=state, scope=scope)
    if train:
        outputs *= OUTPUT_MASK.transpose(1, 0, 2)
    with tf.variable_scope("logits") as scope:
        logits = slim.fully_connected(tf.reshape(outputs, [-1, U]), V, activation_fn=None,
                                      weights_initializer=uniform, scope=scope)
    weights = tf.cast(tf.reshape(MASK, [-1]), tf.float32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=TARGETS.reshape(-1), logits=logits)
    loss = tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)
    return loss, tf.reduce_sum(losses * weights), tf.nn.softmax(logits)


def session():
    s = tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1))
    for v in tf.global_variables():
        v.load(parameter(v.op.name, v.shape.as_list()), s)
    return s


def packed(array):
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()


def norm(array):
    return float(np.sqrt(np.sum(np.square(array.astype(np.float64)))))


def variables():
    with tf.Graph().as_default() as graph:
        encoder(tf.zeros([1, 299, 299, 3]), True, 1.0)
        listed = [[v.op.name, v.shape.as_list()] for v in tf.global_variables()]
        products = 0
        for op in graph.get_operations():
            if op.type == "Conv2D":
                out, kernel = op.outputs[0].shape.as_list(), op.inputs[1].shape.as_list()
                products += int(np.prod(out)) * int(np.prod(kernel[:3]))
        return {"multiplyAdds": products, "variables": listed}


def joint():
    with tf.Graph().as_default():
        features = encoder(tf.constant(IMAGES), True, MULTIPLIER)
        loss, _, _ = show_and_tell(features * FEATURE_MASK, True)
        trained = tf.trainable_variables()
        gradients = [tf.convert_to_tensor(g) for g in tf.gradients(loss, trained)]
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        with session() as s:
            f, l, g = s.run([features, loss, gradients])
            s.run(updates)
            moving = [v for v in tf.global_variables() if "moving_" in v.op.name]
            after = s.run(moving)
        return {
            "features": packed(f),
            "loss": float(l),
            "gradientNorms": {v.op.name: norm(x) for v, x in zip(trained, g)},
            "gradients": {v.op.name: packed(x) for v, x in zip(trained, g) if not v.op.name.startswith("InceptionV3")
                          and x.size <= 2000},
            # Batch mean and unbiased variance, from what the moving averages moved by.
            "statistics": {v.op.name: norm((x.astype(np.float64) - DECAY * parameter(v.op.name, x.shape)) / (1 - DECAY))
                           for v, x in zip(moving, after)},
        }


def decoder_only():
    with tf.Graph().as_default():
        features = encoder(tf.constant(IMAGES), False, MULTIPLIER)
        loss, _, _ = show_and_tell(features, True)
        trained = tf.trainable_variables()
        gradients = [tf.convert_to_tensor(g) for g in tf.gradients(loss, trained)]
        with session() as s:
            f, l, g = s.run([features, loss, gradients])
        return {"featureNorm": norm(f), "loss": float(l),
                "gradientNorms": {v.op.name: norm(x) for v, x in zip(trained, g)}}


def evaluation():
    with tf.Graph().as_default():
        features = encoder(tf.constant(IMAGES), False, MULTIPLIER)
        loss, total, softmax = show_and_tell(features, False)
        with session() as s:
            f, l, t, p = s.run([features, loss, total, softmax])
        return {"features": packed(f), "loss": float(l), "sum": float(t), "probabilities": packed(p.reshape(B, T, V)[0, :4])}


def write(name, value):
    with open(os.path.join(HERE, name), "w") as f:
        json.dump(value, f)
        f.write("\n")


write("variables.json", variables())
write("values.json", {
    "made": {"tensorflow": tf2.__version__, "tf_slim": "1.1.0", "python": platform.python_version()},
    "shape": {"B": B, "T": T, "size": SIZE, "multiplier": MULTIPLIER, "E": E, "U": U, "V": V,
              "lengths": LENGTHS, "keep": KEEP, "featureKeep": FEATURE_KEEP},
    "joint": joint(),
    "decoderOnly": decoder_only(),
    "evaluation": evaluation(),
})
