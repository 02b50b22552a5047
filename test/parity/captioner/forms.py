"""Checkpoints of one captioner in the forms that TensorFlow has written over the years, by TensorFlow's own savers."""

import os

import nets
import numpy as np
from nets import slim, tf

KERNEL, BIAS = "lstm/basic_lstm_cell/kernel", "lstm/basic_lstm_cell/bias"
NAMINGS = {
    "kernel": {},
    "Matrix": {KERNEL: "lstm/BasicLSTMCell/Linear/Matrix", BIAS: "lstm/BasicLSTMCell/Linear/Bias"},
    "weights": {KERNEL: "lstm/basic_lstm_cell/weights", BIAS: "lstm/basic_lstm_cell/biases"},
}
V1, V2 = tf.train.SaverDef.V1, tf.train.SaverDef.V2


def head(name, channels, classes):
    """Names and shapes of what slim's nets have behind the features."""
    scope = nets.SCOPES[name]
    if name == "inception_resnet_v2":
        layers = {"Logits/Logits": [channels, classes], "AuxLogits/Logits": [768, classes]}
    else:
        last = "Conv2d_0c_1x1" if name == "inception_v1" else "Conv2d_1c_1x1"
        layers = {f"Logits/{last}": [1, 1, channels, classes]}
    if name == "inception_v3":
        layers["AuxLogits/Conv2d_2b_1x1"] = [1, 1, 768, classes]
    shapes = {}
    for layer, shape in layers.items():
        shapes[f"{scope}/{layer}/weights"], shapes[f"{scope}/{layer}/biases"] = shape, [classes]
    if name in ("inception_v3", "inception_resnet_v2"):
        shapes[f"{scope}/AuxLogits/Conv2d_1b_1x1/weights"] = [1, 1, 16, 128]
        for part in ("beta", "moving_mean", "moving_variance"):
            shapes[f"{scope}/AuxLogits/Conv2d_1b_1x1/BatchNorm/{part}"] = [128]
    return shapes


def write_forms(captioner, out):
    """With slots, shadows, steps and a head of 1001 or 1000 classes beside the weights. @returns paths by form"""
    session, channels = captioner.session, captioner.features.shape[1]
    everything = tf.global_variables()
    step = next(v for v in everything if v.op.name == "global_step")
    heads = {}
    for classes in (1001, 1000):
        with tf.variable_scope(f"of_{classes}"):
            heads[classes] = [tf.get_variable(name, shape) for name, shape in head(captioner.name, channels, classes).items()]
        session.run(tf.variables_initializer(heads[classes]))

    def written(form, naming, classes):
        prefix = os.path.join(out, naming, "model.ckpt")
        saver = tf.train.Saver({NAMINGS[naming].get(v.op.name, v.op.name): v for v in everything}
                               | {v.op.name.split("/", 1)[1]: v for v in heads[classes]},
                               write_version=form, save_relative_paths=True)
        os.makedirs(os.path.dirname(prefix))
        return saver.save(session, prefix, global_step=step, write_meta_graph=False)

    return {"kernel": written(V2, "kernel", 1001), "Matrix": written(V1, "Matrix", 1000),
            "weights": written(V2, "weights", 1000)}


def write_variants(captioner, out):
    """The weights alone, in less usual forms. @returns paths by form"""
    values = dict(zip([v.op.name for v in captioner.variables], captioner.session.run(captioner.variables)))
    paths = {}

    def written(name, make, form=V2, suffix="", sharded=False):
        """Saves what `make` makes of each variable; the device changes by turns, so that a sharded saver has two files."""
        prefix = os.path.join(out, name, "model.ckpt")
        os.makedirs(os.path.dirname(prefix))
        config = tf.ConfigProto(device_count={"CPU": 2})
        with tf.Graph().as_default(), tf.Session(config=config) as session:
            for i, (variable, value) in enumerate(values.items()):
                with tf.device(f"/cpu:{i % 2 if sharded else 0}"):
                    make(variable, value)
            session.run(tf.global_variables_initializer())
            variables = tf.global_variables()
            saved = {v.op.name + suffix: v for v in variables} if suffix else variables
            saver = tf.train.Saver(saved, write_version=form, sharded=sharded)
            paths[name] = saver.save(session, prefix, write_meta_graph=False)

    def plain(dtype):
        return lambda name, value: tf.get_variable(name, initializer=value.astype(dtype))

    def cut(name, value):
        """Most are put in three pieces along their longest side."""
        axis = int(np.argmax(value.shape))
        pieces = tf.fixed_size_partitioner(3, axis) if value.shape[axis] >= 3 else None

        def part(shape, dtype=None, partition_info=None):
            offsets = partition_info.var_offset if pieces else [0] * len(shape)
            return tf.constant(value[tuple(slice(o, o + n) for o, n in zip(offsets, shape))], dtype)

        tf.get_variable(name, value.shape, initializer=part, partitioner=pieces)

    written("half", plain(np.float16))
    written("double", plain(np.float64))
    written("colon", plain(np.float32), suffix=":0")
    written("partitioned", cut)
    written("sharded-v1", plain(np.float32), form=V1, sharded=True)
    with tf.Graph().as_default(), tf.Session() as session:
        made = {name.replace("/", "_"): plain(np.float32)(name, value) for name, value in list(values.items())[:3]}
        session.run(tf.global_variables_initializer())
        paths["objects"] = tf.train.Checkpoint(**made).save(os.path.join(out, "objects", "model.ckpt"), session=session)
    return paths


def write_slim(out, pictures, drawn):
    """Inception V3 at a tenth, alone, as slim itself builds it for ImageNet. @returns its path and its features"""
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.constant(pictures)
        with slim.arg_scope(nets.inception_v3.inception_v3_arg_scope()):
            _, points = nets.inception_v3.inception_v3(images, 1001, False, depth_multiplier=0.1)
        tf.train.create_global_step()
        session.run(tf.global_variables_initializer())
        nets.assign(session, [(v, drawn(v.op.name, v.shape.as_list())) for v in tf.model_variables()])
        os.makedirs(os.path.join(out, "slim"))
        path = tf.train.Saver().save(session, os.path.join(out, "slim", "inception_v3.ckpt"), write_meta_graph=False)
        features = session.run(tf.reduce_mean(points["Mixed_7c"], [1, 2]))
    return {"path": path, "features": features.tolist()}
