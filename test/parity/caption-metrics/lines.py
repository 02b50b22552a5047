"""pycocoevalcap's tokeniser over many lines in one run of its jar, for the scripts beside this file."""
import os
import subprocess
import tempfile

from pycocoevalcap.tokenizer import ptbtokenizer

JAR = os.path.join(os.path.dirname(ptbtokenizer.__file__), ptbtokenizer.STANFORD_CORENLP_3_4_1_JAR)
REMOVED = set(ptbtokenizer.PUNCTUATIONS)
ORDINARY = "a b"


def tokenize_stream(lines):
    """The lines as one stream, as `PTBTokenizer.tokenize` sends them; one tokenised string a line."""
    with tempfile.NamedTemporaryFile("wb", delete=False) as file:
        file.write("\n".join(line.replace("\n", " ") for line in lines).encode("utf-8"))
    try:
        run = subprocess.run(
            ["java", "-Xmx1g", "-cp", JAR, "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase", file.name],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    finally:
        os.unlink(file.name)
    out = run.stdout.decode("utf-8").split("\n")[:len(lines)]
    return [" ".join(word for word in line.rstrip().split(" ") if word not in REMOVED) for line in out]


def tokenize_apart(lines):
    """Each line followed by an ordinary one, so that none depends on its neighbour."""
    woven = [text for line in lines for text in (line, ORDINARY)]
    out = tokenize_stream(woven)
    assert all(text == ORDINARY for text in out[1::2]), "a line was split or joined"
    return out[0::2]
