"""The scenario of test_scenario.py and the listings of test_pagination.py with boto3 or the aws-cli:
    scenario.py boto3|aws-cli scenario COLLECTION PHOTOS | pages COLLECTION
Server, region and credentials are read from the usual AWS_* variables; the reply is one JSON object on standard output."""

import contextlib
import io
import json
import re
import sys
import time
from pathlib import Path

import boto3
from awscli.clidriver import create_clidriver
from botocore import xform_name
from botocore.exceptions import ClientError

UNKNOWN_FACE = "11111111-2222-3333-4444-555555555555"
CLI_ERROR = re.compile(r"\s*An error occurred \((\w+)\) when calling the \w+ operation[^:]*: (.*?)\s*", re.DOTALL)


class Refused(Exception):
    """An error of the service: its `args` are the code and the text."""


class Boto3:
    """Calls of an operation by its name; members of a request that are paths are images."""

    def __init__(self):
        self.client = boto3.client("rekognition")

    def __call__(self, operation, **members):
        request = {name: {"Bytes": value.read_bytes()} if isinstance(value, Path) else value for name, value in members.items()}
        try:
            return getattr(self.client, xform_name(operation))(**request)
        except ClientError as error:
            raise Refused(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error

    def pages(self, operation, size, **members):
        return self.client.get_paginator(xform_name(operation)).paginate(**members, PaginationConfig={"PageSize": size})


class AwsCli:
    """The same with command lines for `aws`, in this process: what takes long in one of its own is its start."""

    def __init__(self):
        self.driver = create_clidriver()

    def __call__(self, operation, **members):
        command = ["rekognition", xform_name(operation, "-"), "--output", "json"]
        for name, value in members.items():
            option = f"--{xform_name(name, '-')}"
            if isinstance(value, Path):
                command += [f"{option}-bytes", f"fileb://{value}"]
            else:
                command += [option, value if isinstance(value, str) else json.dumps(value)]
        output, errors = io.TextIOWrapper(io.BytesIO()), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            failed = self.driver.main(command)
        if failed:
            refused = CLI_ERROR.fullmatch(errors.getvalue())
            raise Refused(*refused.groups()) if refused else RuntimeError(f"aws {' '.join(command)}: {errors.getvalue()}")
        output.seek(0)
        return json.loads(output.read() or "{}")

    def pages(self, operation, size, **members):
        """What the pages hold together: the aws-cli puts them into one reply."""
        return [self(operation, **members, PageSize=size)]


def rounded(number):
    return round(number, 2)


def names(face):
    return [face["FaceId"], face["ImageId"], face["ExternalImageId"]]


def face_matches(reply):
    return [[match["Face"]["ExternalImageId"], rounded(match["Similarity"])] for match in reply["FaceMatches"]]


def user_matches(reply):
    return [[match["User"]["UserId"], match["User"]["UserStatus"], rounded(match["Similarity"])] for match in reply["UserMatches"]]


def is_recent(timestamp):
    """Whether a time, which the aws-cli prints as a number, is of these minutes."""
    return abs(time.time() - (timestamp if isinstance(timestamp, float) else timestamp.timestamp())) < 300


def error(call, operation, **members):
    try:
        return call(operation, **members)
    except Refused as refused:
        return list(refused.args)


def scenario(call, collection, photos, summary):
    """Fills the summary, whose keys are in the order of the calls."""
    here = {"CollectionId": collection}
    created = call("CreateCollection", **here, Tags={"team": "a"})
    summary["created"] = [created["StatusCode"], created["CollectionArn"], created["FaceModelVersion"]]
    described = call("DescribeCollection", **here)
    arn = described["CollectionARN"]
    summary["described"] = [described["FaceCount"], described["UserCount"], described["FaceModelVersion"], arn]
    summary["described_recent"] = is_recent(described["CreationTimestamp"])

    indexed = call("IndexFaces", **here, Image=photos / "obama.jpg", ExternalImageId="obama", DetectionAttributes=["DEFAULT"])
    summary["indexed"] = [names(record["Face"]) for record in indexed["FaceRecords"]]
    summary["landmarks"] = [landmark["Type"] for landmark in indexed["FaceRecords"][0]["FaceDetail"]["Landmarks"]]
    summary["strangers"] = face_matches(call("SearchFacesByImage", **here, Image=photos / "biden.jpg"))
    indexed = call("IndexFaces", **here, Image=photos / "biden.jpg", ExternalImageId="biden", MaxFaces=1, QualityFilter="NONE")
    summary["indexed_more"] = [names(record["Face"]) for record in indexed["FaceRecords"]]
    obama, biden = summary["indexed"][0][0], summary["indexed_more"][0][0]
    listed = call("ListFaces", **here)
    summary["listed"] = [names(face) for face in listed["Faces"]]

    found = call("SearchFaces", **here, FaceId=obama, FaceMatchThreshold=0)
    summary["found_by_face"] = [found["SearchedFaceId"], face_matches(found)]
    found = call("SearchFacesByImage", **here, Image=photos / "obama2.jpg", MaxFaces=1)
    summary["found_by_image"] = [rounded(found["SearchedFaceConfidence"]), face_matches(found)]
    compared = call("CompareFaces", SourceImage=photos / "obama.jpg", TargetImage=photos / "obama2.jpg", SimilarityThreshold=0.5)
    summary["compared"] = [[rounded(match["Similarity"]) for match in compared["FaceMatches"]], len(compared["UnmatchedFaces"])]
    detected = call("DetectFaces", Image=photos / "sample4.jpg", Attributes=["DEFAULT"])
    summary["detected"] = [[rounded(face["Confidence"]), rounded(face["Pose"]["Yaw"])] for face in detected["FaceDetails"]]

    for user, face in (("barack", obama), ("joe", biden)):
        call("CreateUser", **here, UserId=user)
        associated = call("AssociateFaces", **here, UserId=user, FaceIds=[face, UNKNOWN_FACE])
        summary[f"associated_{user}"] = [
            [face["FaceId"] for face in associated["AssociatedFaces"]],
            [[face["FaceId"], face["Reasons"]] for face in associated["UnsuccessfulFaceAssociations"]],
            associated["UserStatus"],
        ]
    summary["users"] = sorted([user["UserId"], user["UserStatus"]] for user in call("ListUsers", **here)["Users"])
    found = call("SearchUsers", **here, UserId="barack", UserMatchThreshold=0)
    summary["users_by_user"] = [found["SearchedUser"]["UserId"], user_matches(found)]
    found = call("SearchUsersByImage", **here, Image=photos / "obama2.jpg", MaxUsers=1)
    summary["users_by_image"] = [rounded(found["SearchedFace"]["FaceDetail"]["Confidence"]), user_matches(found)]
    for user, face in (("barack", obama), ("joe", biden)):
        apart = call("DisassociateFaces", **here, UserId=user, FaceIds=[face])
        summary[f"disassociated_{user}"] = [[face["FaceId"] for face in apart["DisassociatedFaces"]], apart["UserStatus"]]
        call("DeleteUser", **here, UserId=user)
    summary["users_left"] = len(call("ListUsers", **here)["Users"])

    summary["tags_at_first"] = call("ListTagsForResource", ResourceArn=arn)["Tags"]
    call("TagResource", ResourceArn=arn, Tags={"team": "b", "stage": "test"})
    call("UntagResource", ResourceArn=arn, TagKeys=["team"])
    summary["tags_at_last"] = call("ListTagsForResource", ResourceArn=arn)["Tags"]
    collections = call("ListCollections")
    pairs = zip(collections["CollectionIds"], collections["FaceModelVersions"], strict=True)
    summary["collections"] = [version for name, version in pairs if name == collection]

    deleted = call("DeleteFaces", **here, FaceIds=[obama, biden, UNKNOWN_FACE])
    summary["deleted"] = sorted(deleted["DeletedFaces"])
    summary["not_deleted"] = [[face["FaceId"], face["Reasons"]] for face in deleted["UnsuccessfulFaceDeletions"]]
    summary["deleted_collection"] = call("DeleteCollection", **here)["StatusCode"]
    summary["no_collection"] = error(call, "DescribeCollection", **here)
    summary["no_valid_name"] = error(call, "CreateCollection", CollectionId="no spaces")
    # A program is no picture.
    summary["no_picture"] = error(call, "DetectFaces", Image=Path(__file__).absolute())


def pages(call, collection, summary):
    def everything(operation, key, size, **members):
        return [item for page in call.pages(operation, size, **members) for item in page[key]]

    summary["faces"] = [face["FaceId"] for face in everything("ListFaces", "Faces", 1000, CollectionId=collection)]
    summary["users"] = [user["UserId"] for user in everything("ListUsers", "Users", 7, CollectionId=collection)]
    summary["collections"] = everything("ListCollections", "CollectionIds", 7)


def main():
    client, command, collection, *photos = sys.argv[1:]
    call, summary = {"boto3": Boto3, "aws-cli": AwsCli}[client](), {}
    try:
        if command == "pages":
            pages(call, collection, summary)
        else:
            scenario(call, collection, Path(photos[0]), summary)
    except Refused as refused:
        summary["refused"] = list(refused.args)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
