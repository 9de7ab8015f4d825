//! From `X-Amz-Target` to an operation and back, and the one log line of a request.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::SemaphorePermit;
use uuid::Uuid;

use crate::domain::Fault;
use crate::operations::{self, Service};
use crate::telemetry::{Stage, Stages};

use super::errors::Rejection;
use super::router::Front;
use super::shapes::{self, Input};

/// No operation has a name of half this length.
const LONGEST_NAME: usize = 64;

const OUT_OF_BODIES: Fault = Fault::Overloaded("the memory for bodies is used up");

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const AMZ_JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");

/// Answers one request.
pub async fn dispatch(State(front): State<Arc<Front>>, request: Request) -> Response {
    let started = Instant::now();
    let request_id = Uuid::new_v4().to_string();
    let stages = Stages::default();
    let (parts, body) = request.into_parts();
    let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = target.strip_prefix("RekognitionService.").unwrap_or_default();
    // The rest of a longer name would only fill the log.
    let operation = &operation[..operation.floor_char_boundary(LONGEST_NAME)];
    let outcome = answer(&front, operation, &parts.headers, body, &stages).await;
    let (status, code, body, detail) = match outcome {
        Ok(body) => (StatusCode::OK, None, body, None),
        Err(rejection) => {
            let reply = rejection.reply();
            (reply.status, Some(reply.code), reply.body.to_string().into_bytes(), rejection.detail())
        }
    };
    let line = Line { operation, status, code, request_id: &request_id, started, detail };
    line.log(&stages);
    let request_id = HeaderValue::try_from(request_id).expect("a UUID is a header value");
    (status, [(REQUEST_ID, request_id), (header::CONTENT_TYPE, AMZ_JSON)], body).into_response()
}

async fn answer(
    front: &Front,
    operation: &str,
    headers: &HeaderMap,
    body: Body,
    stages: &Stages,
) -> Result<Vec<u8>, Rejection> {
    let body = stages.time_async(Stage::Receive, receive(front, headers, body)).await?;
    let _permit = front.requests.try_acquire().map_err(|_| Fault::Overloaded("too many requests in progress"))?;
    run(&front.service, operation, body, stages).await
}

/// Runs the operation of this name.
async fn run(service: &Service, operation: &str, body: Received<'_>, stages: &Stages) -> Result<Vec<u8>, Rejection> {
    match operation {
        "CreateCollection" => {
            let run = async |(id, tags)| operations::create_collection(service, id, tags, stages).await;
            call::<shapes::CreateCollectionRequest, _, shapes::CreateCollectionResponse>(body, stages, run).await
        }
        "DescribeCollection" => {
            let run = async |id| operations::describe_collection(service, id, stages).await;
            call::<shapes::CollectionRequest, _, shapes::DescribeCollectionResponse>(body, stages, run).await
        }
        "ListCollections" => {
            let run = async |page| operations::list_collections(service, page, stages).await;
            call::<shapes::ListCollectionsRequest, _, shapes::ListCollectionsResponse>(body, stages, run).await
        }
        "DeleteCollection" => {
            let run = async |id| operations::delete_collection(service, id, stages).await;
            call::<shapes::CollectionRequest, _, shapes::DeleteCollectionResponse>(body, stages, run).await
        }
        "IndexFaces" => {
            let run = async |request| operations::index_faces(service, request, stages).await;
            call::<shapes::IndexFacesRequest, _, shapes::IndexFacesResponse>(body, stages, run).await
        }
        "ListFaces" => {
            let run = async |request| operations::list_faces(service, request, stages).await;
            call::<shapes::ListFacesRequest, _, shapes::ListFacesResponse>(body, stages, run).await
        }
        "DeleteFaces" => {
            let run = async |(id, faces)| operations::delete_faces(service, id, faces, stages).await;
            call::<shapes::DeleteFacesRequest, _, shapes::DeleteFacesResponse>(body, stages, run).await
        }
        "SearchFaces" => {
            let run = async |request| operations::search_faces(service, request, stages).await;
            call::<shapes::SearchFacesRequest, _, shapes::SearchFacesResponse>(body, stages, run).await
        }
        "SearchFacesByImage" => {
            let run = async |request| operations::search_faces_by_image(service, request, stages).await;
            call::<shapes::SearchFacesByImageRequest, _, shapes::SearchFacesByImageResponse>(body, stages, run).await
        }
        "DetectFaces" => {
            let run = async |image| operations::detect_faces(service, image, stages).await;
            call::<shapes::DetectFacesRequest, _, shapes::DetectFacesResponse>(body, stages, run).await
        }
        "CompareFaces" => {
            let run = async |request| operations::compare_faces(service, request, stages).await;
            call::<shapes::CompareFacesRequest, _, shapes::CompareFacesResponse>(body, stages, run).await
        }
        "TagResource" => {
            let run = async |(arn, tags): (String, _)| operations::tag_resource(service, &arn, tags, stages).await;
            call::<shapes::TagResourceRequest, _, shapes::EmptyResponse>(body, stages, run).await
        }
        "UntagResource" => {
            let run = async |(arn, keys): (String, _)| operations::untag_resource(service, &arn, keys, stages).await;
            call::<shapes::UntagResourceRequest, _, shapes::EmptyResponse>(body, stages, run).await
        }
        "ListTagsForResource" => {
            let run = async |arn: String| operations::list_tags_for_resource(service, &arn, stages).await;
            call::<shapes::ListTagsForResourceRequest, _, shapes::ListTagsForResourceResponse>(body, stages, run).await
        }
        "CreateUser" => {
            let run = async |request| operations::create_user(service, request, stages).await;
            call::<shapes::UserRequest, _, shapes::EmptyResponse>(body, stages, run).await
        }
        "DeleteUser" => {
            let run = async |request| operations::delete_user(service, request, stages).await;
            call::<shapes::UserRequest, _, shapes::EmptyResponse>(body, stages, run).await
        }
        "ListUsers" => {
            let run = async |(id, page)| operations::list_users(service, id, page, stages).await;
            call::<shapes::ListUsersRequest, _, shapes::ListUsersResponse>(body, stages, run).await
        }
        "AssociateFaces" => {
            let run = async |(request, faces, threshold)| {
                operations::associate_faces(service, request, faces, threshold, stages).await
            };
            call::<shapes::AssociateFacesRequest, _, shapes::AssociateFacesResponse>(body, stages, run).await
        }
        "DisassociateFaces" => {
            let run = async |(request, faces)| operations::disassociate_faces(service, request, faces, stages).await;
            call::<shapes::DisassociateFacesRequest, _, shapes::DisassociateFacesResponse>(body, stages, run).await
        }
        "SearchUsers" => {
            let run = async |request| operations::search_users(service, request, stages).await;
            call::<shapes::SearchUsersRequest, _, shapes::SearchUsersResponse>(body, stages, run).await
        }
        "SearchUsersByImage" => {
            let run = async |request| operations::search_users_by_image(service, request, stages).await;
            call::<shapes::SearchUsersByImageRequest, _, shapes::SearchUsersByImageResponse>(body, stages, run).await
        }
        _ => Err(Rejection::UnknownOperation),
    }
}

/// Parses a request, runs its operation and encodes the reply.
async fn call<I: Input, T, O: From<T> + Serialize>(
    body: Received<'_>,
    stages: &Stages,
    run: impl AsyncFnOnce(I::Command) -> Result<T, Fault>,
) -> Result<Vec<u8>, Rejection> {
    let command = stages.time(Stage::Parse, || from_json::<I>(&body.bytes)?.parse())?;
    // The command has what it needs of it.
    drop(body);
    let reply = O::from(run(command).await?);
    Ok(stages.time(Stage::Encode, || serde_json::to_vec(&reply)).map_err(Fault::internal("encoding a reply"))?)
}

fn from_json<I: DeserializeOwned>(body: &[u8]) -> Result<I, Rejection> {
    use serde_json::error::Category;
    let parsed = serde_json::from_slice::<shapes::Object<I>>(body);
    parsed.map(|shapes::Object(input)| input).map_err(|error| match error.classify() {
        Category::Data => Rejection::Serialization {
            text: type_error(&error.to_string()),
            detail: format!("a member of another type before line {} column {}", error.line(), error.column()),
        },
        Category::Syntax | Category::Eof | Category::Io => Rejection::Serialization {
            text: None,
            detail: format!("no JSON at line {} column {}", error.line(), error.column()),
        },
    })
}

/// The service's words for a member of another type, by the beginning of serde's: what the client sent is not sent back to it.
fn type_error(text: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 6] = [
        ("invalid type: string", "STRING_VALUE cannot be converted to the expected type"),
        ("invalid type: integer", "NUMBER_VALUE cannot be converted to the expected type"),
        ("invalid type: floating point", "NUMBER_VALUE cannot be converted to the expected type"),
        ("invalid type: boolean", "Boolean value found where not expected"),
        ("invalid type: sequence", "Start of list found where not expected"),
        ("invalid type: map", "Start of structure or map found where not expected."),
    ];
    WORDS.iter().find(|(beginning, _)| text.starts_with(beginning)).map(|(_, words)| *words)
}

/// A body, and its share of the memory for bodies.
struct Received<'a> {
    bytes: Vec<u8>,
    _share: SemaphorePermit<'a>,
}

/// Reads a body. Memory is taken as bytes arrive, not as they are announced.
async fn receive<'a>(front: &'a Front, headers: &HeaderMap, body: Body) -> Result<Received<'a>, Rejection> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > front.max_body) {
        return Err(Rejection::BodyTooLarge);
    }
    tokio::time::timeout(front.body_timeout, read(front, body)).await.unwrap_or(Err(Rejection::BodyTimeout))
}

async fn read(front: &Front, mut body: Body) -> Result<Received<'_>, Rejection> {
    let mut bytes = Vec::new();
    let mut share = front.body_bytes.try_acquire_many(0).map_err(|_| OUT_OF_BODIES)?;
    while let Some(frame) = body.frame().await {
        // The client said more than it sent: what came is no JSON.
        let frame =
            frame.map_err(|_| Rejection::Serialization { text: None, detail: "the body is cut off".to_owned() })?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > front.max_body {
            return Err(Rejection::BodyTooLarge);
        }
        let length = u32::try_from(data.len()).map_err(|_| Rejection::BodyTooLarge)?;
        share.merge(front.body_bytes.try_acquire_many(length).map_err(|_| OUT_OF_BODIES)?);
        bytes.extend_from_slice(&data);
    }
    Ok(Received { bytes, _share: share })
}

/// The log line of a request.
struct Line<'a> {
    operation: &'a str,
    status: StatusCode,
    code: Option<&'static str>,
    request_id: &'a str,
    started: Instant,
    detail: Option<String>,
}

impl Line<'_> {
    fn log(&self, stages: &Stages) {
        // What the operator has to act on is a warning, what the client has to is not.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    operation = self.operation,
                    status = self.status.as_u16(),
                    code = self.code,
                    request_id = self.request_id,
                    total_ms = (self.started.elapsed().as_secs_f64() * 1e5).round() / 1e2,
                    receive_ms = stages.milliseconds(Stage::Receive),
                    parse_ms = stages.milliseconds(Stage::Parse),
                    queue_ms = stages.milliseconds(Stage::Queue),
                    decode_ms = stages.milliseconds(Stage::Decode),
                    detect_ms = stages.milliseconds(Stage::Detect),
                    align_ms = stages.milliseconds(Stage::Align),
                    embed_ms = stages.milliseconds(Stage::Embed),
                    store_ms = stages.milliseconds(Stage::Store),
                    search_ms = stages.milliseconds(Stage::Search),
                    encode_ms = stages.milliseconds(Stage::Encode),
                    detail = self.detail.as_deref(),
                    "request"
                )
            };
        }
        if self.status.is_server_error() { line!(warn) } else { line!(info) }
    }
}
