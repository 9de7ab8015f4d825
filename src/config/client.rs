//! Of the commands that call a server.

use std::path::PathBuf;

use crate::asking::{Erasure, Grouping, Identification};
use crate::cli::{ClientSettings, EnrolSettings, EraseSettings, GroupSettings, IdentifySettings, ReindexSettings};
use crate::client::Given;
use crate::enrol::{Choice, Settings, Users};
use crate::reindex;

impl ClientSettings {
    /// What the command line says of endpoint and key.
    pub fn given(&self) -> Given {
        Given {
            endpoint: self.endpoint_url.clone(),
            region: self.region.clone(),
            profile: self.profile.clone(),
            s3_endpoint: self.s3_endpoint_url.clone(),
        }
    }
}

impl EnrolSettings {
    /// Which photos are enrolled.
    pub fn choice(&self) -> Choice {
        Choice {
            source: self.source.clone(),
            naming: self.external_image_id,
            shared_ids: self.shared_ids,
            users: self.users,
        }
    }

    /// How they are enrolled.
    pub fn enrolment(&self) -> Settings {
        let report = || PathBuf::from(format!("enrol-{}.jsonl", self.collection));
        Settings {
            collection: self.collection.clone(),
            create_collection: self.create_collection,
            users: self.users.then_some(Users { threshold: self.user_match_threshold }),
            max_faces: self.max_faces.or(self.users.then_some(1)),
            quality_filter: self.quality_filter,
            parallel: self.parallel.into(),
            report: self.report.clone().unwrap_or_else(report),
        }
    }
}

impl ReindexSettings {
    /// Which photos the faces come from. What becomes of names and users is the old collection's affair.
    pub fn choice(&self) -> Choice {
        Choice { source: self.source.clone(), naming: self.external_image_id, shared_ids: true, users: false }
    }

    /// How they come.
    pub fn reindexing(&self) -> reindex::Settings {
        let report = || PathBuf::from(format!("reindex-{}.jsonl", self.to));
        reindex::Settings {
            from: self.from.clone(),
            to: self.to.clone(),
            pack: self.model_pack.clone(),
            new_faces: self.new_faces,
            quality_filter: self.quality_filter,
            compared: self.compare as usize,
            threshold: self.threshold,
            parallel: self.parallel.into(),
            report: self.report.clone().unwrap_or_else(report),
        }
    }
}

impl IdentifySettings {
    /// Who is looked for.
    pub fn identification(&self) -> Identification {
        Identification {
            collection: self.collection.clone(),
            threshold: self.threshold,
            matches: self.matches,
            json: self.json,
        }
    }
}

impl GroupSettings {
    /// What is grouped.
    pub fn grouping(&self) -> Grouping {
        Grouping {
            collection: self.collection.clone(),
            threshold: self.threshold,
            min_faces: self.min_faces,
            all: self.all,
        }
    }
}

impl EraseSettings {
    /// Who is erased.
    pub fn erasure(&self) -> Erasure {
        Erasure { collection_id: self.collection.clone(), user_id: self.user.clone(), face_ids: self.faces.clone() }
    }
}
