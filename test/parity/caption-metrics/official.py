"""Scores of the official tools for files in COCO's formats: official.py ANNOTATIONS RESULTS [--seconds]

Prints {"eval": {...}, "evalImgs": [...]}, as COCOEvalCap makes them but for SPICE; METEOR where it is not left out by
--seconds, for timing: "loading" is reading and indexing the files, "scoring" tokenising, BLEU, ROUGE-L and CIDEr.
"""
import contextlib
import io
import json
import sys
import time

from pycocoevalcap import eval as official
from pycocotools.coco import COCO

annotations, results, *options = sys.argv[1:]


class Omitted:
    """Stands where a scorer is not wanted: no scores of no images."""

    def method(self):
        return "nothing"

    def compute_score(self, gts, res):
        return 0.0, []


official.Spice = Omitted
if "--seconds" in options:
    official.Meteor = Omitted

with contextlib.redirect_stdout(io.StringIO()):
    begin = time.perf_counter()
    coco = COCO(annotations)
    found = coco.loadRes(results)
    start = time.perf_counter()
    evaluation = official.COCOEvalCap(coco, found)
    evaluation.params["image_id"] = found.getImgIds()
    evaluation.evaluate()
    end = time.perf_counter()

del evaluation.eval["SPICE"]
if "--seconds" in options:
    del evaluation.eval["METEOR"]
numbers = {name: float(value) for name, value in evaluation.eval.items()}
images = [{name: value if name == "image_id" else float(value) for name, value in image.items()} for image in evaluation.evalImgs]
seconds = {"loading": start - begin, "scoring": end - start}
print(json.dumps({"seconds": seconds, "eval": numbers, "evalImgs": images}))
