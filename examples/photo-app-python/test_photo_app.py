"""The app against whatever servers the SDK's variables name, with the photos of the folder PHOTOS (README.md says how it is laid out)."""

import base64
import os
import uuid
from pathlib import Path

import pytest
from photo_app import NoFace, PhotoApp, SomebodyElse

PHOTOS = Path(os.environ.get("PHOTOS") or pytest.exit("name a folder of photos with PHOTOS: README.md", returncode=2))
PEOPLE = {folder.name: sorted(folder.iterdir()) for folder in sorted(PHOTOS.iterdir()) if folder.is_dir()}
OTHERS = sorted(file for file in PHOTOS.iterdir() if file.is_file())
# A picture of nothing.
GREY_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAGQAAABkCAAAAABVicqIAAAAPUlEQVR42u3NAQkAAAwDoEVf9LU4HLSA6YFIJBKJRCKRSCQSiUQi"
    "kUgkEolEIpFIJBKJRCKRSCQSiUTyPxmMBYke15yysgAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def app():
    """An app that knows each person by the first of their photos."""
    app = PhotoApp(f"photo-app-{uuid.uuid4()}")
    app.open()
    for person, photos in PEOPLE.items():
        app.add(person, photos[0])
    yield app
    app.close()


def objects(app):
    return {item["Key"] for item in app.s3.list_objects_v2(Bucket=app.album).get("Contents", [])}


def faces(app):
    return app.rekognition.describe_collection(CollectionId=app.album)["FaceCount"]


@pytest.mark.parametrize("person, photo", [(person, photo) for person, photos in PEOPLE.items() for photo in photos[1:]])
def test_a_person_is_known_on_another_photo(app, person, photo):
    assert person in app.who_is_on(photo)


@pytest.mark.parametrize("photo", OTHERS, ids=lambda photo: photo.name)
def test_everybody_known_and_nobody_else_is_named(app, photo):
    """The name of a photo names those on it: `ada+bob.jpg`. Names without a folder are strangers."""
    named = [name for name in app.who_is_on(photo) if name]
    assert sorted(named) == sorted(set(photo.stem.split("+")) & set(PEOPLE))


def test_a_question_leaves_nothing(app):
    before = faces(app), objects(app)
    for photo in OTHERS:
        app.who_is_on(photo)
    assert (faces(app), objects(app)) == before
    assert before == (len(PEOPLE), {f"{person}/{photos[0].name}" for person, photos in PEOPLE.items()})


def test_a_photo_without_a_face_teaches_nothing(app, tmp_path):
    before = faces(app), objects(app)
    (tmp_path / "grey.png").write_bytes(GREY_PNG)
    with pytest.raises(NoFace):
        app.add("nobody", tmp_path / "grey.png")
    assert (faces(app), objects(app)) == before


def test_a_photo_of_somebody_else_is_refused(app):
    before = faces(app), objects(app)
    known, other = list(PEOPLE)[:2]
    with pytest.raises(SomebodyElse):
        app.add(known, PEOPLE[other][0])
    assert (faces(app), objects(app)) == before


def test_who_is_forgotten_is_a_stranger(app):
    person, photos = max(PEOPLE.items(), key=lambda item: len(item[1]))
    for photo in photos[1:]:
        app.add(person, photo)
    assert person in app.who_is_on(photos[0])
    app.forget(person)
    assert person not in app.who_is_on(photos[0])
    assert faces(app) == len(PEOPLE) - 1
    assert not any(key.startswith(f"{person}/") for key in objects(app))
    app.add(person, photos[0])
    assert person in app.who_is_on(photos[-1])
