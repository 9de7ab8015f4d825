//! Users: faces of a collection that are one person. A user's vector changes in the transaction that changes its faces.

use futures_util::{Stream, StreamExt};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::domain::{FaceId, Fault, MAX_FACES_PER_USER, User, UserId, cosine, mean_direction};

use super::change::to_the_end;
use super::connections::Transaction;
use super::rows::{about_faces, decode_error, face_id_of, placeholders, user_name, vector_of};
use super::tokens::{Token, remember, replayed};
use super::tombstones::leave_user;
use super::vault::{Owner, Vault};
use super::{Collection, Store, UserKey};

/// What is to become of faces and a user.
#[derive(Clone, Copy, Debug)]
pub enum Reassignment {
    /// The user gets those that belong to nobody. Once it has faces, only those whose cosine with its vector is at least this.
    Give {
        /// See above.
        min_cosine: f32,
    },
    /// The user loses those that it has.
    Take,
}

/// What became of faces that were to be associated with a user, or taken from it.
#[derive(Debug, Default)]
pub struct Association {
    /// Those that were, in the order of the request.
    pub changed: Vec<FaceId>,
    /// Those that the collection does not have.
    pub not_found: Vec<FaceId>,
    /// Those that belong to another user.
    pub of_others: Vec<(FaceId, UserId)>,
    /// Those that are too unlike the user, with the cosine.
    pub unlike: Vec<(FaceId, f32)>,
    /// How many faces the user has now.
    pub face_count: usize,
}

/// A face as an association sees it.
struct Candidate {
    id: FaceId,
    owner: Option<(i64, UserId)>,
    embedding: Vec<f32>,
}

impl Store {
    /// Makes a user without faces. Fails with [`Fault::UserExists`], [`Fault::CollectionNotFound`], [`Fault::TokenMismatch`], or with
    /// [`Fault::QuotaExceeded`] when the collection would have more users than `quota`.
    pub async fn create_user(
        &self,
        collection: &Collection,
        id: &UserId,
        token: Option<Token>,
        quota: u32,
    ) -> Result<(), Fault> {
        const CONTEXT: &str = "making a user";
        to_the_end(
            CONTEXT,
            (self.clone(), collection.clone(), id.clone(), token),
            move |(store, collection, id, token)| async move {
                let _writer = store.writer(CONTEXT).await?;
                let (mut transaction, revision) = store.begin_change(&collection, CONTEXT).await?;
                if replayed(&mut transaction, &collection.account, token.as_ref()).await?.is_some() {
                    return Ok(());
                }
                let made = sqlx::query(
                    "INSERT INTO users (collection_id, name, revision) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                )
                .bind(collection.key)
                .bind(id.as_str().to_owned())
                .bind(revision)
                .execute(&mut *transaction)
                .await
                .map_err(Fault::internal(CONTEXT))?;
                if made.rows_affected() == 0 {
                    return Err(Fault::UserExists(id));
                }
                let count = count_users(&mut transaction, &collection, 1).await.map_err(Fault::internal(CONTEXT))?;
                if count > i64::from(quota) {
                    return Err(Fault::QuotaExceeded("users in a collection", quota));
                }
                remember(&mut transaction, &collection, token, &[]).await?;
                transaction.commit().await.map_err(Fault::internal(CONTEXT))
            },
        )
        .await
    }

    /// Deletes a user; its faces stay and belong to nobody. Fails with [`Fault::UserNotFound`], [`Fault::CollectionNotFound`] or
    /// [`Fault::TokenMismatch`].
    pub async fn delete_user(&self, collection: &Collection, id: &UserId, token: Option<Token>) -> Result<(), Fault> {
        const CONTEXT: &str = "deleting a user";
        to_the_end(
            CONTEXT,
            (self.clone(), collection.clone(), id.clone(), token),
            |(store, collection, id, token)| async move {
                let _writer = store.writer(CONTEXT).await?;
                let (mut transaction, revision) = store.begin_change(&collection, CONTEXT).await?;
                if replayed(&mut transaction, &collection.account, token.as_ref()).await?.is_some() {
                    return Ok(());
                }
                let (key, _) = user_of(&mut transaction, &collection, &id).await?;
                let internal = Fault::internal(CONTEXT);
                sqlx::query("DELETE FROM users WHERE id = $1")
                    .bind(key)
                    .execute(&mut *transaction)
                    .await
                    .map_err(&internal)?;
                leave_user(&mut transaction, &collection, key, revision).await.map_err(&internal)?;
                count_users(&mut transaction, &collection, -1).await.map_err(&internal)?;
                remember(&mut transaction, &collection, token, &[]).await?;
                transaction.commit().await.map_err(&internal)
            },
        )
        .await
    }

    /// The user of this name and its key. Fails with [`Fault::UserNotFound`].
    pub async fn user(&self, collection: &Collection, id: &UserId) -> Result<UserKey, Fault> {
        sqlx::query("SELECT id FROM users WHERE collection_id = $1 AND name = $2")
            .bind(collection.key)
            .bind(id.as_str().to_owned())
            .try_map(|row: AnyRow| row.try_get(0).map(UserKey))
            .fetch_optional(&self.pool)
            .await
            .map_err(Fault::internal("reading a user"))?
            .ok_or_else(|| Fault::UserNotFound(id.clone()))
    }

    /// Up to `limit` users with their keys, in the order of these, behind `after` when given, and only those of `among` when given.
    pub async fn users(
        &self,
        collection: &Collection,
        after: Option<UserKey>,
        among: Option<&[UserKey]>,
        limit: i64,
    ) -> Result<Vec<(UserKey, User)>, Fault> {
        // As with faces: some users are sorted here.
        let which = match among {
            Some(keys) => format!("AND id IN ({})", placeholders(3, keys.len())),
            None => "ORDER BY id LIMIT $3".to_owned(),
        };
        let statement = format!("SELECT id, name, face_count FROM users WHERE collection_id = $1 AND id > $2 {which}");
        let query = sqlx::query(AssertSqlSafe(statement)).persistent(among.is_none());
        let query = query.bind(collection.key).bind(after.map_or(0, |key| key.0));
        let query = match among {
            Some(keys) => keys.iter().fold(query, |query, key| query.bind(key.0)),
            None => query.bind(limit),
        };
        let found = query
            .try_map(|row: AnyRow| {
                let id = user_name(&row, 1)?;
                Ok((UserKey(row.try_get(0)?), User { id, face_count: row.try_get::<i64, _>(2)? as usize }))
            })
            .fetch_all(&self.pool)
            .await;
        let mut users = found.map_err(Fault::internal("reading users"))?;
        users.sort_unstable_by_key(|(key, _)| *key);
        users.truncate(limit as usize);
        Ok(users)
    }

    /// Gives faces to a user or takes them from it, those that may be. Fails with [`Fault::TooManyFacesOfUser`], and then changes
    /// nothing; with [`Fault::UserNotFound`], [`Fault::CollectionNotFound`] or [`Fault::TokenMismatch`].
    pub async fn reassign_faces(
        &self,
        collection: &Collection,
        id: &UserId,
        faces: Vec<FaceId>,
        change: Reassignment,
        token: Option<Token>,
    ) -> Result<Association, Fault> {
        const CONTEXT: &str = "changing the faces of a user";
        to_the_end(
            CONTEXT,
            (self.clone(), collection.clone(), id.clone(), faces, token),
            move |(store, collection, id, faces, token)| async move {
                let _writer = store.writer(CONTEXT).await?;
                let (mut transaction, revision) = store.begin_change(&collection, CONTEXT).await?;
                let replayed = replayed(&mut transaction, &collection.account, token.as_ref()).await?;
                let (user, face_count) = user_of(&mut transaction, &collection, &id).await?;
                let internal = Fault::internal(CONTEXT);
                let vector = mean_direction(
                    &vectors_of(&mut transaction, &store.vault, &collection, user).await.map_err(&internal)?,
                );
                let found = candidates(&mut transaction, &store.vault, &collection, &faces).await.map_err(&internal)?;
                let mut outcome = Association { face_count, ..Association::default() };
                for face in faces {
                    let Some(candidate) = found.iter().find(|candidate| candidate.id == face) else {
                        outcome.not_found.push(face);
                        continue;
                    };
                    match (change, &candidate.owner) {
                        _ if replayed.as_ref().is_some_and(|changed| changed.contains(&face)) => {
                            outcome.changed.push(face)
                        }
                        (_, Some((owner, name))) if *owner != user => outcome.of_others.push((face, name.clone())),
                        (Reassignment::Give { .. }, Some(_)) | (Reassignment::Take, None) => {}
                        (Reassignment::Take, Some(_)) => outcome.changed.push(face),
                        (Reassignment::Give { min_cosine }, None) => {
                            match vector.as_ref().map(|vector| cosine(vector, &candidate.embedding) as f32) {
                                Some(likeness) if likeness < min_cosine => outcome.unlike.push((face, likeness)),
                                _ => outcome.changed.push(face),
                            }
                        }
                    }
                }
                if replayed.is_some() {
                    return Ok(outcome);
                }
                let new_owner = match change {
                    Reassignment::Give { .. } if face_count + outcome.changed.len() > MAX_FACES_PER_USER => {
                        return Err(Fault::TooManyFacesOfUser(id));
                    }
                    Reassignment::Give { .. } => Some(user),
                    Reassignment::Take => None,
                };
                own(&mut transaction, &collection, &outcome.changed, new_owner).await.map_err(&internal)?;
                outcome.face_count = refresh(&mut transaction, &store.vault, &collection, UserKey(user), revision)
                    .await
                    .map_err(&internal)?;
                remember(&mut transaction, &collection, token, &outcome.changed).await?;
                transaction.commit().await.map_err(&internal)?;
                Ok(outcome)
            },
        )
        .await
    }

    /// The keys and vectors of users that changed after `revision`, as they come from the database.
    pub fn user_vectors_since(
        &self,
        collection: &Collection,
        revision: i64,
    ) -> impl Stream<Item = Result<(UserKey, Vec<f32>), Fault>> + Send + use<'_> {
        let key = collection.key;
        sqlx::query(
            "SELECT id, embedding FROM users WHERE collection_id = $1 AND revision > $2 AND embedding IS NOT NULL",
        )
        .bind(key)
        .bind(revision)
        .fetch(&self.pool)
        .map(move |row| {
            let vector = |row: AnyRow| {
                let user = UserKey(row.try_get(0)?);
                Ok((user, vector_of(&self.vault, Owner::User(key, user.0), &row, 1)?))
            };
            row.and_then(vector).map_err(Fault::internal("loading users' vectors"))
        })
    }
}

/// The key and the number of faces of a user. Fails with [`Fault::UserNotFound`].
async fn user_of(transaction: &mut Transaction, collection: &Collection, id: &UserId) -> Result<(i64, usize), Fault> {
    sqlx::query("SELECT id, face_count FROM users WHERE collection_id = $1 AND name = $2")
        .bind(collection.key)
        .bind(id.as_str().to_owned())
        .try_map(|row: AnyRow| Ok((row.try_get(0)?, row.try_get::<i64, _>(1)? as usize)))
        .fetch_optional(&mut **transaction)
        .await
        .map_err(Fault::internal("reading a user"))?
        .ok_or_else(|| Fault::UserNotFound(id.clone()))
}

async fn vectors_of(
    transaction: &mut Transaction,
    vault: &Vault,
    collection: &Collection,
    user: i64,
) -> sqlx::Result<Vec<Vec<f32>>> {
    sqlx::query("SELECT face_id, embedding FROM faces WHERE user_id = $1 ORDER BY face_id")
        .bind(user)
        .try_map(|row: AnyRow| vector_of(vault, Owner::Face(collection.key, face_id_of(&row, 0)?), &row, 1))
        .fetch_all(&mut **transaction)
        .await
}

/// Those of these faces that the collection has, with their owners.
async fn candidates(
    transaction: &mut Transaction,
    vault: &Vault,
    collection: &Collection,
    faces: &[FaceId],
) -> sqlx::Result<Vec<Candidate>> {
    let statement = format!(
        "SELECT faces.face_id, faces.embedding, users.id, users.name FROM faces LEFT JOIN users ON users.id = faces.user_id \
         WHERE faces.collection_id = $1 AND faces.face_id IN ({})",
        placeholders(2, faces.len())
    );
    let query = about_faces(statement, collection, faces);
    let candidate = |row: AnyRow| {
        let name = row.try_get::<Option<String>, _>(3)?.map(UserId::try_from).transpose().map_err(decode_error)?;
        let owner = row.try_get::<Option<i64>, _>(2)?.zip(name);
        let id = face_id_of(&row, 0)?;
        Ok(Candidate { id, owner, embedding: vector_of(vault, Owner::Face(collection.key, id), &row, 1)? })
    };
    query.try_map(candidate).fetch_all(&mut **transaction).await
}

/// Gives faces to a user, or to nobody.
async fn own(
    transaction: &mut Transaction,
    collection: &Collection,
    faces: &[FaceId],
    user: Option<i64>,
) -> sqlx::Result<()> {
    for face in faces {
        sqlx::query("UPDATE faces SET user_id = $1 WHERE collection_id = $2 AND face_id = $3")
            .bind(user)
            .bind(collection.key)
            .bind(face.as_bytes().to_vec())
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// Brings a user's vector and number of faces up to date with its faces; the number.
pub(super) async fn refresh(
    transaction: &mut Transaction,
    vault: &Vault,
    collection: &Collection,
    user: UserKey,
    revision: i64,
) -> sqlx::Result<usize> {
    let vectors = vectors_of(transaction, vault, collection, user.0).await?;
    let mean = mean_direction(&vectors).map(|vector| vault.seal(Owner::User(collection.key, user.0), &vector));
    sqlx::query("UPDATE users SET embedding = $1, face_count = $2, revision = $3 WHERE id = $4")
        .bind(mean)
        .bind(vectors.len() as i64)
        .bind(revision)
        .bind(user.0)
        .execute(&mut **transaction)
        .await?;
    Ok(vectors.len())
}

/// Adds to a collection's number of users; the number.
pub(super) async fn count_users(
    transaction: &mut Transaction,
    collection: &Collection,
    more: i64,
) -> sqlx::Result<i64> {
    sqlx::query("UPDATE collections SET user_count = user_count + $1 WHERE id = $2 RETURNING user_count")
        .bind(more)
        .bind(collection.key)
        .try_map(|row: AnyRow| row.try_get(0))
        .fetch_one(&mut **transaction)
        .await
}
