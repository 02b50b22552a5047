"""Checkpoints as TensorFlow itself writes them, and what stands in them: the files in this folder.

    python generate.py            (requirements.txt has the versions)

formats/         every type, partitioned variables, odd names, in V2 and V1, in one file and sharded
captioner/       im2txt's variables in V1 with the oldest LSTM names, slots, step, heads and shadows beside them; its
                 blocks packed by Snappy, as TensorFlow packed them when TF-Slim's nets were published (the wheel of
                 2.15 reads such blocks and writes none)
expected.json    type, shape and values (float32, base64) of each variable of `formats`, read back by TensorFlow
"""

import base64
import importlib
import json
import os
import shutil
import struct
import sys
import zlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import cramjam
import google_crc32c
import numpy as np
import tensorflow as tf

# tensorflow 2.15 looks for Keras's v1 layers in a package that is not its Keras.
for layers in ("base", "convolutional", "core", "normalization", "pooling"):
    sys.modules[f"tf_keras.legacy_tf_layers.{layers}"] = importlib.import_module(f"keras.src.legacy_tf_layers.{layers}")

import tf_slim as slim
from tf_slim.nets import inception_v3

v1 = tf.compat.v1
v1.disable_eager_execution()
HERE = os.path.dirname(os.path.abspath(__file__))


def fresh(*path):
    folder = os.path.join(HERE, *path)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def save(folder, name, sharded=False, v1_format=False, devices=1):
    write = v1.train.SaverDef.V1 if v1_format else v1.train.SaverDef.V2
    saver = v1.train.Saver(v1.global_variables(), sharded=sharded, write_version=write)
    with v1.Session(config=v1.ConfigProto(device_count={"CPU": devices})) as session:
        session.run(v1.global_variables_initializer())
        prefix = saver.save(session, os.path.join(folder, name), write_meta_graph=False)
    os.remove(os.path.join(folder, "checkpoint"))
    return prefix


def restored(prefix, name, dtype):
    """By the operation that savers restore with: the reader does not know V1's slices."""
    with v1.Graph().as_default(), v1.Session() as session:
        return session.run(tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=[name], shape_and_slices=[""], dtypes=[dtype]))[0]


def formats():
    expected = {}
    for kind in ["v2", "v2-sharded", "v1", "v1-sharded"]:
        old, sharded = kind.startswith("v1"), kind.endswith("sharded")
        with v1.Graph().as_default():
            r = np.random.RandomState(5)
            given = {}

            def variable(name, value, dtype, device=0, **more):
                given[name] = value
                with v1.device(f"/cpu:{device if sharded else 0}"):
                    return v1.get_variable(name, initializer=tf.constant(value, dtype), **more)

            def partitioned(name, value, parts, axis, dtype=tf.float32):
                given[name] = value
                cut = v1.fixed_size_partitioner(parts, axis)
                init = lambda shape, dtype=None, partition_info=None: tf.constant(
                    value[tuple(slice(o, o + n) for o, n in zip(partition_info.var_offset, shape))], dtype
                )
                v1.get_variable(name, shape=value.shape, dtype=dtype, initializer=init, partitioner=cut)

            variable("plain/weights", r.randn(3, 4), tf.float32)
            variable("plain/biases", r.randn(4), tf.float32, device=1)
            variable("scalar", 0.1, tf.float32)
            variable("empty", np.zeros((0, 3)), tf.float32)
            variable("repeating", np.full((40, 50), 1.5), tf.float32, device=1)
            variable("edges", [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4e38], tf.float32)
            variable("global_step", 12345, tf.int32, trainable=False)
            variable("count", 2**40, tf.int64, trainable=False)
            variable("bytes", [0, 255], tf.uint8, trainable=False)
            variable("half/weights", [1.0, -2.5, 65504, 6e-8, 0.333, np.inf, -0.0, 1e-4], tf.float16)
            if not old:
                variable("brain/weights", [1.0, -2.5, 3e38, 1e-40, 0.333, np.inf, -0.0], tf.bfloat16, device=1)
            variable("double/weights", [0.1, 1e300, 1e-300, -2 / 3, 1 + 2.0**-24, 1 + 2.0**-24 + 2.0**-40], tf.float64)
            if not old:
                variable("text", ["a", "bc"], tf.string, trainable=False)
            partitioned("rows", r.randn(7, 5), 3, 0)
            partitioned("columns", r.randn(4, 70), 3, 1)
            partitioned("middle", r.randn(2, 9, 3, 2), 4, 1)
            partitioned("half/rows", r.randn(300, 2), 2, 0, tf.float16)
            prefix = save(fresh("formats", kind), "model.ckpt-12345", sharded, old, 2)
        reader = tf.train.load_checkpoint(prefix)
        expected[kind] = {}
        for name, dtype in reader.get_variable_to_dtype_map().items():
            # TensorFlow writes float16 in V1, and in slices, and reads neither: what was given stands for it.
            half = dtype == tf.float16
            value = np.asarray(given[name], np.float16) if half else restored(prefix, name, dtype)
            numbers = None
            if dtype != tf.string:
                with np.errstate(over="ignore"):
                    numbers = base64.b64encode(value.astype(np.float32).tobytes()).decode()
            expected[kind][name] = {"type": dtype.name, "shape": list(value.shape), "values": numbers}
    with open(os.path.join(HERE, "expected.json"), "w") as file:
        json.dump(expected, file, indent=1, sort_keys=True)
        file.write("\n")


def filled(variable):
    """Few different numbers, so that the file packs well: by the name's CRC-32 and the place."""
    size = int(np.prod(variable.shape.as_list()))
    base = zlib.crc32(variable.op.name.encode()) % 1024
    values = (base + np.arange(size) // 256) / np.float32(1024)
    return values.astype(variable.dtype.base_dtype.as_numpy_dtype).reshape(variable.shape.as_list())


def varint(data, at):
    value = shift = 0
    while True:
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def packed(file):
    """Writes a table anew, its blocks packed by Google's Snappy, with the index that then fits."""
    with open(file, "rb") as stream:
        data = stream.read()

    def number(value):
        out = bytearray()
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        return bytes(out + bytes([value]))

    out = bytearray()

    def write(block, kind):
        handle = number(len(out)) + number(len(block))
        crc = google_crc32c.value(block + bytes([kind]))
        masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
        out.extend(block + bytes([kind]) + struct.pack("<I", masked))
        return handle

    _, at = varint(data, len(data) - 48)
    _, at = varint(data, at)
    start, at = varint(data, at)
    size, _ = varint(data, at)
    index, at, entries, key = data[start : start + size], 0, [], b""
    end = size - 4 - 4 * struct.unpack("<I", index[-4:])[0]
    while at < end:
        shared, at = varint(index, at)
        own, at = varint(index, at)
        length, at = varint(index, at)
        key = key[:shared] + index[at : at + own]
        block_start, inner = varint(index, at + own)
        block_size, _ = varint(index, inner)
        at += own + length
        assert data[block_start + block_size] == 0
        entries.append((key, write(bytes(cramjam.snappy.compress_raw(data[block_start : block_start + block_size])), 1)))
    meta = write(struct.pack("<II", 0, 1), 0)
    rows, places = b"", []
    for key, handle in entries:
        places.append(len(rows))
        rows += number(0) + number(len(key)) + number(len(handle)) + key + handle
    handles = meta + write(rows + struct.pack(f"<{len(places) + 1}I", *places, len(places)), 0)
    out.extend(handles + bytes(40 - len(handles)) + data[-8:])
    with open(file, "wb") as stream:
        stream.write(out)


def captioner():
    with v1.Graph().as_default():
        images = v1.placeholder(tf.float32, [1, 139, 139, 3])
        with slim.arg_scope(inception_v3.inception_v3_arg_scope()):
            inception_v3.inception_v3(images, num_classes=5, is_training=True, depth_multiplier=0.05)
        features, embedding, units, words = 108, 6, 4, 12
        sizes = {
            "image_embedding/weights": [features, embedding],
            "seq_embedding/map": [words, embedding],
            "lstm/BasicLSTMCell/Linear/Matrix": [embedding + units, 4 * units],
            "lstm/BasicLSTMCell/Linear/Bias": [4 * units],
            "logits/weights": [units, words],
            "logits/biases": [words],
            "OptimizeLoss/logits/weights/Momentum": [units, words],
            "InceptionV3/Conv2d_1a_3x3/weights/ExponentialMovingAverage": [3, 3, 3, 16],
        }
        for name, shape in sizes.items():
            v1.get_variable(name, shape)
        v1.get_variable("global_step", initializer=tf.constant(0), trainable=False)
        saver = v1.train.Saver(v1.global_variables(), write_version=v1.train.SaverDef.V1, save_relative_paths=True)
        folder = fresh("captioner")
        with v1.Session() as session:
            for variable in v1.global_variables():
                variable.load(77 if variable.op.name == "global_step" else filled(variable), session)
            saver.save(session, os.path.join(folder, "model.ckpt-77"), write_meta_graph=False)
            written = {variable.op.name: session.run(variable) for variable in v1.global_variables()}
    file = os.path.join(folder, "model.ckpt-77")
    packed(file)
    reader = tf.train.load_checkpoint(file)
    for name, value in written.items():
        np.testing.assert_array_equal(reader.get_tensor(name), value)
    with open(os.path.join(folder, "word_counts.txt"), "w") as file:
        file.write("\n".join(f"{word} {9 - i}" for i, word in enumerate(["a", "<S>", "</S>", ".", "red", "cat", "dog"])))


formats()
captioner()
for folder, _, files in os.walk(HERE):
    for file in files:
        print(os.path.getsize(os.path.join(folder, file)), os.path.join(folder, file)[len(HERE) + 1 :], file=sys.stderr)
