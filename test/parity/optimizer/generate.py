"""What TensorFlow 1's optimizers, clipping and moving averages make of given gradients, for optimizer.test.ts.

The gradient of seq_embedding/map is rows of which each step touches few, given to TensorFlow dense: what RMSProp, Adam
and momentum keep of a row fades also in steps that do not touch it; Adagrad's sum of squares stays.

    python -m venv venv && venv/bin/pip install tensorflow-cpu==2.15.1
    venv/bin/python generate.py > optimizer.json
"""

import json

import numpy as np
import tensorflow as tf

tf.compat.v1.disable_eager_execution()
v1 = tf.compat.v1

STEPS, RATE, L2, DECAY = 4, 0.1, 0.00004, 0.9997

# Fields of the job's `optimizer`, and TensorFlow's optimizer of them.
OPTIMIZERS = [
    ({"name": "sgd"}, lambda: v1.train.GradientDescentOptimizer(RATE)),
    ({"name": "momentum", "momentum": 0.9}, lambda: v1.train.MomentumOptimizer(RATE, 0.9)),
    (
        {"name": "rmsprop", "decay": 0.9, "momentum": 0.9, "epsilon": 1.0},
        lambda: v1.train.RMSPropOptimizer(RATE, decay=0.9, momentum=0.9, epsilon=1.0),
    ),
    (
        {"name": "rmsprop", "decay": 0.7, "momentum": 0.0, "epsilon": 1e-3},
        lambda: v1.train.RMSPropOptimizer(RATE, decay=0.7, momentum=0.0, epsilon=1e-3),
    ),
    ({"name": "adam"}, lambda: v1.train.AdamOptimizer(RATE)),
    (
        {"name": "adam", "beta1": 0.8, "beta2": 0.95, "epsilon": 0.1},
        lambda: v1.train.AdamOptimizer(RATE, beta1=0.8, beta2=0.95, epsilon=0.1),
    ),
    ({"name": "adagrad"}, lambda: v1.train.AdagradOptimizer(RATE)),
    (
        {"name": "adagrad", "initialAccumulator": 1e-3},
        lambda: v1.train.AdagradOptimizer(RATE, initial_accumulator_value=1e-3),
    ),
]

random = np.random.RandomState(11)
SHAPES = {"conv/weights": (3, 5), "lstm/kernel": (4, 6), "seq_embedding/map": (6, 3)}
FIRST = {key: random.uniform(-1, 1, shape).astype(np.float32) for key, shape in SHAPES.items()}
GRADIENTS = [
    {key: random.uniform(-2, 2, shape).astype(np.float32) for key, shape in SHAPES.items()} for _ in range(STEPS)
]
for step, touched in zip(GRADIENTS, ([0, 2], [2, 3], [], [5])):
    step["seq_embedding/map"][[row for row in range(6) if row not in touched]] = 0
MOVING = np.array([0.0, 0.5, -3.0], np.float32)
BATCHES = [random.uniform(-5, 5, 3).astype(np.float32) for _ in range(STEPS)]


def run(fields, make, clip):
    with tf.Graph().as_default(), v1.Session() as session:
        variables = {key: v1.get_variable(key, initializer=value) for key, value in FIRST.items()}
        feeds = {key: v1.placeholder(tf.float32, shape) for key, shape in SHAPES.items()}
        loss_gradients = []
        for key, variable in variables.items():
            gradient = feeds[key]
            if key == "conv/weights":  # the gradient of slim's l2_regularizer, L2 * sum(w²) / 2
                gradient = gradient + tf.gradients(L2 * tf.nn.l2_loss(variable), variable)[0]
            loss_gradients.append(gradient)
        clipped, norm = tf.clip_by_global_norm(loss_gradients, clip)
        optimizer = make()
        update = optimizer.apply_gradients(zip(clipped, variables.values()))
        average = v1.get_variable("moving_mean", initializer=MOVING, trainable=False)
        batch = v1.placeholder(tf.float32, 3)
        from tensorflow.python.training.moving_averages import assign_moving_average

        move = assign_moving_average(average, batch, DECAY, zero_debias=False)
        session.run(v1.global_variables_initializer())
        norms = []
        for step in range(STEPS):
            feed = {feeds[key]: value for key, value in GRADIENTS[step].items()}
            value, _, _ = session.run([norm, update, move], {**feed, batch: BATCHES[step]})
            norms.append(float(value))
        last = {key: session.run(variable).ravel().tolist() for key, variable in variables.items()}
        last["moving_mean"] = session.run(average).tolist()
        # Under the names they have in TensorFlow's checkpoints.
        slots = {
            variable.op.name: np.ravel(session.run(variable)).tolist()
            for variable in v1.global_variables()
            if variable.op.name not in last
        }
    return {"optimizer": {**fields, "clip": clip}, "norms": norms, "last": last, "slots": slots}


def flat(tensors):
    return {key: value.ravel().tolist() for key, value in tensors.items()}


cases = [run(fields, make, clip) for fields, make in OPTIMIZERS for clip in (5.0, 1000.0)]
given = {
    "first": flat({**FIRST, "moving_mean": MOVING}),
    "gradients": [flat({**step, "moving_mean": batch}) for step, batch in zip(GRADIENTS, BATCHES)],
}
settings = {"rate": RATE, "l2": L2, "decay": DECAY}
print(json.dumps({"tensorflow": tf.__version__, **settings, **given, "cases": cases}))
