"""Writes word-tokenizer.json: captions and their words by nltk.tokenize.word_tokenize(caption.lower()), as im2txt calls it.

    python3 -m venv VENV && VENV/bin/pip install -r test/parity/nltk/requirements.txt
    VENV/bin/python test/parity/nltk/generate.py
"""

import json
import os
import pathlib
import random
import tempfile

HERE = pathlib.Path(__file__).parent


def install_model(folder: pathlib.Path) -> None:
    """Lays the English Punkt model out as NLTK's data package "punkt_tab" has it."""
    from punkt.data import english as model

    target = folder / "tokenizers" / "punkt_tab" / "english"
    target.mkdir(parents=True)
    (target / "abbrev_types.txt").write_text("\n".join(sorted(model.ABBREV_TYPES)))
    (target / "sent_starters.txt").write_text("\n".join(sorted(model.SENT_STARTERS)))
    (target / "collocations.tab").write_text("\n".join("\t".join(pair) for pair in sorted(model.COLLOCATIONS)))
    (target / "ortho_context.tab").write_text(
        "\n".join(f"{word}\t{flags}" for word, flags in sorted(model.ORTHO_CONTEXT.items()))
    )


WRITTEN = [
    # as COCO's annotators write
    "A man riding a wave on top of a surfboard.",
    "a bathroom with a toilet, sink and shower",
    "Two dogs are playing with a frisbee in the grass.  ",
    "The cat's toy isn't on the table.",
    'A sign that says "black" and "white".',
    "A plate of food: rice, beans & a tortilla; it's 5:30 p.m.",
    "An old-fashioned clock reads 10:45.",
    "a stop sign at the corner of 5th ave. and main st. in the city",
    "Dr. Smith and Mr. Jones eat at St. John's.",
    "People ride elephants... in the water.",
    "A kid's birthday cake (with candles) on a table",
    "Cars parked outside the U.S. Capitol. People walk by.",
    "A man in a suit. He is smiling. The end",
    "Wow! What a view! A mountain.",
    "What is this? a cat?",
    "A group of people who can't swim, won't swim, didn't swim and shouldn't've swum",
    "cannot gonna wanna gotta lemme gimme d'ye more'n 'tis 'twas wanna",
    "I'm sure they're here; we've seen it, she'll come, he'd go, let's see",
    "the dogs' bowls and the boss's chair",
    "A $100 bill, 50% off, #1 fan @ home * star",
    "A cow -- brown and white -- in a field",
    "A pizza with pepperoni, olives,and peppers",
    "a 3.5 inch floppy disk, 1,000 of them",
    "no. 5 bus on route 66. a driver waves",
    "A train at platform 2. it leaves at 9.",
    "a b. smith sign near j. aron and b. the end",
    "‘quoted’ and “double quoted” and «angled» „low“",
    "a long dash \u2014 and a short one \u2013 here",
    "ellipsis\u2026 and .. two and .... four",
    "He said \"stop!\" and left.",
    "(A man sits.) A dog stands.",
    "[sic] {curly} <angle> a > b",
    "'single quotes' around 'em",
    "``tex quotes''",
    "mid-air jump, t-shirt, x-ray, up-to-date",
    "caf\u00e9 cr\u00e8me na\u00efve r\u00e9sum\u00e9 \u5bff\u53f8",
    "word.word no space.after",
    "A hydrant.A dog.",
    "3 cats, 2 dogs, and 1.5 birds.",
    "end with abbreviation u.s.",
    "end with etc.",
    "multiple   spaces\tand\nnewlines  here .",
    "a.m. and p.m. times at 5 a.m. sharp",
    "?", "!", ".", "...", "'", '"', "", "   ", ",", "-", "--", "a", "''", "`", "a.", "a. b. c.", "1. 2. 3.",
    "A person's arm; a dog's paw: 'that' is \"it\"!",
    "Two men's and three women's bikes?!",
    "A fire truck, no.7, parked.",
    "The sign reads: \"don't walk.\"",
    "the sign reads 'don't walk.'",
    "The word \"stop.\" is written. on a sign",
    "a double decker bus.. moving down the street.",
    "A couple of zebras standing  next to each other .",
    "a red, white, and blue kite flies over the u.s.a. today",
    "co. ltd. inc. jan. feb. mar. apr. and so on.",
    "o'clock rock'n'roll y'all ma'am",
    "it's 'is 'er 'll 've 're",
    "1,2 3, 4 :5 6:7 :a b: c",
    "this,that;those:these",
    "50mm 4x4 24/7 w/ w/o &c",
    "e.g. this i.e. that vs. them",
    "e-mail me@home.com or http://www.a.com/b?c=d&e=f.",
    "a\u00a0non breaking space",
    "UPPER CASE WORDS. AND MORE.",
    "\u0130stanbul stra\u00dfe \u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3",
    "a cat?a dog!a bird",
    "wait...what? ok... sure",
    "x.y. z",
    "the no. 23. it is late",
    "item 5. administrators came",
    "(a) first; (b) second.",
    "\"a.\" \"b.\" 'c.' d.",
    "she said, \"hi.\" then left",
    "a man .a woman",
    "' leading quote", "trailing quote '", "\" leading", "trailing \"",
    "a 'n' b", "the '90s", "rock 'n roll", "'s 'm 't",
]

PIECES = (
    "a the cat dog man's isn't can't cannot gonna wanna it's they're we'll i'd more'n 'tis 'twas mr. mrs. dr. st. u.s. "
    "etc. p.m. a.m. no. 5 5. 3.5 10:30 1,000 1st 50% $5 #2 & * @ -- - ... .. . , ; : ? ! ?! ' \" '' `` ` ( ) [ ] { } < > "
    "“ ” ‘ ’ « » — – x-ray t-shirt red. blue, green; stop! what? b. j. i. o. smith levine aron who\tnew\nline café the. "
    "(sign) \"stop\" 'go' end.) .\" !' co. jan. ave. 'em d'ye lemme gimme gotta dogs' ‘q’ …"
).split(" ")


def cases():
    yield from WRITTEN
    stream = random.Random(20150417)
    for _ in range(700):
        words = [stream.choice(PIECES) for _ in range(stream.randint(1, 14))]
        yield "".join(word + stream.choice([" ", " ", " ", " ", "", "  "]) for word in words)
    for _ in range(300):
        yield "".join(stream.choice("ab1.,'\"?!:;-()[] `s&$…  ") for _ in range(stream.randint(1, 24)))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        install_model(pathlib.Path(folder))
        os.environ["NLTK_DATA"] = folder
        import nltk

        nltk.data.path[:] = [folder]
        rows = [{"caption": text, "words": nltk.tokenize.word_tokenize(text.lower())} for text in cases()]
    lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows)
    (HERE / "word-tokenizer.json").write_text(f"[\n{lines}\n]\n")


main()
