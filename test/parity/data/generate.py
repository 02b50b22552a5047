"""Writes, with real TensorFlow, the TFRecord files the tests read and compare with, and what is in them.

    python3 -m venv VENV && VENV/bin/pip install tensorflow-cpu==2.21.0
    VENV/bin/python test/parity/data/generate.py

im2txt.tfrecord         SequenceExamples made as im2txt's build_mscoco_data.py makes them, by TFRecordWriter
deterministic.tfrecord  the same pairs, protobuf's maps in its deterministic order: what showtell must write to the byte
expected.json           image id, JPEG (base64), words and ids of each record
"""

import base64
import json
import pathlib

import numpy as np
import tensorflow as tf

HERE = pathlib.Path(__file__).parent

PAIRS = [
    (57870, ["<S>", "a", "red", "circle", ".", "</S>"], [1, 0, 4, 5, 6, 2]),
    (391895, ["<S>", "caf\u00e9", "``", "\u5bff\u53f8", "''", "</S>"], [1, 9, 300, 70000, 301, 2]),
    (0, ["<S>", "</S>"], [1, 2]),
    (9007199254740991, ["<S>"] + ["word"] * 40 + ["</S>"], [1] + [127, 128, 16383, 16384] * 10 + [2147483647]),
]


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (8 + seed, 12, 3), np.uint8)
    return tf.io.encode_jpeg(pixels).numpy()


def sequence_example(image_id, data, words, ids):
    def bytes_feature(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def int64_feature(value):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    return tf.train.SequenceExample(
        context=tf.train.Features(
            feature={"image/image_id": int64_feature(image_id), "image/data": bytes_feature(data)}
        ),
        feature_lists=tf.train.FeatureLists(
            feature_list={
                "image/caption": tf.train.FeatureList(feature=[bytes_feature(word.encode()) for word in words]),
                "image/caption_ids": tf.train.FeatureList(feature=[int64_feature(i) for i in ids]),
            }
        ),
    )


def main():
    expected = []
    with tf.io.TFRecordWriter(str(HERE / "im2txt.tfrecord")) as plain, tf.io.TFRecordWriter(
        str(HERE / "deterministic.tfrecord")
    ) as ordered:
        for seed, (image_id, words, ids) in enumerate(PAIRS):
            data = jpeg(seed)
            example = sequence_example(image_id, data, words, ids)
            plain.write(example.SerializeToString())
            ordered.write(example.SerializeToString(deterministic=True))
            row = {"imageId": image_id, "jpeg": base64.b64encode(data).decode(), "words": words, "ids": ids}
            expected.append(row)
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


main()
