// The scenario of test_scenario.py, the listings of test_pagination.py and the call of test_retries.py with the AWS SDK for JavaScript:
//   node scenario.mjs scenario COLLECTION PHOTOS | pages COLLECTION | describe COLLECTION
// Server, region and credentials are read from the usual AWS_* variables; the reply is one JSON object on standard output.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as sdk from "@aws-sdk/client-rekognition";

const UNKNOWN_FACE = "11111111-2222-3333-4444-555555555555";
const client = new sdk.RekognitionClient({});

const call = (operation, input = {}) => client.send(new sdk[`${operation}Command`](input));
const image = (path) => ({ Bytes: readFileSync(path) });
const rounded = (number) => Math.round(number * 100) / 100;
const names = (face) => [face.FaceId, face.ImageId, face.ExternalImageId];
const faceMatches = (reply) => reply.FaceMatches.map((match) => [match.Face.ExternalImageId, rounded(match.Similarity)]);
const userMatches = (reply) => reply.UserMatches.map(({ User, Similarity }) => [User.UserId, User.UserStatus, rounded(Similarity)]);
const ids = (faces) => faces.map((face) => face.FaceId);
const reasons = (faces) => faces.map((face) => [face.FaceId, face.Reasons]);
const refusal = (error) => [error.name, error.message];
const error = (operation, input) => call(operation, input).catch((error) => {
  if (!(error instanceof sdk.RekognitionServiceException)) throw error;
  return refusal(error);
});

async function scenario(summary, collection, photos) {
  const here = { CollectionId: collection };
  const photo = (name) => image(`${photos}/${name}`);
  const created = await call("CreateCollection", { ...here, Tags: { team: "a" } });
  summary.created = [created.StatusCode, created.CollectionArn, created.FaceModelVersion];
  const described = await call("DescribeCollection", here);
  const arn = described.CollectionARN;
  summary.described = [described.FaceCount, described.UserCount, described.FaceModelVersion, arn];
  summary.described_recent = Math.abs(Date.now() - described.CreationTimestamp.getTime()) < 300_000;

  const first = { ...here, Image: photo("obama.jpg"), ExternalImageId: "obama", DetectionAttributes: ["DEFAULT"] };
  let indexed = await call("IndexFaces", first);
  summary.indexed = indexed.FaceRecords.map((record) => names(record.Face));
  summary.landmarks = indexed.FaceRecords[0].FaceDetail.Landmarks.map((landmark) => landmark.Type);
  summary.strangers = faceMatches(await call("SearchFacesByImage", { ...here, Image: photo("biden.jpg") }));
  const second = { ...here, Image: photo("biden.jpg"), ExternalImageId: "biden", MaxFaces: 1, QualityFilter: "NONE" };
  indexed = await call("IndexFaces", second);
  summary.indexed_more = indexed.FaceRecords.map((record) => names(record.Face));
  const obama = summary.indexed[0][0];
  const biden = summary.indexed_more[0][0];
  summary.listed = (await call("ListFaces", here)).Faces.map(names);

  let found = await call("SearchFaces", { ...here, FaceId: obama, FaceMatchThreshold: 0 });
  summary.found_by_face = [found.SearchedFaceId, faceMatches(found)];
  found = await call("SearchFacesByImage", { ...here, Image: photo("obama2.jpg"), MaxFaces: 1 });
  summary.found_by_image = [rounded(found.SearchedFaceConfidence), faceMatches(found)];
  const pair = { SourceImage: photo("obama.jpg"), TargetImage: photo("obama2.jpg"), SimilarityThreshold: 0.5 };
  const compared = await call("CompareFaces", pair);
  summary.compared = [compared.FaceMatches.map((match) => rounded(match.Similarity)), compared.UnmatchedFaces.length];
  const detected = await call("DetectFaces", { Image: photo("sample4.jpg"), Attributes: ["DEFAULT"] });
  summary.detected = detected.FaceDetails.map((face) => [rounded(face.Confidence), rounded(face.Pose.Yaw)]);

  const people = [["barack", obama], ["joe", biden]];
  for (const [user, face] of people) {
    await call("CreateUser", { ...here, UserId: user });
    const reply = await call("AssociateFaces", { ...here, UserId: user, FaceIds: [face, UNKNOWN_FACE] });
    summary[`associated_${user}`] = [ids(reply.AssociatedFaces), reasons(reply.UnsuccessfulFaceAssociations), reply.UserStatus];
  }
  summary.users = (await call("ListUsers", here)).Users.map((user) => [user.UserId, user.UserStatus]).sort();
  found = await call("SearchUsers", { ...here, UserId: "barack", UserMatchThreshold: 0 });
  summary.users_by_user = [found.SearchedUser.UserId, userMatches(found)];
  found = await call("SearchUsersByImage", { ...here, Image: photo("obama2.jpg"), MaxUsers: 1 });
  summary.users_by_image = [rounded(found.SearchedFace.FaceDetail.Confidence), userMatches(found)];
  for (const [user, face] of people) {
    const reply = await call("DisassociateFaces", { ...here, UserId: user, FaceIds: [face] });
    summary[`disassociated_${user}`] = [ids(reply.DisassociatedFaces), reply.UserStatus];
    await call("DeleteUser", { ...here, UserId: user });
  }
  summary.users_left = (await call("ListUsers", here)).Users.length;

  summary.tags_at_first = (await call("ListTagsForResource", { ResourceArn: arn })).Tags;
  await call("TagResource", { ResourceArn: arn, Tags: { team: "b", stage: "test" } });
  await call("UntagResource", { ResourceArn: arn, TagKeys: ["team"] });
  summary.tags_at_last = (await call("ListTagsForResource", { ResourceArn: arn })).Tags;
  const collections = await call("ListCollections");
  summary.collections = collections.FaceModelVersions.filter((_, index) => collections.CollectionIds[index] === collection);

  const deleted = await call("DeleteFaces", { ...here, FaceIds: [obama, biden, UNKNOWN_FACE] });
  summary.deleted = deleted.DeletedFaces.sort();
  summary.not_deleted = reasons(deleted.UnsuccessfulFaceDeletions);
  summary.deleted_collection = (await call("DeleteCollection", here)).StatusCode;
  summary.no_collection = await error("DescribeCollection", here);
  summary.no_valid_name = await error("CreateCollection", { CollectionId: "no spaces" });
  // A program is no picture.
  summary.no_picture = await error("DetectFaces", { Image: image(fileURLToPath(import.meta.url)) });
}

async function pages(summary, collection) {
  const all = async (paginate, size, input, items) => {
    const found = [];
    for await (const page of paginate({ client, pageSize: size }, input)) found.push(...items(page));
    return found;
  };
  // Paginators write into their input, so that each has one of its own.
  summary.faces = await all(sdk.paginateListFaces, 1000, { CollectionId: collection }, (page) => ids(page.Faces));
  summary.users = await all(sdk.paginateListUsers, 7, { CollectionId: collection }, (page) => page.Users.map((user) => user.UserId));
  summary.collections = await all(sdk.paginateListCollections, 7, {}, (page) => page.CollectionIds);
}

async function describe(summary, collection) {
  summary.attempts = (await call("DescribeCollection", { CollectionId: collection })).$metadata.attempts;
}

const [command, ...rest] = process.argv.slice(2);
const summary = {};
try {
  await { scenario, pages, describe }[command](summary, ...rest);
} catch (error) {
  if (!(error instanceof sdk.RekognitionServiceException)) throw error;
  summary.refused = refusal(error);
}
console.log(JSON.stringify(summary));
