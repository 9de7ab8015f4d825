"""Photos to aligned faces, as the manifest describes it: enough of the server's work to feed the models real input."""

from pathlib import Path

import numpy as np
from conftest import infer
from PIL import Image

STRIDES = (8, 16, 32)


def load(path: Path, long_side: int = 640) -> Image.Image:
    image = Image.open(path).convert("RGB")
    image.thumbnail((long_side, long_side))
    return image


def detector_input(image: Image.Image) -> np.ndarray:
    """[1,3,H,W], BGR, padded right and bottom to multiples of 32."""
    pixels = np.asarray(image, np.float32)[:, :, ::-1]
    down, right = -pixels.shape[0] % 32, -pixels.shape[1] % 32
    padded = np.pad(pixels, ((0, down), (0, right), (0, 0)))
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None])


def best_landmarks(detector: Path, image: Image.Image) -> np.ndarray:
    """The five landmarks of the highest-scored face."""
    pixels = detector_input(image)
    outputs = infer(detector, pixels)
    best, found = 0.0, None
    for stride in STRIDES:
        scores = np.sqrt(outputs[f"cls_{stride}"] * outputs[f"obj_{stride}"])[0, :, 0]
        index = int(scores.argmax())
        if scores[index] > best:
            row, column = divmod(index, pixels.shape[3] // stride)
            best = float(scores[index])
            found = (outputs[f"kps_{stride}"][0, index].reshape(5, 2) + (column, row)) * stride
    assert best > 0.6, "no face found"
    return found


def align(image: Image.Image, landmarks: np.ndarray, template: list, size: int) -> np.ndarray:
    """RGB pixels [size,size,3] after the similarity transform that brings the landmarks nearest to the template."""
    (x, y), ones, zeros = np.array(template).T, np.ones(5), np.zeros(5)
    rows = np.concatenate([np.stack([x, -y, ones, zeros], 1), np.stack([y, x, zeros, ones], 1)])
    a, b, right, down = np.linalg.lstsq(rows, landmarks.T.reshape(-1), rcond=None)[0]
    back = (a, -b, right, b, a, down)
    return np.asarray(image.transform((size, size), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR))


def embedder_input(image: Image.Image, landmarks: np.ndarray, embedder: dict) -> np.ndarray:
    """[1,3,S,S] as the `pack.embedder` table of the manifest wants it."""
    pixels = align(image, landmarks, embedder["template"], embedder["input_size"]).astype(np.float32)
    if embedder["channels"] == "bgr":
        pixels = pixels[:, :, ::-1]
    scaled = (pixels - np.float32(embedder["mean"])) * np.float32(embedder["scale"])
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def square(image: Image.Image, centre: np.ndarray, side: float, angle: float, size: int, mirror: bool = False) -> np.ndarray:
    """RGB as 0 to 255, [1,3,size,size]: a square of the image, turned by an angle and mirrored on request."""
    step = side / size
    right = step * np.array([np.cos(angle), np.sin(angle)]) * (-1 if mirror else 1)
    down = step * np.array([-np.sin(angle), np.cos(angle)])
    corner = centre - (right + down) * size / 2
    back = (right[0], down[0], corner[0], right[1], down[1], corner[1])
    pixels = image.transform((size, size), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(pixels, np.float32).transpose(2, 0, 1)[None])


def face_side(landmarks: np.ndarray, factor: float) -> float:
    """`factor` times the distance from eyes to mouth; the eyes' own distance stands in for it when the face is tilted."""
    down = landmarks[3:].mean(0) - landmarks[:2].mean(0)
    return factor * max(np.linalg.norm(down), 1.155 * np.linalg.norm(landmarks[1] - landmarks[0]))


def face_square(image: Image.Image, landmarks: np.ndarray, factor: float, size: int) -> np.ndarray:
    """The square halfway between eyes and mouth, upright in the face."""
    centre = (landmarks[:2].mean(0) + landmarks[3:].mean(0)) / 2
    across = landmarks[1] - landmarks[0]
    return square(image, centre, face_side(landmarks, factor), np.arctan2(across[1], across[0]), size)
