"""What TensorFlow and TF-Slim compute for the four encoders and im2txt's decoder, as values to hold showtell against.

    python3.11 -m venv VENV && VENV/bin/pip install -r requirements.txt
    VENV/bin/python generate.py --slim MODELS/research/slim [ENCODER ...]

writes ENCODER.json for each: slim's variables at full size with their first values' spread, its multiply-adds, and what a
small captioner computes (features, losses, every convolution's output, gradients, moving averages, word probabilities).

The graph is im2txt's: its show_and_tell_model.py and image_embedding.py on slim's own *_base functions, with dropout's
masks fed instead of drawn. tf_slim has three of the nets; Inception-ResNet-v2 is research/slim/nets/inception_resnet_v2.py
of a checkout of tensorflow/models (MODELS), which must be the file whose git hash stands below. Every parameter and input
is a function of its name and index that the test computes too (formula.ts), so no weights are stored.
"""

import argparse
import base64
import hashlib
import importlib
import importlib.util
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
from tf_slim.layers import layers as slim_layers
from tf_slim.nets import inception_v1, inception_v2, inception_v3

tf = tf2.compat.v1
tf.disable_v2_behavior()
HERE = os.path.dirname(os.path.abspath(__file__))

RESNET_FILE = "nets/inception_resnet_v2.py"
RESNET_BLOB = "566c13653bffb5be735921465ec0c007f4b33f2a"

T, E, U, V = 7, 24, 32, 50
KEEP, FEATURE_KEEP, DECAY = 0.7, 0.8, 0.5
ALL_LENGTHS = [7, 5, 7, 3, 6, 1, 4, 7]
THIN = 0.25


def resnet(folder):
    """Inception-ResNet-v2's module, from the file that is meant."""
    path = os.path.join(folder, RESNET_FILE)
    content = open(path, "rb").read()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if blob != RESNET_BLOB:
        sys.exit(f"{path} has git hash {blob}, not {RESNET_BLOB}: check out the version for tf_slim")
    spec = importlib.util.spec_from_file_location("inception_resnet_v2", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Net:
    """One of slim's nets, and the small captioner made of it."""

    def __init__(self, scope, base, arg_scope, native, size, batch, multiplier):
        self.scope, self.base, self.arg_scope, self.native = scope, base, arg_scope, native
        self.size, self.batch, self.multiplier = size, batch, multiplier
        self.takes_multiplier = "depth_multiplier" in base.__code__.co_varnames

    def build(self, images, scope, multiplier):
        """The last layer. Nets without depth_multiplier have every normalized convolution thinned by the others' rule."""
        if self.takes_multiplier:
            return self.base(images, scope=scope, depth_multiplier=multiplier)[0]
        whole = slim.conv2d

        def thinner(inputs, num_outputs, *args, **kwargs):
            # The residual blocks' projections, which follow their input, are those without a norm.
            if kwargs.get("normalizer_fn", True) is not None:
                num_outputs = max(int(num_outputs * multiplier), 16)
            return whole(inputs, num_outputs, *args, **kwargs)

        thinner._key_op = whole._key_op  # so that arg scopes take it for the original
        slim.conv2d = slim_layers.conv2d = thinner
        try:
            return self.base(images, scope=scope)[0]
        finally:
            slim.conv2d = slim_layers.conv2d = whole


def nets(folder):
    v1, v2, v3 = inception_v1, inception_v2, inception_v3
    found = {
        "inception_v1": Net("InceptionV1", v1.inception_v1_base, v1.inception_v1_arg_scope, 224, 90, 8, 1.0),
        "inception_v2": Net("InceptionV2", v2.inception_v2_base, v2.inception_v2_arg_scope, 224, 90, 8, 0.5),
        "inception_v3": Net("InceptionV3", v3.inception_v3_base, v3.inception_v3_arg_scope, 299, 107, 8, 0.25),
    }
    if folder is not None:
        module = resnet(folder)
        found["inception_resnet_v2"] = Net("InceptionResnetV2", module.inception_resnet_v2_base,
                                           module.inception_resnet_v2_arg_scope, 299, 107, 4, 1.0)
    return found


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
    if name.startswith("Inception") and name.endswith("weights"):
        return ((2 * u - 1) * np.sqrt(6.0 / np.prod(shape[:-1]))).astype(np.float32)
    return ((2 * u - 1) * 0.2).astype(np.float32)


def mask(name, keep, *shape):
    return ((unit(name, *shape) < keep) / keep).astype(np.float32)


def rounded(number):
    return float(f"{float(number):.8g}")


def packed(array):
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()


def norm(array):
    return np.sqrt(np.sum(np.square(array.astype(np.float64))))


def probe(name, array):
    """Its norm, and its product with a direction of its name, which tells an order of values from another."""
    direction = 2 * unit(f"{name} direction", *array.shape) - 1
    return [rounded(norm(array)), rounded(np.sum(array.astype(np.float64) * direction))]


def spread(array):
    """Mean and root of the mean square."""
    x = array.astype(np.float64)
    return [rounded(x.mean()), rounded(np.sqrt(np.square(x).mean()))]


def variable_of(op):
    while op.inputs:
        op = op.inputs[0].op
    return op.name


def pooled(features):
    """Two images' features, and a probe of all."""
    return {"first": packed(features[:2]), "all": probe("features", features)}


class Captioner:
    """im2txt's model on one of the nets."""

    def __init__(self, net):
        self.net = net
        self.B = net.batch
        self.lengths = ALL_LENGTHS[: self.B]
        self.images = (2 * unit("images", self.B, net.size, net.size, 3) - 1).astype(np.float32)
        self.inputs = (unit("inputs", self.B, T) * V).astype(np.int32)
        self.targets = (unit("targets", self.B, T) * V).astype(np.int32)
        self.mask = (np.arange(T)[None] < np.array(self.lengths)[:, None]).astype(np.int32)
        self.input_mask = mask("input dropout", KEEP, T + 1, self.B, E)
        self.output_mask = mask("output dropout", KEEP, T, self.B, U)

    def encoder(self, images, trainable, multiplier):
        """image_embedding.py's inception_v3, for any of the nets. @returns the pooled features"""
        norm_params = {
            "is_training": trainable,
            "trainable": trainable,
            "decay": DECAY,
            "epsilon": 0.001,
            "updates_collections": tf.GraphKeys.UPDATE_OPS,
        }
        outputs = slim.arg_scope([slim.conv2d, slim.separable_conv2d], outputs_collections="layers")
        with tf.variable_scope(self.net.scope) as scope:
            with outputs, slim.arg_scope([slim.conv2d, slim.fully_connected],
                                         weights_regularizer=slim.l2_regularizer(0.00004), trainable=trainable), \
                 slim.arg_scope([slim.conv2d], activation_fn=tf.nn.relu, normalizer_fn=slim.batch_norm,
                                normalizer_params=norm_params):
                last = self.net.build(images, scope, multiplier)
            with tf.variable_scope("logits"):
                last = slim.avg_pool2d(last, last.get_shape()[1:3], padding="VALID", scope="pool")
                return slim.flatten(last)

    def tell(self, features, train):
        """im2txt's build_image_embeddings, build_seq_embeddings and build_model. @returns loss, its sum, probabilities"""
        uniform = tf.random_uniform_initializer(-0.08, 0.08)
        with tf.variable_scope("image_embedding") as scope:
            image = slim.fully_connected(features, E, activation_fn=None, weights_initializer=uniform,
                                         biases_initializer=None, scope=scope)
        with tf.variable_scope("seq_embedding"):
            table = tf.get_variable("map", [V, E], initializer=uniform)
            words = tf.nn.embedding_lookup(table, self.inputs)
        cell = tf.nn.rnn_cell.BasicLSTMCell(U, state_is_tuple=True)
        if train:
            image *= self.input_mask[0]
            words *= self.input_mask[1:].transpose(1, 0, 2)
        with tf.variable_scope("lstm", initializer=uniform) as scope:
            _, state = cell(image, cell.zero_state(self.B, tf.float32))
            scope.reuse_variables()
            outputs, _ = tf.nn.dynamic_rnn(cell, words, sequence_length=self.mask.sum(1), initial_state=state,
                                           scope=scope)
        if train:
            outputs *= self.output_mask.transpose(1, 0, 2)
        with tf.variable_scope("logits") as scope:
            logits = slim.fully_connected(tf.reshape(outputs, [-1, U]), V, activation_fn=None,
                                          weights_initializer=uniform, scope=scope)
        weights = tf.cast(tf.reshape(self.mask, [-1]), tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=self.targets.reshape(-1), logits=logits)
        loss = tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)
        return loss, tf.reduce_sum(losses * weights), tf.nn.softmax(logits)

    def table(self):
        """The net at full width and its native size, as im2txt builds it."""
        with tf.Graph().as_default() as graph:
            self.encoder(tf.zeros([1, self.net.native, self.net.native, 3]), True, 1.0)
            names = [tensor.aliases[-1] for tensor in self.layers()]
            shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
            decayed = {variable_of(op.inputs[0].op) for op in graph.get_operations() if op.type == "L2Loss"}
            assert decayed <= set(shapes), decayed
            products = 0
            epsilons = set()
            for op in graph.get_operations():
                if op.type == "FusedBatchNormV3":
                    epsilons.add(rounded(op.get_attr("epsilon")))
                if op.type in ("Conv2D", "DepthwiseConv2dNative"):
                    out, kernel = op.outputs[0].shape.as_list(), op.inputs[1].shape.as_list()
                    taps = int(np.prod(kernel[:3 if op.type == "Conv2D" else 2]))
                    products += int(np.prod(out)) * taps
        with tf.Graph().as_default():
            self.encoder(tf.zeros([1, self.net.native, self.net.native, 3]), True, THIN)
            thin = [v.shape.as_list() for v in tf.global_variables()]
        first, norm_params = self.first_values()
        return {
            "multiplyAdds": products,
            "layers": names,
            "variables": [[name, shape, name in decayed, *first[name]] for name, shape in shapes.items()],
            "thin": {"multiplier": THIN, "shapes": thin},
            "norm": norm_params,
            "epsilons": sorted(epsilons),
        }

    def first_values(self):
        """Root mean square and largest value of each variable as slim's own arg scope draws it; and that scope's norm."""
        params = {}

        def batch_norm(inputs, **kwargs):
            params.update(decay=kwargs["decay"], epsilon=kwargs["epsilon"])
            return slim.batch_norm(inputs, **kwargs)

        with tf.Graph().as_default():
            tf.set_random_seed(1)
            with slim.arg_scope(self.net.arg_scope()), tf.variable_scope(self.net.scope) as scope:
                with slim.arg_scope([slim.conv2d], normalizer_fn=batch_norm):
                    self.net.build(tf.zeros([1, self.net.native, self.net.native, 3]), scope, 1.0)
            first = {}
            with tf.Session() as s:
                s.run(tf.global_variables_initializer())
                for v in tf.global_variables():
                    value = s.run(v).astype(np.float64)
                    first[v.op.name] = [float(f"{x:.5g}") for x in (np.sqrt(np.square(value).mean()), np.abs(value).max())]
        return first, params

    def session(self):
        s = tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1))
        for v in tf.global_variables():
            v.load(parameter(v.op.name, v.shape.as_list()), s)
        return s

    def layers(self):
        """Every convolution's output, in the order of their making."""
        return tf.get_collection("layers")

    def joint(self):
        with tf.Graph().as_default():
            features = self.encoder(tf.constant(self.images), True, self.net.multiplier)
            F = features.shape[1]
            loss, _, _ = self.tell(features * mask("feature dropout", FEATURE_KEEP, self.B, F), True)
            layers = self.layers()
            trained = tf.trainable_variables()
            gradients = [tf.convert_to_tensor(g) for g in tf.gradients(loss, trained)]
            updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
            moving = [v for v in tf.global_variables() if "moving_" in v.op.name]
            with self.session() as s:
                f, l, g, outputs = s.run([features, loss, gradients, layers])
                s.run(updates)
                after = s.run(moving)
        return {
            "features": pooled(f),
            "loss": float(l),
            "layers": [spread(x) for x in outputs],
            "gradients": [probe(v.op.name, x) for v, x in zip(trained, g)],
            "moving": [probe(v.op.name, x) for v, x in zip(moving, after)],
        }

    def decoder_only(self):
        with tf.Graph().as_default():
            features = self.encoder(tf.constant(self.images), False, self.net.multiplier)
            loss, _, _ = self.tell(features, True)
            trained = [v for v in tf.trainable_variables() if not v.op.name.startswith("Inception")]
            gradients = [tf.convert_to_tensor(g) for g in tf.gradients(loss, trained)]
            with self.session() as s:
                l, g = s.run([loss, gradients])
        return {"loss": float(l), "trained": [v.op.name for v in trained],
                "gradients": [probe(v.op.name, x) for v, x in zip(trained, g)]}

    def evaluation(self):
        with tf.Graph().as_default():
            features = self.encoder(tf.constant(self.images), False, self.net.multiplier)
            _, total, softmax = self.tell(features, False)
            layers = self.layers()
            with self.session() as s:
                f, t, p, outputs = s.run([features, total, softmax, layers])
        return {
            "features": pooled(f),
            "layers": [spread(x) for x in outputs],
            "sum": float(t),
            "probabilities": packed(p.reshape(self.B, T, V)[0, :4]),
        }

    def values(self):
        net = self.net
        return {
            "made": {"tensorflow": tf2.__version__, "tf_slim": "1.1.0", "python": platform.python_version(),
                     "inception_resnet_v2.py": RESNET_BLOB},
            "table": {"native": net.native, **self.table()},
            "shape": {"B": self.B, "T": T, "size": net.size, "multiplier": net.multiplier, "E": E, "U": U, "V": V,
                      "lengths": self.lengths, "keep": KEEP, "featureKeep": FEATURE_KEEP, "decay": DECAY},
            "joint": self.joint(),
            "decoderOnly": self.decoder_only(),
            "evaluation": self.evaluation(),
        }


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--slim", help="research/slim of a checkout of tensorflow/models")
    arguments.add_argument("encoders", nargs="*")
    given = arguments.parse_args()
    known = nets(given.slim)
    for name in given.encoders or ["inception_v1", "inception_v2", "inception_v3", "inception_resnet_v2"]:
        if name not in known:
            sys.exit(f"{name} needs --slim")
        with open(os.path.join(HERE, f"{name}.json"), "w") as f:
            json.dump(Captioner(known[name]).values(), f, separators=(",", ":"))
            f.write("\n")


main()
