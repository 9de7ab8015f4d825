// The scenario of test_scenario.py with the AWS SDK for Go v2:
//
//	rekollect-go-client scenario COLLECTION PHOTOS | pages COLLECTION
//
// Server, region and credentials are read from the usual AWS_* variables; the reply is one JSON object on standard output.
//
// Debian's SDK is of 2022: its rekognition package, 1.20.7, has no operation for users, no UserCount in DescribeCollection and no
// UnsuccessfulFaceDeletions in DeleteFaces, and nothing in it reads AWS_ENDPOINT_URL. What has to do with users is therefore
// asked for with JSON that is written here and signed by the SDK's signer: `raw`. All other calls are the SDK's own.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/rekognition"
	"github.com/aws/aws-sdk-go-v2/service/rekognition/types"
	"github.com/aws/smithy-go"
)

const unknownFace = "11111111-2222-3333-4444-555555555555"

type list = []interface{}

var (
	ctx         = context.Background()
	url         = os.Getenv("AWS_ENDPOINT_URL")
	region      = os.Getenv("AWS_REGION")
	credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{
			AccessKeyID:     os.Getenv("AWS_ACCESS_KEY_ID"),
			SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
			SessionToken:    os.Getenv("AWS_SESSION_TOKEN"),
		}, nil
	})
	client = rekognition.New(rekognition.Options{
		Region:           region,
		Credentials:      credentials,
		EndpointResolver: rekognition.EndpointResolverFromURL(url),
		HTTPClient:       whole{},
	})
)

// whole takes a reply as a whole before the SDK sees it. The SDK closes a request's body as soon as a reply begins, and now and then the
// transport then closes the connection under the reply (aws-sdk-go-v2, issue 2737): here that is a failed request, which the SDK repeats.
type whole struct{}

func (whole) Do(request *http.Request) (*http.Response, error) {
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(text))
	return answer, nil
}

// must ends the scenario with an error: main tells those of the service.
func must[T any](reply T, err error) T {
	if err != nil {
		panic(err)
	}
	return reply
}

// refusal is the code and the text of an error of the service; any other ends the program.
func refusal(err error) list {
	var refused smithy.APIError
	if !errors.As(err, &refused) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return list{refused.ErrorCode(), refused.ErrorMessage()}
}

func raw(operation string, request map[string]interface{}) (reply struct {
	AssociatedFaces, DisassociatedFaces []types.Face
	UnsuccessfulFaceAssociations        []struct {
		FaceId  string
		Reasons []string
	}
	NextToken    string
	UserCount    int
	UserStatus   string
	Users        []struct{ UserId, UserStatus string }
	SearchedUser struct{ UserId string }
	SearchedFace struct {
		FaceDetail struct{ Confidence float32 }
	}
	UserMatches []struct {
		User       struct{ UserId, UserStatus string }
		Similarity float32
	}
}) {
	body := must(json.Marshal(request))
	post := must(http.NewRequest("POST", url+"/", bytes.NewReader(body)))
	post.Header.Set("Content-Type", "application/x-amz-json-1.1")
	post.Header.Set("X-Amz-Target", "RekognitionService."+operation)
	hash := sha256.Sum256(body)
	key := must(credentials.Retrieve(ctx))
	if err := v4.NewSigner().SignHTTP(ctx, key, post, hex.EncodeToString(hash[:]), "rekognition", region, time.Now()); err != nil {
		panic(err)
	}
	answer := must(http.DefaultClient.Do(post))
	defer answer.Body.Close()
	text := must(io.ReadAll(answer.Body))
	if answer.StatusCode != 200 {
		var refused struct {
			Type    string `json:"__type"`
			Message string
		}
		if json.Unmarshal(text, &refused) != nil || refused.Type == "" {
			panic(fmt.Errorf("%s: %s: %s", operation, answer.Status, text))
		}
		panic(error(&smithy.GenericAPIError{Code: refused.Type, Message: refused.Message}))
	}
	if err := json.Unmarshal(text, &reply); err != nil {
		panic(err)
	}
	return
}

func rounded(number float32) float64 { return math.Round(float64(number)*100) / 100 }

func names(face *types.Face) list { return list{face.FaceId, face.ImageId, face.ExternalImageId} }

func records(reply *rekognition.IndexFacesOutput) list {
	all := list{}
	for _, record := range reply.FaceRecords {
		all = append(all, names(record.Face))
	}
	return all
}

func faceMatches(matches []types.FaceMatch) list {
	all := list{}
	for _, match := range matches {
		all = append(all, list{match.Face.ExternalImageId, rounded(*match.Similarity)})
	}
	return all
}

func ids(faces []types.Face) list {
	all := list{}
	for _, face := range faces {
		all = append(all, face.FaceId)
	}
	return all
}

func scenario(collection, photos string, summary map[string]interface{}) {
	here, text := &collection, aws.String
	photo := func(name string) *types.Image {
		return &types.Image{Bytes: must(os.ReadFile(filepath.Join(photos, name)))}
	}
	created := must(client.CreateCollection(ctx, &rekognition.CreateCollectionInput{CollectionId: here, Tags: map[string]string{"team": "a"}}))
	summary["created"] = list{created.StatusCode, created.CollectionArn, created.FaceModelVersion}
	described := must(client.DescribeCollection(ctx, &rekognition.DescribeCollectionInput{CollectionId: here}))
	arn := described.CollectionARN
	users := raw("DescribeCollection", map[string]interface{}{"CollectionId": collection}).UserCount
	summary["described"] = list{described.FaceCount, users, described.FaceModelVersion, arn}
	summary["described_recent"] = math.Abs(time.Since(*described.CreationTimestamp).Seconds()) < 300

	indexed := must(client.IndexFaces(ctx, &rekognition.IndexFacesInput{CollectionId: here, Image: photo("obama.jpg"),
		ExternalImageId: text("obama"), DetectionAttributes: []types.Attribute{types.AttributeDefault}}))
	summary["indexed"] = records(indexed)
	landmarks := list{}
	for _, landmark := range indexed.FaceRecords[0].FaceDetail.Landmarks {
		landmarks = append(landmarks, landmark.Type)
	}
	summary["landmarks"] = landmarks
	byImage := must(client.SearchFacesByImage(ctx, &rekognition.SearchFacesByImageInput{CollectionId: here, Image: photo("biden.jpg")}))
	summary["strangers"] = faceMatches(byImage.FaceMatches)
	more := must(client.IndexFaces(ctx, &rekognition.IndexFacesInput{CollectionId: here, Image: photo("biden.jpg"),
		ExternalImageId: text("biden"), MaxFaces: aws.Int32(1), QualityFilter: types.QualityFilterNone}))
	summary["indexed_more"] = records(more)
	obama, biden := *indexed.FaceRecords[0].Face.FaceId, *more.FaceRecords[0].Face.FaceId
	listed := list{}
	for _, face := range must(client.ListFaces(ctx, &rekognition.ListFacesInput{CollectionId: here})).Faces {
		listed = append(listed, names(&face))
	}
	summary["listed"] = listed

	byFace := must(client.SearchFaces(ctx, &rekognition.SearchFacesInput{CollectionId: here, FaceId: &obama,
		FaceMatchThreshold: aws.Float32(0)}))
	summary["found_by_face"] = list{byFace.SearchedFaceId, faceMatches(byFace.FaceMatches)}
	byImage = must(client.SearchFacesByImage(ctx, &rekognition.SearchFacesByImageInput{CollectionId: here, Image: photo("obama2.jpg"),
		MaxFaces: aws.Int32(1)}))
	summary["found_by_image"] = list{rounded(*byImage.SearchedFaceConfidence), faceMatches(byImage.FaceMatches)}
	compared := must(client.CompareFaces(ctx, &rekognition.CompareFacesInput{SourceImage: photo("obama.jpg"),
		TargetImage: photo("obama2.jpg"), SimilarityThreshold: aws.Float32(0.5)}))
	same := list{}
	for _, match := range compared.FaceMatches {
		same = append(same, rounded(*match.Similarity))
	}
	summary["compared"] = list{same, len(compared.UnmatchedFaces)}
	detected := list{}
	for _, face := range must(client.DetectFaces(ctx, &rekognition.DetectFacesInput{Image: photo("sample4.jpg"),
		Attributes: []types.Attribute{types.AttributeDefault}})).FaceDetails {
		detected = append(detected, list{rounded(*face.Confidence), rounded(*face.Pose.Yaw)})
	}
	summary["detected"] = detected

	tellUsers(collection, obama, biden, must(os.ReadFile(filepath.Join(photos, "obama2.jpg"))), summary)

	tags := func() map[string]string {
		return must(client.ListTagsForResource(ctx, &rekognition.ListTagsForResourceInput{ResourceArn: arn})).Tags
	}
	summary["tags_at_first"] = tags()
	must(client.TagResource(ctx, &rekognition.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"team": "b", "stage": "test"}}))
	must(client.UntagResource(ctx, &rekognition.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team"}}))
	summary["tags_at_last"] = tags()
	collections := must(client.ListCollections(ctx, &rekognition.ListCollectionsInput{}))
	versions := list{}
	for index, name := range collections.CollectionIds {
		if name == collection {
			versions = append(versions, collections.FaceModelVersions[index])
		}
	}
	summary["collections"] = versions

	deleted := must(client.DeleteFaces(ctx, &rekognition.DeleteFacesInput{CollectionId: here, FaceIds: []string{obama, biden, unknownFace}}))
	sort.Strings(deleted.DeletedFaces)
	summary["deleted"] = deleted.DeletedFaces
	summary["deleted_collection"] = must(client.DeleteCollection(ctx, &rekognition.DeleteCollectionInput{CollectionId: here})).StatusCode
	_, err := client.DescribeCollection(ctx, &rekognition.DescribeCollectionInput{CollectionId: here})
	summary["no_collection"] = refusal(err)
	_, err = client.CreateCollection(ctx, &rekognition.CreateCollectionInput{CollectionId: text("no spaces")})
	summary["no_valid_name"] = refusal(err)
	// A program is no picture.
	_, err = client.DetectFaces(ctx, &rekognition.DetectFacesInput{Image: &types.Image{Bytes: must(os.ReadFile(os.Args[0]))[:4096]}})
	summary["no_picture"] = refusal(err)
}

func tellUsers(collection, obama, biden string, photo []byte, summary map[string]interface{}) {
	call := raw
	with := func(members map[string]interface{}) map[string]interface{} {
		members["CollectionId"] = collection
		return members
	}
	type members = map[string]interface{}
	people := [][2]string{{"barack", obama}, {"joe", biden}}
	for _, person := range people {
		user, face := person[0], person[1]
		call("CreateUser", with(members{"UserId": user}))
		reply := call("AssociateFaces", with(members{"UserId": user, "FaceIds": []string{face, unknownFace}}))
		apart := list{}
		for _, face := range reply.UnsuccessfulFaceAssociations {
			apart = append(apart, list{face.FaceId, face.Reasons})
		}
		summary["associated_"+user] = list{ids(reply.AssociatedFaces), apart, reply.UserStatus}
	}
	listed := call("ListUsers", with(members{})).Users
	sort.Slice(listed, func(a, b int) bool { return strings.Compare(listed[a].UserId, listed[b].UserId) < 0 })
	pairs := list{}
	for _, user := range listed {
		pairs = append(pairs, list{user.UserId, user.UserStatus})
	}
	summary["users"] = pairs
	search := func(operation string, request members) (float64, string, list) {
		reply, matches := call(operation, with(request)), list{}
		for _, match := range reply.UserMatches {
			matches = append(matches, list{match.User.UserId, match.User.UserStatus, rounded(match.Similarity)})
		}
		return rounded(reply.SearchedFace.FaceDetail.Confidence), reply.SearchedUser.UserId, matches
	}
	_, user, matches := search("SearchUsers", members{"UserId": "barack", "UserMatchThreshold": 0})
	summary["users_by_user"] = list{user, matches}
	confidence, _, matches := search("SearchUsersByImage", members{"Image": members{"Bytes": photo}, "MaxUsers": 1})
	summary["users_by_image"] = list{confidence, matches}
	for _, person := range people {
		reply := call("DisassociateFaces", with(members{"UserId": person[0], "FaceIds": []string{person[1]}}))
		summary["disassociated_"+person[0]] = list{ids(reply.DisassociatedFaces), reply.UserStatus}
		call("DeleteUser", with(members{"UserId": person[0]}))
	}
	summary["users_left"] = len(call("ListUsers", with(members{})).Users)
}

// pages lists everything by pages: faces and collections with the SDK's paginators, users by hand.
func pages(collection string, summary map[string]interface{}) {
	faces, users, collections := list{}, list{}, list{}
	ofFaces := rekognition.NewListFacesPaginator(client, &rekognition.ListFacesInput{CollectionId: &collection, MaxResults: aws.Int32(1000)})
	for ofFaces.HasMorePages() {
		for _, face := range must(ofFaces.NextPage(ctx)).Faces {
			faces = append(faces, face.FaceId)
		}
	}
	for request := (map[string]interface{}{"CollectionId": collection, "MaxResults": 7}); ; {
		page := raw("ListUsers", request)
		for _, user := range page.Users {
			users = append(users, user.UserId)
		}
		if page.NextToken == "" {
			break
		}
		request["NextToken"] = page.NextToken
	}
	ofCollections := rekognition.NewListCollectionsPaginator(client, &rekognition.ListCollectionsInput{MaxResults: aws.Int32(7)})
	for ofCollections.HasMorePages() {
		for _, name := range must(ofCollections.NextPage(ctx)).CollectionIds {
			collections = append(collections, name)
		}
	}
	summary["faces"], summary["users"], summary["collections"] = faces, users, collections
}

func main() {
	summary := map[string]interface{}{}
	defer func() {
		if ended := recover(); ended != nil {
			err, is := ended.(error)
			if !is {
				panic(ended)
			}
			summary["refused"] = refusal(err)
		}
		fmt.Println(string(must(json.Marshal(summary))))
	}()
	switch arguments := os.Args[1:]; {
	case len(arguments) == 3 && arguments[0] == "scenario":
		scenario(arguments[1], arguments[2], summary)
	case len(arguments) == 2 && arguments[0] == "pages":
		pages(arguments[1], summary)
	default:
		fmt.Fprintln(os.Stderr, "usage: rekollect-go-client scenario COLLECTION PHOTOS | pages COLLECTION")
		os.Exit(2)
	}
}
