"""Single images: JPEG, PNG and their like, grey or in colour."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from echosyn.data.frames import Frames
from echosyn.errors import DataError
from echosyn.files import whole

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def files(folder: Path) -> list[Path]:
    """The images of a folder in the order of their names as text, as StyleGAN-V's program has them."""
    return sorted(path for path in folder.iterdir() if is_image(path))


def is_image(path: Path) -> bool:
    """Whether a file is named like an image (hidden ones are not)."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()


def read(path: Path) -> Frames:
    """An image as uint8, ``(H, W)`` if it is grey, else ``(H, W, 3)``.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with Image.open(path) as image:
            return np.array(image.convert("L" if image.mode in ("L", "1") else "RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{path}: no readable image; write it again or remove it") from error


def write(path: Path, image: Frames) -> None:
    """Write uint8 ``(H, W)`` or ``(H, W, 3)``, whole or not at all; JPEG in its highest quality, which is not lossless."""
    with whole(path) as temporary:
        save(temporary, image, path.suffix)


def save(path: Path, image: Frames, suffix: str) -> None:
    """Write an image whose format is that of a suffix, whatever the file is called."""
    kind = "JPEG" if suffix in (".jpg", ".jpeg") else "PNG"
    Image.fromarray(image).save(path, format=kind, **({"quality": 100} if kind == "JPEG" else {}))
