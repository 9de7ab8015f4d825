"""What the model is worth: balanced accuracy, thresholds, and confidences that hold at natural rates."""

import numpy as np

from faces import ATTRIBUTES, Faces

# How often each occurs where nobody chose the photos (CelebA's own rates).
NATURAL = {"facial_hair": 0.17, "mustache": 0.04, "eyewear": 0.07, "male": 0.42, "smile": 0.48, "mouth_open": 0.48}
# Nearly separable and rare: here the strictest threshold is taken that costs at most GIVEN_AWAY, so that a yes is less often wrong.
STRICT, GIVEN_AWAY = ("eyeglasses", "sunglasses"), 0.005
# Confidences, in per cent, at which the curve from logit to confidence has a knot.
KNOTS = (75, 90, 95, 99, 99.9)


def balanced_accuracy(scores: np.ndarray, labels: np.ndarray, threshold: float) -> float:
    positive, negative = scores[labels == 1], scores[labels == 0]
    return ((positive > threshold).mean() + (negative <= threshold).mean()) / 2


def best_threshold(scores: np.ndarray, labels: np.ndarray, given_away: float = 0) -> float:
    """The highest threshold whose balanced accuracy is the best but for `given_away`; the curve is smoothed: its peak is mostly noise."""
    candidates = np.linspace(-4, 4, 321)
    values = np.array([balanced_accuracy(scores, labels, threshold) for threshold in candidates])
    window = np.hanning(43)[1:-1]
    smooth = np.convolve(np.pad(values, 20, mode="edge"), window / window.sum(), mode="valid")
    return float(candidates[np.flatnonzero(smooth >= smooth.max() - given_away)[-1]])


def natural_weights(faces: Faces) -> np.ndarray:
    """A weight a face, such that every rate of NATURAL holds at once (iterative proportional fitting)."""
    weights = np.ones(len(faces.files))
    for _ in range(50):
        for name, rate in NATURAL.items():
            labels = faces.label(name)
            for value, share in ((1, rate), (0, 1 - rate)):
                group = labels == value
                weights[group] *= share * weights[~np.isnan(labels)].sum() / weights[group].sum()
    return weights / weights.mean()


def calibration(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Slope and offset of the logit that make it a probability under `weights` (Platt's scaling, by Newton's method)."""
    design = np.stack([scores, np.ones_like(scores)], 1)
    slope_offset = np.array([1.0, 0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ slope_offset))
        gradient = design.T @ (weights * (p - labels))
        hessian = (design * (weights * p * (1 - p))[:, None]).T @ design
        slope_offset = slope_offset - np.linalg.solve(hessian + 1e-6 * np.eye(2), gradient)
    return float(slope_offset[0]), float(slope_offset[1])


def curve(threshold: float, slope: float, offset: float) -> list[list[float]]:
    """Knots [logit, confidence] of a curve that is lowest, 50, at the threshold. Beyond the first knot on either side the confidence is the
    calibrated probability of the value that is reported; between it and the threshold a straight line leads down to 50."""
    def logit_at(percent: float, sign: int) -> float:
        return (sign * np.log(percent / (100 - percent)) - offset) / slope

    no = [[logit_at(c, -1), c] for c in reversed(KNOTS) if logit_at(c, -1) < threshold - 0.25]
    yes = [[logit_at(c, 1), c] for c in KNOTS if logit_at(c, 1) > threshold + 0.25]
    return [[round(float(x), 3), c] for x, c in no + [[threshold, 50.0]] + yes]


def halves(faces: Faces) -> np.ndarray:
    """True for one half of the identities: thresholds found in one half are measured on the other."""
    return np.array([int(name.split("_")[0]) % 2 == 0 for name in faces.files])


def measure(faces: Faces, logits: np.ndarray, shaken: np.ndarray) -> dict:
    """Every figure of the model card for `logits` of ATTRIBUTES; `shaken` are those of the same faces cut less exactly."""
    male, first, natural = faces.label("male"), halves(faces), natural_weights(faces)
    figures = {}
    for column, name in enumerate(ATTRIBUTES):
        scores, labels = logits[:, column].astype(np.float64), faces.label(name)
        known = ~np.isnan(labels)
        given_away = GIVEN_AWAY if name in STRICT else 0
        threshold = best_threshold(scores[known], labels[known], given_away)
        crossed = np.zeros(len(scores))
        for half in (first, ~first):
            crossed[half] = scores[half] - best_threshold(scores[known & ~half], labels[known & ~half], given_away)
        slope, offset = calibration(scores[known], labels[known], natural[known])
        p = 1 / (1 + np.exp(-(slope * scores + offset)))
        said = known & (scores > threshold)
        entry = {
            "balanced_accuracy": balanced_accuracy(scores[known], labels[known], threshold),
            "other_half": balanced_accuracy(crossed[known], labels[known], 0),
            "shaken": balanced_accuracy(shaken[known, column], labels[known], threshold),
            "true_positive_rate": (scores[known & (labels == 1)] > threshold).mean(),
            "true_negative_rate": (scores[known & (labels == 0)] <= threshold).mean(),
            "precision_at_natural_rates": natural[said & (labels == 1)].sum() / natural[said].sum(),
            "calibration_error": calibration_error(p[known], labels[known], natural[known]),
            "threshold": threshold,
            "slope": slope,
            "offset": offset,
            "confidence": curve(threshold, slope, offset),
        }
        for sex, value in (("men", 1), ("women", 0)):
            group = known & (male == value)
            if 0 < labels[group].sum() < group.sum():
                entry[sex] = balanced_accuracy(scores[group], labels[group], threshold)
                entry[f"{sex}_positives"] = int(labels[group].sum())
                entry[f"{sex}_false_positive_rate"] = (scores[group & (labels == 0)] > threshold).mean()
        figures[name] = entry
    return figures | {"mustache_only": mustache_only(faces, logits, figures)}


def calibration_error(p: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """How far the probability is from the rate found, on the average over ten equal steps of probability."""
    steps = np.minimum((p * 10).astype(int), 9)
    return float(sum(abs((weights * (p - labels))[steps == step].sum()) for step in range(10)) / weights.sum())


def mustache_only(faces: Faces, logits: np.ndarray, figures: dict) -> dict:
    """How often the beard fires on men who, by label or by eye, have only a mustache, and how often the mustache is seen there."""
    fires = {name: logits[:, ATTRIBUTES.index(name)] > figures[name]["threshold"] for name in ("beard", "mustache")}
    labelled = (faces.label("male") == 1) & (faces.label("beard") == 0) & (faces.label("mustache") == 1)
    by_eye = np.array([what == "mustache" for what in faces.seen])
    return {
        group: {"faces": int(rows.sum()), "beard": fires["beard"][rows].mean(), "mustache": fires["mustache"][rows].mean()}
        for group, rows in (("by label", labelled), ("by eye", by_eye))
    }
