"""Runs im2txt's own files, written for TensorFlow 1.4, on TensorFlow 2.15 and TF-Slim.

`stand_in(...)` puts a module named tensorflow in place that is tf.compat.v1 with what im2txt uses of tf.contrib: its
layers and nets are TF-Slim's, which were moved out of tf.contrib unchanged.
"""

import functools
import importlib
import os
import sys
import types

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import tensorflow as tf2

# tensorflow 2.15 looks for Keras's v1 layers in a package that is not its Keras; pooling, norm and products use them.
for layers in ("base", "convolutional", "core", "normalization", "pooling"):
    sys.modules[f"tf_keras.legacy_tf_layers.{layers}"] = importlib.import_module(f"keras.src.legacy_tf_layers.{layers}")

from tensorflow.python.framework import ops

# Where TF-Slim's optimize_loss looks for them.
ops.Tensor, ops.IndexedSlices = tf2.Tensor, tf2.IndexedSlices

import tf_slim as slim
from tf_slim.layers import summaries
from tf_slim.layers.optimizers import optimize_loss
from tf_slim.nets import inception_v3

v1 = tf2.compat.v1
v1.disable_v2_behavior()


class StandIn(types.ModuleType):
    """tf.compat.v1, except for what is set on it."""

    def __init__(self):
        super().__init__("tensorflow")
        self.__path__ = tf2.__path__
        self.compat = tf2.compat

    def __getattr__(self, name):
        return getattr(v1, name)


def namespace(**attributes):
    return types.SimpleNamespace(**attributes)


def stand_in(im2txt, depth_multiplier):
    """Makes `import im2txt` find the checkout at `im2txt`, with an encoder of fewer channels. Returns the stand-in."""
    tf = StandIn()
    base = functools.partial(inception_v3.inception_v3_base, depth_multiplier=depth_multiplier)
    tf.contrib = namespace(
        layers=namespace(fully_connected=slim.fully_connected, l2_regularizer=slim.l2_regularizer,
                         optimize_loss=optimize_loss, summaries=summaries),
        rnn=namespace(BasicLSTMCell=v1.nn.rnn_cell.BasicLSTMCell, DropoutWrapper=v1.nn.rnn_cell.DropoutWrapper),
        slim=slim,
    )
    sys.modules["tensorflow"] = tf
    path = "tensorflow"
    for part in "contrib.slim.python.slim.nets.inception_v3".split("."):
        path += f".{part}"
        sys.modules[path] = types.ModuleType(path)
    sys.modules[path].inception_v3_base = base
    sys.path.insert(0, im2txt)
    return tf


def load_python2(file):
    """A module of im2txt that is spelled as Python 2 has it."""
    path = os.path.join(sys.path[0], file)
    with open(path) as f:
        source = f.read().replace("except Exception, e:", "except Exception as e:")
    module = types.ModuleType(os.path.basename(path)[:-3])
    module.xrange = range
    exec(compile(source, path, "exec"), module.__dict__)
    return module
