"""Values for image.test.ts: im2txt's image processing as TensorFlow computes it, on small pictures with fixed draws.

    python -m venv VENV && VENV/bin/pip install tensorflow-cpu==2.21.0 && VENV/bin/python generate.py

Writes picture-*.jpg (drawn here, encoded by TensorFlow) and image.json: for each case its parameters and the float32
values as little-endian base64.
"""

import base64
import json
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

HERE = pathlib.Path(__file__).parent
tf.config.threading.set_intra_op_parallelism_threads(1)


def packed(values):
    return base64.b64encode(np.ascontiguousarray(values)).decode()


def scene(height, width, seed):
    """Gradients, saturated bars, greys and noise: every branch of the colour conversions is met."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    image = np.stack([255 * x / width, 255 * y / height, 127 + 127 * np.sin(x / 5 + y / 7)], -1)
    bars = np.array([[255, 0, 0], [255, 255, 0], [0, 255, 0], [0, 255, 255], [0, 0, 255], [255, 0, 255], [0, 0, 0], [255, 255, 255], [128, 128, 128]])
    band = height // 3
    image[:band] = bars[(x[:band] * len(bars) / width).astype(int)]
    image[band : band + band // 2] += draw.normal(0, 60, (band // 2, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def process(jpeg, resized, top, left, side, mirror, colors):
    image = tf.io.decode_jpeg(jpeg, channels=3)
    image = tf.image.convert_image_dtype(image, tf.float32)
    image = tf.compat.v1.image.resize_bilinear(image[None], [resized, resized], align_corners=False)[0]
    image = image[top : top + side, left : left + side]
    if mirror:
        image = tf.image.flip_left_right(image)
    for name, value in colors:
        if name == "brightness":
            image = tf.image.adjust_brightness(image, value)
        if name == "saturation":
            image = tf.image.adjust_saturation(image, value)
        if name == "hue":
            image = tf.image.adjust_hue(image, value)
        if name == "contrast":
            image = tf.image.adjust_contrast(image, value)
    if colors:
        image = tf.clip_by_value(image, 0.0, 1.0)
    return tf.multiply(tf.subtract(image, 0.5), 2.0).numpy()


def main():
    pictures = {"wide": (48, 64, 1), "tall": (61, 37, 2), "tiny": (9, 7, 3)}
    decoded = {}
    for name, (height, width, seed) in pictures.items():
        jpeg = tf.io.encode_jpeg(scene(height, width, seed), quality=92).numpy()
        (HERE / f"picture-{name}.jpg").write_bytes(jpeg)
        decoded[name] = packed(tf.io.decode_jpeg(jpeg, channels=3).numpy())
    grey = tf.io.encode_jpeg(scene(20, 30, 4)[:, :, 1:2], format="grayscale", quality=90).numpy()
    (HERE / "picture-grey.jpg").write_bytes(grey)
    decoded["grey"] = packed(tf.io.decode_jpeg(grey, channels=3).numpy())

    early = [["brightness", 0.1], ["contrast", 1.4], ["saturation", 1.45], ["hue", 0.031]]
    late = [["brightness", -0.12], ["saturation", 0.55], ["hue", -0.032], ["contrast", 0.6]]
    vivid = [["brightness", -0.12], ["contrast", 1.5], ["saturation", 1.5], ["hue", 0.02]]
    cases = []
    for picture, resized, top, left, side, mirror, colors in [
        ("wide", 40, 5, 5, 30, False, []),
        ("wide", 40, 0, 10, 30, True, []),
        ("tall", 46, 8, 8, 30, False, []),
        ("tall", 30, 0, 0, 30, False, []),
        ("tiny", 40, 3, 7, 30, True, []),
        ("grey", 33, 1, 1, 30, False, []),
        ("wide", 40, 2, 9, 30, True, early),
        ("tall", 40, 7, 1, 30, False, late),
        ("wide", 48, 9, 9, 30, False, vivid),
        ("tiny", 40, 0, 0, 30, False, early),
        ("grey", 40, 4, 4, 30, True, late),
    ]:
        jpeg = (HERE / f"picture-{picture}.jpg").read_bytes()
        values = process(jpeg, resized, top, left, side, mirror, colors)
        cases.append(
            {
                "picture": picture,
                "resized": resized,
                "crop": {"top": top, "left": left, "side": side, "mirror": mirror},
                "colors": colors,
                "values": packed(values.astype("<f4")),
            }
        )
    text = json.dumps({"tensorflow": tf.__version__, "decoded": decoded, "cases": cases}, indent=1)
    (HERE / "image.json").write_text(text + "\n")


main()
