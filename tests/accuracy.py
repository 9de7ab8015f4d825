"""Accuracy on labelled pairs, through the API: `make accuracy DIR=lfw`.

DIR holds one folder a person, as LFW does: DIR/Name/Name_0001.jpg. The pairs are those of pairs.txt (LFW's format: ten folds); without
it, every pair of photos of one person and as many pairs of two people, drawn with a fixed seed.

Each photo is indexed, of its faces the one nearest the middle counts (as in LFW, where others stand around), and SearchFaces with
threshold 0 gives the similarity of a pair. A search returns 4,096 faces at most, so the pairs are split into collections of fewer: all
similarities are then exact. A pair with a photo in which no face is found scores -1: a miss for one person, right for two.

A CSV of groups (DIR/groups.csv, or GROUPS=file: the first column is the photo below DIR, each further one a group such as age or sex) gives
the same by group and across groups, over every pair of photos; --svg draws it.
"""

import argparse
import itertools
import os
import random
import sys
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy

sys.path.insert(0, str(Path(__file__).parent / "clients"))
from measuring import groups, picture  # noqa: E402
from measuring.faces import MOST_FACES, index, people_of, search, similarity  # noqa: E402
from servers import Server, rekognition  # noqa: E402

FALSE_ACCEPT_RATES = [1e-2, 1e-3, 1e-4]
TOO_FEW = """too few pairs. The threshold for one fold is set on the others, so two folds need pairs of one person and pairs of two people.
Four people with two photos each are enough (DIR/Name/Name_0001.jpg), or a pairs.txt with two folds."""


@dataclass(frozen=True)
class Pair:
    """Two photos, whether they show one person, and the fold that they are tested in."""

    left: Path
    right: Path
    same: bool
    fold: int


def main():
    options = parse_options()
    pairs = pairs_from_file(options.folder, options.pairs) if options.pairs else pairs_from_folder(options.folder)
    check(pairs, options)
    try:
        columns = groups.read(options.groups, options.folder) if options.groups else {}
    except groups.BadGroups as wrong:
        sys.exit(str(wrong))
    with tempfile.TemporaryDirectory() as folder:
        if options.endpoint:
            return measure_and_report(rekognition(options.endpoint), options, pairs, columns)
        with Server(Path(folder), pack=options.pack) as server:
            measure_and_report(server.client, options, pairs, columns)


def check(pairs, options):
    if len({pair.fold for pair in pairs if pair.same} & {pair.fold for pair in pairs if not pair.same}) < 2:
        sys.exit(f"{options.pairs or options.folder}: {TOO_FEW}")
    missing = next((path for pair in pairs for path in (pair.left, pair.right) if not path.exists()), None)
    if missing:
        sys.exit(f"{missing}: named by the pairs, but not there")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="photos: DIR/Name/Name_0001.jpg")
    parser.add_argument("--pairs", type=Path, help="labelled pairs in LFW's format (default: DIR/pairs.txt if it exists)")
    parser.add_argument("--groups", type=Path, help="a CSV of the photos' groups (default: DIR/groups.csv if it exists)")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the groups into this file")
    parser.add_argument("--photos", type=int, default=MOST_FACES, help=f"compare at most so many by group (default and most: {MOST_FACES})")
    parser.add_argument("--endpoint", help="a running server (default: start one)")
    parser.add_argument("--pack", default=os.environ.get("REKOLLECT_PACK", "standard"), help="model pack of the server to start")
    options = parser.parse_args()
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is no folder")
    if not 0 < options.photos <= MOST_FACES:
        parser.error(f"--photos goes from 1 to {MOST_FACES}")
    for name, file in (("pairs", "pairs.txt"), ("groups", "groups.csv")):
        if getattr(options, name) is None and (options.folder / file).exists():
            setattr(options, name, options.folder / file)
    if options.groups and not options.groups.exists():
        parser.error(f"there is no file {options.groups}")
    if options.svg and not options.groups:
        parser.error("--svg draws groups: name their CSV with --groups")
    return options


def measure_and_report(client, options, pairs, columns):
    if not columns:
        return report(options, pairs, *measure(client, pairs))
    photos, people = groups.chosen(options.folder, options.photos)
    scores, found = groups.similarities(client, photos)
    place = {path: number for number, path in enumerate(photos)}
    pairs = [pair for pair in pairs if pair.left in place and pair.right in place]
    check(pairs, options)
    faceless = {pair_photo for pair in pairs for pair_photo in (pair.left, pair.right) if not found[place[pair_photo]]}
    report(options, pairs, numpy.array([scores[place[pair.left], place[pair.right]] for pair in pairs]), faceless)
    print(f"by group: {len(photos)} photos of {len(set(people))} people, every pair of them; in brackets: intervals of 95 %")
    rows = {}
    for name, column in columns.items():
        labels = numpy.array([column.get(path, "") for path in photos])
        rows[name] = list(groups.rows_of(scores, found, people, labels))
        print("\n".join(groups.tables(name, rows[name])), flush=True)
    if options.svg:
        options.svg.write_text(picture.drawn(rows, f"{version(options)}, {len(photos)} photos of {len(set(people))} people"))


def pairs_from_file(folder, path):
    """LFW's pairs.txt: `folds count`, then for each fold `count` lines `Name 1 2` and `count` lines `Name 1 Other 2`."""
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    header = [int(number) for number in lines[0]]
    count = header[-1]
    pairs = []
    for number, fields in enumerate(lines[1:]):
        if len(fields) == 3:
            (name, left, right), other = fields, fields[0]
        else:
            name, left, other, right = fields
        pairs.append(Pair(photo(folder, name, left), photo(folder, other, right), len(fields) == 3, number // (2 * count)))
    return pairs


def photo(folder, name, number):
    return folder / name / f"{name}_{int(number):04d}.jpg"


def pairs_from_folder(folder):
    """All pairs of one person, as many of two people; in two folds by person, so that no threshold is tested on who set it."""
    people = list(people_of(folder).values())
    dice = random.Random(1)
    dice.shuffle(people)
    pairs = []
    for fold in range(2):
        members = people[fold::2]
        same = [Pair(*two, True, fold) for photos in members for two in itertools.combinations(photos, 2)]
        others = [Pair(left, right, False, fold) for one, two in itertools.combinations(members, 2) for left in one for right in two]
        pairs += same + dice.sample(others, min(len(same), len(others)))
    return pairs


def measure(client, pairs):
    """The similarity of every pair, in their order, and the photos without a face."""
    scores, faceless = [], set()
    for batch in batches(pairs):
        collection = f"accuracy-{uuid.uuid4().hex}"
        client.create_collection(CollectionId=collection)
        try:
            scores += measure_batch(client, collection, batch, faceless)
        finally:
            client.delete_collection(CollectionId=collection)
        print(f"{len(scores)} of {len(pairs)} pairs", file=sys.stderr)
    return numpy.array(scores), faceless


def batches(pairs):
    batch, photos = [], set()
    for pair in pairs:
        if len(photos | {pair.left, pair.right}) > MOST_FACES:
            yield batch
            batch, photos = [], set()
        batch.append(pair)
        photos |= {pair.left, pair.right}
    yield batch


def measure_batch(client, collection, batch, faceless):
    photos = sorted({path for pair in batch for path in (pair.left, pair.right)})
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        faces = dict(zip(photos, pool.map(lambda path: index(client, collection, path), photos)))
        faceless |= {path for path in photos if faces[path] is None}
        searched = sorted({faces[pair.left] for pair in batch} - {None})
        similarities = dict(zip(searched, pool.map(lambda face: search(client, collection, face), searched)))
    return [similarity(similarities, faces[pair.left], faces[pair.right]) for pair in batch]


def accuracies(scores, same, folds):
    """The accuracy in each fold, at the threshold that is best in all the others."""
    for fold in sorted(set(folds)):
        tested = folds == fold
        yield accuracy(scores[tested], same[tested], best_threshold(scores[~tested], same[~tested]))


def accuracy(scores, same, threshold):
    return numpy.mean((scores >= threshold) == same)


def best_threshold(scores, same):
    """In the middle of the widest stretch between two scores that no other threshold beats."""
    edges = numpy.unique(scores)
    if len(edges) == 1:  # photos without a face, most likely: no threshold tells them apart, and this one lets nobody through
        return edges[0] + 1
    candidates = (edges[1:] + edges[:-1]) / 2
    right = numpy.searchsorted(numpy.sort(scores[~same]), candidates) - numpy.searchsorted(numpy.sort(scores[same]), candidates)
    best = numpy.flatnonzero(right == right.max())
    return candidates[best[numpy.argmax(numpy.diff(edges)[best])]]


def true_accept_rate(scores, same, false_accept_rate):
    """At the lowest threshold that lets no larger share of the pairs of two people through."""
    impostors = numpy.sort(scores[~same])[::-1]
    highest_refused = impostors[int(false_accept_rate * len(impostors))]
    return numpy.mean(scores[same] > highest_refused), highest_refused


def version(options):
    return f"server {options.endpoint}" if options.endpoint else f"pack {options.pack}"


def report(options, pairs, scores, faceless):
    same = numpy.array([pair.same for pair in pairs])
    rates = numpy.array(list(accuracies(scores, same, numpy.array([pair.fold for pair in pairs]))))
    print(f"{version(options)}: {same.sum()} pairs of one person, {(~same).sum()} pairs of two, of {options.pairs or options.folder}")
    print(f"photos without a face: {len(faceless)} of {len({path for pair in pairs for path in (pair.left, pair.right)})}")
    print(f"accuracy: {rates.mean():.4f} +- {rates.std():.4f} ({len(rates)} folds, threshold from the others)")
    print(f"accuracy at similarity 80, the API's default: {accuracy(scores, same, 80):.4f}")
    for rate in FALSE_ACCEPT_RATES:
        if (~same).sum() * rate < 1:
            print(f"TAR at FAR {rate:.0e}: too few pairs of two people")
            continue
        accepted, threshold = true_accept_rate(scores, same, rate)
        print(f"TAR at FAR {rate:.0e}: {accepted:.4f} (similarity above {threshold:.2f})")


if __name__ == "__main__":
    main()
