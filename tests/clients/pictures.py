"""One picture in the many forms that a client may send."""

import io
import struct
import zlib

import numpy
from PIL import Image

EXIF_ORIENTATION = 0x0112
# What turns an upright picture into the pixels that a camera stores with that Exif orientation.
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def opened(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def saved(image, kind="JPEG", **options):
    if kind == "JPEG":
        options = {"quality": 95, **options}
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_exif_orientation(image, orientation):
    method = STORED_AS[orientation]
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    return saved(image if method is None else image.transpose(method), exif=exif)


def ycck(image):
    """A YCCK JPEG, as Adobe's programs write it. Pillow writes CMYK only, so the colour change is made here: the inks as YCbCr
    go into the planes as they are, and the transform in the Adobe marker tells."""
    inks = numpy.asarray(image.convert("CMYK"))
    luma = numpy.asarray(Image.fromarray(inks[:, :, :3].copy(), "RGB").convert("YCbCr"))
    planes = numpy.dstack([255 - luma, inks[:, :, 3]])  # Pillow inverts what it writes
    data = bytearray(saved(Image.fromarray(planes, "CMYK")))
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0, "Pillow wrote no plain CMYK"
    data[transform] = 2
    return bytes(data)


def png(pixels, interlaced=False):
    """A PNG of 8 or 16 bits a sample with 1 to 4 channels; Pillow writes neither interlaced ones nor colours of 16 bits."""
    pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
    height, width, channels = pixels.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    samples = pixels.astype(">u2" if pixels.dtype == numpy.uint16 else "u1")
    passes = [samples[top::down, left::right] for left, top, right, down in ADAM7] if interlaced else [samples]
    rows = b"".join(b"\0" + row.tobytes() for part in passes if part.size for row in part)
    header = struct.pack(">IIBBBBB", width, height, 8 * samples.itemsize, colour_type, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def wide(samples):
    """16 bits a sample."""
    return samples.astype(numpy.uint16) * 257


def variants(image):
    """The picture by the name of its form."""
    grey = numpy.asarray(image.convert("L"))
    colour = numpy.asarray(image)
    opaque = numpy.full_like(grey, 255)
    return {
        "jpeg baseline": saved(image),
        "jpeg progressive": saved(image, progressive=True),
        "jpeg grey": saved(image.convert("L")),
        "jpeg cmyk": saved(image.convert("CMYK")),
        "jpeg ycck": ycck(image),
        "png": png(colour),
        "png 16 bit": png(wide(colour)),
        "png 16 bit grey": png(wide(grey)),
        "png grey": png(grey),
        "png palette": saved(image.quantize(256), "PNG"),
        "png grey alpha": png(numpy.dstack([grey, opaque])),
        "png alpha": png(numpy.dstack([colour, opaque])),
        "png interlaced": png(colour, interlaced=True),
        "png 16 bit alpha interlaced": png(wide(numpy.dstack([colour, opaque])), interlaced=True),
    }
