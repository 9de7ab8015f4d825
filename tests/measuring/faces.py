"""Faces of labelled photos, indexed and searched through the API."""

import re

MOST_FACES = 4096  # that a search returns
NO_FACE = -1.0  # the similarity of a pair with a photo in which no face is found
PICTURES = {".jpg", ".jpeg", ".png"}


def people_of(folder):
    """Name -> photos, of one folder a person."""
    folders = [person for person in sorted(folder.iterdir()) if person.is_dir()]
    people = {person.name: sorted(path for path in person.iterdir() if path.suffix.lower() in PICTURES) for person in folders}
    return {name: photos for name, photos in people.items() if photos}


def index(client, collection, path):
    """The id of the face nearest the middle of the photo; the others are taken out again."""
    name = re.sub(r"[^a-zA-Z0-9_.\-:]", "_", path.stem)[:255]
    records = client.index_faces(
        CollectionId=collection, Image={"Bytes": path.read_bytes()}, ExternalImageId=name, QualityFilter="NONE"
    )["FaceRecords"]
    faces = [record["Face"] for record in sorted(records, key=lambda record: from_the_middle(record["Face"]["BoundingBox"]))]
    if len(faces) > 1:
        client.delete_faces(CollectionId=collection, FaceIds=[face["FaceId"] for face in faces[1:]])
    return faces[0]["FaceId"] if faces else None


def from_the_middle(box):
    return (box["Left"] + box["Width"] / 2 - 0.5) ** 2 + (box["Top"] + box["Height"] / 2 - 0.5) ** 2


def search(client, collection, face):
    found = client.search_faces(CollectionId=collection, FaceId=face, FaceMatchThreshold=0, MaxFaces=MOST_FACES)
    return {match["Face"]["FaceId"]: match["Similarity"] for match in found["FaceMatches"]}


def similarity(similarities, left, right):
    if left is None or right is None:
        return NO_FACE
    return 100.0 if left == right else similarities[left][right]
