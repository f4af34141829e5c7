"""How well the sector is found and text inside of it is read, on phantoms on a scanner's screen: prints one JSON object.

    python benchmarks/deidentification.py --num 32 --seed 7919
    python benchmarks/deidentification.py --num 30 --seed 7919 --ocr

Half of the phantoms are A4C, half PSAX. With ``--ocr`` a patient id of ten digits is written over the tissue of five
frames, once in every size and brightness; a cine counts as flagged if `echosyn.data.dicom.text` finds text in it. Needs the
extras dicom and, for ``--ocr``, deid.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import hospital
from echosyn.data.dicom import overlay, sector, text

SIZES = (10, 14, 20)
"""Font sizes in pixels; the sector is up to 448 pixels high."""
LEVELS = (120, 255)
"""Grey levels of the letters."""


def shown(number, seed, num_frames):
    """A phantom's screen; even numbers are A4C."""
    view = ("A4C", "PSAX")[number % 2]
    return hospital.screen(number, hospital.person(number), seed=seed, view=view, num_frames=num_frames)


def overlap(screen):
    """IoU of the found sector with the true one."""
    box = np.s_[hospital.TOP - 12 : hospital.TOP + 457, hospital.LEFT - 8 : hospital.LEFT + 457]
    frames = screen.frames[:, *box]
    colour = np.stack([overlay.coloured(frame) for frame in frames])
    grey = frames.astype(np.float32).mean(-1).round().astype(np.uint8)
    mask, _ = sector.find(sector.activity(grey, colour), alone=True)
    truth = screen.sector[box]
    return float((mask & truth).sum() / (mask | truth).sum())


def written(tissue, mask, words, size, level, font):
    """Grey ``tissue (T, H, W)`` with words near the middle of the sector in five of the frames."""
    rows, columns = np.nonzero(mask)
    frames = tissue.copy()
    for t in range(len(frames) // 3, len(frames) // 3 + 5):
        image = Image.fromarray(frames[t])
        place = (int(columns.mean()) - 3 * size, int(rows.mean()))
        ImageDraw.Draw(image).text(place, words, level, ImageFont.truetype(font, size))
        frames[t] = np.asarray(image)
    return frames


def read(screen, number):
    """Which of the sizes and levels are flagged, and whether the same cine without text is."""
    rows, columns = np.nonzero(screen.sector)
    box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    mask = screen.sector[box]
    tissue = (screen.frames.max(-1) * screen.sector)[:, *box].astype(np.uint8)
    font = hospital.FONTS[number % len(hospital.FONTS)]
    words = hospital.person(number).id
    found = {
        f"{size} px, level {level}": text.found(written(tissue, mask, words, size, level, font))
        for size in SIZES
        for level in LEVELS
    }
    return found | {"no text": text.found(tissue)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7919)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--ocr", action="store_true")
    arguments = parser.parse_args()
    began = time.process_time()
    screens = (shown(number, arguments.seed, arguments.frames) for number in range(arguments.num))
    result = {}
    if arguments.ocr:
        read_by_cine = [read(screen, number) for number, screen in enumerate(screens)]
        result["flagged"] = {kind: sum(found[kind] for found in read_by_cine) for kind in read_by_cine[0]}
    else:
        found = [overlap(screen) for screen in screens]
        result |= {view: spread(found[i::2]) for i, view in enumerate(("A4C", "PSAX"))}
    print(json.dumps(vars(arguments) | result | {"cpu_s": round(time.process_time() - began)}, indent=2))


def spread(values):
    """Least and median, rounded."""
    return {"n": len(values), "min": round(min(values), 3), "median": round(float(np.median(values)), 3)}


if __name__ == "__main__":
    main()
