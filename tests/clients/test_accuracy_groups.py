"""The groups of `make accuracy`: what is counted in made-up similarities, a CSV that cannot be read, and a run over photos of the tests."""

import re
import sys
from xml.etree import ElementTree

import numpy
import pytest
from pictures import saved
from PIL import Image
from servers import ROOT
from test_accuracy import accuracy, people

sys.path.insert(0, str(ROOT / "tests"))
from measuring import groups, picture  # noqa: E402

# Two photos each of Ada and Bob, one of Cy. Ada is known from photo to photo, Bob is not, and Cy looks like Bob's second photo.
PEOPLE = numpy.array(["Ada", "Ada", "Bob", "Bob", "Cy"])
SCORES = numpy.array(
    [
        [100, 96, 10, 20, 30],
        [96, 100, 15, 25, 35],
        [10, 15, 100, 40, 50],
        [20, 25, 40, 100, 92],
        [30, 35, 50, 92, 100],
    ],
    numpy.float32,
)
FACES = numpy.array([True] * 5)


def rows(*labels, scores=SCORES, found=FACES):
    return {row.name: row for row in groups.rows_of(scores, found, PEOPLE, numpy.array(labels))}


def counted(share):
    return share.hits, share.of


@pytest.mark.parametrize(("hits", "of", "low", "high"), [(0, 10, 0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1), (0, 0, 0, 1)])
def test_intervals_are_wilsons(hits, of, low, high):
    assert groups.wilson(hits, of) == pytest.approx((low, high), abs=1e-4)


def test_the_interval_of_a_share_holds_both():
    drawn = numpy.linspace(0, 1, 401)
    wide = groups.share(5000, 10_000, drawn, numpy.ones(401))
    assert (wide.low, wide.high) == pytest.approx((0.025, 0.975))
    narrow = groups.share(5, 10, numpy.full(401, 0.5), numpy.ones(401))
    assert (narrow.low, narrow.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_pairs_within_a_group_and_across_two():
    by_name = rows("x", "x", "x", "y", "y")
    assert list(by_name) == ["all", "x", "y", "x × y"]
    assert [(row.people, row.photos) for row in by_name.values()] == [(3, 5), (2, 3), (2, 2), (3, 5)]
    assert [counted(row.true_accepts[80]) for row in by_name.values()] == [(1, 2), (1, 1), (0, 0), (0, 1)]
    assert [counted(row.false_accepts[80]) for row in by_name.values()] == [(1, 8), (0, 2), (1, 1), (0, 5)]
    assert counted(by_name["all"].false_accepts[95]) == (0, 8) and counted(by_name["all"].true_accepts[99]) == (0, 2)


def test_rank_one_searches_among_the_strangers_of_every_group():
    by_name = rows("x", "x", "x", "y", "y")
    # Ada twice right; Bob's photos each have Cy nearer. Within x only Ada has a second photo, across x and y only Bob.
    assert [counted(row.rank_one) for row in by_name.values()] == [(2, 4), (2, 2), (0, 0), (0, 2)]


def test_photos_without_a_group_are_in_no_pair_but_among_the_strangers():
    everybody = rows("x", "x", "x", "x", "")["all"]
    assert counted(everybody.false_accepts[80]) == (0, 4) and everybody.photos == 4
    assert counted(everybody.rank_one) == (2, 4)


def test_a_photo_without_a_face_is_a_miss_and_no_false_match():
    scores = SCORES.copy()
    scores[1] = scores[:, 1] = groups.faces.NO_FACE
    everybody = rows(*"xxxxx", scores=scores, found=numpy.array([True, False, True, True, True]))["all"]
    assert everybody.faceless == 1
    assert counted(everybody.true_accepts[80]) == (0, 2) and counted(everybody.false_accepts[80]) == (1, 8)


def test_the_own_threshold_lets_no_larger_share_through():
    """3 people of 40 photos: 4,800 pairs of two, of which four may pass; pairs of one person lie at 95."""
    named = numpy.repeat(["Ada", "Bob", "Cy"], 40)
    scores = numpy.where(named[:, None] == named[None, :], 95, 50).astype(numpy.float32)
    for place in range(5):
        scores[place, 40 + place] = scores[40 + place, place] = 90 - place
    labels = numpy.full(120, "x")
    row = next(iter(groups.rows_of(scores, labels == "x", named, labels)))
    assert row.own_threshold == 86 and row.same.value == 1
    few = rows(*"xxxxx")["all"]
    assert few.same is None and "too few pairs" in "\n".join(groups.tables("any", [few]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a first line"),
        ("photo\n", "needs a first line"),
        ("photo,age,age\n", "a name of its own"),
        ("photo,age\nAda/Ada_0001.jpg\n", "line 2: 1 fields, but 2 columns"),
        ("photo,age\nAda/Ada_0009.jpg,old\n", r"line 2: there is no photo .*/Ada_0009\.jpg"),
        ("photo,age\nAda/Ada_0001.jpg,old\nAda/Ada_0001.jpg,old\n", "line 3: Ada/Ada_0001.jpg stands there twice"),
        ("photo,age\n" + "".join(f"Ada/Ada_{n:04d}.jpg,{n}\n" for n in range(10, 23)), "more than 12 groups. Put them into fewer"),
    ],
    ids=lambda value: value[:30],
)
def test_a_csv_that_cannot_be_used_says_why(text, message, tmp_path):
    (tmp_path / "Ada").mkdir()
    for number in [1, *range(10, 23)]:
        (tmp_path / "Ada" / f"Ada_{number:04d}.jpg").touch()
    (tmp_path / "groups.csv").write_text(text)
    with pytest.raises(groups.BadGroups, match=message):
        groups.read(tmp_path / "groups.csv", tmp_path)


def test_a_photo_that_is_not_there_ends_it_before_anything_is_measured(tmp_path):
    people(tmp_path, *[[b"never read"] * 2] * 4)
    (tmp_path / "groups.csv").write_text("photo,age\nPerson_9/Person_9_0001.jpg,old\n")
    done = accuracy(tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == f"{tmp_path}/groups.csv, line 2: there is no photo {tmp_path}/Person_9/Person_9_0001.jpg\n"


def test_so_many_photos_of_whole_people(tmp_path):
    people(tmp_path, *[[b"never read"] * 3] * 5)
    photos, names = groups.chosen(tmp_path, 10)
    assert len(photos) == 9 and [path.parent.name for path in photos] == list(names) and len(set(names)) == 3
    assert len(groups.chosen(tmp_path, 4096)[0]) == 15


def test_groups_through_the_api(server, photo, tmp_path):
    blank = saved(Image.new("RGB", (100, 100)))
    people(tmp_path, [photo("obama.jpg"), photo("obama2.jpg"), photo("obama3.jpg")], [photo("biden.jpg"), blank])
    folds = [["Person_0 1 2", "Person_0 1 Person_1 1"], ["Person_0 2 3", "Person_0 3 Person_1 1"]]
    (tmp_path / "pairs.txt").write_text("\n".join(["2 1", *folds[0], *folds[1]]))
    (tmp_path / "by-name.csv").write_text(
        "photo,name\n" + "".join(f"Person_0/Person_0_{n:04d}.jpg,one & all\n" for n in (1, 2, 3)) + "Person_1/Person_1_0001.jpg,other\n"
    )
    drawing = tmp_path / "groups.svg"
    done = accuracy(tmp_path, "--endpoint", server.url, "--groups", tmp_path / "by-name.csv", "--svg", drawing)
    assert done.returncode == 0, done.stderr
    assert "accuracy: 1.0000 +- 0.0000 (2 folds, threshold from the others)\n" in done.stdout
    assert "by group: 5 photos of 2 people" in done.stdout
    assert "| one & all | 1 | 3 | 0 | 3 | 0 | too few pairs |  | 100.0 % (43.8-100.0) |" in done.stdout
    assert "| one & all × other | 2 | 4 | 0 | 0 | 3 | too few pairs |  | no pairs |" in done.stdout
    assert "| one & all | 100.0 % (43.8-100.0) |" in done.stdout and "| all | 0 (0-561,506) |" in done.stdout
    words = [element.text for element in ElementTree.parse(drawing).iter("{http://www.w3.org/2000/svg}text")]
    assert {"name", "one & all", "one & all × other", "no pairs"} <= set(words)


def test_the_picture_has_a_point_and_an_interval_for_each_share():
    row = rows("x", "x", "x", "y", "y")["all"]
    drawing = ElementTree.fromstring(picture.drawn({"any": [row]}, "made up"))
    points = [float(element.get("cx")) for element in drawing.iter("{http://www.w3.org/2000/svg}circle")]
    lines = [element for element in drawing.iter("{http://www.w3.org/2000/svg}line") if re.match("interval", element.get("class"))]
    assert len(points) == len(lines) == 3
    assert all(float(line.get("x1")) <= point <= float(line.get("x2")) for line, point in zip(lines, points))
