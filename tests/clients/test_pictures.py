"""One photo in many forms is one face."""

import sqlite3
import uuid
from contextlib import closing

import pictures
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from servers import Server


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


@pytest.fixture(scope="module")
def with_webp(start_server, tmp_path_factory, portrait):
    """A server that takes WebP too, and a bucket with one."""
    folder = tmp_path_factory.mktemp("webp") / "s3"
    (folder / "photos").mkdir(parents=True)
    (folder / "photos/portrait.webp").write_bytes(pictures.saved(portrait, "WEBP", quality=90))
    return start_server(args=["--image-formats", "jpeg,png,webp", "--s3-dir", str(folder)]).client


def test_webp_is_taken_where_the_operator_says_so(with_webp, client, portrait):
    collection = f"webp-{uuid.uuid4().hex}"
    with_webp.create_collection(CollectionId=collection)
    (record,) = with_webp.index_faces(CollectionId=collection, Image={"Bytes": pictures.saved(portrait)})["FaceRecords"]
    box, wide = record["Face"]["BoundingBox"], portrait.convert("RGBA")
    wide.putalpha(120)
    for form, data in {
        "plain": pictures.saved(portrait, "WEBP", quality=90),
        "poor": pictures.saved(portrait, "WEBP", quality=30),
        "alpha": pictures.saved(wide, "WEBP", quality=90),
    }.items():
        found, similarity = search(with_webp, collection, data)
        assert found == pytest.approx(box, abs=0.02) and similarity >= 97, form
        with pytest.raises(client.exceptions.InvalidImageFormatException, match="Request has invalid image format"):
            client.detect_faces(Image={"Bytes": data})
    for orientation, method in pictures.STORED_AS.items():
        exif = Image.Exif()
        exif[pictures.EXIF_ORIENTATION] = orientation
        stored = portrait if method is None else portrait.transpose(method)
        found, similarity = search(with_webp, collection, pictures.saved(stored, "WEBP", quality=90, exif=exif))
        assert found == pytest.approx(box, abs=0.02) and similarity >= 97, orientation
    (face,) = with_webp.detect_faces(Image={"S3Object": {"Bucket": "photos", "Name": "portrait.webp"}})["FaceDetails"]
    assert face["BoundingBox"] == pytest.approx(box, abs=0.02)


def test_a_webp_that_is_no_photo_or_too_large_is_refused(with_webp, portrait):
    whole = pictures.saved(portrait, "WEBP", quality=90)
    moving = pictures.saved(portrait, "WEBP", save_all=True, append_images=[ImageOps.mirror(portrait)])
    lossless = pictures.saved(portrait.resize((100, 100)), "WEBP", lossless=True)
    for data in (whole[:-1], whole[: len(whole) // 2], whole[:12], moving, lossless):
        with pytest.raises(with_webp.exceptions.InvalidImageFormatException):
            with_webp.detect_faces(Image={"Bytes": data})
    large = pictures.saved(Image.new("RGB", (10_001, 80)), "WEBP", quality=1, method=0)
    with pytest.raises(with_webp.exceptions.ImageTooLargeException, match="10001 x 80 exceed"):
        with_webp.detect_faces(Image={"Bytes": large})
    with pytest.raises(with_webp.exceptions.InvalidParameterException):
        with_webp.detect_faces(Image={"Bytes": pictures.saved(Image.new("RGB", (79, 80)), "WEBP")})


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


def vectors(folder):
    with closing(sqlite3.connect(folder / "data" / "rekollect.db")) as file:
        return file.execute("SELECT face_id, embedding FROM faces ORDER BY face_id").fetchall()


def test_many_faces_come_out_the_same_whoever_looks_at_them(tmp_path_factory, photo):
    """A worker with nothing to do helps one that has many faces; with one worker nobody can. The vectors are the same to the last bit."""
    many = Image.new("RGB", (1200, 900))
    for place, name in enumerate(["obama.jpg", "biden.jpg", "obama2.jpg", "obama3.jpg"] * 3):
        tile = pictures.opened(photo(name)).resize((300, 300))
        many.paste(ImageOps.mirror(tile) if place % 2 else tile, (300 * (place % 4), 300 * (place // 4)))
    data, found = pictures.saved(many), []
    for workers in ("1", "3"):
        folder = tmp_path_factory.mktemp(f"workers-{workers}")
        with Server(folder, args=["--workers", workers]) as server:
            server.client.create_collection(CollectionId="many")
            indexed = server.client.index_faces(CollectionId="many", Image={"Bytes": data}, DetectionAttributes=["ALL"], QualityFilter="NONE")
            found.append((indexed["FaceRecords"], vectors(folder)))
    assert len(found[0][1]) >= 10
    assert found[0] == found[1]


@pytest.mark.parametrize("pack", ["standard", "compact"])
def test_a_photo_comes_out_the_same_on_one_core_and_on_several(tmp_path_factory, photo, pack):
    """Workers with nothing to do lend their cores for a photo that comes alone. What comes out is the same to the last bit."""
    photos = [pictures.opened(photo(name)) for name in ("obama.jpg", "biden.jpg", "obama2.jpg", "obama3.jpg")]
    data = [pictures.saved(ImageOps.contain(image, (side, side))) for image in photos for side in (500, 640, 801, 1279, 2000)]
    found = []
    for workers in (1, 2, 4):
        folder = tmp_path_factory.mktemp(f"cores-{workers}")
        with Server(folder, pack, args=["--workers", str(workers)]) as server:
            server.client.create_collection(CollectionId="alone")
            records = [server.client.index_faces(CollectionId="alone", Image={"Bytes": each})["FaceRecords"] for each in data]
            found.append((records, vectors(folder)))
            assert server.log.read_text().count("a photo that comes alone gets several cores") == (2 if workers > 1 else 0)
    assert len(found[0][1]) >= len(data)
    assert found[0] == found[1] == found[2]
