"""Errors as boto3 sees them: the code of the AWS service, whatever was wrong."""

import numpy
import pictures
import pytest
from botocore.exceptions import ClientError
from PIL import Image

MIB = 1 << 20
UNKNOWN_FACE = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def plain():
    """A picture without a face."""
    return pictures.saved(Image.linear_gradient("L").convert("RGB"))


def blank_png(width, height):
    return pictures.png(numpy.zeros((height, width), numpy.uint8))


def failure(call, **arguments):
    """The code and the text of the error that the call raises."""
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    reply = raised.value.response
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == (500 if reply["Error"]["Code"] == "ThrottlingException" else 400)
    assert reply["ResponseMetadata"]["RequestId"]
    return reply["Error"]["Code"], reply["Error"].get("Message", "")


@pytest.mark.parametrize(
    "operation, arguments",
    [
        ("describe_collection", {}),
        ("delete_collection", {}),
        ("list_faces", {}),
        ("delete_faces", {"FaceIds": [UNKNOWN_FACE]}),
        ("search_faces", {"FaceId": UNKNOWN_FACE}),
        ("index_faces", {"Image": {"Bytes": b"x"}}),
        ("search_faces_by_image", {"Image": {"Bytes": b"x"}}),
    ],
)
def test_unknown_collection(client, operation, arguments):
    code, _ = failure(getattr(client, operation), CollectionId="no-such-collection", **arguments)
    assert code == "ResourceNotFoundException"


def test_collection_exists(client, collection):
    code, text = failure(client.create_collection, CollectionId=collection)
    assert (code, text) == ("ResourceAlreadyExistsException", f"The collection id: {collection} already exists")


def test_search_without_a_face(client, collection, plain):
    code, text = failure(client.search_faces_by_image, CollectionId=collection, Image={"Bytes": plain})
    assert (code, text) == ("InvalidParameterException", "There are no faces in the image. Should be at least 1.")
    assert client.index_faces(CollectionId=collection, Image={"Bytes": plain})["FaceRecords"] == []
    assert client.detect_faces(Image={"Bytes": plain})["FaceDetails"] == []


def test_search_for_an_unknown_face(client, collection):
    code, text = failure(client.search_faces, CollectionId=collection, FaceId=UNKNOWN_FACE)
    assert (code, text) == ("InvalidParameterException", "faceId was not found in the collection.")


def test_names_with_other_characters(client, collection, plain):
    code, text = failure(client.index_faces, CollectionId=collection, Image={"Bytes": plain}, ExternalImageId="a/b c")
    assert code == "ValidationException"
    assert "'a/b c' at 'externalImageId' failed to satisfy constraint" in text
    assert failure(client.create_collection, CollectionId="no spaces")[0] == "ValidationException"


@pytest.mark.parametrize("arguments", [{"MaxFaces": 0}, {"MaxFaces": 4097}, {"FaceMatchThreshold": 100.5}, {"FaceMatchThreshold": -1}])
def test_numbers_out_of_range(client, collection, arguments):
    code, _ = failure(client.search_faces, CollectionId=collection, FaceId=UNKNOWN_FACE, **arguments)
    assert code == "ValidationException"


def test_more_bytes_than_five_mib(client, plain):
    code, text = failure(client.detect_faces, Image={"Bytes": bytes(5 * MIB + 1)})
    assert code == "ValidationException"
    assert "'image.bytes'" in text and "less than or equal to 5242880" in text
    # What follows the end of a JPEG is no part of it, so this is a picture of exactly the limit.
    assert client.detect_faces(Image={"Bytes": plain + bytes(5 * MIB - len(plain))})["FaceDetails"] == []


@pytest.mark.parametrize("data", [b"x", b"GIF89a" + bytes(100), b"RIFF\x00\x00\x00\x00WEBPVP8 ", b"{}", b"\xff\xd8\xff"])
def test_no_jpeg_and_no_png(client, data):
    assert failure(client.detect_faces, Image={"Bytes": data})[0] == "InvalidImageFormatException"


@pytest.mark.parametrize("width, height", [(10_001, 80), (80, 10_001)])
def test_too_many_pixels_a_side(client, width, height):
    assert failure(client.detect_faces, Image={"Bytes": blank_png(width, height)})[0] == "ImageTooLargeException"


@pytest.mark.parametrize("width, height", [(79, 200), (200, 79)])
def test_too_few_pixels_a_side(client, width, height):
    assert failure(client.detect_faces, Image={"Bytes": blank_png(width, height)})[0] == "InvalidParameterException"


def test_sides_at_the_limits(client):
    for width, height in [(10_000, 80), (80, 80)]:
        assert client.detect_faces(Image={"Bytes": blank_png(width, height)})["FaceDetails"] == []


def test_no_image_and_two_images(client):
    bucket = {"S3Object": {"Bucket": "bucket", "Name": "name"}}
    for image in ({}, {"Bytes": blank_png(80, 80), **bucket}):
        assert failure(client.detect_faces, Image=image)[0] == "InvalidParameterException"


@pytest.mark.parametrize("token", ["nonsense", "AAAA"])
def test_bad_page_tokens(client, collection, token):
    assert failure(client.list_faces, CollectionId=collection, NextToken=token)[0] == "InvalidPaginationTokenException"
    assert failure(client.list_collections, NextToken=token)[0] == "InvalidPaginationTokenException"
