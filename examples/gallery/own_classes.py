"""
Figures 1, 8, 10 and 11: your own classes
=========================================

Section 4 of the paper: a linear classifier on the network's features knows classes that the network
was never trained on, and has class activation maps of them. Figure 11 is a detector of text. Here
it is learned from 40 pictures with words on them and 40 without, cut out of a few photographs; that
words are what the two differ in, nobody says.
"""

import tempfile
from pathlib import Path

import cv2
import free_pictures
import numpy as np

import cam
from cam.figures.drawing import save_sheet
from cam.figures.sheets import scenes_sheet
from cam.learning.learn import learn
from cam.pictures.reading import read_picture

random = np.random.default_rng(0)
WORDS = ("EXIT", "CAFE", "TAXI", "OPEN", "HOTEL", "STOP", "BAKERY", "MUSEUM")


def piece(name):
    """Return a random square of a photograph, 256×256."""
    picture = free_pictures.read(name)
    size = int(random.integers(180, 280))
    row = int(random.integers(0, picture.shape[0] - size + 1))
    column = int(random.integers(0, picture.shape[1] - size + 1))
    return cv2.resize(picture[row : row + size, column : column + size], (256, 256))


def with_words(picture):
    """Return a picture with a word on a board somewhere, and where its middle is."""
    word = str(random.choice(WORDS))
    (width, height), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, 1.2, 3)
    x, y = int(random.integers(10, 240 - width)), int(random.integers(20 + height, 240))
    board = [int(value) for value in random.integers(0, 256, 3)]
    ink = (0, 0, 0) if sum(board) > 380 else (255, 255, 255)
    written = picture.copy()
    cv2.rectangle(written, (x - 8, y - height - 10), (x + width + 8, y + 12), board, -1)
    cv2.putText(written, word, (x, y), cv2.FONT_HERSHEY_DUPLEX, 1.2, ink, 3)
    return written, (x + width // 2, y - height // 2)


def write(folder, names, count):
    """Write pictures of both classes, a folder each; return where the words are."""
    places = {}
    for kind in ("text", "no text"):
        (folder / kind).mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(folder / "no text" / f"{number}.png"), piece(random.choice(names)))
        written, place = with_words(piece(random.choice(names)))
        path = folder / "text" / f"{number}.png"
        cv2.imwrite(str(path), written)
        places[path] = place
    return places


# %%
# Pictures to learn from and pictures to be tested on are pieces of different photographs.

folder = Path(tempfile.mkdtemp())
write(folder / "train", ("coffee", "palace", "rocket"), 40)
places = write(folder / "test", ("cat", "flower", "astronaut"), 20)

learned = learn(cam.load(), folder / "train", folder / "detector", folder / "test")
print(f"right: {learned.evaluation.accuracy:.1%} of the pictures held out")

# %%
# What was learned is an ordinary network, and its maps lie on the words.

model = cam.load_files(learned.prototxt, learned.caffemodel)
results = {path: model.explain(path, placement="crop", classes=["text"]) for path in places}
file = folder / "words.png"
shown = [("text", results[path]) for path in list(places)[:8]]
save_sheet(scenes_sheet(shown, per_row=4), file)
free_pictures.show(read_picture(file))

# %%
# How often is the map's highest value within a third of the picture of the word's middle?

near = 0
for path, (x, y) in places.items():
    row, column = np.unravel_index(results[path].heat_maps[0].argmax(), (256, 256))
    near += np.hypot(row - y, column - x) < 256 / 3
print(f"{near} of {len(places)}")

# %%
# From the command line:
#
# .. code-block:: sh
#
#    cam learn train/ --test test/ -o detector
#    cam run sign.jpg --prototxt detector/deploy.prototxt --weights detector/weights.caffemodel
