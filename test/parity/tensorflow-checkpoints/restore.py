"""Reads checkpoints as TensorFlow's users do, and as im2txt does: into a graph, by names, shapes and types.

    python restore.py JOBS.json

JOBS.json is a list of {folder, prefix, kernel, bias, again}. Prints a list with an object for each: `read`, what
tf.train.load_checkpoint finds under folder and prefix alike; `restored`, what Saver.restore put into im2txt's variables
(null where TF-Slim does not work), which are saved once more as `again`. Variables of the encoder are slim's own.
"""

import hashlib
import importlib
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
v1.disable_eager_execution()
v1.logging.set_verbosity(v1.logging.ERROR)

try:
    for layers in ("base", "convolutional", "core", "normalization", "pooling"):
        module = importlib.import_module(f"keras.src.legacy_tf_layers.{layers}")
        sys.modules[f"tf_keras.legacy_tf_layers.{layers}"] = module
    import tf_slim as slim
    from tf_slim.nets import inception_v3
except ImportError:
    slim = None


def summary(value):
    value = np.asarray(value)
    return [value.dtype.name, list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]


def read(path):
    reader = tf.train.load_checkpoint(path)
    return {name: summary(reader.get_tensor(name)) for name in reader.get_variable_to_shape_map()}


with open(sys.argv[1]) as file:
    jobs = json.load(file)

encoder = []
if slim is not None:
    with v1.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 139, 139, 3])
        with slim.arg_scope(inception_v3.inception_v3_arg_scope()):
            inception_v3.inception_v3_base(images, scope="InceptionV3", depth_multiplier=0.05)
        encoder = [(variable.op.name, variable.shape.as_list()) for variable in v1.global_variables()]

results = []
for job in jobs:
    found = read(job["prefix"])
    assert found == read(job["folder"])
    assert tf.train.latest_checkpoint(job["folder"]) == job["prefix"]
    result = {"read": found, "restored": None}
    results.append(result)
    if slim is None:
        continue
    names = ["image_embedding/weights", "seq_embedding/map", job["kernel"], job["bias"], "logits/weights", "logits/biases"]
    with v1.Graph().as_default(), v1.Session() as session:
        for name, shape in encoder + [(name, found[name][1]) for name in names]:
            v1.get_variable(name, shape, use_resource=True)
        v1.get_variable("global_step", initializer=tf.constant(0, tf.int32), trainable=False, use_resource=True)
        variables = v1.global_variables()
        saver = v1.train.Saver(variables)
        saver.restore(session, job["prefix"])
        values = session.run(variables)
        result["restored"] = {variable.op.name: summary(value) for variable, value in zip(variables, values)}
        saver.save(session, job["again"], write_meta_graph=False)
print(json.dumps(results))
