"""Runs an exported SavedModel in Python's TensorFlow: python run_saved_model.py FOLDER BEAM MAX_LENGTH JPEG...

Prints one JSON object: for each JPEG its image's sum, its features and first state, the probabilities after <S>, and
captions by beam search with the logarithms of their probabilities. The search is written after im2txt's
caption_generator.py as it was before tensorflow/models pull 6255: the likeliest words of each partial caption, two lists
of the best, no early end.
"""
import json
import math
import os
import sys

import numpy as np
import tensorflow as tf


def words_of(folder):
    path = os.path.join(folder, "assets.extra", "word_counts.txt")
    with open(path, encoding="utf-8") as file:
        words = [line.split()[0] for line in file.read().splitlines()]
    return words + ["<UNK>"]


def best(items, width):
    return sorted(items, key=lambda item: -item[0])[:width]


def search(step, state, words, beam, max_length):
    start, end = words.index("<S>"), words.index("</S>")
    partial, complete = [(0.0, [start], state[0])], []
    for _ in range(max_length - 1):
        if not partial:
            break
        out = step(
            words=tf.constant([ids[-1] for _, ids, _ in partial], tf.int32),
            state=tf.constant(np.stack([s for _, _, s in partial])),
        )
        probabilities, states = out["probabilities"].numpy(), out["state"].numpy()
        longer = []
        for (logprob, ids, _), row, following in zip(partial, probabilities, states):
            for word in np.argsort(-row, kind="stable")[:beam]:
                p = row[word]
                if p < 1e-12:
                    continue
                sum_ = logprob + math.log(p)
                if word == end:
                    complete.append((sum_, ids[1:]))
                else:
                    longer.append((sum_, ids + [int(word)], following))
        partial, complete = best(longer, beam), best(complete, beam)
    found = complete or [(logprob, ids[1:]) for logprob, ids, _ in partial]
    say = lambda ids: " ".join(words[i] if i < len(words) else "<UNK>" for i in ids)
    return [{"caption": say(ids), "logprob": logprob} for logprob, ids in found]


def main():
    folder, beam, max_length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    model = tf.saved_model.load(folder)
    functions = model.signatures
    words = words_of(folder)
    pictures = []
    for path in sys.argv[4:]:
        with open(path, "rb") as file:
            pictures.append(functions["preprocess"](jpeg=tf.constant(file.read()))["images"])
    seen = functions["image_features"](images=tf.concat(pictures, 0))
    alone = functions["serving_default"](images=pictures[0])
    first = functions["decode_step"](
        words=tf.fill([len(pictures)], words.index("<S>")), state=seen["state"]
    )
    captions = [
        search(functions["decode_step"], seen["state"][i : i + 1].numpy(), words, beam, max_length)
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
