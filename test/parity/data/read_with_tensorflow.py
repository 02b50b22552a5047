"""Reads TFRecord files as im2txt's training does and prints a JSON line for each record.

    read_with_tensorflow.py FILE...
"""

import base64
import json
import sys

import tensorflow as tf


def main():
    for serialized in tf.data.TFRecordDataset(sys.argv[1:]):
        context, sequence = tf.io.parse_single_sequence_example(
            serialized,
            context_features={
                "image/data": tf.io.FixedLenFeature([], dtype=tf.string),
                "image/image_id": tf.io.FixedLenFeature([], dtype=tf.int64),
            },
            sequence_features={
                "image/caption": tf.io.FixedLenSequenceFeature([], dtype=tf.string),
                "image/caption_ids": tf.io.FixedLenSequenceFeature([], dtype=tf.int64),
            },
        )
        data = context["image/data"].numpy()
        row = {
            "imageId": int(context["image/image_id"]),
            "jpeg": base64.b64encode(data).decode(),
            "words": [word.decode() for word in sequence["image/caption"].numpy()],
            "ids": [int(i) for i in sequence["image/caption_ids"].numpy()],
            "shape": list(tf.io.decode_jpeg(data, channels=3).shape),
        }
        print(json.dumps(row))


main()
