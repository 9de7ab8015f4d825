//! Keys, and the principals that they stand for: from a TOML file, or one pair from the environment.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::AccountId;

use super::policy::{Decision, Policy};

/// Somebody who calls: what policies and accounts are about.
#[derive(Debug)]
pub struct Principal {
    name: String,
    /// The owner of the collections that it works with.
    pub account: AccountId,
    rights: Rights,
}

#[derive(Debug)]
enum Rights {
    Everything,
    Policies(Vec<Policy>),
}

/// A key of a principal.
pub struct Key {
    secret: SecretString,
    token: Option<SecretString>,
    expires: Option<OffsetDateTime>,
    /// Whom it stands for.
    pub principal: Arc<Principal>,
}

/// Every key by its public name.
#[derive(Default)]
pub struct Keyring(HashMap<String, Key>);

impl Principal {
    /// One that may do everything in its account.
    pub fn unrestricted(name: &str, account: AccountId) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), account, rights: Rights::Everything })
    }

    /// `arn:aws:iam::<account>:user/<name>`.
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{}:user/{}", self.account.as_str(), self.name)
    }

    /// What its policies say to an action (`rekognition:IndexFaces`) on a resource (an ARN, or `*` for none).
    pub(super) fn may(&self, action: &str, resource: &str) -> Decision {
        match &self.rights {
            Rights::Everything => Decision::Allowed,
            Rights::Policies(policies) => Policy::decide(policies, action, resource),
        }
    }
}

impl Key {
    /// The secret half.
    pub fn secret(&self) -> &str {
        self.secret.expose_secret()
    }

    /// Whether a request carries this key's token: the right one for a temporary key, none for another. In constant time.
    pub fn has_token(&self, token: Option<&str>) -> bool {
        match (&self.token, token) {
            (None, None) => true,
            (Some(known), Some(given)) => known.expose_secret().as_bytes().ct_eq(given.as_bytes()).into(),
            _ => false,
        }
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }
}

impl Keyring {
    /// One key that may do everything in the account.
    pub fn of_pair(id: &str, secret: SecretString, account: AccountId) -> Result<Self, String> {
        let mut keyring = Self::default();
        let principal = Principal::unrestricted("root", account);
        keyring.add(id, Key { secret, token: None, expires: None, principal })?;
        Ok(keyring)
    }

    /// Reads a file of principals. The error names what is wrong in it, and no secret.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map(SecretString::from);
        let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::parse(text.expose_secret()).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The parser's own rendering would show the line, and with it a secret.
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            format!("line {line}: {}", without_value(error.message()))
        })?;
        let (mut keyring, mut names) = (Self::default(), HashSet::new());
        for entry in file.principal {
            let name = entry.name.clone();
            let context = |error: String| format!("principal {name:?}: {error}");
            if !names.insert((entry.account.clone(), entry.name.clone())) {
                return Err(context("is there twice in its account".to_owned()));
            }
            keyring.add_principal(entry).map_err(context)?;
        }
        Ok(keyring)
    }

    fn add_principal(&mut self, entry: PrincipalEntry) -> Result<(), String> {
        let valid = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
        if !(1..=64).contains(&entry.name.len()) || !entry.name.bytes().all(valid) {
            return Err("a name is 1 to 64 of a-z, A-Z, 0-9 and +=,.@_-".to_owned());
        }
        let policy = |(place, json): (usize, &String)| {
            Policy::parse(json).map_err(|error| format!("policy {}: {error}", place + 1))
        };
        let policies = entry.policies.iter().enumerate().map(policy).collect::<Result<_, _>>()?;
        let principal = Arc::new(Principal {
            name: entry.name,
            account: entry.account.parse()?,
            rights: Rights::Policies(policies),
        });
        for key in entry.key {
            let moment = |text: String| {
                OffsetDateTime::parse(&text, &Rfc3339)
                    .map_err(|_| "expires is not of the form \"2030-01-31T00:00:00Z\"".to_owned())
            };
            let expires = key.expires.map(moment).transpose()?;
            let principal = principal.clone();
            self.add(
                &key.access_key_id,
                Key { secret: key.secret_access_key, token: key.session_token, expires, principal },
            )?;
        }
        Ok(())
    }

    fn add(&mut self, id: &str, key: Key) -> Result<(), String> {
        let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if !(1..=128).contains(&id.len()) || !id.bytes().all(valid) {
            return Err("an access key id is 1 to 128 of a-z, A-Z, 0-9, _ and -".to_owned());
        }
        if key.secret().is_empty() || key.token.as_ref().is_some_and(|token| token.expose_secret().is_empty()) {
            return Err(format!("key {id}: a secret or a token is empty"));
        }
        match self.0.insert(id.to_owned(), key) {
            None => Ok(()),
            Some(_) => Err(format!("key {id} is there twice")),
        }
    }

    /// The key of this name.
    pub fn get(&self, access_key_id: &str) -> Option<&Key> {
        self.0.get(access_key_id)
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// A parser's complaint without the value or name that it is about, which may be a secret in a wrong place.
fn without_value(message: &str) -> String {
    match message.split('`').collect::<Vec<_>>()[..] {
        [before, _, ref rest @ ..] if before.starts_with("invalid") || before.starts_with("unknown") => {
            before.trim_end().to_owned() + &rest.join("`")
        }
        _ => message.to_owned(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    principal: Vec<PrincipalEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalEntry {
    name: String,
    account: String,
    #[serde(default)]
    policies: Vec<String>,
    key: Vec<KeyEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    access_key_id: String,
    secret_access_key: SecretString,
    session_token: Option<SecretString>,
    expires: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [[principal]]
        name = "photo-app"
        account = "111122223333"
        policies = ['{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"rekognition:*","Resource":"*"}}']
        [[principal.key]]
        access_key_id = "AKIAPHOTOAPP"
        secret_access_key = "hush"
        [[principal.key]]
        access_key_id = "ASIAPHOTOAPP"
        secret_access_key = "hush too"
        session_token = "token"
        expires = "2030-01-31T00:00:00Z"
    "#;

    #[test]
    fn a_file_gives_principals_with_keys_and_policies() {
        let keyring = Keyring::parse(FILE).unwrap();
        let (lasting, temporary) = (keyring.get("AKIAPHOTOAPP").unwrap(), keyring.get("ASIAPHOTOAPP").unwrap());
        assert_eq!(lasting.principal.arn(), "arn:aws:iam::111122223333:user/photo-app");
        assert_eq!(lasting.principal.may("rekognition:IndexFaces", "*"), Decision::Allowed);
        assert_eq!(lasting.principal.may("s3:GetObject", "*"), Decision::NotAllowed);
        assert!(lasting.has_token(None) && !lasting.has_token(Some("token")));
        assert!(
            temporary.has_token(Some("token")) && !temporary.has_token(None) && !temporary.has_token(Some("tokem"))
        );
        let moment = |text| OffsetDateTime::parse(text, &Rfc3339).unwrap();
        assert!(
            !temporary.is_expired(moment("2030-01-30T23:59:59Z"))
                && temporary.is_expired(moment("2030-01-31T00:00:00Z"))
        );
    }

    #[test]
    fn a_broken_file_is_refused_and_no_secret_shown() {
        for (from, to) in [
            ("\"111122223333\"", "\"1111\""),
            ("AKIAPHOTOAPP", "ASIAPHOTOAPP"),
            ("name = \"photo-app\"", "name = \"photo app\""),
            ("expires = \"2030-01-31T00:00:00Z\"", "expires = \"tomorrow\""),
            ("rekognition:*", "rekognition"),
            ("\"hush\"", "\"\""),
            ("session_token", "session_tokem"),
            ("secret_access_key = \"hush too\"", "secret_access_key = \"hush too"),
            ("secret_access_key = \"hush too\"", "secret_access_key = [\"hush too\"]"),
            ("secret_access_key = \"hush too\"", "\"hush too\" = 1"),
            ("\"2030-01-31T00:00:00Z\"", "\"hush too\""),
        ] {
            let error = Keyring::parse(&FILE.replace(from, to)).err().unwrap_or_else(|| panic!("{to}"));
            assert!(!error.contains("hush"), "{error}");
        }
        let unquoted = FILE.replace("\"hush\"", "823748237482374");
        let error = Keyring::parse(&unquoted).err().unwrap();
        assert!(error.contains("line 8: invalid type") && !error.contains("8237"), "{error}");
        assert!(Keyring::parse("").is_err());
        // Whoever takes every key away says so.
        assert_eq!(Keyring::parse("principal = []").unwrap().count(), 0);
    }

    #[test]
    fn secrets_are_never_printed() {
        let key = Keyring::parse(FILE).unwrap().0.remove("AKIAPHOTOAPP").unwrap();
        assert!(!format!("{:?}", key.secret).contains("hush"));
    }
}
