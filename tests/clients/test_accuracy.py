"""tests/accuracy.py as `make accuracy` runs it, with fewer people than it needs and with just enough."""

import subprocess
import sys

import pytest
from pictures import saved
from PIL import Image
from servers import ROOT


def accuracy(folder, *arguments):
    command = [sys.executable, ROOT / "tests/accuracy.py", *arguments, folder]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def people(folder, *photos):
    """A folder for each person, as LFW has them, with what is given for each photo."""
    for number, named in enumerate(photos):
        name = f"Person_{number}"
        (folder / name).mkdir()
        for count, data in enumerate(named, 1):
            (folder / name / f"{name}_{count:04d}.jpg").write_bytes(data)


@pytest.mark.parametrize("photos", [[2, 2, 2], [3, 1], [1, 1, 1, 1], [4], []], ids=str)
def test_too_few_people_end_it_with_what_is_needed(photos, tmp_path):
    people(tmp_path, *([b"never read"] * count for count in photos))
    done = accuracy(tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"{tmp_path}: too few pairs. ")
    assert "Four people with two photos each are enough" in done.stderr


def test_one_fold_of_labelled_pairs_is_too_few(tmp_path):
    people(tmp_path, [b"never read"] * 2, [b"never read"])
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("1\t1\nPerson_0\t1\t2\nPerson_0\t1\tPerson_1\t1\n")
    done = accuracy(tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"{pairs}: too few pairs. ") and "or a pairs.txt with two folds." in done.stderr


def test_two_folds_of_labelled_pairs_are_enough(server, photo, tmp_path):
    people(tmp_path, [photo("obama.jpg"), photo("obama2.jpg"), photo("obama3.jpg")], [photo("biden.jpg")])
    folds = [["Person_0 1 2", "Person_0 1 Person_1 1"], ["Person_0 2 3", "Person_0 3 Person_1 1"]]
    (tmp_path / "pairs.txt").write_text("\n".join(["2 1", *folds[0], *folds[1]]))
    done = accuracy(tmp_path, "--endpoint", server.url)
    assert done.returncode == 0, done.stderr
    assert "2 pairs of one person, 2 pairs of two" in done.stdout and "photos without a face: 0 of 4\n" in done.stdout
    assert "accuracy: 1.0000 +- 0.0000 (2 folds, threshold from the others)\n" in done.stdout


def test_four_people_are_enough_and_nobody_without_a_face_is_let_through(server, tmp_path):
    blank = saved(Image.new("RGB", (100, 100)))
    people(tmp_path, *[[blank, blank]] * 4)
    done = accuracy(tmp_path, "--endpoint", server.url)
    assert done.returncode == 0, done.stderr
    assert "photos without a face: 8 of 8\n" in done.stdout
    assert "accuracy: 0.5000 +- 0.0000 (2 folds, threshold from the others)\n" in done.stdout
