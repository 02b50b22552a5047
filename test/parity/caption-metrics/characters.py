#!/usr/bin/env python3
"""Prints packages/coordinator/src/evaluation/scores/character-ranges.ts: how the Penn Treebank tokeniser takes each character.

Needs: pycocoevalcap (1.2) and a Java runtime on PATH.
Usage: python characters.py > ../../../packages/coordinator/src/evaluation/scores/character-ranges.ts    (half a minute)

Each character beyond ASCII is tried within a word, between digits, after a contraction and alone; what comes out tells its kind.
"""
import os

os.environ["LC_ALL"] = "C.UTF-8"

from lines import tokenize_apart

LINE_ENDS = {0x2028, 0x2029}
TRIALS = ["{}", "a{}a", "1{}1", "n't{}"]
DIGITS36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def kind(char, alone, in_word, between_digits, after_contraction):
    """letter, mark (parts a digit from what follows), digit, sign (a token of its own) or None (dropped, or special)."""
    if alone == "":
        return None
    if " " in in_word:
        return "sign"
    if after_contraction.replace("\u03c2", "\u03c3") == "n't" + char.lower().replace("\u03c2", "\u03c3"):
        return "letter"
    return "mark" if " " in between_digits else "digit"


def base36(number):
    text = ""
    while True:
        text = DIGITS36[number % 36] + text
        number //= 36
        if number == 0:
            return text


def ranges(points):
    """Gap to the end of the range before, and how many more follow, both in base 36."""
    runs = []
    for point in points:
        if runs and runs[-1][1] == point - 1:
            runs[-1][1] = point
        else:
            runs.append([point, point])
    parts, end = [], 0
    for first, last in runs:
        parts.append(base36(first - end) + ("" if first == last else ":" + base36(last - first)))
        end = last
    return " ".join(parts)


def main():
    points = [p for p in range(0x80, 0x10000) if p not in LINE_ENDS and not 0xD800 <= p < 0xE000]
    found = tokenize_apart([trial.format(chr(p)) for p in points for trial in TRIALS])
    kinds = {"letter": [], "mark": [], "digit": [], "sign": []}
    for index, point in enumerate(points):
        which = kind(chr(point), *found[index * len(TRIALS):(index + 1) * len(TRIALS)])
        if which is not None:
            kinds[which].append(point)
    print("/**")
    print(" * Made by test/parity/caption-metrics/characters.py, which asks the Penn Treebank tokeniser itself: a Unicode of its own,")
    print(" * older than any Node's. In each list the gap to the last range's end and, after a colon, how many more follow; base 36.")
    print(" */")
    print("export const characterRanges = {")
    for name, members in kinds.items():
        print("  %s:\n    '%s'," % (name, ranges(members)))
    print("} as const;")


main()
