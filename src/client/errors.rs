//! Calls that came to nothing.

use serde::Deserialize;

use crate::domain::Operation;

/// What of a foreign text is shown.
const LONGEST_TEXT: usize = 500;

/// A call that came to nothing, after everything that might have helped.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The endpoint refused.
    #[error("{operation}: {refused}")]
    Refused {
        /// The call.
        operation: Operation,
        /// With these words.
        refused: Refused,
    },
    /// No answer came.
    #[error("{operation}: no answer from {endpoint}")]
    Unanswered {
        /// The call.
        operation: Operation,
        /// Who was called.
        endpoint: String,
        /// What happened instead.
        source: reqwest::Error,
    },
    /// Something answered that does not speak the protocol.
    #[error(
        "{operation}: {endpoint} gives an answer (HTTP {status}) that is not Rekognition's: is this the right address?"
    )]
    Foreign {
        /// The call.
        operation: Operation,
        /// Who was called.
        endpoint: String,
        /// What HTTP says.
        status: u16,
    },
    /// The key's token has characters that no request can carry.
    #[error("{operation}: the request cannot be signed: {reason}")]
    Unsigned {
        /// The call.
        operation: Operation,
        /// Why.
        reason: String,
    },
}

/// A refusal in the service's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// HTTP's status.
    pub status: u16,
    /// The service's code, such as `InvalidImageFormatException`.
    pub code: String,
    /// What it says about it; may be empty.
    pub message: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.message.as_str() {
            "" => f.write_str(&self.code),
            message => write!(f, "{}: {message}", self.code),
        }
    }
}

impl Refused {
    /// Reads an error's body. `kind` is the header `x-amzn-errortype`, which some endpoints send beside it or in its place.
    pub(super) fn read(status: u16, kind: Option<&str>, body: &[u8]) -> Option<Self> {
        #[derive(Default, Deserialize)]
        struct Body {
            #[serde(rename = "__type")]
            kind: Option<String>,
            #[serde(alias = "Message")]
            message: Option<String>,
        }
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        let kind = body.kind.as_deref().or(kind)?;
        // com.amazonaws.rekognition#Code:http://more
        let code = kind.rsplit('#').next()?.split(':').next()?.trim();
        let is_code = !code.is_empty() && code.len() < 100 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let message: String = body.message.unwrap_or_default().chars().take(LONGEST_TEXT).collect();
        is_code.then(|| Self { status, code: code.to_owned(), message })
    }

    /// Whether the same request may fare better a little later.
    fn is_passing(&self) -> bool {
        const PASSING: [&str; 6] = [
            "InternalServerError",
            "ProvisionedThroughputExceededException",
            "RequestTimeoutException",
            "ServiceUnavailableException",
            "ThrottlingException",
            "TooManyRequestsException",
        ];
        has_passing_status(self.status) || PASSING.contains(&self.code.as_str())
    }

    /// Whether every call would be refused: it is about the caller's key or rights, or the endpoint has no such operation.
    pub fn is_of_every_call(&self) -> bool {
        const OF_EVERY_CALL: [&str; 10] = [
            "AccessDeniedException",
            "ExpiredTokenException",
            "IncompleteSignatureException",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "MissingAuthenticationTokenException",
            "NotAuthorized",
            "SignatureDoesNotMatch",
            "UnknownOperationException",
            "UnrecognizedClientException",
        ];
        OF_EVERY_CALL.contains(&self.code.as_str())
    }
}

fn has_passing_status(status: u16) -> bool {
    status >= 500 || status == 429 || status == 408
}

impl CallError {
    /// The service's code, where the service answered.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { refused, .. } => Some(&refused.code),
            _ => None,
        }
    }

    /// Whether the same request may fare better a little later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Refused { refused, .. } => refused.is_passing(),
            Self::Unanswered { .. } => true,
            Self::Foreign { status, .. } => has_passing_status(*status),
            Self::Unsigned { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_in_each_of_its_forms() {
        let read = |kind, body: &str| Refused::read(400, kind, body.as_bytes());
        let refused = |code: &str, message: &str| {
            Some(Refused { status: 400, code: code.to_owned(), message: message.to_owned() })
        };
        assert_eq!(read(None, r#"{"__type":"OneException","message":"a"}"#), refused("OneException", "a"));
        assert_eq!(
            read(None, r#"{"__type":"x.y#OneException","Code":"OneException","Message":"a"}"#),
            refused("OneException", "a")
        );
        assert_eq!(read(Some("OneException:http://x/"), ""), refused("OneException", ""));
        for foreign in ["", "<html>", "[]", "{}", r#"{"__type":"<b>"}"#, r#"{"__type":3}"#] {
            assert_eq!(read(None, foreign), None, "{foreign}");
        }
        let long = format!(r#"{{"__type":"OneException","message":"{}"}}"#, "ö".repeat(10_000));
        assert_eq!(read(None, &long).unwrap().message.chars().count(), LONGEST_TEXT);
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        let refused = |status, code: &str| Refused { status, code: code.to_owned(), message: String::new() };
        for (status, code) in [
            (500, "ThrottlingException"),
            (400, "ProvisionedThroughputExceededException"),
            (503, "AnyException"),
            (429, "AnyException"),
        ] {
            assert!(refused(status, code).is_passing(), "{code}");
        }
        for code in ["InvalidImageFormatException", "AccessDeniedException", "ServiceQuotaExceededException"] {
            assert!(!refused(400, code).is_passing(), "{code}");
        }
    }
}
