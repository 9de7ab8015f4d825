//! Rows and the values in them.

use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row};

use crate::domain::{
    AccountId, BoundingBox, CollectionId, ExternalImageId, Face, FaceId, ImageId, ModelVersion, Percent, TagKey,
    TagValue, UserId,
};

use super::Collection;
use super::vault::{Owner, Vault};

/// What [`collection_of`] reads.
pub(super) const COLLECTION_COLUMNS: &str =
    "id, name, face_model_version, created_at_ms, revision, face_count, user_count";
/// What [`face_of`] reads, with the name of the face's user behind it.
pub(super) const FACE_COLUMNS: &str =
    "face_id, image_id, external_image_id, box_left, box_top, box_width, box_height, confidence";

/// Faces of one statement: thirteen parameters each, and Postgres takes 65,535, SQLite 32,766.
pub(super) const FACES_AT_ONCE: usize = 200;

/// A statement about a collection and some of its faces. It is not kept prepared: there is one for every number of ids.
pub(super) fn about_faces<'a>(
    statement: String,
    collection: &Collection,
    faces: &[FaceId],
) -> Query<'a, Any, AnyArguments> {
    let query = sqlx::query(AssertSqlSafe(statement)).persistent(false).bind(collection.key);
    faces.iter().fold(query, |query, face| query.bind(face.as_bytes().to_vec()))
}

/// `$first, ...`: `count` numbered placeholders.
pub(super) fn placeholders(first: usize, count: usize) -> String {
    (first..first + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

pub(super) fn decode_error(what: impl std::fmt::Debug) -> sqlx::Error {
    sqlx::Error::Decode(format!("the database holds an invalid value: {what:?}").into())
}

fn uuid_bytes(row: &AnyRow, column: usize) -> sqlx::Result<[u8; 16]> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| decode_error(bytes))
}

pub(super) fn face_id_of(row: &AnyRow, column: usize) -> sqlx::Result<FaceId> {
    uuid_bytes(row, column).map(FaceId::from_bytes)
}

pub(super) fn tag_of(row: &AnyRow) -> sqlx::Result<(TagKey, TagValue)> {
    let key = TagKey::try_from(row.try_get::<String, _>(0)?).map_err(decode_error)?;
    Ok((key, TagValue::try_from(row.try_get::<String, _>(1)?).map_err(decode_error)?))
}

/// The vector in a row of its owner.
pub(super) fn vector_of(vault: &Vault, owner: Owner, row: &AnyRow, column: usize) -> sqlx::Result<Vec<f32>> {
    vault.open(owner, row.try_get(column)?).map_err(|unreadable| decode_error(format_args!("a vector: {unreadable}")))
}

pub(super) fn collection_of(account: &AccountId, row: &AnyRow) -> sqlx::Result<Collection> {
    Ok(Collection {
        key: row.try_get(0)?,
        account: account.clone(),
        id: CollectionId::try_from(row.try_get::<String, _>(1)?).map_err(decode_error)?,
        model_version: ModelVersion::try_from(row.try_get::<String, _>(2)?).map_err(decode_error)?,
        created_at_ms: row.try_get(3)?,
        revision: row.try_get(4)?,
        face_count: row.try_get(5)?,
        user_count: row.try_get(6)?,
    })
}

/// The same of a row that has the owner's account behind these columns.
pub(super) fn owned_collection_of(row: &AnyRow) -> sqlx::Result<Collection> {
    collection_of(&row.try_get::<String, _>(7)?.parse().map_err(decode_error)?, row)
}

pub(super) fn face_of(row: &AnyRow) -> sqlx::Result<Face> {
    let number = |column: usize| row.try_get::<f64, _>(column).map(|v| v as f32);
    Ok(Face {
        face_id: face_id_of(row, 0)?,
        image_id: ImageId::from_bytes(uuid_bytes(row, 1)?),
        user_id: row.try_get::<Option<String>, _>(8)?.map(UserId::try_from).transpose().map_err(decode_error)?,
        external_image_id: row
            .try_get::<Option<String>, _>(2)?
            .map(ExternalImageId::try_from)
            .transpose()
            .map_err(decode_error)?,
        bounding_box: BoundingBox { left: number(3)?, top: number(4)?, width: number(5)?, height: number(6)? },
        confidence: Percent::clamped(number(7)?),
    })
}

/// The name of a user in a row.
pub(super) fn user_name(row: &AnyRow, column: usize) -> sqlx::Result<UserId> {
    UserId::try_from(row.try_get::<String, _>(column)?).map_err(decode_error)
}
