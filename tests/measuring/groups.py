"""Accuracy by group of people or photos: the CSV, the similarities of all pairs, and the shares that are counted in them.

A row is a group, or two groups across which a pair goes. Intervals are of 95 %: the wider one of Wilson's, which takes pairs for
independent, and of a bootstrap over people, which knows that the pairs of one person hang together but says nothing at 0 and at 100 %.
"""

import csv
import itertools
import os
import random
import sys
import uuid
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy

from measuring import faces

THRESHOLDS = (80, 90, 95, 99)
FALSE_ACCEPT_RATE = 1e-3
MOST_GROUPS = 12  # in a column: their pairs are rows too
CHUNK = 128
DRAWS = 400
DEVIATIONS = 1.96  # that hold 95 % of a normal distribution


class BadGroups(Exception):
    """The CSV cannot be used; the message says why."""


@dataclass
class Share:
    """So many of so many, and the interval of 95 %."""

    hits: float
    of: float
    low: float
    high: float

    @property
    def value(self):
        return self.hits / self.of if self.of else float("nan")


@dataclass
class Row:
    """What was counted in a group, or across two."""

    name: str
    people: int
    photos: int
    faceless: int
    same: Share = None  # at the threshold that lets FALSE_ACCEPT_RATE of the row's own pairs of two people through
    own_threshold: float = None
    rank_one: Share = None
    true_accepts: dict = field(default_factory=dict)
    false_accepts: dict = field(default_factory=dict)


def read(path, folder):
    """Column -> photo -> group, of a CSV whose first column is the photo below `folder`."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = list(csv.reader(file))
    if not lines or len(lines[0]) < 2:
        raise BadGroups(f"{path}: needs a first line with the names of its columns: photo, and at least one group")
    columns = {name.strip(): {} for name in lines[0][1:]}
    if "" in columns or len(columns) < len(lines[0]) - 1:
        raise BadGroups(f"{path}: each column needs a name of its own")
    for number, fields in enumerate(lines[1:], 2):
        if not fields:
            continue
        if len(fields) != len(lines[0]):
            raise BadGroups(f"{path}, line {number}: {len(fields)} fields, but {len(lines[0])} columns")
        photo = folder / fields[0].strip()
        if not photo.is_file():
            raise BadGroups(f"{path}, line {number}: there is no photo {photo}")
        for column, group in zip(columns.values(), fields[1:]):
            if photo in column:
                raise BadGroups(f"{path}, line {number}: {fields[0]} stands there twice")
            column[photo] = group.strip()
    for name, column in columns.items():
        if len(set(column.values()) - {""}) > MOST_GROUPS:
            raise BadGroups(f"{path}: column {name} has more than {MOST_GROUPS} groups. Put them into fewer, such as ages into ranges")
    return columns


def chosen(folder, most):
    """The photos and whose they are: everybody, or as many people, drawn with a fixed seed, as have `most` photos together."""
    people = list(faces.people_of(folder).items())
    random.Random(1).shuffle(people)
    taken, count = [], 0
    for name, photos in people:
        if count + len(photos) <= most:
            taken.append((name, photos))
            count += len(photos)
    pairs = [(path, name) for name, photos in sorted(taken) for path in photos]
    return [path for path, _ in pairs], numpy.array([name for _, name in pairs])


def similarities(client, photos):
    """The similarity of every two photos, and which have a face. Each chunk is searched for among what was indexed until then, so that
    no pair is asked for twice but those within a chunk."""
    scores = numpy.full((len(photos), len(photos)), faces.NO_FACE, numpy.float32)
    found, collection = [], f"accuracy-{uuid.uuid4().hex}"
    client.create_collection(CollectionId=collection)
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for begin in range(0, len(photos), CHUNK):
                found += pool.map(lambda path: faces.index(client, collection, path), photos[begin : begin + CHUNK])
                new = [number for number in range(begin, len(found)) if found[number] is not None]
                for number, alike in zip(new, pool.map(lambda number: faces.search(client, collection, found[number]), new)):
                    row = [faces.similarity({found[number]: alike}, found[number], other) for other in found]
                    scores[number, : len(found)] = scores[: len(found), number] = row
                print(f"{len(found)} of {len(photos)} photos", file=sys.stderr)
    finally:
        client.delete_collection(CollectionId=collection)
    return scores, numpy.array([face is not None for face in found])


def rows_of(scores, found, people, labels):
    """The rows of a column: each group, and each two of them. `labels` has the group of each photo, "" for none."""
    groups = sorted(set(labels) - {""})
    people = numpy.unique(people, return_inverse=True)[1]  # numbers are compared faster than names
    yield row_of(scores, found, people, "all", labels != "", labels != "")
    for group in groups:
        yield row_of(scores, found, people, group, labels == group, labels == group)
    for one, other in itertools.combinations(groups, 2):
        yield row_of(scores, found, people, f"{one} × {other}", labels == one, labels == other)


def row_of(scores, found, people, name, left, right):
    """What is counted in the pairs of a photo in `left` with one in `right`: both the same, or without a photo in common."""
    here = left | right
    row = Row(name, len(set(people[here])), int(here.sum()), int((here & ~found).sum()))
    count = Counting(scores, people, left, right)
    for threshold in THRESHOLDS:
        row.true_accepts[threshold], row.false_accepts[threshold] = count.at(threshold)
    if count.impostors.size * FALSE_ACCEPT_RATE >= count.twice:
        # The highest score that is refused: nothing above it is a larger share than the rate.
        place = count.impostors.size - 1 - int(FALSE_ACCEPT_RATE * count.impostors.size)
        row.own_threshold = float(numpy.partition(count.impostors, place)[place])
        row.same = count.at(numpy.nextafter(numpy.float32(row.own_threshold), numpy.float32(200)))[0]
    row.rank_one = rank_one(scores, people, left, right)
    return row


class Counting:
    """Pairs between two sets of photos, by the two people in them."""

    def __init__(self, scores, people, left, right):
        self.twice = 2 if (left & right).any() else 1  # within one set every pair is met from both sides
        names = sorted(set(people[left | right]))
        self.left, self.right = one_hot(people[left], names), one_hot(people[right], names)
        self.scores = scores[numpy.ix_(left, right)]
        self.other = people[left][:, None] != people[right][None, :]
        self.itself = numpy.flatnonzero(left)[:, None] == numpy.flatnonzero(right)[None, :]
        self.impostors = self.scores[self.other]
        self.pairs = self.by_people(~self.itself)

    def by_people(self, which):
        return self.left.T @ which.astype(numpy.float32) @ self.right

    def at(self, threshold):
        """The shares of the pairs of one person, and of two, that reach a threshold."""
        hits = self.by_people((self.scores >= threshold) & ~self.itself)
        draws = drawn_people(len(hits))
        same, same_of = hits.diagonal(), self.pairs.diagonal()
        two, two_of = hits - numpy.diag(same), self.pairs - numpy.diag(same_of)
        true_accepts = share(same.sum() / self.twice, same_of.sum() / self.twice, draws @ same, draws @ same_of)
        drawn = [((draws @ counts) * draws).sum(1) for counts in (two, two_of)]
        return true_accepts, share(two.sum(dtype=float) / self.twice, two_of.sum(dtype=float) / self.twice, *drawn)


def one_hot(people, names):
    return (people[:, None] == numpy.array(names)[None, :]).astype(numpy.float32)


def rank_one(scores, people, left, right):
    """How many of the photos have the right person nearest: of the person's own photos those across the pair of groups, of everybody
    else's all, whatever group they are in. So all rows are searched among the same strangers."""
    per_person = defaultdict(lambda: [0, 0])
    for probes, mates in [(left, right)] if (left & right).any() else [(left, right), (right, left)]:
        for probe in numpy.flatnonzero(probes):
            own = people == people[probe]
            mine = own & mates
            mine[probe] = False
            if mine.any() and not own.all():
                per_person[people[probe]][0] += scores[probe, mine].max() > scores[probe, ~own].max()
                per_person[people[probe]][1] += 1
    counts = numpy.array(list(per_person.values()), float).reshape(-1, 2)
    return share(*counts.sum(0), *(drawn_people(len(counts)) @ counts).T)


def drawn_people(count):
    """How often each of so many people is in each draw of the bootstrap, which takes as many people with replacement."""
    if not count:
        return numpy.zeros((DRAWS, 0), numpy.float32)
    return numpy.random.default_rng(1).multinomial(count, numpy.full(count, 1 / count), DRAWS).astype(numpy.float32)


def share(hits, of, drawn_hits, drawn_of):
    """A share with the wider one of its two intervals."""
    low, high = wilson(hits, of)
    drawn = numpy.divide(drawn_hits, drawn_of, out=numpy.full(len(drawn_of), numpy.nan), where=drawn_of > 0)
    drawn = drawn[~numpy.isnan(drawn)]
    if len(drawn):
        low, high = min(low, numpy.quantile(drawn, 0.025)), max(high, numpy.quantile(drawn, 0.975))
    return Share(float(hits), float(of), float(low), float(high))


def wilson(hits, of):
    """Wilson's interval of 95 %; all there is where nothing was counted."""
    if not of:
        return 0.0, 1.0
    part, square = hits / of, DEVIATIONS**2
    middle = (part + square / (2 * of)) / (1 + square / of)
    half = DEVIATIONS * numpy.sqrt(part * (1 - part) / of + square / (4 * of**2)) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def tables(column, rows):
    """The rows of a column in Markdown."""
    yield f"\n### {column}\n"
    yield "| | people | photos | without a face | pairs of one | pairs of two | TAR at FAR 1e-3 | above | rank 1 |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        counts = [row.people, row.photos, row.faceless, round(row.true_accepts[80].of), round(row.false_accepts[80].of)]
        own = ["too few pairs", ""] if row.same is None else [percent(row.same), f"{row.own_threshold:.1f}"]
        yield f"| {row.name} | " + " | ".join([f"{count:,}" for count in counts] + own + [percent(row.rank_one)]) + " |"
    yield "\n| same person passes at | " + " | ".join(map(str, THRESHOLDS)) + " |\n|---" + "|---" * len(THRESHOLDS) + "|"
    for row in rows:
        yield f"| {row.name} | " + " | ".join(percent(row.true_accepts[threshold]) for threshold in THRESHOLDS) + " |"
    yield "\n| false matches a million at | " + " | ".join(map(str, THRESHOLDS)) + " |\n|---" + "|---" * len(THRESHOLDS) + "|"
    for row in rows:
        yield f"| {row.name} | " + " | ".join(a_million(row.false_accepts[threshold]) for threshold in THRESHOLDS) + " |"


def percent(share):
    return f"{100 * share.value:.1f} % ({100 * share.low:.1f}-{100 * share.high:.1f})" if share.of else "no pairs"


def a_million(share):
    return f"{1e6 * share.value:,.0f} ({1e6 * share.low:,.0f}-{1e6 * share.high:,.0f})" if share.of else "no pairs"
