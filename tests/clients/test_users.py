"""Users, comparison and tags with boto3, as an application uses them."""


def face_id(client, collection, data, name):
    reply = client.index_faces(CollectionId=collection, Image={"Bytes": data}, ExternalImageId=name, MaxFaces=1)
    return reply["FaceRecords"][0]["Face"]["FaceId"]


def test_a_user_is_found_by_another_photo(client, collection, photo):
    first = face_id(client, collection, photo("obama.jpg"), "obama")
    other = face_id(client, collection, photo("biden.jpg"), "biden")
    client.create_user(CollectionId=collection, UserId="barack")
    # boto3 sends a ClientRequestToken of its own with each of these.
    associated = client.associate_faces(CollectionId=collection, UserId="barack", FaceIds=[first])
    assert associated["AssociatedFaces"] == [{"FaceId": first}]
    assert associated["UserStatus"] == "ACTIVE"
    found = client.search_users_by_image(CollectionId=collection, Image={"Bytes": photo("obama2.jpg")})
    assert [match["User"]["UserId"] for match in found["UserMatches"]] == ["barack"]
    assert "FaceDetail" in found["SearchedFace"]
    assert client.search_users(CollectionId=collection, FaceId=other)["UserMatches"] == []
    users = [user for page in client.get_paginator("list_users").paginate(CollectionId=collection) for user in page["Users"]]
    assert users == [{"UserId": "barack", "UserStatus": "ACTIVE"}]
    kept = client.delete_faces(CollectionId=collection, FaceIds=[first])["UnsuccessfulFaceDeletions"]
    assert kept == [{"FaceId": first, "UserId": "barack", "Reasons": ["ASSOCIATED_TO_AN_EXISTING_USER"]}]
    client.disassociate_faces(CollectionId=collection, UserId="barack", FaceIds=[first])
    client.delete_user(CollectionId=collection, UserId="barack")
    assert client.delete_faces(CollectionId=collection, FaceIds=[first])["DeletedFaces"] == [first]


def test_two_photos_of_one_person_match(client, photo):
    source, target = ({"Bytes": photo(name)} for name in ("obama.jpg", "obama2.jpg"))
    reply = client.compare_faces(SourceImage=source, TargetImage=target)
    (match,) = reply["FaceMatches"]
    assert match["Similarity"] >= 80
    assert len(match["Face"]["Landmarks"]) == 5
    other = client.compare_faces(SourceImage=source, TargetImage={"Bytes": photo("biden.jpg")})
    assert (other["FaceMatches"], len(other["UnmatchedFaces"])) == ([], 1)


def test_tags_of_a_collection(client, collection):
    arn = client.describe_collection(CollectionId=collection)["CollectionARN"]
    client.tag_resource(ResourceArn=arn, Tags={"team": "a", "env": "test"})
    client.untag_resource(ResourceArn=arn, TagKeys=["team"])
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"env": "test"}
