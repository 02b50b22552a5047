"""Seconds a picture that Pillow takes to decode and resize JPEGs to 346 x 346, one thread: decode_pillow.py SECONDS FILE..."""

import io
import sys
import time

from PIL import Image

seconds = float(sys.argv[1])
pictures = [open(name, "rb").read() for name in sys.argv[2:]]


def once():
    for data in pictures:
        image = Image.open(io.BytesIO(data))
        image.load()
        image.resize((346, 346), Image.BILINEAR)


once()
start = time.perf_counter()
rounds = 0
while time.perf_counter() - start < seconds:
    once()
    rounds += 1
print((time.perf_counter() - start) / (rounds * len(pictures)))
