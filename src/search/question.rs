//! What an index is asked, and what it answers.

/// What a search starts from.
#[derive(Clone, Debug)]
pub enum Probe<Id> {
    /// A member of the collection.
    Member(Id),
    /// A vector of unit length.
    Embedding(Vec<f32>),
}

/// A question to an index.
#[derive(Clone, Debug)]
pub struct Query<Id> {
    /// What it starts from; a member is left out of its own answer.
    pub probe: Probe<Id>,
    /// The least cosine of an answer.
    pub min_cosine: f32,
    /// The most answers.
    pub limit: usize,
}

/// A member of a collection and how near it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour<Id> {
    /// The member found.
    pub id: Id,
    /// The cosine of the two vectors, -1 to 1.
    pub cosine: f32,
}
