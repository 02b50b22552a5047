"""What TensorFlow's optimizers, clipping and moving averages make of given gradients, for optimizer.test.ts.

    python -m venv venv && venv/bin/pip install tensorflow-cpu==2.15.1
    venv/bin/python generate.py > optimizer.json
"""

import json

import numpy as np
import tensorflow as tf

tf.compat.v1.disable_eager_execution()
v1 = tf.compat.v1

STEPS, RATE, MOMENTUM, L2, DECAY = 4, 0.1, 0.9, 0.00004, 0.9997


def run(name, clip):
    random = np.random.RandomState(11)
    shapes = {"conv/weights": (3, 5), "lstm/kernel": (4, 6)}
    first = {key: random.uniform(-1, 1, shape).astype(np.float32) for key, shape in shapes.items()}
    gradients = [
        {key: random.uniform(-2, 2, shape).astype(np.float32) for key, shape in shapes.items()} for _ in range(STEPS)
    ]
    moving = np.array([0.0, 0.5, -3.0], np.float32)
    batches = [random.uniform(-5, 5, 3).astype(np.float32) for _ in range(STEPS)]
    with tf.Graph().as_default(), v1.Session() as session:
        variables = {key: v1.get_variable(key, initializer=value) for key, value in first.items()}
        feeds = {key: v1.placeholder(tf.float32, shape) for key, shape in shapes.items()}
        loss_gradients = []
        for key, variable in variables.items():
            gradient = feeds[key]
            if key == "conv/weights":  # the gradient of slim's l2_regularizer, L2 * sum(w²) / 2
                gradient = gradient + tf.gradients(L2 * tf.nn.l2_loss(variable), variable)[0]
            loss_gradients.append(gradient)
        clipped, norm = tf.clip_by_global_norm(loss_gradients, clip)
        optimizer = (
            v1.train.GradientDescentOptimizer(RATE) if name == "sgd" else v1.train.MomentumOptimizer(RATE, MOMENTUM)
        )
        update = optimizer.apply_gradients(zip(clipped, variables.values()))
        average = v1.get_variable("moving_mean", initializer=moving, trainable=False)
        batch = v1.placeholder(tf.float32, 3)
        from tensorflow.python.training.moving_averages import assign_moving_average

        move = assign_moving_average(average, batch, DECAY, zero_debias=False)
        session.run(v1.global_variables_initializer())
        norms = []
        for step in range(STEPS):
            feed = {feeds[key]: value for key, value in gradients[step].items()}
            value, _, _ = session.run([norm, update, move], {**feed, batch: batches[step]})
            norms.append(float(value))
        last = {key: session.run(variable).ravel().tolist() for key, variable in variables.items()}
        last["moving_mean"] = session.run(average).tolist()
    first["moving_mean"] = moving
    return {
        "optimizer": name,
        "clip": clip,
        "first": {key: value.ravel().tolist() for key, value in first.items()},
        "gradients": [
            {**{key: value.ravel().tolist() for key, value in step.items()}, "moving_mean": batches[i].tolist()}
            for i, step in enumerate(gradients)
        ],
        "norms": norms,
        "last": last,
    }


cases = [run(name, clip) for name in ("sgd", "momentum") for clip in (5.0, 1000.0)]
settings = {"rate": RATE, "momentum": MOMENTUM, "l2": L2, "decay": DECAY}
print(json.dumps({"tensorflow": tf.__version__, **settings, "cases": cases}))
