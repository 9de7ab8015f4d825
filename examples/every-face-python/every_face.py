"""Who is on a photo: every face of it in one call, which the SDK does not know and only its signer is needed for.

    python every_face.py people party.jpg
"""

import base64
import json
import os
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.session import get_session


def search_all_faces(collection, photo, **more):
    session, url = get_session(), os.environ["AWS_ENDPOINT_URL_REKOGNITION"]
    members = {"CollectionId": collection, "Image": {"Bytes": base64.b64encode(photo).decode()}, **more}
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "RekognitionService.SearchAllFacesByImage"}
    request = AWSRequest("POST", url, headers, json.dumps(members).encode())
    SigV4Auth(session.get_credentials(), "rekognition", session.get_config_variable("region")).add_auth(request)
    reply = URLLib3Session().send(request.prepare())
    if reply.status_code != 200:
        raise RuntimeError(reply.text)
    return json.loads(reply.content)["Faces"]


if __name__ == "__main__":
    with open(sys.argv[2], "rb") as file:
        for face in search_all_faces(sys.argv[1], file.read()):
            names = [match["Face"].get("ExternalImageId", "no name") for match in face["FaceMatches"]]
            print(names[0] if names else "a stranger")
