"""One photo in many forms is one face."""

import pictures
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps


@pytest.fixture(scope="module")
def portrait(photo):
    return pictures.opened(photo("obama.jpg"))


@pytest.fixture
def indexed(client, collection, portrait):
    """The upright photo, indexed; its box."""
    (record,) = client.index_faces(CollectionId=collection, Image={"Bytes": pictures.saved(portrait)})["FaceRecords"]
    return record["Face"]["BoundingBox"]


def search(client, collection, data):
    found = client.search_faces_by_image(CollectionId=collection, Image={"Bytes": data}, FaceMatchThreshold=0)
    (match,) = found["FaceMatches"]
    return found["SearchedFaceBoundingBox"], match["Similarity"]


def test_eight_exif_orientations_are_one_picture(client, collection, portrait, indexed):
    assert portrait.width != portrait.height
    for orientation in pictures.STORED_AS:
        box, similarity = search(client, collection, pictures.with_exif_orientation(portrait, orientation))
        assert box == pytest.approx(indexed, abs=0.01), f"orientation {orientation}"
        assert similarity >= 99, f"orientation {orientation}"


def test_every_form_of_jpeg_and_png(client, collection, portrait, indexed):
    for form, data in pictures.variants(portrait).items():
        assert len(client.detect_faces(Image={"Bytes": data})["FaceDetails"]) == 1, form
        box, similarity = search(client, collection, data)
        assert box == pytest.approx(indexed, abs=0.02), form  # without its colours the face is found a little elsewhere
        assert similarity >= 95, form


def detected(client, image):
    (face,) = client.detect_faces(Image={"Bytes": pictures.saved(image)})["FaceDetails"]
    return face


def test_quality_and_pose_follow_the_picture(client, photo):
    image = pictures.opened(photo("obama2.jpg"))
    face = detected(client, image)
    darker, darkest = (detected(client, ImageEnhance.Brightness(image).enhance(factor)) for factor in (0.6, 0.3))
    assert face["Quality"]["Brightness"] > darker["Quality"]["Brightness"] > darkest["Quality"]["Brightness"]
    upright = ImageOps.contain(image, (round(200 / face["BoundingBox"]["Height"]),) * 2)  # the face is some 200 px high
    blurred = [detected(client, upright.filter(ImageFilter.GaussianBlur(deviation)))["Quality"]["Sharpness"] for deviation in range(7)]
    assert blurred == sorted(blurred, reverse=True) and blurred[0] - blurred[-1] > 40, blurred
    smaller = [detected(client, ImageOps.scale(upright, height / 200))["Quality"]["Sharpness"] for height in (200, 150, 100, 60)]
    assert smaller == sorted(smaller, reverse=True) and smaller[0] - smaller[-1] > 2, smaller

    mirrored = detected(client, ImageOps.mirror(image))["Pose"]
    assert abs(face["Pose"]["Yaw"]) > 2
    assert mirrored["Yaw"] == pytest.approx(-face["Pose"]["Yaw"], abs=5)
    turned = detected(client, image.rotate(-20, Image.Resampling.BICUBIC))["Pose"]  # clockwise, as Roll counts
    assert turned["Roll"] == pytest.approx(face["Pose"]["Roll"] + 20, abs=5)
