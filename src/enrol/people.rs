//! The users that faces belong to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::client::{CallError, Client};
use crate::domain::{CollectionId, Operation, UserId};
use crate::task;

use super::replies::{AssociateFaces, Associated, CreateUser, Done};

/// What an enrolment does with users.
#[derive(Clone, Copy, Debug)]
pub struct Users {
    /// How alike a face has to be to those that its user has; the endpoint's own choice without one.
    pub threshold: Option<f32>,
}

/// Users who are made when their first face comes.
pub struct People<'a> {
    client: &'a Client,
    collection: &'a CollectionId,
    threshold: Option<f32>,
    known: Mutex<HashMap<UserId, Arc<Person>>>,
}

/// A user. Its faces come one after the other: endpoints refuse two changes of one user at a time.
#[derive(Default)]
struct Person {
    made: OnceCell<()>,
    turn: tokio::sync::Mutex<()>,
}

impl<'a> People<'a> {
    /// Of this collection.
    pub fn new(client: &'a Client, collection: &'a CollectionId, users: Users) -> Self {
        Self { client, collection, threshold: users.threshold, known: Mutex::default() }
    }

    /// Gives a face to a user, who is made if need be. What comes back is why it was not given, in the endpoint's words; nothing if it was.
    pub async fn associate(&self, user: &UserId, face: &str) -> Result<Vec<Value>, CallError> {
        let person = task::lock(&self.known).entry(user.clone()).or_default().clone();
        let _turn = person.turn.lock().await;
        person.made.get_or_try_init(|| make_user(self.client, self.collection, user.as_str())).await?;
        let request = AssociateFaces {
            collection_id: self.collection.as_str(),
            user_id: user.as_str(),
            face_ids: &[face],
            user_match_threshold: self.threshold,
            client_request_token: &Uuid::new_v4().to_string(),
        };
        let reply: Associated = self.client.call(Operation::AssociateFaces, &request).await?;
        Ok(reply.unsuccessful_face_associations)
    }
}

/// Makes a user, unless it is there.
pub async fn make_user(client: &Client, collection: &CollectionId, user: &str) -> Result<(), CallError> {
    let request = CreateUser {
        collection_id: collection.as_str(),
        user_id: user,
        client_request_token: &Uuid::new_v4().to_string(),
    };
    match client.call::<Done>(Operation::CreateUser, &request).await {
        Ok(Done {}) => Ok(()),
        // Of an earlier run, or of another that runs beside this one.
        Err(error) if error.code() == Some("ConflictException") => Ok(()),
        Err(error) => Err(error),
    }
}
