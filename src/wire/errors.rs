//! Refusals as a client sees them: AWS code, HTTP status, body.
//!
//! Two layers refuse. What the protocol or a single member breaks is refused here in `wire`, in the framework's envelope
//! (`message` in lower case for constraints, often no text at all). What an operation refuses is a [`Fault`] and comes in the
//! service's envelope, with `Code` and `Logref`. The texts are the service's own where they are known: clients compare them.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::Refusal;
use crate::domain::limits::{MAX_FACES_PER_USER, MAX_IMAGE_SIDE, MAX_TAGS};
use crate::domain::{Fault, UnknownOperation};

use super::injection::InjectedError;
use super::validation::Violations;

const MIB: usize = 1 << 20;

/// A request that gets no result.
#[derive(Debug)]
pub enum Rejection {
    /// No operation of that name.
    UnknownOperation(UnknownOperation),
    /// Not JSON, or a member of another type.
    Serialization {
        /// What the client is told.
        text: Option<&'static str>,
        /// What the log says: where, never what.
        detail: String,
    },
    /// Members that break the model's constraints.
    Validation(Violations),
    /// The body is larger than the configured limit.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The caller was not let in.
    Refusal(Refusal),
    /// The operation refused.
    Fault(Fault),
    /// An error that was asked for, by the rules of [`injection`](super::injection).
    Injected(InjectedError),
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<Violations> for Rejection {
    fn from(violations: Violations) -> Self {
        Self::Validation(violations)
    }
}

impl From<UnknownOperation> for Rejection {
    fn from(unknown: UnknownOperation) -> Self {
        Self::UnknownOperation(unknown)
    }
}

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A refusal on its way out.
pub struct ErrorReply {
    /// HTTP status.
    pub status: StatusCode,
    /// The AWS error code.
    pub code: &'static str,
    /// The JSON body.
    pub body: Value,
}

impl Rejection {
    /// The reply that tells the client.
    pub fn reply(&self) -> ErrorReply {
        match self {
            Self::UnknownOperation(unknown) => {
                let text = match unknown {
                    UnknownOperation::Absent(name) => Some(format!(
                        "This server does not have the operation {name}: it has those of Amazon Rekognition on faces in images and collections."
                    )),
                    UnknownOperation::Unknown => None,
                };
                framework(StatusCode::BAD_REQUEST, "UnknownOperationException", text.as_deref())
            }
            Self::Serialization { text, .. } => framework(StatusCode::BAD_REQUEST, "SerializationException", *text),
            Self::BodyTooLarge => framework(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", None),
            Self::BodyTimeout => framework(StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", None),
            Self::Validation(Violations(violations)) => {
                let code = "ValidationException";
                let plural = if violations.len() == 1 { "" } else { "s" };
                let list = violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                let text = format!("{} validation error{plural} detected: {list}", violations.len());
                ErrorReply { status: StatusCode::BAD_REQUEST, code, body: json!({"__type": code, "message": text}) }
            }
            Self::Refusal(refusal) => refused(refusal),
            Self::Fault(fault) => {
                let (status, code, text) = service(fault);
                in_service_envelope(status, code, &text)
            }
            Self::Injected(error) => in_service_envelope(error.status(), error.code(), error.text()),
        }
    }

    /// Whether the request was refused because of who sent it.
    pub fn is_at_the_door(&self) -> bool {
        matches!(self, Self::Refusal(refusal) if *refusal != Refusal::RateExceeded)
    }

    /// When it is worth while to try again, where that is known.
    pub fn again_after(&self) -> Option<Duration> {
        match self {
            Self::Fault(Fault::Loading { again_after, .. }) => Some(*again_after),
            _ => None,
        }
    }

    /// What the operator needs to know and the client must not see.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Fault(fault) => Some(fault.to_string()),
            Self::Serialization { detail, .. } => Some(detail.clone()),
            Self::Validation(Violations(violations)) => {
                Some(violations.iter().map(|broken| broken.path.as_str()).collect::<Vec<_>>().join(", "))
            }
            Self::Refusal(refusal) => Some(refusal.reason()),
            Self::Injected(_) => Some("injected by a rule".to_owned()),
            Self::UnknownOperation(unknown) => Some(unknown.to_string()),
            Self::BodyTooLarge | Self::BodyTimeout => None,
        }
    }
}

fn framework(status: StatusCode, code: &'static str, text: Option<&str>) -> ErrorReply {
    let body = match text {
        Some(text) => json!({"__type": code, "Message": text}),
        None => json!({"__type": code}),
    };
    ErrorReply { status, code, body }
}

/// Signatures are the framework's affair, as is a denial; a rate is the service's.
fn refused(refusal: &Refusal) -> ErrorReply {
    let text = refusal.to_string();
    let code = match refusal {
        Refusal::MissingAuthentication => "MissingAuthenticationTokenException",
        Refusal::IncompleteSignature(_) => "IncompleteSignatureException",
        Refusal::InvalidSignature(_) => "InvalidSignatureException",
        Refusal::UnknownKey(_) => "UnrecognizedClientException",
        Refusal::ExpiredKey => "ExpiredTokenException",
        Refusal::AccessDenied(_) => return framework(StatusCode::BAD_REQUEST, "AccessDeniedException", Some(&text)),
        Refusal::RateExceeded => {
            return in_service_envelope(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException", &text);
        }
    };
    ErrorReply { status: StatusCode::BAD_REQUEST, code, body: json!({"__type": code, "message": text}) }
}

fn in_service_envelope(status: StatusCode, code: &'static str, text: &str) -> ErrorReply {
    let body = json!({"__type": code, "Code": code, "Logref": Uuid::new_v4().to_string(), "Message": text});
    ErrorReply { status, code, body }
}

fn service(fault: &Fault) -> (StatusCode, &'static str, String) {
    const INVALID: &str = "InvalidParameterException";
    let (code, text) = match fault {
        Fault::CollectionNotFound(id) => {
            ("ResourceNotFoundException", format!("The collection id: {id} does not exist"))
        }
        Fault::CollectionExists(id) => {
            ("ResourceAlreadyExistsException", format!("The collection id: {id} already exists"))
        }
        Fault::NoModels { collection, version, pack } => {
            let remedy = pack.as_ref().map(|pack| format!("fetch the files of its pack {pack}, or "));
            (
                INVALID,
                format!(
                    "The collection id: {collection} was made with face model {version}, which this server does not have: {}index the \
                     photos into a new collection",
                    remedy.unwrap_or_default()
                ),
            )
        }
        Fault::ModelVersionMismatch { collection, theirs, ours } => (
            INVALID,
            format!("The collection id: {collection} was made with face model {theirs}, and these faces with {ours}"),
        ),
        Fault::NoPack(name) => (
            INVALID,
            format!("The tag rekollect:pack names a pack that this server does not have, or not the files of: {name}"),
        ),
        Fault::NoRetention(error) => (INVALID, format!("The {error}")),
        Fault::UserNotFound(id) => ("ResourceNotFoundException", format!("The user id: {id} does not exist")),
        Fault::UserExists(id) => ("ConflictException", format!("The user id: {id} already exists")),
        Fault::TooManyFacesOfUser(id) => (
            "ServiceQuotaExceededException",
            format!("The user id: {id} cannot have more than {MAX_FACES_PER_USER} faces"),
        ),
        Fault::TokenMismatch(token) => (
            "IdempotentParameterMismatchException",
            format!("The ClientRequestToken: {token} you have supplied is already in use."),
        ),
        Fault::FaceNotFound => (INVALID, "faceId was not found in the collection.".to_owned()),
        Fault::NoFaceInImage => (INVALID, "There are no faces in the image. Should be at least 1.".to_owned()),
        Fault::InvalidParameters => (INVALID, "Request has invalid parameters".to_owned()),
        Fault::S3ObjectUnavailable(_) => (
            "InvalidS3ObjectException",
            "Unable to get object metadata from S3. Check object key, region and/or access permissions.".to_owned(),
        ),
        Fault::S3ObjectUnreadable(_) => ("InvalidS3ObjectException", "Request has invalid S3 object.".to_owned()),
        Fault::S3ObjectTooLarge(_) => ("ImageTooLargeException", "Image size is too large.".to_owned()),
        Fault::S3Busy(_) => ("ProvisionedThroughputExceededException", "S3 download limit exceeded.".to_owned()),
        Fault::QuotaExceeded(what, most) => {
            ("ServiceQuotaExceededException", format!("There cannot be more than {most} {what}"))
        }
        Fault::InvalidImageFormat(_) => ("InvalidImageFormatException", "Request has invalid image format".to_owned()),
        Fault::ImageTooSmall { .. } => (INVALID, "Request has Invalid Parameters".to_owned()),
        Fault::ImageTooLarge { width, height } if *width.max(height) > MAX_IMAGE_SIDE => (
            "ImageTooLargeException",
            format!(
                "Input image dimensions {width} x {height} exceed maximum dimension size of {MAX_IMAGE_SIDE} pixels"
            ),
        ),
        Fault::ImageTooLarge { .. } => ("ImageTooLargeException", "Image size is too large.".to_owned()),
        Fault::InvalidPaginationToken => ("InvalidPaginationTokenException", "Invalid Token".to_owned()),
        Fault::TooManyTags => {
            ("ServiceQuotaExceededException", format!("A resource cannot have more than {MAX_TAGS} tags"))
        }
        Fault::Overloaded(_) | Fault::Loading { .. } | Fault::Unavailable { .. } => {
            ("ThrottlingException", "Service Unavailable".to_owned())
        }
        Fault::GalleryTooLarge { collection, needs, limit } => (
            INVALID,
            format!(
                "The collection id: {collection} needs about {} MiB of memory to be searched, and the server may use {} MiB for that: \
                 raise --max-memory (REKOLLECT_MAX_MEMORY)",
                needs.div_ceil(MIB),
                limit / MIB
            ),
        ),
        Fault::Internal { .. } => ("InternalServerError", "Internal server error".to_owned()),
    };
    let status = match fault {
        Fault::Overloaded(_) | Fault::Loading { .. } | Fault::Unavailable { .. } | Fault::Internal { .. } => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        _ => StatusCode::BAD_REQUEST,
    };
    (status, code, text)
}

/// What the service's front answers to anything that is not its protocol.
pub async fn unroutable() -> Response {
    let body = "<MissingAuthenticationTokenException>\n  <Message>Missing Authentication Token</Message>\n</MissingAuthenticationTokenException>\n";
    (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::super::validation::Violation;
    use super::*;
    use crate::domain::Constraint;

    #[test]
    fn an_internal_failure_tells_the_log_and_not_the_client() {
        let fault = Fault::internal("storing faces")("relation \"faces\" of /var/db");
        let rejection = Rejection::Fault(fault);
        let reply = rejection.reply();
        assert_eq!((reply.status.as_u16(), reply.code), (500, "InternalServerError"));
        assert_eq!(reply.body["Message"], "Internal server error");
        assert!(!reply.body.to_string().contains("/var/db"));
        assert!(rejection.detail().unwrap().contains("/var/db"));
    }

    #[test]
    fn every_violation_of_a_request_is_in_one_message() {
        let violation = |value: Option<&str>| Violation {
            path: "collectionId".to_owned(),
            value: value.map(str::to_owned),
            constraint: Constraint::NotNull.to_string(),
        };
        assert_eq!(
            Rejection::from(Violations(vec![violation(None), violation(Some("x"))])).reply().body["message"],
            "2 validation errors detected: Value null at 'collectionId' failed to satisfy constraint: Member must not be null; \
             Value 'x' at 'collectionId' failed to satisfy constraint: Member must not be null"
        );
    }
}
