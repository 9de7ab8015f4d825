#!/usr/bin/env python3
"""Trains the attribute model `traits` and writes it as ONNX: beard, mustache, glasses, sunglasses, smile, open mouth, sex.

    python training/train.py --data DIR [--out models/traits.onnx] [--figures FILE]

DIR holds crops.zip and labels.csv. One thread, a fixed seed: on the same kind of processor a second run gives the same file.
"""

import argparse
import copy
import hashlib
import json
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from faces import ATTRIBUTES, TARGETS, Faces, augmented, cut, jittered, load
from figures import measure
from network import Traits, write_onnx

SEED = 20
CHANNELS, BLOCKS, DROPOUT = (16, 48, 80, 96), (0, 1, 1, 1), 0.2
EPOCHS, BATCH, PEAK_RATE, DECAY = 12, 64, 3e-3, 0.05
SMOOTHING, MUSTACHE_WEIGHT, AVERAGING = 0.05, 3.0, 0.998
LICENCE_NOTE = "trained on CelebA: non-commercial research data"


class Examples(Dataset):
    """Augmented faces; what happens to a face depends on the seed, the epoch and its place alone, not on who computes it."""

    def __init__(self, faces: Faces, seed: int):
        self.faces, self.seed, self.epoch = faces, seed, 0

    def __len__(self) -> int:
        return len(self.faces.files)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        image = augmented(self.faces.images[index], np.random.default_rng([self.seed, self.epoch, index]))
        return image, self.faces.labels[index], self.faces.weights[index]


def loss_of(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over what is known, softened labels, the rarer answer weighted up."""
    known = ~labels.isnan()
    labels = labels.nan_to_num()
    weights = weights * torch.where(labels > 0.5, positive, 1 / positive) * known
    softened = labels * (1 - SMOOTHING) + SMOOTHING / 2
    return (nn.functional.binary_cross_entropy_with_logits(logits, softened, reduction="none") * weights).sum() / known.sum()


def balance(labels: np.ndarray) -> torch.Tensor:
    """The weight of a yes for each target (a no weighs its inverse): halfway, on a log scale, to both answers weighing the same."""
    rate = np.nanmean(labels, 0)
    return torch.tensor(((1 - rate) / rate) ** 0.25, dtype=torch.float32)


def rate_at(progress: float) -> float:
    """Learning rate: up over the first tenth, then down along a cosine."""
    return progress / 0.1 if progress < 0.1 else 0.5 * (1 + math.cos(math.pi * (progress - 0.1) / 0.9))


def average(kept: nn.Module, model: nn.Module, share: float) -> None:
    """Moves `kept` towards `model`: the mean over the last steps errs less than any one of them."""
    with torch.no_grad():
        for a, b in zip(kept.state_dict().values(), model.state_dict().values()):
            a.copy_(torch.lerp(a, b, 1 - share) if a.is_floating_point() else b)


def train(faces: Faces, options: argparse.Namespace) -> Traits:
    torch.manual_seed(options.seed)
    model = Traits(CHANNELS, BLOCKS, DROPOUT).to(memory_format=torch.channels_last)
    kept = copy.deepcopy(model)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0}], lr=PEAK_RATE)
    examples, positive = Examples(faces, options.seed), balance(faces.labels)
    steps = len(examples) // BATCH
    for epoch in range(options.epochs):
        examples.epoch, started, total = epoch, time.time(), 0.0
        order = np.random.default_rng([options.seed, epoch]).permutation(len(examples))[: steps * BATCH]
        batches = DataLoader(examples, BATCH, sampler=order.tolist(), num_workers=options.workers)
        model.train()
        for step, (images, labels, weights) in enumerate(batches):
            done = (epoch * steps + step) / (options.epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = PEAK_RATE * rate_at(done)
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(images.permute(0, 3, 1, 2).float())
            loss = loss_of(logits.float(), labels, weights, positive)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average(kept, model, min(AVERAGING, (epoch * steps + step) / (epoch * steps + step + 10)))
            total += loss.item()
        print(f"epoch {epoch + 1}/{options.epochs}: loss {total / steps:.4f}, {time.time() - started:.0f} s", flush=True)
    return kept.eval()


def run(path: Path, images: np.ndarray) -> np.ndarray:
    """Logits of the ONNX file itself, by ONNX Runtime: what is measured is what is shipped."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    batches = [images[k : k + 64].transpose(0, 3, 1, 2).astype(np.float32) for k in range(0, len(images), 64)]
    return np.concatenate([session.run(None, {"input": batch})[0] for batch in batches])


def shaken(faces: Faces) -> np.ndarray:
    """The crops of `val` as less exact landmarks would cut them."""
    return np.stack([jittered(image, np.random.default_rng(index)) for index, image in enumerate(faces.images)])


def report(figures: dict) -> None:
    for name in ATTRIBUTES:
        f = figures[name]
        sexes = ", ".join(f"{sex} {f[sex]:.3f}" for sex in ("men", "women") if sex in f)
        print(
            f"{name:11} {f['balanced_accuracy']:.3f} (other half {f['other_half']:.3f}, shaken {f['shaken']:.3f}; {sexes})"
            f" at {f['threshold']:+.3f}; at natural rates: precision {f['precision_at_natural_rates']:.2f},"
            f" calibration error {f['calibration_error']:.3f}"
        )
    for group, rates in figures["mustache_only"].items():
        print(f"mustache only {group}: {rates['faces']} men, beard fires on {rates['beard']:.3f}, mustache on {rates['mustache']:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("models/traits.onnx"))
    parser.add_argument("--figures", type=Path, help="write every figure there, as JSON")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare faces; changes nothing but the time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.use_deterministic_algorithms(True)
    started = time.time()
    model = train(load(options.data, "train", MUSTACHE_WEIGHT), options)
    metadata = {"attributes": ",".join(ATTRIBUTES), "licence": LICENCE_NOTE, "seed": str(options.seed)}
    write_onnx(model, options.out, metadata)
    val = load(options.data, "val", MUSTACHE_WEIGHT)
    plain = run(options.out, np.stack([cut(image) for image in val.images]))
    figures = measure(val, plain, run(options.out, shaken(val)))
    report(figures)
    if options.figures:
        options.figures.write_text(json.dumps(figures, indent=1, default=float) + "\n")
    digest = hashlib.sha256(options.out.read_bytes()).hexdigest()
    print(f"{options.out}: {options.out.stat().st_size} bytes, sha256 {digest}, {time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
