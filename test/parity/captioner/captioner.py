"""A captioner of im2txt's on each of the encoders, in inference mode, and checkpoints of it as TensorFlow writes them.

    python captioner.py JOB.json

JOB.json: {size, resize, multiplier, epsilon, words, captions, beam, maxLength, pictures, encoders}. `pictures` are JPEG
files, `captions` lists of word ids from <S> on; each of `encoders` is {name, exported, out, variants}: a folder with a
checkpoint that is loaded by tf.train.load_checkpoint into the graph, a folder for checkpoints of values drawn and
trained here, and whether they are written in unusual forms too. Prints an object: for each encoder `exported` and
`trained`, what the graph computes with either's values, and the paths of the checkpoints written.

The graph is written after im2txt's show_and_tell_model.py, image_embedding.py, image_processing.py and
inference_wrapper.py; nothing in it is showtell's.
"""

import json
import os
import sys
import zlib

import nets
import numpy as np
from nets import assign, slim, tf

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from beam_search import search, words_of
from forms import write_forms, write_slim, write_variants

STEPS = 3


def preprocess(jpeg, size, resize):
    """image_processing.py's process_image for evaluation."""
    image = tf.image.convert_image_dtype(tf.image.decode_jpeg(jpeg, channels=3), tf.float32)
    image = tf.image.resize_images(image, [resize, resize], method=tf.image.ResizeMethod.BILINEAR)
    image = tf.image.resize_image_with_crop_or_pad(image, size, size)
    return (image - 0.5) * 2


class Captioner:
    """The graph of one encoder; weights are what is loaded into its variables."""

    def __init__(self, name, job):
        self.name, self.job = name, job
        self.words = words_of(job["words"])
        E, U, V = job["decoder"]
        size = job["size"]
        self.images = tf.placeholder(tf.float32, [None, size, size, 3])
        self.features = nets.features(name, self.images, job["multiplier"], job["epsilon"])
        uniform = tf.random_uniform_initializer(-0.08, 0.08)
        with tf.variable_scope("image_embedding") as scope:
            image = slim.fully_connected(self.features, E, activation_fn=None, weights_initializer=uniform,
                                         biases_initializer=None, scope=scope)
        with tf.variable_scope("seq_embedding"):
            table = tf.get_variable("map", [V, E], initializer=uniform)
        self.last = tf.placeholder(tf.int64, [None])
        self.state = tf.placeholder(tf.float32, [None, 2 * U])
        self.sequences = tf.placeholder(tf.int64, [None, None])
        cell = tf.nn.rnn_cell.BasicLSTMCell(U, state_is_tuple=True)
        with tf.variable_scope("lstm", initializer=uniform) as scope:
            zero = cell.zero_state(tf.shape(self.images)[0], tf.float32)
            _, first = cell(image, zero)
            scope.reuse_variables()
            self.first = tf.concat(first, 1)
            output, state = cell(tf.nn.embedding_lookup(table, self.last), tf.split(self.state, 2, 1))
            self.next = tf.concat(state, 1)
            inputs = tf.nn.embedding_lookup(table, self.sequences[:, :-1])
            outputs, _ = tf.nn.dynamic_rnn(cell, inputs, initial_state=first, scope=scope)
        with tf.variable_scope("logits") as scope:
            project = lambda x: slim.fully_connected(x, V, activation_fn=None, weights_initializer=uniform, scope=scope)
            self.probabilities = tf.nn.softmax(project(output))
            scope.reuse_variables()
            logits = tf.reshape(project(tf.reshape(outputs, [-1, U])), [tf.shape(outputs)[0], -1, V])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=self.sequences[:, 1:], logits=logits)
        self.logprobs, self.loss = -losses, tf.reduce_mean(losses)
        self.variables = tf.global_variables()
        config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        self.session = tf.Session(config=config)
        self.pictures = self.read(size, job["resize"])

    def read(self, size, resize):
        """The pictures as an encoder of that size sees them, [N, S, S, 3]."""
        return self.session.run(tf.stack([preprocess(tf.io.read_file(path), size, resize) for path in self.job["pictures"]]))

    def load(self, folder):
        """Every variable, and nothing but them and the step, stands in the checkpoint."""
        reader = tf.train.load_checkpoint(folder)
        found = reader.get_variable_to_shape_map()
        assert set(found) == {v.op.name for v in self.variables} | {"global_step"}, set(found)
        assign(self.session, [(v, reader.get_tensor(v.op.name)) for v in self.variables])
        return int(reader.get_tensor("global_step"))

    def draw(self):
        assign(self.session, [(v, drawn(v.op.name, v.shape.as_list())) for v in self.variables])

    def round_to_half(self):
        values = [value.astype(np.float16).astype(np.float32) for value in self.session.run(self.variables)]
        assign(self.session, zip(self.variables, values))

    def computed(self):
        """Features of the pictures, logarithms of each word's probability in each caption, captions by beam search."""
        features, states = self.session.run([self.features, self.first], {self.images: self.pictures})
        logprobs = [[self.session.run(self.logprobs, {self.images: picture[None], self.sequences: [caption]})[0].tolist()
                     for caption in self.job["captions"]] for picture in self.pictures]

        def step(words, state):
            return self.session.run([self.probabilities, self.next], {self.last: words, self.state: state})

        captions = [search(step, states[i : i + 1], self.words, self.job["beam"], self.job["maxLength"])
                    for i in range(len(states))]
        return {"features": features.tolist(), "logprobs": logprobs, "captions": captions}

    def train(self):
        """Steps of the decoder by RMSProp, clipped as im2txt clips, on the captions; slots and shadows come of it."""
        decoder = [v for v in tf.trainable_variables() if not v.op.name.startswith("Inception")]
        step = tf.get_variable("global_step", initializer=np.int64(2_000_000), trainable=False)
        gradients, _ = tf.clip_by_global_norm([tf.convert_to_tensor(g) for g in tf.gradients(self.loss, decoder)], 5.0)
        averages = tf.train.ExponentialMovingAverage(0.999, step)
        with tf.variable_scope("OptimizeLoss"):
            train = tf.train.RMSPropOptimizer(0.01, momentum=0.9).apply_gradients(zip(gradients, decoder), step)
            # Some of the encoder's, with Momentum's slots: all of them take a minute to build.
            rest = [v for v in tf.trainable_variables() if v.op.name.startswith("Inception")][:9]
            still = tf.train.MomentumOptimizer(0.0, 0.9).apply_gradients([(tf.zeros_like(v), v) for v in rest])
            tf.get_variable("learning_rate", initializer=0.01, trainable=False)
        with tf.control_dependencies([train, still]):
            train = averages.apply(decoder + rest)
        tf.get_variable("local_step", initializer=np.int32(STEPS), trainable=False)
        values = self.session.run(self.variables)
        self.session.run(tf.global_variables_initializer())
        assign(self.session, zip(self.variables, values))
        caption = self.job["captions"][0]
        feed = {self.images: self.pictures[:1], self.sequences: [caption]}
        losses = [self.session.run([train, self.loss], feed)[1] for _ in range(STEPS)]
        return [float(loss) for loss in losses]


def drawn(name, shape):
    """Values of a variable from its name: features that tell pictures apart, words of unlike likelihood."""
    u = np.random.default_rng(zlib.crc32(name.encode())).random(shape)
    if name.endswith("moving_variance"):
        return (0.5 + u).astype(np.float32)
    if name.startswith("Inception"):
        scale = np.sqrt(6.0 / np.prod(shape[:-1])) if name.endswith("weights") else 0.2
    else:
        scale = 2 if name == "logits/weights" else 0.5
    return ((2 * u - 1) * scale).astype(np.float32)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    results = {}
    for encoder in job["encoders"]:
        name, out = encoder["name"], encoder["out"]
        with tf.Graph().as_default():
            captioner = Captioner(name, job)
            result = {"step": captioner.load(encoder["exported"]), "exported": captioner.computed()}
            if encoder.get("onlyExported"):
                results[name] = result
                continue
            captioner.draw()
            result["losses"] = captioner.train()
            result["trained"] = captioner.computed()
            result["forms"] = write_forms(captioner, out)
            if encoder["variants"]:
                result["variants"] = write_variants(captioner, out)
                captioner.round_to_half()
                result["half"] = captioner.computed()
                result["slim"] = write_slim(out, captioner.read(139, 160), drawn)
            captioner.session.close()
        results[name] = result
    print(json.dumps({"encoders": results}))


main()
