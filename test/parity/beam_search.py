"""im2txt's beam search as it was before tensorflow/models pull 6255 (caption_generator.py), written anew for the tests'
scripts: the likeliest words of each partial caption, two lists of the best, no early end."""

import math

import numpy as np


def words_of(path):
    """The words of a word_counts.txt in the order of their ids; the last one stands for all that are unknown."""
    with open(path, encoding="utf-8") as file:
        words = [line.split()[0] for line in file.read().splitlines()]
    return words + ["<UNK>"]


def best(items, width):
    return sorted(items, key=lambda item: -item[0])[:width]


def search(step, state, words, beam, max_length):
    """Captions of one picture, best first, with the logarithms of their probabilities.

    step   takes the last words [N] and states [N, 2U], gives the next words' probabilities [N, V] and states [N, 2U]
    state  [1, 2U] after the image
    """
    start, end = words.index("<S>"), words.index("</S>")
    partial, complete = [(0.0, [start], state[0])], []
    for _ in range(max_length - 1):
        if not partial:
            break
        probabilities, states = step([ids[-1] for _, ids, _ in partial], np.stack([s for _, _, s in partial]))
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
