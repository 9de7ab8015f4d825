"""A photo app: it learns people from photos, says who is on another one, and forgets a person altogether.

    python photo_app.py add ada ada.jpg
    python photo_app.py who party.jpg
    python photo_app.py forget ada

The photos are in a bucket of S3, the faces in a collection of Rekognition, and both are named ALBUM. Which servers those are is nothing
that this program knows: the SDK reads it from its own variables, and without them it asks the cloud.
"""

import sys
import uuid
from pathlib import Path

import boto3

ALBUM = "photo-app"


class NoFace(Exception):
    """The photo has no face that is good enough to know a person by."""


class SomebodyElse(Exception):
    """The face on the photo is too unlike those that the person is known by."""


class PhotoApp:
    def __init__(self, album=ALBUM):
        self.album = album
        self.rekognition = boto3.client("rekognition")
        self.s3 = boto3.client("s3")

    def open(self):
        """Makes bucket and collection, unless they are there."""
        here = self.s3.meta.region_name
        # The cloud takes every region for a place but its first one.
        place = {} if here == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": here}}
        try:
            self.s3.create_bucket(Bucket=self.album, **place)
        except self.s3.exceptions.BucketAlreadyOwnedByYou:
            pass
        try:
            self.rekognition.create_collection(CollectionId=self.album)
        except self.rekognition.exceptions.ResourceAlreadyExistsException:
            pass

    def add(self, person, photo):
        """Learns a person from a photo, on which the largest face is theirs."""
        key = f"{person}/{Path(photo).name}"
        self.s3.upload_file(str(photo), self.album, key)
        indexed = self.rekognition.index_faces(
            CollectionId=self.album, Image=self._stored(key), ExternalImageId=person, MaxFaces=1, QualityFilter="AUTO"
        )
        faces = _ids(indexed)
        if not faces:
            self.s3.delete_object(Bucket=self.album, Key=key)
            raise NoFace(photo)
        try:
            self.rekognition.create_user(CollectionId=self.album, UserId=person)
        except self.rekognition.exceptions.ConflictException:
            pass  # a further photo of somebody known
        given = self.rekognition.associate_faces(CollectionId=self.album, UserId=person, FaceIds=faces)
        if given["UnsuccessfulFaceAssociations"]:
            self._delete_faces(faces)
            self.s3.delete_object(Bucket=self.album, Key=key)
            raise SomebodyElse(photo)

    def who_is_on(self, photo):
        """The names of those on a photo, the largest face first; None for a stranger.

        SearchUsersByImage looks for the largest face alone. So all faces are indexed, each is looked for, and they are deleted again."""
        visit = f"visit-{uuid.uuid4()}"
        self.s3.upload_file(str(photo), self.album, visit)
        try:
            indexed = self.rekognition.index_faces(CollectionId=self.album, Image=self._stored(visit), ExternalImageId=visit)
        finally:
            self.s3.delete_object(Bucket=self.album, Key=visit)
        faces = _ids(indexed)
        try:
            return [self._name_of(face) for face in faces]
        finally:
            self._delete_faces(faces)

    def forget(self, person):
        """Deletes all that is known of a person: faces, user, photos."""
        pages = self.rekognition.get_paginator("list_faces").paginate(CollectionId=self.album, UserId=person)
        faces = [face["FaceId"] for page in pages for face in page["Faces"]]
        # A face that belongs to a user cannot be deleted. Those of a user are 100 at most, which one call takes.
        self.rekognition.delete_user(CollectionId=self.album, UserId=person)
        self._delete_faces(faces)
        self._delete_photos(f"{person}/")

    def close(self):
        """Deletes the album."""
        self.rekognition.delete_collection(CollectionId=self.album)
        self._delete_photos("")
        self.s3.delete_bucket(Bucket=self.album)

    def _stored(self, key):
        return {"S3Object": {"Bucket": self.album, "Name": key}}

    def _name_of(self, face):
        matches = self.rekognition.search_users(CollectionId=self.album, FaceId=face, MaxUsers=1)["UserMatches"]
        return matches[0]["User"]["UserId"] if matches else None

    def _delete_faces(self, faces):
        if faces:  # the operation takes no empty list
            self.rekognition.delete_faces(CollectionId=self.album, FaceIds=faces)

    def _delete_photos(self, prefix):
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.album, Prefix=prefix):
            for photo in page.get("Contents", []):
                self.s3.delete_object(Bucket=self.album, Key=photo["Key"])


def _ids(indexed):
    return [record["Face"]["FaceId"] for record in indexed["FaceRecords"]]


def main(arguments):
    app = PhotoApp()
    match arguments:
        case ["add", person, photo]:
            app.open()
            app.add(person, photo)
        case ["who", photo]:
            for name in app.who_is_on(photo):
                print(name or "a stranger")
        case ["forget", person]:
            app.forget(person)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
