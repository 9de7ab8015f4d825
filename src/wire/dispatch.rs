//! From `X-Amz-Target` to an operation and back, and the one log line of a request.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::access::{Principal, SignedRequest, action, authorize, claimed_key};
use crate::audit::{self, Trail};
use crate::domain::{Fault, Operation, UnknownOperation};
use crate::operations::{self, Call, Touches};
use crate::store;
use crate::task;
use crate::telemetry::traced::{CONTEXT_HEADERS, Traced};
use crate::telemetry::{Stage, Stages, Timing, milliseconds};

use super::body::{Received, discard, receive, unpack};
use super::errors::Rejection;
use super::front::{Front, Peer};
use super::shapes::{self, Input};

/// No operation has a name of half this length.
const LONGEST_NAME: usize = 64;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const AMZ_JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");

/// Answers one request.
pub async fn dispatch(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (started, came) = (Instant::now(), SystemTime::now());
    let request_id = Uuid::new_v4().to_string();
    let stages = if front.traces.is_some() { Stages::with_laps() } else { Stages::default() };
    let (parts, body) = request.into_parts();
    let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = target.strip_prefix("RekognitionService.").unwrap_or_default();
    // The rest of a longer name would only fill the log.
    let name = &name[..name.floor_char_boundary(LONGEST_NAME)];
    let mut caller = Caller::default();
    let peer = parts.extensions.get::<Peer>().map(|Peer(address)| *address);
    let trail = Trail::new(front.audit.as_ref(), operation_named(&front, name).ok(), &request_id, peer);
    // A panic is a bug and costs one call, with an answer and a line in the log, and not the connection without either.
    let answer = AssertUnwindSafe(answer(&front, name, &parts, body, &stages, &mut caller, &trail));
    let outcome = answer.catch_unwind().await.unwrap_or_else(|_| Err(Fault::internal("answering")("a panic").into()));
    let outcome = noted(&trail, &parts, outcome).await;
    let again_after = outcome.as_ref().err().and_then(Rejection::again_after);
    let (status, code, body, detail) = match outcome {
        Ok(body) => (StatusCode::OK, None, body, None),
        Err(rejection) => {
            let reply = rejection.reply();
            (reply.status, Some(reply.code), reply.body.to_string().into(), rejection.detail())
        }
    };
    let took = started.elapsed();
    let total_ms = milliseconds(took.as_secs_f64());
    let Caller { name: caller, is_proven, .. } = caller;
    let line = Line { operation: name, caller, status, code, request_id: &request_id, total_ms, detail };
    line.log(&stages);
    let known = operation_named(&front, name).map_or_else(UnknownOperation::name, Operation::name);
    front.metrics.count(known, code, took, &stages);
    if let Some(traces) = &front.traces {
        let (status, context, answered) = (status.as_u16(), trace_context(&parts.headers), SystemTime::now());
        let request = Traced { operation: known, request_id: &request_id, status, code, context, came, answered };
        traces.record(request, &stages);
    }
    let request_id = HeaderValue::try_from(request_id).expect("a UUID is a header value");
    let mut reply = (status, [(REQUEST_ID, request_id), (header::CONTENT_TYPE, AMZ_JSON)], body).into_response();
    if let Some(again_after) = again_after {
        reply.headers_mut().insert(header::RETRY_AFTER, again_after.as_secs().into());
    }
    if front.timing == Timing::All || front.timing == Timing::Signed && is_proven {
        let timing = HeaderValue::try_from(stages.header(total_ms)).expect("names and numbers are a header value");
        reply.headers_mut().insert(SERVER_TIMING, timing);
    }
    reply
}

/// Who sent a request.
#[derive(Debug, Default)]
pub struct Caller {
    /// For the log: the name of the key that is claimed, and after the proof that of the principal; none where nobody has to say.
    pub name: Option<String>,
    /// Whether a signature says so that was checked.
    pub is_proven: bool,
    /// The key that is claimed.
    pub key: Option<String>,
}

/// The outcome, once it is in the audit log. What cannot be noted there is not told, unless it is an error or a change that was made.
async fn noted(trail: &Trail<'_>, parts: &Parts, outcome: Result<Bytes, Rejection>) -> Result<Bytes, Rejection> {
    if !trail.is_followed() {
        return outcome;
    }
    let (told, is_at_the_door) = match &outcome {
        Ok(_) => (Ok(()), false),
        Err(rejection) => (Err(rejection.reply().code), rejection.is_at_the_door()),
    };
    let claimed = if is_at_the_door { claimed_key(&head_of(parts)) } else { None };
    trail.end(told, is_at_the_door, claimed).await?;
    outcome
}

/// What a request's headers say of the trace that it belongs to.
fn trace_context(headers: &HeaderMap) -> HashMap<String, String> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(|value| (name.to_owned(), value.to_owned()));
    CONTEXT_HEADERS.into_iter().filter_map(text).collect()
}

async fn answer(
    front: &Front,
    name: &str,
    parts: &Parts,
    body: Body,
    stages: &Stages,
    caller: &mut Caller,
    trail: &Trail<'_>,
) -> Result<Bytes, Rejection> {
    let head = head_of(parts);
    let (principal, body) = admit(front, &head, &parts.headers, body, stages, caller).await?;
    trail.admitted(audit::Caller {
        arn: Some(principal.arn()),
        access_key_id: caller.key.take(),
        account: Some(principal.account.as_str().to_owned()),
    });
    let permit = front.requests.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Fault::Overloaded("too many requests in progress"))?;
    task::answering(permit, async {
        let operation = operation_named(front, name)?;
        front.replies.are_welcome()?;
        let body = stages.time(Stage::Receive, || unpack(front, &parts.headers, body))?;
        let reply = run(Admission { front, principal, stages, trail, operation, body }).await?;
        Ok(front.replies.hold(reply, operation.is_change())?)
    })
    .await
}

/// The operation of this name, if the server has it and it is not switched off.
fn operation_named(front: &Front, name: &str) -> Result<Operation, UnknownOperation> {
    let operation: Operation = name.parse()?;
    if operation.is_extension() && !front.service.extensions { Err(UnknownOperation::Unknown) } else { Ok(operation) }
}

/// The head of a request as its signature sees it.
pub fn head_of(parts: &Parts) -> SignedRequest<'_> {
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    SignedRequest::new(parts.method.as_str(), parts.uri.path(), parts.uri.query().unwrap_or_default(), headers)
}

/// Receives the body of a request whose head names a key that there is, and makes sure that the key's owner sent it. Of other bodies
/// nothing is kept, and of this one nothing is read before the proof.
pub async fn admit<'a>(
    front: &'a Front,
    head: &SignedRequest<'_>,
    headers: &HeaderMap,
    body: Body,
    stages: &Stages,
    caller: &mut Caller,
) -> Result<(Arc<Principal>, Received<'a>), Rejection> {
    let claimant = match stages.time(Stage::Authenticate, || front.access.identify(head)) {
        Ok(claimant) => claimant,
        Err(refusal) => {
            stages.time_async(Stage::Receive, discard(front, body)).await;
            return Err(refusal.into());
        }
    };
    caller.name = claimant.access_key_id().map(str::to_owned);
    caller.key.clone_from(&caller.name);
    let body = stages.time_async(Stage::Receive, receive(front, headers, body)).await?;
    let principal = stages.time(Stage::Authenticate, || claimant.prove(&body.sha256))?;
    if let Some(name) = &mut caller.name {
        *name = principal.arn();
        caller.is_proven = true;
    }
    Ok((principal, body))
}

/// A request that is about to be understood.
struct Admission<'a> {
    front: &'a Front,
    principal: Arc<Principal>,
    stages: &'a Stages,
    trail: &'a Trail<'a>,
    operation: Operation,
    body: Received<'a>,
}

/// Each operation with its request, its reply and what runs it.
macro_rules! of_operation {
    ($operation:expr, $with:ident) => {
        match $operation {
            Operation::AssociateFaces => $with!(AssociateFacesRequest, AssociateFacesResponse, associate_faces),
            Operation::CompareFaces => $with!(CompareFacesRequest, CompareFacesResponse, compare_faces),
            Operation::CreateCollection => $with!(CreateCollectionRequest, CreateCollectionResponse, create_collection),
            Operation::CreateUser => $with!(UserRequest, EmptyResponse, create_user),
            Operation::DeleteCollection => $with!(CollectionRequest, DeleteCollectionResponse, delete_collection),
            Operation::DeleteFaces => $with!(DeleteFacesRequest, DeleteFacesResponse, delete_faces),
            Operation::DeleteUser => $with!(UserRequest, EmptyResponse, delete_user),
            Operation::DescribeCollection => $with!(CollectionRequest, DescribeCollectionResponse, describe_collection),
            Operation::DetectFaces => $with!(DetectFacesRequest, DetectFacesResponse, detect_faces),
            Operation::DisassociateFaces => {
                $with!(DisassociateFacesRequest, DisassociateFacesResponse, disassociate_faces)
            }
            Operation::IndexFaces => $with!(IndexFacesRequest, IndexFacesResponse, index_faces),
            Operation::ListCollections => $with!(ListCollectionsRequest, ListCollectionsResponse, list_collections),
            Operation::ListFaces => $with!(ListFacesRequest, ListFacesResponse, list_faces),
            Operation::ListTagsForResource => {
                $with!(ListTagsForResourceRequest, ListTagsForResourceResponse, list_tags_for_resource)
            }
            Operation::ListUsers => $with!(ListUsersRequest, ListUsersResponse, list_users),
            Operation::SearchFaces => $with!(SearchFacesRequest, SearchFacesResponse, search_faces),
            Operation::SearchFacesByImage => {
                $with!(SearchFacesByImageRequest, SearchFacesByImageResponse, search_faces_by_image)
            }
            Operation::SearchUsers => $with!(SearchUsersRequest, SearchUsersResponse, search_users),
            Operation::SearchUsersByImage => {
                $with!(SearchUsersByImageRequest, SearchUsersByImageResponse, search_users_by_image)
            }
            Operation::TagResource => $with!(TagResourceRequest, EmptyResponse, tag_resource),
            Operation::UntagResource => $with!(UntagResourceRequest, EmptyResponse, untag_resource),
            Operation::DescribeUser => $with!(DescribeUserRequest, DescribeUserResponse, describe_user),
            Operation::EraseFaces => $with!(EraseFacesRequest, EraseFacesResponse, erase_faces),
            Operation::GroupFaces => $with!(GroupFacesRequest, GroupFacesResponse, group_faces),
            Operation::SearchAllFacesByImage => {
                $with!(SearchAllFacesByImageRequest, SearchAllFacesByImageResponse, search_all_faces_by_image)
            }
        }
    };
}

/// Runs the operation.
async fn run(request: Admission<'_>) -> Result<Vec<u8>, Rejection> {
    macro_rules! called {
        ($request:ident, $reply:ident, $operation:ident) => {
            call::<shapes::$request, _, shapes::$reply>(request, operations::$operation).await
        };
    }
    of_operation!(request.operation, called)
}

/// Parses a request, sees whether its sender may make it, runs its operation and encodes the reply.
async fn call<I: Input, T: Touches, O: From<T> + Serialize>(
    request: Admission<'_>,
    run: impl AsyncFnOnce(Call<'_>, I::Command) -> Result<T, Fault>,
) -> Result<Vec<u8>, Rejection> {
    let Admission { front, principal: caller, stages, trail, operation, body } = request;
    let started = Instant::now();
    let command = from_json::<I>(&body.bytes).and_then(|input| Ok(input.parse()?));
    let (took, of_base64) = (started.elapsed(), shapes::Blob::take_time());
    stages.add(Stage::Base64, of_base64);
    stages.add(Stage::Parse, took.saturating_sub(of_base64));
    let command = command?;
    // The command has what it needs of it.
    drop(body);
    if trail.is_followed() {
        trail.names(I::subject(&command).collection(), I::names(&command));
    }
    for (operation, subject) in I::needs(operation, &command) {
        authorize(&caller, &action(operation), &subject.resource(&front.service, &caller.account))?;
    }
    front.access.admit(&caller, operation)?;
    if let Some(injector) = &front.injector {
        let effect = injector.strike(operation);
        tokio::time::sleep(effect.latency).await;
        effect.error.map_or(Ok(()), |error| Err(Rejection::Injected(error)))?;
    }
    let outcome = run(Call { service: &front.service, caller: &caller, stages, trail }, command).await;
    let outcome = outcome.map_err(store::or_unavailable)?;
    if trail.is_followed()
        && let Some(touched) = outcome.touched()
    {
        trail.found(touched);
    }
    let reply = O::from(outcome);
    Ok(stages.time(Stage::Encode, || serde_json::to_vec(&reply)).map_err(Fault::internal("encoding a reply"))?)
}

/// Parses a body as the request of an operation, and forgets it: what fuzzers call.
pub fn parse(operation: Operation, body: &[u8]) -> Result<(), Rejection> {
    macro_rules! parsed {
        ($request:ident, $reply:ident, $operation:ident) => {
            Ok(from_json::<shapes::$request>(body)?.parse().map(drop)?)
        };
    }
    of_operation!(operation, parsed)
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

/// The log line of a request.
struct Line<'a> {
    operation: &'a str,
    /// Who sent it, where that is known.
    caller: Option<String>,
    status: StatusCode,
    code: Option<&'static str>,
    request_id: &'a str,
    total_ms: f64,
    detail: Option<String>,
}

impl Line<'_> {
    fn log(&self, stages: &Stages) {
        // What the operator has to act on is a warning, what the client has to is not.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    operation = self.operation,
                    caller = self.caller.as_deref(),
                    status = self.status.as_u16(),
                    code = self.code,
                    request_id = self.request_id,
                    total_ms = self.total_ms,
                    receive_ms = stages.milliseconds(Stage::Receive),
                    authenticate_ms = stages.milliseconds(Stage::Authenticate),
                    parse_ms = stages.milliseconds(Stage::Parse),
                    base64_ms = stages.milliseconds(Stage::Base64),
                    fetch_ms = stages.milliseconds(Stage::Fetch),
                    queue_ms = stages.milliseconds(Stage::Queue),
                    decode_ms = stages.milliseconds(Stage::Decode),
                    resize_ms = stages.milliseconds(Stage::Resize),
                    detect_ms = stages.milliseconds(Stage::Detect),
                    align_ms = stages.milliseconds(Stage::Align),
                    attributes_ms = stages.milliseconds(Stage::Attributes),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn operation() -> impl Strategy<Value = Operation> {
        proptest::sample::select(Operation::ALL)
    }

    /// JSON whose names are those of requests, and whose values are anything.
    fn request() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            ".{0,12}".prop_map(Into::into),
        ];
        let names = proptest::sample::select(vec![
            "CollectionId",
            "Image",
            "Bytes",
            "S3Object",
            "Bucket",
            "Name",
            "FaceIds",
            "MaxFaces",
            "MaxResults",
            "NextToken",
            "Tags",
            "TagKeys",
            "ResourceArn",
            "UserId",
            "FaceId",
            "FaceMatchThreshold",
            "QualityFilter",
            "Attributes",
        ]);
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                proptest::collection::vec((names.clone(), inner), 0..6)
                    .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(operation in operation(), body in proptest::collection::vec(0u8.., 0..60)) {
            let _ = parse(operation, &body);
        }

        #[test]
        fn every_request_is_parsed_or_refused_in_bounds(operation in operation(), request in request()) {
            if let Err(rejection) = parse(operation, request.to_string().as_bytes()) {
                prop_assert!(rejection.reply().body.to_string().len() < 100_000);
            }
        }
    }
}
