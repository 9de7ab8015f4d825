//! Who may do what: the signature of a request, the rights of the principal behind it, and the rate of its account.

mod credentials;
mod policy;
mod rates;
mod sigv4;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use time::OffsetDateTime;

use crate::domain::{Fault, Operation, S3Object};

pub use credentials::{Keyring, Principal};
use policy::Decision;
pub use policy::Policy;
pub use rates::{RateSettings, Rates};
pub use sigv4::SignedRequest;
use sigv4::{AmzDate, Claim, Credential};

/// The service's name in a credential's scope and before the name of an action.
const SERVICE: &str = "rekognition";

/// A log line's share of a refusal's text.
const LONGEST_REASON: usize = 500;

/// Of a key's name, claimed by whom nobody knows. Amazon's have 128 characters at most.
const LONGEST_KEY_ID: usize = 128;

/// Headers that decide what a request means: a signature has to cover them when they are there.
const COVERED: [&str; 4] = ["x-amz-target", "content-encoding", "x-amz-content-sha256", "x-amz-security-token"];

/// A request that was not let in. The text is the client's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no signature.
    #[error("Missing Authentication Token")]
    MissingAuthentication,
    /// The signature cannot be read.
    #[error("{0}")]
    IncompleteSignature(String),
    /// The signature is not true.
    #[error("{0}")]
    InvalidSignature(String),
    /// No key of this name, or not with this token.
    #[error("The security token included in the request is invalid.")]
    UnknownKey(String),
    /// The key's time is over.
    #[error("The security token included in the request is expired")]
    ExpiredKey,
    /// The principal has no right to do this.
    #[error("{0}")]
    AccessDenied(String),
    /// The account makes too many calls.
    #[error("Provisioned Rate exceeded.")]
    RateExceeded,
}

/// The gate of a server.
pub struct Access {
    gate: Gate,
    /// Regions that a signature may be for; none: every region.
    regions: Vec<String>,
    rates: Rates,
}

enum Gate {
    /// Whoever comes is this principal.
    Open(Arc<Principal>),
    /// Whoever comes has signed with one of these keys.
    Signed {
        keyring: RwLock<Arc<Keyring>>,
        /// Where the keys came from, if they can be read anew.
        file: Option<PathBuf>,
    },
}

impl Access {
    /// A gate that takes any signature, or none.
    pub fn open(principal: Arc<Principal>, rates: Rates) -> Self {
        Self { gate: Gate::Open(principal), regions: Vec::new(), rates }
    }

    /// A gate for those who have a key.
    pub fn signed(keyring: Keyring, file: Option<PathBuf>, regions: Vec<String>, rates: Rates) -> Self {
        Self { gate: Gate::Signed { keyring: RwLock::new(Arc::new(keyring)), file }, regions, rates }
    }

    /// Whether signatures are checked: the body's digest is wanted only then.
    pub fn is_signed(&self) -> bool {
        matches!(self.gate, Gate::Signed { .. })
    }

    /// Reads the file of keys anew and returns how many there are; on an error the old keys stay. Requests in progress keep those
    /// that they came with. `None` when no file was configured.
    pub fn reload(&self) -> Option<Result<usize, String>> {
        let Gate::Signed { keyring, file: Some(file) } = &self.gate else { return None };
        Some(Keyring::read(file).map(|fresh| {
            let keys = fresh.count();
            *keyring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
            keys
        }))
    }

    /// Whom a request says it is from, as far as can be told before its body: nobody unknown is given memory for one.
    pub fn identify<'a>(&self, request: &'a SignedRequest<'a>) -> Result<Claimant<'a>, Refusal> {
        match &self.gate {
            Gate::Open(principal) => Ok(Claimant::Trusted(principal.clone())),
            Gate::Signed { keyring, .. } => {
                let keyring = keyring.read().unwrap_or_else(PoisonError::into_inner).clone();
                claimant(request, keyring, &self.regions, OffsetDateTime::now_utc())
            }
        }
    }

    /// Counts a call against its account's rate.
    pub fn admit(&self, principal: &Principal, operation: Operation) -> Result<(), Refusal> {
        if self.rates.allow(&principal.account, operation) { Ok(()) } else { Err(Refusal::RateExceeded) }
    }
}

/// Whoever sends a request, before the proof.
pub enum Claimant<'a> {
    /// No proof is asked for.
    Trusted(Arc<Principal>),
    /// Somebody who names a key that there is, and has its secret or not.
    Unproven {
        /// The head of the request.
        request: &'a SignedRequest<'a>,
        /// What it says of its signature.
        claim: Claim<'a>,
        /// The key that it names is one of these.
        keyring: Arc<Keyring>,
        /// When the request came.
        now: OffsetDateTime,
    },
}

impl Claimant<'_> {
    /// The public name of the key that is claimed.
    pub fn access_key_id(&self) -> Option<&str> {
        match self {
            Self::Trusted(_) => None,
            Self::Unproven { claim, .. } => claim.credential().ok().map(|credential| credential.access_key_id),
        }
    }

    /// Who it is: the principal whose key signed the request with a body of this digest.
    pub fn prove(self, body_sha256: &[u8; 32]) -> Result<Arc<Principal>, Refusal> {
        match self {
            Self::Trusted(principal) => Ok(principal),
            Self::Unproven { request, claim, keyring, now } => {
                let credential = claim.credential()?;
                let key = keyring.get(credential.access_key_id).ok_or_else(|| unknown(&credential))?;
                claim.verify(&credential, key.secret(), request, body_sha256, &COVERED)?;
                if key.is_expired(now) { Err(Refusal::ExpiredKey) } else { Ok(key.principal.clone()) }
            }
        }
    }
}

fn unknown(credential: &Credential<'_>) -> Refusal {
    Refusal::UnknownKey(credential.access_key_id.to_owned())
}

fn claimant<'a>(
    request: &'a SignedRequest<'a>,
    keyring: Arc<Keyring>,
    regions: &[String],
    now: OffsetDateTime,
) -> Result<Claimant<'a>, Refusal> {
    let claim = Claim::read(request)?.ok_or(Refusal::MissingAuthentication)?;
    let credential = claim.credential()?;
    claim.check(&credential, SERVICE, regions, AmzDate::from(now))?;
    let known = keyring.get(credential.access_key_id).is_some_and(|key| key.has_token(claim.token.as_deref()));
    if !known {
        return Err(unknown(&credential));
    }
    Ok(Claimant::Unproven { request, claim, keyring, now })
}

/// The key that a request says it is signed with, however wrong the rest of it is.
pub fn claimed_key(request: &SignedRequest<'_>) -> Option<String> {
    let claim = Claim::read(request).ok()??;
    let credential = claim.credential().ok()?;
    Some(credential.access_key_id.chars().take(LONGEST_KEY_ID).collect())
}

/// The name of an operation in policies.
pub fn action(operation: Operation) -> String {
    format!("{SERVICE}:{operation}")
}

/// Checks that a principal may do something (an action's name) to a resource (an ARN, or `*` for none). Nothing else asks policies.
pub fn authorize(principal: &Principal, action: &str, resource: &str) -> Result<(), Refusal> {
    let why = match principal.may(action, resource) {
        Decision::Allowed => return Ok(()),
        Decision::NotAllowed => format!("because no identity-based policy allows the {action} action"),
        Decision::Denied => "with an explicit deny in an identity-based policy".to_owned(),
    };
    let who = principal.arn();
    Err(Refusal::AccessDenied(format!(
        "User: {who} is not authorized to perform: {action} on resource: {resource} {why}"
    )))
}

/// Checks that a principal may read an object in S3, as whoever names one in a request has to.
///
/// A denial is no AccessDeniedException. In the cloud the service fetches the object with its caller's rights, and S3 denies it that: the
/// caller reads InvalidS3ObjectException, as for an object that does not exist. So nobody learns by it which objects there are.
pub fn authorize_reading(principal: &Principal, object: &S3Object) -> Result<(), Fault> {
    authorize(principal, object.action(), &object.arn())
        .map_err(|_| Fault::S3ObjectUnavailable("no policy of the caller allows it to be read".to_owned()))
}

impl Refusal {
    /// What the log may say: never a header that was sent, which may hold a signature that is good.
    pub fn reason(&self) -> String {
        let reason = match self {
            Self::IncompleteSignature(_) => return "the signature cannot be read".to_owned(),
            Self::UnknownKey(name) => format!("no key {name}, or not with this token"),
            refusal => refusal.to_string(),
        };
        reason.chars().take(LONGEST_REASON).collect()
    }
}

impl From<sigv4::Malformed> for Refusal {
    fn from(malformed: sigv4::Malformed) -> Self {
        Self::IncompleteSignature(malformed.into_text())
    }
}

impl From<sigv4::Untrue> for Refusal {
    fn from(untrue: sigv4::Untrue) -> Self {
        Self::InvalidSignature(untrue.into_text())
    }
}
