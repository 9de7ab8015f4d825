//! ClientRequestTokens: the same request again changes nothing more.

use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::{AccountId, ClientRequestToken, FaceId, Fault};

use super::Collection;
use super::connections::Transaction;
use super::rows::now_ms;

/// How long a token is remembered.
const TOKEN_LIFE_MS: i64 = 24 * 3600 * 1000;

/// A token, and the digest of the request that carries it.
#[derive(Clone, Debug)]
pub struct Token {
    token: ClientRequestToken,
    request: Vec<u8>,
}

impl Token {
    /// The token of a request whose meaning is in `parts`.
    pub fn new(token: ClientRequestToken, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self { token, request: hash.finalize().to_vec() }
    }
}

/// The faces that the same request changed when it came before; `None` when it comes for the first time.
/// Fails with [`Fault::TokenMismatch`] when its token came with another request.
pub(super) async fn replayed(
    transaction: &mut Transaction,
    account: &AccountId,
    token: Option<&Token>,
) -> Result<Option<Vec<FaceId>>, Fault> {
    let Some(token) = token else { return Ok(None) };
    let known = sqlx::query(
        "SELECT request, changed FROM client_tokens WHERE account = $1 AND token = $2 AND created_at_ms > $3",
    )
    .bind(account.as_str())
    .bind(token.token.as_str().to_owned())
    .bind(now_ms() - TOKEN_LIFE_MS)
    .try_map(|row: AnyRow| Ok((row.try_get::<Vec<u8>, _>(0)?, row.try_get::<Vec<u8>, _>(1)?)))
    .fetch_optional(&mut **transaction)
    .await
    .map_err(Fault::internal("reading a client's token"))?;
    match known {
        None => Ok(None),
        Some((request, changed)) if request == token.request => {
            Ok(Some(changed.as_chunks().0.iter().map(|bytes| FaceId::from_bytes(*bytes)).collect()))
        }
        Some(_) => Err(Fault::TokenMismatch(token.token.clone())),
    }
}

/// Remembers what a request with a token changed, and forgets old tokens. Fails with [`Fault::TokenMismatch`] when a request about another
/// collection has taken the token since [`replayed`] looked: requests about one collection wait for each other, those about two do not.
pub(super) async fn remember(
    transaction: &mut Transaction,
    collection: &Collection,
    token: Option<Token>,
    changed: &[FaceId],
) -> Result<(), Fault> {
    const CONTEXT: &str = "remembering a client's token";
    let Some(token) = token else { return Ok(()) };
    let now = now_ms();
    sqlx::query("DELETE FROM client_tokens WHERE created_at_ms <= $1")
        .bind(now - TOKEN_LIFE_MS)
        .execute(&mut **transaction)
        .await
        .map_err(Fault::internal(CONTEXT))?;
    let remembered = sqlx::query(
        "INSERT INTO client_tokens (account, token, request, changed, created_at_ms, collection_id) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT DO NOTHING",
    )
    .bind(collection.account.as_str().to_owned())
    .bind(token.token.as_str().to_owned())
    .bind(token.request)
    .bind(changed.iter().flat_map(|face| *face.as_bytes()).collect::<Vec<u8>>())
    .bind(now)
    .bind(collection.key)
    .execute(&mut **transaction)
    .await
    .map_err(Fault::internal(CONTEXT))?;
    if remembered.rows_affected() == 0 { Err(Fault::TokenMismatch(token.token)) } else { Ok(()) }
}
