"""Makes src/vision/lying_head.onnx: the head on YuNet's features that knows faces that lie turned.

    .venv-test/bin/python training/lying.py --yunet models/yunet-2023mar.onnx --faces PHOTO... --backgrounds PHOTO... \\
        --held-out PHOTO... [--out FILE]

Frames are made of the photos: faces of 22 to 90 px, turned by 35 to 325 degrees, on parts of the backgrounds. Cells in the middle of such
a face are to say yes; cells off every face, those first that a first head takes for a face, are to say no. The head is a layer of 24 numbers a
cell of the first stride out of the 64 features there and the 64 of the second stride, and a logistic one on it: numpy trains it in minutes.
What it is worth is told on the faces of photos that were held out.

The file is a graph with nodes, weights and an output, but without the nodes of YuNet that it reads: the server puts its bytes behind
YuNet's, which by the rules of protobuf makes one graph of both.
"""

import argparse
from pathlib import Path

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

FIRST, SECOND = "256", "246"  # YuNet 2023mar's features of strides 8 and 16
STRIDE = 8
FRAME = (1280, 704)
HEIGHTS = (22, 90)
ANGLES = (35, 325)
HIDDEN = 24
SURE = 0.85


class Yunet:
    def __init__(self, path):
        model = onnx.load(path)
        self.resize = next(node for node in model.graph.node if node.op_type == "Resize")
        for name in (FIRST, SECOND):
            model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def look(self, image, least=0.5):
        """The features of each cell of stride 8, and of stride 16 beside them; the faces that stand: (score, box)."""
        pixels = numpy.asarray(image)
        height, width = (-(-side // 32) * 32 for side in pixels.shape[:2])
        tensor = numpy.zeros((1, 3, height, width), numpy.float32)
        tensor[0, :, : pixels.shape[0], : pixels.shape[1]] = pixels[:, :, ::-1].transpose(2, 0, 1)
        names = [FIRST, SECOND] + [f"{head}_{stride}" for stride in (8, 16, 32) for head in ("cls", "obj", "bbox")]
        first, second, *heads = self.session.run(names, {"input": tensor})
        first, second = first[0].transpose(1, 2, 0), second[0].transpose(1, 2, 0)
        features = numpy.concatenate([first, second.repeat(2, 0).repeat(2, 1)], 2)
        faces = []
        for place, stride in enumerate((8, 16, 32)):
            kind, is_object, boxes = (head[0] for head in heads[3 * place : 3 * place + 3])
            scores = numpy.sqrt(kind[:, 0].clip(0, 1) * is_object[:, 0].clip(0, 1))
            for cell in numpy.argsort(-scores)[:200]:
                if scores[cell] >= least:
                    row, column = divmod(cell, width // stride)
                    x, y = (column + boxes[cell, 0]) * stride, (row + boxes[cell, 1]) * stride
                    wide, high = numpy.exp(boxes[cell, 2:]) * stride
                    faces.append((scores[cell], (x - wide / 2, y - high / 2, wide, high)))
        return features, sorted(faces, reverse=True)


def opened(path, longest):
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    image.thumbnail((longest, longest))
    return image


def cut_out(yunet, paths):
    """Squares of 3.6 heights around the clear faces of the photos, and the height of the face in them."""
    for path in paths:
        image = opened(path, 900)
        taken = []
        for score, (left, top, width, height) in yunet.look(image)[1]:
            x, y = left + width / 2, top + height / 2
            if score < SURE or height < 60 or any(abs(x - u) + abs(y - v) < height for u, v in taken):
                continue
            taken.append((x, y))
            half = 1.8 * height
            inside = (max(0, x - half), max(0, y - half), min(image.width, x + half), min(image.height, y + half))
            square = Image.new("RGBA", (round(2 * half), round(2 * half)))
            square.paste(image.crop([round(side) for side in inside]), (round(inside[0] - x + half), round(inside[1] - y + half)))
            yield square, height


def parts(image, random):
    yield image
    for share in (0.7, 0.7, 0.45, 0.45):
        width, height = int(image.width * share), int(image.height * share)
        x, y = random.integers(image.width - width + 1), random.integers(image.height - height + 1)
        if width >= 300:
            yield image.crop((x, y, x + width, y + height))


def frame(faces, backgrounds, random, count):
    picture = ImageOps.fit(backgrounds[random.integers(len(backgrounds))], FRAME, Image.Resampling.BILINEAR, centering=tuple(random.random(2)))
    if random.random() < 0.5:
        picture = ImageOps.mirror(picture)
    places = []
    for _ in range(count):
        square, face = faces[random.integers(len(faces))]
        height = numpy.exp(random.uniform(*numpy.log(HEIGHTS)))
        at = random.uniform((60, 60), (FRAME[0] - 60, FRAME[1] - 60))
        if any(numpy.hypot(*(at - other)) < 1.5 * (height + tall) for other, tall in places):
            continue
        angle = random.uniform(*ANGLES)
        tile = turned(square, round(square.width * height / face), angle, random)
        tile.putalpha(ImageChops.multiply(tile.getchannel("A"), hole(tile.width, height * random.uniform(0.75, 1.2), random)))
        picture.paste(tile, (int(at[0]) - tile.width // 2, int(at[1]) - tile.width // 2), tile)
        places.append((at, height))
    return picture, places


def turned(square, side, angle, random):
    tile = square.resize((2 * side, 2 * side), Image.Resampling.LANCZOS)
    if random.random() < 0.5:
        tile = ImageOps.mirror(tile)
    tile = tile.rotate(-angle, Image.Resampling.BICUBIC).resize((side, side), Image.Resampling.LANCZOS)
    alpha, tile = tile.getchannel("A"), tile.convert("RGB")
    tile = ImageEnhance.Brightness(tile).enhance(random.uniform(0.6, 1.25))
    if random.random() < 0.3:
        tile = tile.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1)))
    tile.putalpha(alpha)
    return tile


def hole(side, reach, random):
    """What is seen of a face: a disc, or a square that is turned by itself, so that its edges tell nothing of the face's turn."""
    mask = Image.new("L", (2 * side, 2 * side))
    bounds = (side - 2 * reach, side - 2 * reach, side + 2 * reach, side + 2 * reach)
    if random.random() < 0.5:
        ImageDraw.Draw(mask).ellipse(bounds, fill=255)
    else:
        ImageDraw.Draw(mask).rectangle(bounds, fill=255)
        mask = mask.rotate(random.uniform(0, 90), Image.Resampling.BICUBIC)
    return mask.resize((side, side), Image.Resampling.LANCZOS)


def collect(yunet, faces, backgrounds, random, frames, head=None):
    """Features of cells that are in the middle of a lying face, an array a face, and of cells that are off every face."""
    yes, no = [], []
    for _ in range(frames):
        picture, places = frame(faces, backgrounds, random, 10)
        features, standing = yunet.look(picture)
        rows, columns = numpy.mgrid[: features.shape[0], : features.shape[1]] * float(STRIDE)
        off = numpy.ones(rows.shape, bool)
        for _, (left, top, width, height) in standing:
            off &= (columns < left - 8) | (columns > left + width + 8) | (rows < top - 8) | (rows > top + height + 8)
        for at, height in places:
            distance = numpy.hypot(columns - at[0], rows - at[1])
            off &= distance > 0.9 * height
            yes.append(features[distance <= max(0.15 * height, 6)])
        cells = features[off]
        if head is not None:
            no.append(cells[numpy.argsort(-score(head, cells))[:40]])
        no.append(cells[random.choice(len(cells), 500)])
    return yes, no


def score(head, features):
    mean, deviation, first, bias, last, shift = head
    hidden = numpy.maximum((features - mean) / deviation @ first + bias, 0)
    return (hidden @ last + shift)[..., 0]


def fit(yes, no, random, epochs):
    """Adam on the logistic loss; every face weighs the same, and the cells off the faces a little more than all faces together."""
    features = numpy.concatenate(yes + no)
    wanted = numpy.r_[numpy.ones(sum(map(len, yes))), numpy.zeros(sum(map(len, no)))].astype(numpy.float32)
    faces, cells = len(yes), sum(map(len, no))
    weight = numpy.concatenate([*(numpy.full(len(each), 1 / len(each)) for each in yes if len(each)), numpy.full(cells, 1.05 * faces / cells)])
    weight = (weight / weight.mean()).astype(numpy.float32)
    mean, deviation = features.mean(0), features.std(0) + 1e-3
    size = features.shape[1]
    values = [
        random.normal(0, numpy.sqrt(2 / size), (size, HIDDEN)).astype(numpy.float32),
        numpy.zeros(HIDDEN, numpy.float32),
        random.normal(0, numpy.sqrt(1 / HIDDEN), (HIDDEN, 1)).astype(numpy.float32),
        numpy.zeros(1, numpy.float32),
    ]
    moments = [(numpy.zeros_like(value), numpy.zeros_like(value)) for value in values]
    step = 0
    for epoch in range(epochs):
        rate = 2e-3 if epoch < 0.6 * epochs else 4e-4
        for batch in numpy.array_split(random.permutation(len(features)), len(features) // 1024 + 1):
            step += 1
            x = (features[batch] - mean) / deviation
            hidden = numpy.maximum(x @ values[0] + values[1], 0)
            chance = 1 / (1 + numpy.exp(-(hidden @ values[2] + values[3])[:, 0]))
            error = ((chance - wanted[batch]) * weight[batch] / len(batch))[:, None]
            back = error @ values[2].T * (hidden > 0)
            slopes = [x.T @ back, back.sum(0), hidden.T @ error, error.sum(0)]
            for value, slope, (first, second) in zip(values, slopes, moments):
                first += 0.1 * (slope - first)
                second += 0.001 * (slope * slope - second)
                value -= rate * (first / (1 - 0.9**step)) / (numpy.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return [mean, deviation, *values]


def tell(yunet, head, faces, backgrounds, random, frames):
    """What the head is worth on faces and backgrounds that it was not trained on."""
    on, off = [], []
    for _ in range(frames):
        picture, places = frame(faces, backgrounds, random, 7)
        features, standing = yunet.look(picture)
        likely = 1 / (1 + numpy.exp(-score(head, features)))
        rows, columns = numpy.mgrid[: features.shape[0], : features.shape[1]] * float(STRIDE)
        for at, height in places:
            distance = numpy.hypot(columns - at[0], rows - at[1])
            on.append((height, likely[distance <= max(0.25 * height, 8)].max()))
            likely[distance <= 1.2 * height] = 0
        for _, (left, top, width, height) in standing:
            likely[(columns > left - 8) & (columns < left + width + 8) & (rows > top - 8) & (rows < top + height + 8)] = 0
        # Places and not cells: what lies within 24 px of a likelier one is the same.
        while likely.max() >= 0.9:
            cell = likely.argmax()
            off.append(likely.flat[cell])
            likely[numpy.hypot(rows - rows.flat[cell], columns - columns.flat[cell]) < 24] = 0
    on, off = numpy.array(on), numpy.array(off)
    for least in (0.9, 0.95, 0.98):
        sizes = [(low, on[(on[:, 0] >= low) & (on[:, 0] < high), 1] >= least) for low, high in ((22, 32), (32, 48), (48, 91))]
        by_size = ", ".join(f"{hints.mean():.3f} of {len(hints)} from {low} px" for low, hints in sizes)
        print(f"{least}: hints {by_size}; off every face {(off >= least).sum() / frames:.2f} a frame")


def graph(yunet, head):
    """The head as nodes that read YuNet's features, with the means and deviations in the weights."""
    mean, deviation, first, bias, last, shift = head
    first = first / deviation[:, None]
    bias = bias - mean @ first
    tensors = {
        "lying.w8": first[:64].T.reshape(HIDDEN, 64, 1, 1),
        "lying.b": bias,
        "lying.w16": first[64:].T.reshape(HIDDEN, 64, 1, 1),
        "lying.w": last.T.reshape(1, HIDDEN, 1, 1),
        "lying.c": shift,
    }
    # YuNet's own nodes double the rows and columns of its features in the same way.
    resize = helper.make_node("Resize", ["lying.16", *yunet.resize.input[1:]], ["lying.16up"], name="lying.resize")
    resize.attribute.extend(yunet.resize.attribute)
    model = onnx.ModelProto()
    model.graph.node.extend([
        helper.make_node("Conv", [SECOND, "lying.w16"], ["lying.16"], name="lying.conv16", kernel_shape=[1, 1]),
        resize,
        helper.make_node("Conv", [FIRST, "lying.w8", "lying.b"], ["lying.8"], name="lying.conv8", kernel_shape=[1, 1]),
        helper.make_node("Add", ["lying.8", "lying.16up"], ["lying.sum"], name="lying.add"),
        helper.make_node("Relu", ["lying.sum"], ["lying.hidden"], name="lying.relu"),
        helper.make_node("Conv", ["lying.hidden", "lying.w", "lying.c"], ["lying.score"], name="lying.conv", kernel_shape=[1, 1]),
        helper.make_node("Sigmoid", ["lying.score"], ["lying_8"], name="lying.sigmoid"),
    ])
    arrays = {name: numpy.ascontiguousarray(value, numpy.float32) for name, value in tensors.items()}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in arrays.items())
    model.graph.output.append(helper.make_tensor_value_info("lying_8", TensorProto.FLOAT, [1, 1, "rows8", "columns8"]))
    return model.SerializeToString()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--yunet", type=Path, required=True)
    parser.add_argument("--faces", type=Path, nargs="+", required=True)
    parser.add_argument("--backgrounds", type=Path, nargs="+", required=True)
    parser.add_argument("--held-out", type=Path, nargs="+", required=True, help="for faces and backgrounds that tell what the head is worth")
    parser.add_argument("--frames", type=int, default=250, help="of each of the rounds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("src/vision/lying_head.onnx"))
    options = parser.parse_args()
    random = numpy.random.default_rng(7)
    yunet = Yunet(options.yunet)
    faces = list(cut_out(yunet, options.faces))
    backgrounds = [part for path in options.backgrounds for part in parts(opened(path, 2600), random)]
    held_out = list(cut_out(yunet, options.held_out)), [opened(path, 2600) for path in options.held_out]
    print(f"{len(faces)} faces, {len(backgrounds)} backgrounds; held out {len(held_out[0])} faces, {len(held_out[1])} backgrounds", flush=True)
    yes, no, head = [], [], None
    for number in range(options.rounds):
        more = collect(yunet, faces, backgrounds, random, options.frames, head)
        yes, no = yes + more[0], no + more[1]
        head = fit(yes, no, random, 8)
        print(f"round {number + 1}: {len(yes)} faces, {sum(map(len, no))} cells off them", flush=True)
    options.out.write_bytes(graph(yunet, head))
    tell(yunet, head, *held_out, random, 60)


if __name__ == "__main__":
    main()
