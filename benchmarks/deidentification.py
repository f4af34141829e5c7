"""How well the sector is found and text inside of it is read, on phantoms on a scanner's screen: prints one JSON object.

    python benchmarks/deidentification.py --num 32 --seed 7919
    python benchmarks/deidentification.py --num 30 --seed 7919 --ocr
    python benchmarks/deidentification.py --num 8 --seed 7919 --still

Half of the phantoms are A4C, half PSAX. With ``--ocr`` a patient id of ten digits is written over the tissue of five
frames, once in every size and brightness; a cine counts as flagged if `echosyn.data.dicom.text` finds text in it. With
``--still`` the id stands in all frames, stored as JPEG: printed are the share of its letters' pixels that are left, and the
share of the sector that is blackened where there is no text. Needs the extras dicom and, for ``--ocr``, deid.
"""

import argparse
import io
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


def written(tissue, mask, words, size, level, font, *, still=False):
    """Grey ``tissue (T, H, W)`` with words near the middle of the sector in five of the frames, or in all."""
    rows, columns = np.nonzero(mask)
    frames = tissue.copy()
    for t in range(len(frames)) if still else range(len(frames) // 3, len(frames) // 3 + 5):
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


def left(screen, number):
    """Share of the pixels of letters that are left, for each size and level; and of the sector that is blackened without any."""
    box = np.s_[hospital.TOP - 12 : hospital.TOP + 457, hospital.LEFT - 8 : hospital.LEFT + 457]
    tissue, mask = (screen.frames.max(-1) * screen.sector)[:, *box].astype(np.uint8), screen.sector[box]
    font, words = hospital.FONTS[number % len(hospital.FONTS)], hospital.person(number).id
    _, moving = sector.find(sector.activity(tissue), alone=True)
    found = {"no text": overlay.without_marks(stored(tissue), mask, moving, None)[1]}
    for size in SIZES:
        letters = written(np.zeros_like(tissue[:1]), mask, words, size, 255, font, still=True)[0] > 127
        for level in (90, *LEVELS):
            shown_ = stored(written(tissue, mask, words, size, level, font, still=True))
            clean, _ = overlay.without_marks(shown_, mask, moving, None)
            found[f"{size} px, level {level}"] = float((clean[:, letters & mask] > 0).mean())
    return found


def stored(frames):
    """Frames as a scanner's JPEG keeps them."""

    def one(frame):
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=85)
        return np.asarray(Image.open(buffer))

    return np.stack([one(frame) for frame in frames])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7919)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--ocr", action="store_true")
    parser.add_argument("--still", action="store_true")
    arguments = parser.parse_args()
    began = time.process_time()
    screens = (shown(number, arguments.seed, arguments.frames) for number in range(arguments.num))
    result = {}
    if arguments.ocr:
        read_by_cine = [read(screen, number) for number, screen in enumerate(screens)]
        result["flagged"] = {kind: sum(found[kind] for found in read_by_cine) for kind in read_by_cine[0]}
    elif arguments.still:
        found = [left(screen, number) for number, screen in enumerate(screens)]
        result["left"] = {kind: round(float(np.mean([one[kind] for one in found])), 4) for kind in found[0]}
    else:
        found = [overlap(screen) for screen in screens]
        result |= {view: spread(found[i::2]) for i, view in enumerate(("A4C", "PSAX"))}
    print(json.dumps(vars(arguments) | result | {"cpu_s": round(time.process_time() - began)}, indent=2))


def spread(values):
    """Least and median, rounded."""
    return {"n": len(values), "min": round(min(values), 3), "median": round(float(np.median(values)), 3)}


if __name__ == "__main__":
    main()
