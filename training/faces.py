"""The training data: crops and labels as arrays, and the changes that make a crop look like a stranger's photo."""

import csv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

# What the network gives, in the order of its outputs; then what it learns besides, because it helps the others.
ATTRIBUTES = ("beard", "mustache", "eyeglasses", "sunglasses", "smile", "mouth_open", "male")
HELPERS = ("facial_hair", "eyewear")
TARGETS = ATTRIBUTES + HELPERS
# The input is a part of the 96-px crop, pixel for pixel: there a face is half as wide again as in the whole crop shrunk to the same side.
CROP_SIDE, SIDE, CORNER = 96, 72, (12, 16)
CORRECTIONS = Path(__file__).with_name("beard-corrections.csv")


@dataclass
class Faces:
    """Crops of one split with their labels; a label that is not known is NaN."""

    files: list[str]
    images: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    seen: list[str]

    def label(self, name: str) -> np.ndarray:
        return self.labels[:, TARGETS.index(name)]


def load(data: Path, split: str, mustache_weight: float) -> Faces:
    """The crops of `split`. Labels of the training split are corrected, those of `val` are left as they are, to measure by."""
    with open(data / "labels.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    rows.sort(key=lambda row: row["file"])
    with open(CORRECTIONS, newline="") as file:
        corrections = {row["file"]: row["seen"] for row in csv.DictReader(file)}
    labels = np.array([[float(row[name] or "nan") for name in TARGETS] for row in rows], np.float32)
    seen = [corrections.get(row["file"], "") for row in rows]
    weights = np.ones_like(labels)
    if split == "train":
        correct(labels, weights, seen, mustache_weight)
    with zipfile.ZipFile(data / "crops.zip") as crops:
        images = np.stack([decode(crops.read(row["file"])) for row in rows])
    return Faces([row["file"] for row in rows], images, labels, weights, seen)


def correct(labels: np.ndarray, weights: np.ndarray, seen: list[str], mustache_weight: float) -> None:
    """Puts what was seen by eye in place of the labels: `beard`, `mustache` (and no beard) or `unclear`."""
    beard, mustache = TARGETS.index("beard"), TARGETS.index("mustache")
    for row, what in enumerate(seen):
        if what == "beard":
            labels[row, beard] = 1
        elif what == "mustache":
            labels[row, [beard, mustache]] = 0, 1
            weights[row, beard] = mustache_weight
        elif what == "unclear":
            labels[row, beard] = np.nan


def decode(jpeg: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def cut(image: np.ndarray, angle: float = 0, scale: float = 1, shift: tuple = (0, 0), flip: bool = False) -> np.ndarray:
    """The network's input out of a 96-px crop, turned, scaled and shifted (in pixels) about its own middle."""
    middle = np.full(2, (SIDE - 1) / 2)
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0]])
    matrix[:, 2] = middle + CORNER - matrix[:, :2] @ (middle + shift)
    if flip:
        matrix[0] = -matrix[0]
        matrix[0, 2] += CROP_SIDE - 1
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def jittered(image: np.ndarray, rng: np.random.Generator, amount: float = 1) -> np.ndarray:
    """A crop as other landmarks would have cut it: landmarks of small or turned faces are off by a few per cent of the face."""
    angle = np.clip(rng.normal(0, 0.06), -0.2, 0.2) * amount
    scale = np.exp(np.clip(rng.normal(0, 0.06), -0.2, 0.2) * amount)
    shift = np.clip(rng.normal(0, 1.6, 2), -5, 5) * amount
    return cut(image, angle, scale, tuple(shift), rng.random() < 0.5)


def augmented(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One training input: another cut, another light, another camera."""
    image = degraded(jittered(image, rng), rng)
    return relit(image, rng)


def degraded(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, from far away, or saved once too often."""
    kind = rng.random()
    if kind < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.4))
    elif kind < 0.4:
        side = round(SIDE / rng.uniform(1.2, 3))
        image = cv2.resize(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.25:
        _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])
        image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return image


def relit(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast, gamma and a tint, by one table a channel; now and then grey or noisy."""
    if rng.random() < 0.08:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    levels = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.normal(0, 0.2))
    levels = (levels - 0.5) * np.exp(rng.normal(0, 0.15)) + 0.5 + rng.normal(0, 0.08)
    levels = levels * np.exp(rng.normal(0, 0.05, 3))
    image = cv2.LUT(image, (levels.clip(0, 1) * 255).astype(np.uint8)[:, None])
    if rng.random() < 0.15:
        image = (image + rng.normal(0, rng.uniform(2, 10), image.shape)).clip(0, 255).astype(np.uint8)
    return image
