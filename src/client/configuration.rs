//! Whom to call, and with which key: read where AWS's own tools read it.

use std::path::PathBuf;

use reqwest::Url;
use secrecy::SecretString;

use super::profiles::Profile;

/// What the command line says. What it leaves open comes from the environment, and then from a profile.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The endpoint's URL.
    pub endpoint: Option<String>,
    /// The region of signatures.
    pub region: Option<String>,
    /// The profile.
    pub profile: Option<String>,
    /// The URL of an S3 server.
    pub s3_endpoint: Option<String>,
}

/// Whom to call, and with which key.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The endpoint. Amazon's own is called only by whoever names it.
    pub endpoint: Url,
    /// The region of signatures.
    pub region: String,
    /// The key.
    pub key: Key,
    /// The S3 server; Amazon's own without one.
    pub s3_endpoint: Option<String>,
    /// A PEM file with the only CAs that the endpoint's certificate may be of; without one they are the system's.
    pub ca_bundle: Option<PathBuf>,
}

/// A key: its public name and its secret, and the token of a temporary one.
#[derive(Clone, Debug)]
pub struct Key {
    /// The public name.
    pub id: String,
    /// The secret.
    pub secret: SecretString,
    /// The token of a temporary key.
    pub token: Option<SecretString>,
}

impl Configuration {
    /// Reads the environment, and the profile that it or the command line names. The error says what is missing and where it could stand.
    pub fn find(given: &Given) -> Result<Self, String> {
        Self::from(given, &|name| std::env::var(name).ok())
    }

    fn from(given: &Given, variables: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let variable = |name: &str| variables(name).filter(|value| !value.is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| variable(name));
        let home = || variable("HOME").map(PathBuf::from);
        let file = |name, at_home| {
            variable(name).map(PathBuf::from).or_else(|| home().map(|home| home.join(".aws").join(at_home)))
        };
        let named = given.profile.clone().or_else(|| first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]));
        let profile = Profile::read(
            named.as_deref().unwrap_or("default"),
            file("AWS_SHARED_CREDENTIALS_FILE", "credentials").as_deref(),
            file("AWS_CONFIG_FILE", "config").as_deref(),
        )?;
        if named.is_some() && profile.is_unknown() {
            return Err(format!(
                "neither the file of credentials nor the one of profiles has a profile {}",
                profile.name()
            ));
        }
        let of_profile = |name| profile.get(name).map(str::to_owned);

        let endpoint = given
            .endpoint
            .clone()
            .or_else(|| first(&["AWS_ENDPOINT_URL_REKOGNITION", "AWS_ENDPOINT_URL"]))
            .or_else(|| of_profile("endpoint_url"));
        // Photos of faces do not go to the cloud because somebody forgot a flag.
        let endpoint = endpoint.ok_or(
            "no endpoint: name one with --endpoint-url, AWS_ENDPOINT_URL_REKOGNITION, AWS_ENDPOINT_URL or the profile's endpoint_url, \
             such as http://127.0.0.1:7350; Amazon's own is https://rekognition.REGION.amazonaws.com",
        )?;
        let region = given
            .region
            .clone()
            .or_else(|| first(&["AWS_REGION", "AWS_DEFAULT_REGION"]))
            .or_else(|| of_profile("region"))
            .ok_or("no region: name one with --region, AWS_REGION, AWS_DEFAULT_REGION or the profile's region, such as us-east-1")?;
        // Amazon's own tools read it so too: a profile on the command line comes before a key in the environment.
        let key = match (&given.profile, Key::from_variables(&variable)?) {
            (None, Some(key)) => key,
            _ => Key::from_profile(&profile)?,
        };
        let s3_endpoint = given
            .s3_endpoint
            .clone()
            .or_else(|| first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]))
            .or_else(|| of_profile("endpoint_url"));
        let ca_bundle = first(&["AWS_CA_BUNDLE"]).or_else(|| of_profile("ca_bundle")).map(PathBuf::from);
        Ok(Self { endpoint: parse_endpoint(&endpoint)?, region: parse_region(region)?, key, s3_endpoint, ca_bundle })
    }
}

impl Key {
    fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        const ID: &str = "AWS_ACCESS_KEY_ID";
        const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
        match (variable(ID), variable(SECRET)) {
            (None, None) => Ok(None),
            (Some(id), Some(secret)) => Self::new(id, secret, variable("AWS_SESSION_TOKEN")).map(Some),
            (Some(_), None) => Err(format!("{ID} is set, and {SECRET} is not")),
            (None, Some(_)) => Err(format!("{SECRET} is set, and {ID} is not")),
        }
    }

    fn from_profile(profile: &Profile) -> Result<Self, String> {
        let name = profile.name();
        let value = |name| profile.get(name).map(str::to_owned);
        match (value("aws_access_key_id"), value("aws_secret_access_key")) {
            (Some(id), Some(secret)) => Self::new(id, secret, value("aws_session_token")),
            (None, None) => {
                const ELSEWHERE: [&str; 5] =
                    ["credential_process", "sso_session", "sso_start_url", "role_arn", "login_session"];
                match ELSEWHERE.into_iter().find(|setting| profile.get(setting).is_some()) {
                    Some(setting) => Err(format!(
                        "profile {name} gets its key by {setting}, which this program does not do: \
                         eval \"$(aws configure export-credentials --profile {name} --format env)\" sets variables that it reads"
                    )),
                    None => {
                        Err("no key: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile that has one \
                                 (--profile, AWS_PROFILE); a server that asks for no key takes any"
                            .to_owned())
                    }
                }
            }
            _ => Err(format!(
                "profile {name} has one half of a key: aws_access_key_id and aws_secret_access_key belong together"
            )),
        }
    }

    /// Refuses what no header carries.
    fn new(id: String, secret: String, token: Option<String>) -> Result<Self, String> {
        let fits = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits(&id) || !token.as_deref().is_none_or(fits) {
            return Err(
                "the key's public name or its token has spaces, or characters that no header carries".to_owned()
            );
        }
        Ok(Self { id, secret: secret.into(), token: token.map(SecretString::from) })
    }
}

fn parse_endpoint(text: &str) -> Result<Url, String> {
    let wrong = || format!("the endpoint {text} is not a URL such as http://127.0.0.1:7350");
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_plain { Ok(url) } else { Err(wrong()) }
}

fn parse_region(text: String) -> Result<String, String> {
    let is_region = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if is_region {
        Ok(text)
    } else {
        Err(format!("the region {text} is not made of a-z, 0-9 and -, such as us-east-1"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use secrecy::ExposeSecret;

    use super::*;

    const CREDENTIALS: &str = "
# a comment
[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key = default:;#=secret
[other]
    aws_access_key_id=ASIAOTHER
    aws_secret_access_key=other
    aws_session_token=token==
[half]
aws_access_key_id = AKIAHALF
";
    const CONFIG: &str = "
[default]
region = eu-central-1
s3 =
    region = nowhere
    endpoint_url = http://nowhere
[profile other]
region = us-west-2
endpoint_url = https://faces.example/api
[profile elsewhere]
role_arn = arn:aws:iam::123456789012:role/x
[other]
region = wrong
";

    fn find(given: Given, variables: &[(&str, &str)]) -> Result<Configuration, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        std::fs::write(folder.path().join(".aws/credentials"), CREDENTIALS).unwrap();
        std::fs::write(folder.path().join(".aws/config"), CONFIG).unwrap();
        find_at_home(folder.path(), given, variables)
    }

    fn find_at_home(home: &Path, given: Given, variables: &[(&str, &str)]) -> Result<Configuration, String> {
        let home = home.to_str().unwrap();
        let known: HashMap<_, _> = variables.iter().copied().chain([("HOME", home)]).collect();
        Configuration::from(&given, &|name| known.get(name).map(|value| value.replace("~", home)))
    }

    fn at(endpoint: &str) -> Given {
        Given { endpoint: Some(endpoint.to_owned()), ..Given::default() }
    }

    fn of_profile(name: &str) -> Given {
        Given { profile: Some(name.to_owned()), ..at("http://a:1") }
    }

    const PAIR: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "env")];

    #[test]
    fn a_key_comes_from_the_environment_first_and_then_from_a_profile() {
        let id = |given, variables: &[(&str, &str)]| find(given, variables).unwrap().key.id;
        assert_eq!(id(at("http://a:1"), &[]), "AKIADEFAULT");
        assert_eq!(id(at("http://a:1"), &PAIR), "AKIAENV");
        assert_eq!(id(at("http://a:1"), &[("AWS_PROFILE", "other")]), "ASIAOTHER");
        // The variable of a profile does not come before a key in the environment, the flag does.
        assert_eq!(id(at("http://a:1"), &[PAIR[0], PAIR[1], ("AWS_PROFILE", "other")]), "AKIAENV");
        assert_eq!(id(of_profile("other"), &PAIR), "ASIAOTHER");
        let empty = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
        assert_eq!(id(at("http://a:1"), &empty), "AKIADEFAULT");
    }

    #[test]
    fn a_secret_is_read_as_it_stands_and_never_printed() {
        let found = find(at("http://a:1"), &[]).unwrap();
        assert_eq!(found.key.secret.expose_secret(), "default:;#=secret");
        let other = find(of_profile("other"), &[]).unwrap();
        assert_eq!(other.key.token.as_ref().unwrap().expose_secret(), "token==");
        let env = find(at("http://a:1"), &[PAIR[0], PAIR[1], ("AWS_SESSION_TOKEN", "hush")]).unwrap();
        assert_eq!(env.key.token.as_ref().unwrap().expose_secret(), "hush");
        for found in [found, other, env] {
            let text = format!("{found:?}");
            assert!(
                !["secret\"", "default:", "token==", "hush", "\"other\""].iter().any(|secret| text.contains(secret)),
                "{text}"
            );
        }
    }

    #[test]
    fn endpoint_and_region_come_from_flags_the_environment_and_the_profile() {
        let found = |given, variables: &[(&str, &str)]| {
            let found = find(given, variables).unwrap();
            (found.endpoint.to_string(), found.region)
        };
        let variables = [("AWS_ENDPOINT_URL", "http://all:1"), ("AWS_DEFAULT_REGION", "ap-south-1")];
        assert_eq!(found(Given::default(), &variables), ("http://all:1/".to_owned(), "ap-south-1".to_owned()));
        let more = [("AWS_ENDPOINT_URL_REKOGNITION", "http://own:1"), ("AWS_REGION", "eu-north-1")];
        let all = [variables, more].concat();
        assert_eq!(found(Given::default(), &all), ("http://own:1/".to_owned(), "eu-north-1".to_owned()));
        let flags = Given { region: Some("sa-east-1".to_owned()), ..at("http://flag:1") };
        assert_eq!(found(flags, &all), ("http://flag:1/".to_owned(), "sa-east-1".to_owned()));
        assert_eq!(found(at("http://a:1"), &[]), ("http://a:1/".to_owned(), "eu-central-1".to_owned()));
        let profile = Given { endpoint: None, ..of_profile("other") };
        assert_eq!(found(profile, &[]), ("https://faces.example/api".to_owned(), "us-west-2".to_owned()));
    }

    #[test]
    fn files_elsewhere_are_read_where_the_variables_say() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("keys"), CREDENTIALS.replace("AKIADEFAULT", "AKIAELSEWHERE")).unwrap();
        std::fs::write(folder.path().join("profiles"), CONFIG).unwrap();
        let variables = [("AWS_SHARED_CREDENTIALS_FILE", "~/keys"), ("AWS_CONFIG_FILE", "~/profiles")];
        let found = find_at_home(folder.path(), at("http://a:1"), &variables).unwrap();
        assert_eq!((found.key.id.as_str(), found.region.as_str()), ("AKIAELSEWHERE", "eu-central-1"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_told() {
        let empty = tempfile::tempdir().unwrap();
        let region = Given { region: Some("us-east-1".to_owned()), ..at("http://a:1") };
        let cases = [
            (find(Given::default(), &[]), "no endpoint"),
            (find_at_home(empty.path(), at("http://a:1"), &[]), "no region"),
            (find_at_home(empty.path(), region.clone(), &[]), "no key"),
            (find_at_home(empty.path(), region, &PAIR[..1]), "AWS_SECRET_ACCESS_KEY is not"),
            (find(of_profile("nobody"), &[]), "a profile nobody"),
            (find(at("http://a:1"), &[("AWS_PROFILE", "nobody")]), "a profile nobody"),
            (find(Given { region: Some("a".to_owned()), ..of_profile("half") }, &[]), "one half of a key"),
            (find(Given { region: Some("a".to_owned()), ..of_profile("elsewhere") }, &[]), "role_arn"),
            (find(at("a:1"), &[]), "not a URL"),
            (find(at("http://user:hush@a:1"), &[]), "not a URL"),
            (find(Given { region: Some("Foo bar".to_owned()), ..at("http://a:1") }, &[]), "the region Foo bar"),
            (find(at("http://a:1"), &[PAIR[1], ("AWS_ACCESS_KEY_ID", "a b")]), "no header carries"),
        ];
        for (found, wanted) in cases {
            let error = found.unwrap_err();
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
    }
}
