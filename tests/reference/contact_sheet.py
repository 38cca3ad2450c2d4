"""torchvision's contact sheet with the parameters of e2mc-data's, and the difference of the two.

    cargo run --release -p e2mc-data --example contact_sheet -- FOLDER vicreg sheet
    python tests/reference/contact_sheet.py FOLDER sheet

Reads sheet.json and sheet.png, writes sheet-torchvision.png. Pinned: Pillow 13.0.0, torchvision
0.29.2.
"""
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import views

SIDE, GAP = 8, 4
folder, name = Path(sys.argv[1]), sys.argv[2]
crops = json.loads(Path(f"{name}.json").read_text())
ours = np.asarray(Image.open(f"{name}.png")).astype(int)
cell = (ours.shape[0] - (SIDE + 1) * GAP) // SIDE
sheet = np.full_like(ours, 255)
for number, crop in enumerate(crops):
    image = np.asarray(views.apply(Image.open(folder / crop["file"]).convert("RGB"), crop["view"]))
    top, left = (GAP + i * (cell + GAP) for i in divmod(number, SIDE))
    sheet[top:top + image.shape[0], left:left + image.shape[1]] = image
Image.fromarray(sheet.astype(np.uint8)).save(f"{name}-torchvision.png")
difference = np.abs(sheet - ours)
print(len(crops), "crops, greatest difference", difference.max(), "in", np.count_nonzero(difference), "values")
