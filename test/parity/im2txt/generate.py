"""What im2txt itself computes, as values to hold showtell against.

im2txt's files are run as they are, from a checkout of tensorflow/models at the commit below (its captions' beam search
is the one before pull request 6255), on TensorFlow 2.15 and TF-Slim by contrib.py:

    git -C MODELS checkout f87a58cd96d45de73c9a8330a06b2ab56749a7fa
    python3.11 -m venv VENV && VENV/bin/pip install -r requirements.txt
    VENV/bin/python generate.py MODELS/research/im2txt

(the names of some of the files without .json may follow) writes training.json, beam-search.json, images.json, perplexity.json, picture-large.jpg, records-0000?-of-00002 and
word_counts.txt. Every parameter and input is a function of its name and index that the tests compute too (formula.ts),
so no weights are stored.
"""

import base64
import importlib
import json
import math
import os
import platform
import sys

import contrib
from contrib import slim, tf2

HERE = os.path.dirname(os.path.abspath(__file__))
MULTIPLIER, SIZE = 0.25, 107
E, U, V = 12, 16, 40
tf = contrib.stand_in(os.path.abspath(sys.argv[1]), MULTIPLIER)

import numpy as np
from im2txt import configuration, inference_wrapper, show_and_tell_model
from im2txt.inference_utils import caption_generator, vocabulary
from im2txt.ops import image_embedding, image_processing

evaluate = contrib.load_python2("im2txt/evaluate.py")
evaluate.FLAGS(["generate"])
tf.logging.set_verbosity(tf.logging.ERROR)


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
    if name.startswith("InceptionV3"):
        scale = np.sqrt(6.0 / np.prod(shape[:-1])) if name.endswith("/weights") else 0.2
    else:
        scale = 2 if name == "logits/weights" else 0.5
    values = (2 * u - 1) * scale
    if name == "logits/biases":
        values[:3] -= 1.3  # <S> is not said again, and captions do not end at once
    return values.astype(np.float32)


def config(**more):
    result = configuration.ModelConfig()
    given = {"image_height": SIZE, "image_width": SIZE, "vocab_size": V, "embedding_size": E, "num_lstm_units": U,
             "lstm_dropout_keep_prob": 1.0}
    for name, value in {**given, **more}.items():
        assert hasattr(result, name)
        setattr(result, name, value)
    return result


def session():
    s = tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1))
    s.run(tf.global_variables_initializer())
    for v in tf.global_variables():
        if v.dtype.base_dtype == tf.float32:
            v.load(parameter(v.op.name, v.shape.as_list()), s)
    return s


def packed(array):
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()


def norm(array):
    return float(np.sqrt(np.sum(np.square(array.astype(np.float64)))))


def write(name, value):
    made = {"tensorflow": tf2.__version__, "tf_slim": "1.1.0", "python": platform.python_version(),
            "im2txt": "f87a58cd96d45de73c9a8330a06b2ab56749a7fa"}
    with open(os.path.join(HERE, name), "w") as f:
        json.dump({"made": made, **value}, f)
        f.write("\n")


# ---- Training: losses, clipped gradients, steps.

B, T, LENGTHS, RATE, FEATURE_KEEP = 4, 7, [7, 5, 1, 4], 0.5, 0.8
IMAGES = (2 * unit("images", B, SIZE, SIZE, 3) - 1).astype(np.float32)
MASK = (np.arange(T)[None] < np.array(LENGTHS)[:, None]).astype(np.int32)
# Few words, so that most come several times; padding is 0, as im2txt's batches have it.
INPUTS = (unit("inputs", B, T) * 6).astype(np.int64) * MASK
TARGETS = (unit("targets", B, T) * V).astype(np.int64) * MASK
FEATURE_MASK = ((unit("feature dropout", B, 512) < FEATURE_KEEP) / FEATURE_KEEP).astype(np.float32)


class FedModel(show_and_tell_model.ShowAndTellModel):
    """The model on given batches instead of files, as show_and_tell_model_test.py has it."""

    def build_inputs(self):
        self.images = tf.constant(IMAGES)
        self.input_seqs = tf.constant(INPUTS)
        self.target_seqs = tf.constant(TARGETS)
        self.input_mask = tf.constant(MASK)


def fixed_dropout(inputs, keep_prob, is_training, scope):
    return inputs * FEATURE_MASK.reshape(B, 1, 1, 512) if is_training else inputs


def training(train_inception, clip, steps):
    """Steps as im2txt's train.py takes them, the gradient of seq_embedding/map made dense before it is clipped."""
    seen = {}

    def clip_dense(gradients):
        as_they_are = [g for g, _ in gradients]
        dense = [tf.convert_to_tensor(g) for g in as_they_are]
        clipped, seen["norm"] = tf.clip_by_global_norm(dense, clip)
        seen["sparse_norm"] = tf.global_norm(as_they_are)
        seen["clipped"] = clipped
        return list(zip(clipped, [v for _, v in gradients]))

    with tf.Graph().as_default():
        image_embedding.slim = contrib.namespace(**{**vars(slim), "dropout": fixed_dropout})
        model = FedModel(config(batch_size=B), mode="train", train_inception=train_inception)
        model.build()
        image_embedding.slim = slim
        rate, decay = tf.constant(RATE), None
        if not train_inception:
            # Two batches an epoch, halved every epoch.
            decay = lambda rate, step: tf.train.exponential_decay(rate, step, decay_steps=2, decay_rate=0.5, staircase=True)
        train_op = tf.contrib.layers.optimize_loss(
            loss=model.total_loss, global_step=model.global_step, learning_rate=rate, optimizer="SGD",
            clip_gradients=clip_dense, learning_rate_decay_fn=decay)
        trained = [v for v in tf.trainable_variables()]
        decoder = [v for v in trained if not v.op.name.startswith("InceptionV3")]
        with session() as s:
            losses, weights, total, batch, clipped, full, sparse = s.run([
                model.target_cross_entropy_losses, model.target_cross_entropy_loss_weights, model.total_loss,
                tf.losses.get_losses()[0], seen["clipped"], seen["norm"], seen["sparse_norm"]])
            totals = []
            for _ in range(steps):
                totals.append(float(s.run(model.total_loss)))
                s.run(train_op)
            after = dict(zip([v.op.name for v in decoder], s.run(decoder)))
            moving = [v for v in tf.global_variables() if "moving_" in v.op.name] if train_inception else []
            moved = dict(zip([v.op.name for v in moving], s.run(moving)))
    gradients = {v.op.name: g for v, g in zip(trained, clipped)}
    return {
        "trainInception": train_inception,
        "clip": clip,
        "losses": losses.astype(float).tolist(),
        "weights": weights.tolist(),
        "batchLoss": float(batch),
        "totalLosses": totals,
        "norm": float(full),
        "sparseNorm": float(sparse),
        "gradientNorms": {name: norm(g) for name, g in gradients.items()},
        # The first step's, clipped, where it is clipped; the parameters after the last one.
        "gradients": {name: packed(g) for name, g in gradients.items() if clip < full and name in after},
        "after": {name: packed(value) for name, value in after.items()},
        "movedNorms": {name: norm(value) for name, value in moved.items()},
    }


# ---- Beam search, on chains made by hand and on a model.


class FakeVocabulary:
    start_id, end_id = 0, 1


class Chain:
    """A model whose next word depends on the last one alone, as caption_generator_test.py has it."""

    def __init__(self, probabilities):
        self.probabilities = np.asarray(probabilities, np.float32)

    def feed_image(self, session, encoded_image):
        return np.zeros([1, 1])

    def inference_step(self, session, input_feed, state_feed):
        return self.probabilities[input_feed], np.zeros([len(input_feed), 1]), None


# caption_generator_test.py's chain of 12 words.
BY_HAND = {0: {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4}, 2: {5: 0.1, 6: 0.9}, 3: {1: 0.1, 7: 0.4, 8: 0.5},
           4: {1: 0.3, 9: 0.3, 10: 0.4}, 5: {1: 1.0}, 6: {1: 1.0}, 7: {1: 1.0}, 8: {1: 1.0},
           9: {1: 0.5, 11: 0.5}, 10: {1: 1.0}, 11: {1: 1.0}}


def by_hand():
    table = np.zeros([12, 12])
    for word, following in BY_HAND.items():
        for following_word, p in following.items():
            table[word, following_word] = p
    return table


def chains():
    """Random ones; of those named "ties" the probabilities are eighths, so that many captions score the same."""
    for seed in range(12):
        words = 6 + seed
        yield f"random {seed}", (lambda u: u / u.sum(1, keepdims=True))(unit(f"chain {seed}", words, words) ** 3)
    for seed in range(12):
        shares = [[0.5, 0.25, 0.125, 0.125], [0.25] * 4, [0.5, 0.5, 0, 0], [1, 0, 0, 0]]
        words = 5 + seed % 4
        table = np.zeros([words, words])
        draws = unit(f"ties {seed}", words, words + 1)
        for word in range(words):
            places = np.argsort(draws[word, :-1])[:4]
            table[word, places] = shares[int(draws[word, -1] * len(shares))]
        yield f"ties {seed}", table


def searched(generator, session, image):
    captions = generator.beam_search(session, image)
    return [{"words": [int(w) for w in c.sentence], "logprob": float(c.logprob), "score": float(c.score)}
            for c in captions]


def chain_searches():
    result = []
    for name, table in [("by hand", by_hand()), *chains()]:
        table = table.astype(np.float32)
        for width, length, factor in [(1, 20, 0.0), (3, 20, 0.0), (3, 20, 0.7), (5, 20, 0.0), (5, 9, 0.7), (3, 4, 1.5),
                                      (2, 3, 0.0), (3, 2, 0.7), (3, 1, 0.0), (4, 20, 3.0)]:
            generator = caption_generator.CaptionGenerator(Chain(table), FakeVocabulary(), width, length, factor)
            result.append({"chain": name, "width": width, "maxLength": length, "lengthNormalization": factor,
                           "captions": searched(generator, None, None)})
    tables = {name: {"words": len(table), "table": packed(table)} for name, table in [("by hand", by_hand()), *chains()]}
    return {"chains": tables, "searches": result}


PICTURES = ["../image/picture-wide.jpg", "../image/picture-tall.jpg", "../image/picture-grey.jpg", "picture-large.jpg"]


def picture(name):
    with open(os.path.join(HERE, name), "rb") as f:
        return f.read()


def write_words():
    """Word 1 starts a caption and word 2 ends it, as in MSCOCO; of 40 rows 33 have a word, and <UNK> is the 34th."""
    words = ["a", "<S>", "</S>", *(f"w{i}" for i in range(3, 33))]
    with open(os.path.join(HERE, "word_counts.txt"), "w") as f:
        f.write("\n".join(f"{word} {1000 - i}" for i, word in enumerate(words)))


def model_searches():
    words = vocabulary.Vocabulary(os.path.join(HERE, "word_counts.txt"))
    result = []
    with tf.Graph().as_default():
        model = inference_wrapper.InferenceWrapper()
        model.build_model(config())
        with session() as s:
            for name in PICTURES:
                for width, length, factor in [(1, 20, 0.0), (3, 20, 0.0), (3, 20, 0.7), (5, 20, 0.0), (5, 8, 0.7), (3, 2, 0.0)]:
                    generator = caption_generator.CaptionGenerator(model, words, width, length, factor)
                    captions = searched(generator, s, picture(name))
                    for caption in captions:
                        complete = caption["words"][-1] == words.end_id
                        inner = caption["words"][1:-1] if complete else caption["words"][1:]
                        caption["caption"] = " ".join(words.id_to_word(w) for w in inner)
                    result.append({"picture": name, "width": width, "maxLength": length,
                                   "lengthNormalization": factor, "captions": captions})
    return result


# ---- Image processing.


def scene(height, width, seed):
    """Gradients, saturated bars and noise."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    image = np.stack([255 * x / width, 255 * y / height, 127 + 127 * np.sin(x / 15 + y / 27)], -1)
    bars = np.array([[255, 0, 0], [255, 255, 0], [0, 255, 0], [0, 255, 255], [0, 0, 255], [255, 0, 255], [0, 0, 0],
                     [255, 255, 255], [128, 128, 128]])
    band = height // 3
    image[:band] = bars[(x[:band] * len(bars) / width).astype(int)]
    image[band : band + band // 2] += draw.normal(0, 40, (band // 2, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def write_large():
    with tf.Graph().as_default(), tf.Session() as s:
        jpeg = s.run(tf.image.encode_jpeg(scene(330, 440, 7), quality=80))
    with open(os.path.join(HERE, "picture-large.jpg"), "wb") as f:
        f.write(jpeg)


SAMPLES = (unit("samples", 400) * 299 * 299 * 3).astype(np.int64)


def images():
    result = []
    draws = [
        # thread, top, left, mirror, brightness, saturation, hue, contrast
        (0, 0, 47, True, 32 / 255, 1.5, 0.032, 1.5),
        (1, 47, 0, False, 32 / 255, 1.5, -0.032, 0.5),
        (2, 11, 5, False, -32 / 255, 0.5, 0.032, 1.5),
        (3, 30, 40, True, -32 / 255, 1.5, -0.032, 1.5),
        (0, 23, 23, True, 0.0, 1.0, 0.0, 1.0),
        (1, 5, 17, False, 0.05, 0.9, 0.011, 1.2),
    ]
    for name in PICTURES:
        for draw in [None, *draws]:
            with tf.Graph().as_default(), tf.Session() as s:
                fixed = contrib.namespace(**{k: getattr(tf2.compat.v1.image, k) for k in dir(tf2.compat.v1.image)})
                if draw is not None:
                    thread, top, left, mirror, brightness, saturation, hue, contrast = draw
                    tf.random_crop = lambda image, size: tf.slice(image, [top, left, 0], size)
                    fixed.random_flip_left_right = lambda image: tf2.image.flip_left_right(image) if mirror else image
                    fixed.random_brightness = lambda image, max_delta: tf2.image.adjust_brightness(image, brightness)
                    fixed.random_saturation = lambda image, lower, upper: tf2.image.adjust_saturation(image, saturation)
                    fixed.random_hue = lambda image, max_delta: tf2.image.adjust_hue(image, hue)
                    fixed.random_contrast = lambda image, lower, upper: tf2.image.adjust_contrast(image, contrast)
                tf.image = fixed
                image = s.run(image_processing.process_image(
                    picture(name), is_training=draw is not None, height=299, width=299,
                    thread_id=0 if draw is None else draw[0]))
                del tf.image
            result.append({"picture": name, "draw": draw, "sum": float(image.astype(np.float64).sum()),
                           "squares": float(np.square(image.astype(np.float64)).sum()),
                           "samples": packed(image.reshape(-1)[SAMPLES])})
    return {"cases": result}


# ---- Perplexity by evaluate.py.

RECORDS = 24


def captions_of_records():
    """One of 71 words, longer than any batch of the job's is padded to, and short ones."""
    lengths = [2 + int(u * 12) for u in unit("caption lengths", RECORDS)]
    lengths[5] = 70
    result = []
    for i, length in enumerate(lengths):
        ids = 3 + (unit(f"caption {i}", length) * 31).astype(int)
        result.append([1, *ids.tolist(), 2])
    return result


def write_records():
    """SequenceExamples as build_mscoco_data.py makes them, in two shards."""
    words = vocabulary.Vocabulary(os.path.join(HERE, "word_counts.txt"))
    int64 = lambda value: tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    data = lambda value: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    files = [os.path.join(HERE, f"records-0000{shard}-of-00002") for shard in (0, 1)]
    writers = [tf.python_io.TFRecordWriter(file) for file in files]
    for i, ids in enumerate(captions_of_records()):
        # Where the vocabulary has no word, the record has the original one.
        said = ["strange" if w == words.unk_id else words.id_to_word(w) for w in ids]
        example = tf.train.SequenceExample(
            context=tf.train.Features(feature={
                "image/image_id": int64(i), "image/data": data(picture(PICTURES[i % 3]))}),
            feature_lists=tf.train.FeatureLists(feature_list={
                "image/caption": tf.train.FeatureList(feature=[data(w.encode()) for w in said]),
                "image/caption_ids": tf.train.FeatureList(feature=[int64(w) for w in ids])}))
        writers[i % 2].write(example.SerializeToString())
    for writer in writers:
        writer.close()


class Written:
    """A FileWriter that keeps the perplexity."""

    def add_summary(self, summary, global_step):
        if not isinstance(summary, bytes):
            (self.value,) = summary.value

    def flush(self):
        pass


def perplexity():
    """evaluate.py's evaluate_model on the records: whole rounds of its endless queue, so each record counts once."""
    evaluate.FLAGS.num_eval_examples = RECORDS
    words = sum(len(ids) - 1 for ids in captions_of_records())
    for _ in range(20):
        with tf.Graph().as_default():
            model = show_and_tell_model.ShowAndTellModel(
                config(batch_size=8, input_file_pattern=os.path.join(HERE, "records-?????-of-00002"),
                       num_preprocess_threads=2), mode="eval")
            model.build()
            sums = []
            with session() as s:
                coordinator = tf.train.Coordinator()
                threads = tf.train.start_queue_runners(s, coord=coordinator)
                written = Written()
                counted = contrib.namespace(run=lambda fetches: sums.append(s.run(fetches)) or sums[-1])
                evaluate.evaluate_model(counted, model, 0, written, tf.constant(b""))
                coordinator.request_stop()
                s.run(tf.constant(0))
                s.close()
        weights = [batch[1] for batch in sums[1:]]
        # Two reading threads may bring a record of the next round before the last one of this.
        lengths = sorted(int(n) for batch in weights for n in batch.reshape(8, -1).sum(1))
        if lengths == sorted(len(ids) - 1 for ids in captions_of_records()):
            return {"perplexity": written.value.simple_value, "words": words, "sequences": RECORDS,
                    "sumOfLosses": float(sum(np.sum(losses * weights) for losses, weights in sums[1:]))}
    raise RuntimeError("no round of evaluate.py took each record once")


if __name__ == "__main__":
    wanted = sys.argv[2:] or ["training", "beam-search", "images", "perplexity"]
    shape = {"size": SIZE, "multiplier": MULTIPLIER, "E": E, "U": U, "V": V}
    write_words()
    write_large()
    if "training" in wanted:
        write("training.json", {
            "shape": {**shape, "B": B, "T": T, "lengths": LENGTHS, "rate": RATE, "featureKeep": FEATURE_KEEP},
            "cases": [training(False, 100.0, 3), training(False, 0.5, 3), training(True, 5.0, 1)]})
    if "beam-search" in wanted:
        write("beam-search.json", {"shape": shape, **chain_searches(), "model": model_searches()})
    if "images" in wanted:
        write("images.json", images())
    if "perplexity" in wanted:
        write_records()
        write("perplexity.json", {"shape": shape, **perplexity()})
