"""One image file into an array of bytes: PNG, JPEG, TIFF (8 and 16 bit, grey or colour), DICOM where pydicom is."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_PIXELS = 200_000_000  # a file that claims more is taken for a bomb

Pixels = npt.NDArray[np.uint8]


class Unreadable(Exception):
    """Why an image cannot be read, to be put behind "it is left out: "."""


def decoded(content: bytes, name: str) -> Pixels:
    """(height, width, 3) bytes. Grey becomes three equal channels, transparency lies on black; a picture that says how
    it was held is turned upright. Unreadable where the bytes are no image, or one of more than MOST_PIXELS."""
    if name.lower().endswith(".dcm"):
        return _dicom(content)
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image: Image.Image = Image.open(io.BytesIO(content))
            if image.width * image.height > MOST_PIXELS:
                raise Unreadable(f"it has {image.width:,} x {image.height:,} pixels, more than are accepted")
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith(("I", "F")):
                return _grey(np.asarray(image))
            if "A" in image.getbands() or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
            return np.asarray(image.convert("RGB"))
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable("it is not an image of a known kind") from None
    except MemoryError:
        raise
    except Exception as error:  # damaged files raise anything
        raise Unreadable(f"it is damaged ({' '.join(str(error).split())[:100]})") from error


def _grey(values: npt.NDArray[Any]) -> Pixels:
    """16-bit (or wider) grey to bytes: 65,535 is white where values pass 4,095, else 4,095, as 12-bit cameras write."""
    if values.ndim != 2 or not values.size:
        raise Unreadable("it is not a picture of rows and columns")
    plain = np.nan_to_num(np.asarray(values, np.float64))
    low, high = min(0.0, float(plain.min())), float(plain.max())
    white = 255.0 if high <= 255 else 4095.0 if high <= 4095 else 65535.0 if high <= 65535 else high
    if plain.dtype.kind == "f" and high <= 1.0 and values.dtype.kind == "f":
        white = 1.0
    scaled = np.clip((plain - low) / (white - low) * 255.0, 0, 255)
    return np.repeat(np.rint(scaled).astype(np.uint8)[:, :, None], 3, axis=2)


def _dicom(content: bytes) -> Pixels:
    try:
        import pydicom
    except ImportError:
        raise Unreadable("reading DICOM needs pydicom (pip install 'statgrove[networks]')") from None
    try:
        values = np.asarray(pydicom.dcmread(io.BytesIO(content)).pixel_array)
    except Exception as error:
        raise Unreadable(f"it is not a DICOM image that can be read ({str(error)[:100]})") from error
    if values.ndim == 3 and values.shape[2] == 3 and values.dtype == np.uint8:
        return values
    return _grey(values)
