"""Runs an exported SavedModel in Python's TensorFlow: python run_saved_model.py FOLDER BEAM MAX_LENGTH JPEG...

Prints one JSON object: for each JPEG its image's sum, its features and first state, the probabilities after <S>, and
captions by beam search with the logarithms of their probabilities (../beam_search.py).
"""
import json
import os
import sys

import tensorflow as tf

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from beam_search import search, words_of


def main():
    folder, beam, max_length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    model = tf.saved_model.load(folder)
    functions = model.signatures
    words = words_of(os.path.join(folder, "assets.extra", "word_counts.txt"))
    pictures = []
    for path in sys.argv[4:]:
        with open(path, "rb") as file:
            pictures.append(functions["preprocess"](jpeg=tf.constant(file.read()))["images"])
    seen = functions["image_features"](images=tf.concat(pictures, 0))
    alone = functions["serving_default"](images=pictures[0])
    first = functions["decode_step"](
        words=tf.fill([len(pictures)], words.index("<S>")), state=seen["state"]
    )

    def step(words, states):
        out = functions["decode_step"](words=tf.constant(words, tf.int32), state=tf.constant(states))
        return out["probabilities"].numpy(), out["state"].numpy()

    captions = [
        search(step, seen["state"][i : i + 1].numpy(), words, beam, max_length)
        for i in range(len(pictures))
    ]
    print(
        json.dumps(
            {
                "signatures": sorted(functions),
                "images": [picture.numpy()[0].ravel().tolist() for picture in pictures],
                "features": seen["features"].numpy().tolist(),
                "state": seen["state"].numpy().tolist(),
                "alone": alone["features"].numpy()[0].tolist(),
                "probabilities": first["probabilities"].numpy().tolist(),
                "next": first["state"].numpy().tolist(),
                "captions": captions,
            }
        )
    )


main()
