"""Makes src/vision/roll.onnx: the network that tells from a small square whether there is a face in it, and by how much it is turned.

    .venv-train/bin/python training/roll.py --yunet models/yunet-2023mar.onnx --head src/vision/lying_head.onnx --faces PHOTO... \\
        --backgrounds PHOTO... --held-out PHOTO... [--out FILE]

`input`: [N, 3, 48, 48], RGB, 0 to 255; a face is some 24 px high in it, a half more or less. `logits`: [N, 9]: turned clockwise by 0,
45, ... 315 degrees, and no face. A face between two turns shares them. What is no face is cut out of the backgrounds, every second time
where YuNet or the head for lying faces sees something.
"""

import argparse
import io
from pathlib import Path

import numpy
import onnx
import torch
from lying import FIRST, SECOND, Yunet, cut_out, opened, parts
from network import OPSET, Graph, Unit
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from torch import nn

SIDE, FACE = 48, 24
TURNS = 8
CHANNELS = ((16, 2), (32, 2), (32, 1), (48, 2), (48, 1), (64, 2))
MEAN, SCALE = 127.5, 1 / 64
EPOCHS, BATCH, PEAK_RATE, DECAY = 12, 128, 4e-3, 0.03
SEED = 5


class Roll(nn.Module):
    def __init__(self):
        super().__init__()
        steps, before = [], 3
        for after, stride in CHANNELS:
            steps.append(Unit(before, after, stride=stride))
            before = after
        self.steps = nn.Sequential(*steps)
        self.last = nn.Linear(before * (SIDE // 16) ** 2, TURNS + 1)

    def forward(self, pixels):
        return self.last(nn.functional.dropout(self.steps((pixels - MEAN) * SCALE).flatten(1), 0.2, self.training))


def wanted(angle):
    """The share of each class in a face that is turned by so much; of what is no face without an angle."""
    shares = numpy.zeros(TURNS + 1, numpy.float32)
    if angle is None:
        shares[TURNS] = 1
    else:
        place = angle / 360 * TURNS
        first, share = int(place) % TURNS, place - int(place)
        shares[first], shares[(first + 1) % TURNS] = 1 - share, share
    return shares


def worn(image, random):
    """The square as a poor camera, a small face and a frugal file would have it."""
    if random.random() < 0.4:
        small = int(SIDE * random.uniform(0.55, 1))
        image = image.resize((small, small), Image.Resampling.BILINEAR).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    if random.random() < 0.25:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.2)))
    image = ImageEnhance.Brightness(image).enhance(random.uniform(0.5, 1.35))
    image = ImageEnhance.Contrast(image).enhance(random.uniform(0.6, 1.3))
    image = ImageEnhance.Color(image).enhance(random.choice([0, random.uniform(0.3, 1.6), 1], p=[0.15, 0.6, 0.25]))
    if random.random() < 0.4:
        data = io.BytesIO()
        image.save(data, "JPEG", quality=int(random.integers(30, 95)))
        image = Image.open(data).convert("RGB")
    # Other skin, other hair, other lamps than the few hundred faces have.
    pixels = 255 * (numpy.asarray(image, numpy.float32) / 255) ** random.uniform(0.6, 1.6) * random.uniform(0.8, 1.2, 3)
    if random.random() < 0.25:
        left, top = random.integers(0, SIDE, 2)
        wide, high = random.integers(4, 18, 2)
        pixels[top : top + high, left : left + wide] = random.uniform(0, 255, 3)
    if random.random() < 0.3:
        pixels = pixels + random.normal(0, random.uniform(1, 8), pixels.shape)
    return pixels.clip(0, 255).astype(numpy.uint8)


def square_of(image, x, y, length, angle, side=2 * SIDE):
    """A square in which `length` pixels of the image come out as a face's height, turned so that what is turned by `angle` stands."""
    scale = length / FACE * SIDE / side
    sin, cos = numpy.sin(numpy.radians(angle)), numpy.cos(numpy.radians(angle))
    a, b, middle = scale * cos, scale * sin, (side - 1) / 2
    # Averaged down first, as the server does it: sampling alone would skip pixels.
    if scale > 1.5:
        reach = length / FACE * SIDE
        box = [max(0, x - reach), max(0, y - reach), min(image.width, x + reach), min(image.height, y + reach)]
        small = [max(1, round((box[2] - box[0]) / scale)), max(1, round((box[3] - box[1]) / scale))]
        return square_of(image.resize(small, Image.Resampling.BOX, box=box), (x - box[0]) / scale, (y - box[1]) / scale, length / scale, angle, side)
    rows = (a, -b, x - a * middle + b * middle, b, a, y - b * middle - a * middle)
    return image.transform((side, side), Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR)


def face_square(faces, backgrounds, random):
    """A face turned by any angle, with the angle; about half of them on another background."""
    whole, height = faces[random.integers(len(faces))]
    angle = random.uniform(0, 360)
    length = height * numpy.exp(random.uniform(-0.5, 0.5))
    x, y = whole.width / 2 + random.uniform(-0.18, 0.18, 2) * height
    image = square_of(whole, x, y, length, -angle)
    if random.random() < 0.5:  # a longer or a rounder face
        stretch, across = random.uniform(0.8, 1.25), random.uniform(0, 180)
        image = image.rotate(across, Image.Resampling.BILINEAR).transform(
            image.size, Image.Transform.AFFINE, (stretch, 0, SIDE * (1 - stretch), 0, 1, 0), Image.Resampling.BILINEAR
        ).rotate(-across, Image.Resampling.BILINEAR)
    if random.random() < 0.5:
        image, angle = ImageOps.mirror(image), -angle % 360
    alpha = image.getchannel("A")
    if random.random() < 0.6:
        alpha = Image.new("L", image.size)
        reach = random.uniform(0.65, 1.1) * FACE * 2 * height / length
        bounds = (SIDE - reach, SIDE - reach, SIDE + reach, SIDE + reach)
        if random.random() < 0.5:
            ImageDraw.Draw(alpha).ellipse(bounds, fill=255)
        else:
            ImageDraw.Draw(alpha).rectangle(bounds, fill=255)
            alpha = alpha.rotate(random.uniform(0, 90), Image.Resampling.BICUBIC)
        alpha = Image.fromarray(numpy.minimum(alpha, image.getchannel("A")))
    behind = anywhere(backgrounds[random.integers(len(backgrounds))][0], random)
    behind.paste(image.convert("RGB"), (0, 0), alpha)
    return behind.resize((SIDE, SIDE), Image.Resampling.BOX), angle


def anywhere(image, random):
    length = numpy.exp(random.uniform(numpy.log(12), numpy.log(max(16, min(image.size) / 3))))
    x, y = random.uniform(0, image.width), random.uniform(0, image.height)
    return square_of(image, x, y, length, random.uniform(0, 360))


def no_face(backgrounds, random):
    """A square of a background; where something looks like a face, if there is anything and chance wants it."""
    while True:
        image, hints, standing = backgrounds[random.integers(len(backgrounds))]
        if len(hints) and random.random() < 0.5:
            x, y, length = hints[random.integers(len(hints))]
            length *= numpy.exp(random.uniform(-0.5, 0.5))
            x, y = (x, y) + random.uniform(-0.3, 0.3, 2) * length
        else:
            length = numpy.exp(random.uniform(numpy.log(14), numpy.log(max(16, min(image.size) / 3))))
            x, y = random.uniform(0, image.width), random.uniform(0, image.height)
        if all(abs(x - u) > 0.8 * max(tall, length) or abs(y - v) > 0.8 * max(tall, length) for u, v, tall in standing):
            return square_of(image, x, y, length, random.uniform(0, 360)).resize((SIDE, SIDE), Image.Resampling.BOX)


class Hints:
    """Where YuNet, or the head for lying faces, sees something in a background: middles and heights, those of clear faces apart."""

    def __init__(self, yunet, head):
        self.yunet = yunet
        weights = {each.name: numpy_helper.to_array(each) for each in onnx.load(head).graph.initializer}
        self.weights = [weights[name].reshape(len(weights[name]), -1) for name in ("lying.w8", "lying.w16", "lying.w")]
        self.first, self.second, self.last = (weight.T for weight in self.weights)
        self.bias, self.shift = weights["lying.b"], weights["lying.c"]

    def of(self, image):
        image = image.copy()
        image.thumbnail((1280, 1280))
        features, standing = self.yunet.look(image, 0.15)
        hidden = numpy.maximum(features[..., :64] @ self.first + features[..., 64:] @ self.second + self.bias, 0)
        values = (hidden @ self.last + self.shift)[..., 0]
        places = [(left + width / 2, top + height / 2, max(width, height), score) for score, (left, top, width, height) in standing]
        clear = [place[:3] for place in places if place[3] >= 0.5]
        hints = [place[:3] for place in places if place[3] < 0.5]
        for cell in numpy.argsort(-values.ravel())[:300]:
            if values.flat[cell] < 0:
                break
            row, column = divmod(cell, values.shape[1])
            hints.append((8.0 * column, 8.0 * row, 40.0))
        apart = []
        for x, y, tall in hints:
            if all(abs(x - u) + abs(y - v) > 12 for u, v, _ in apart):
                apart.append((x, y, tall))
        return image, numpy.array(apart), clear


def make(faces, backgrounds, random, count):
    pixels, shares = numpy.empty((count, 3, SIDE, SIDE), numpy.uint8), numpy.empty((count, TURNS + 1), numpy.float32)
    for each in range(count):
        image, angle = face_square(faces, backgrounds, random) if each % 2 else (no_face(backgrounds, random), None)
        pixels[each], shares[each] = worn(image, random).transpose(2, 0, 1), wanted(angle)
    return pixels, shares


def train(pixels, shares):
    torch.manual_seed(SEED)
    model = Roll().to(memory_format=torch.channels_last)
    steps = len(pixels) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, EPOCHS * steps)
    for epoch in range(EPOCHS):
        order, total = torch.randperm(len(pixels)), 0.0
        model.train()
        for step in range(steps):
            batch = order[step * BATCH : (step + 1) * BATCH]
            images = torch.from_numpy(pixels[batch]).float().contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(images)
            loss = nn.functional.cross_entropy(logits.float(), torch.from_numpy(shares[batch]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1} of {EPOCHS}: loss {total / steps:.4f}", flush=True)
    return model.eval()


def tell(path, pixels, shares):
    """What the file is worth on faces and backgrounds that were held out."""
    import onnxruntime

    logits = onnxruntime.InferenceSession(str(path)).run(None, {"input": pixels.astype(numpy.float32)})[0]
    chances = numpy.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    directions = numpy.exp(2j * numpy.pi * numpy.arange(TURNS) / TURNS)
    angle = lambda each: numpy.degrees(numpy.angle((each[:, :TURNS] * directions).sum(1)))  # noqa: E731
    is_face, face = shares[:, TURNS] == 0, 1 - chances[:, TURNS]
    error = abs((angle(chances[is_face]) - angle(shares[is_face]) + 180) % 360 - 180)
    print(", ".join(f"{(error <= limit).mean():.3f} of {is_face.sum()} faces within {limit} degrees" for limit in (15, 22.5, 45, 90)))
    for least in (0.1, 0.3, 0.5, 0.7, 0.9):
        print(f"a face from {least} on: {(face[is_face] >= least).mean():.4f} of faces, {(face[~is_face] >= least).mean():.4f} of what is none")


def write_onnx(model, path):
    graph = Graph()
    mean = numpy_helper.from_array(numpy.array(MEAN, numpy.float32), "mean")
    x, scale = graph.add("Sub", ["input", "mean"]), SCALE
    for step in model.steps:
        x, scale = graph.unit(step, x, scale), 1
    x = graph.add("Flatten", [x])
    weight, bias = (value.detach().numpy() for value in (model.last.weight, model.last.bias))
    graph.nodes.append(helper.make_node("Gemm", [x, graph.weight(weight), graph.weight(bias)], ["logits"], name="logits", transB=1))
    taken = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", TURNS + 1])
    proto = helper.make_graph(graph.nodes, "roll", [taken], [given], [mean, *graph.weights])
    made = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="rekollect")
    made.ir_version = 8
    onnx.checker.check_model(made, full_check=True)
    path.write_bytes(made.SerializeToString(deterministic=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--yunet", type=Path, required=True)
    parser.add_argument("--head", type=Path, default=Path("src/vision/lying_head.onnx"))
    parser.add_argument("--faces", type=Path, nargs="+", required=True)
    parser.add_argument("--backgrounds", type=Path, nargs="+", required=True)
    parser.add_argument("--held-out", type=Path, nargs="+", required=True)
    parser.add_argument("--count", type=int, default=80_000, help="squares, half of them with a face")
    parser.add_argument("--out", type=Path, default=Path("src/vision/roll.onnx"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    random = numpy.random.default_rng(SEED)
    yunet = Yunet(options.yunet)
    hints = Hints(yunet, options.head)
    faces = list(cut_out(yunet, options.faces))
    backgrounds = [hints.of(part) for path in options.backgrounds for part in parts(opened(path, 2600), random)]
    print(f"{len(faces)} faces; {len(backgrounds)} backgrounds, {sum(len(each[1]) for each in backgrounds)} hints", flush=True)
    pixels, shares = make(faces, backgrounds, random, options.count)
    held_out = make(list(cut_out(yunet, options.held_out)), [hints.of(opened(path, 2600)) for path in options.held_out], random, 4000)
    model = train(pixels, shares)
    write_onnx(model, options.out)
    tell(options.out, *held_out)


if __name__ == "__main__":
    main()
