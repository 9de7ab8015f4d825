//! AWS's published signing test suite: the requests for the path `/`, in header and query form, as its signed requests give them. The
//! suite comes with `aws-sigv4` (Apache-2.0); left out are other paths, which no route of this server has, and folded headers, which
//! HTTP no longer knows.

use super::*;

const SUITE: &str = include_str!("vectors.txt");
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

struct Vector {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    query: &'static str,
    headers: Vec<(String, &'static str)>,
    body: &'static str,
}

fn suite() -> Vec<Vector> {
    SUITE
        .split("== ")
        .skip(1)
        .map(|block| {
            let (name, request) = block.split_once('\n').unwrap();
            let (head, body) = request.split_once("\n\n").unwrap();
            let (first, headers) = head.split_once('\n').unwrap();
            let [method, target, _] = first.split(' ').collect::<Vec<_>>()[..] else { panic!("{first}") };
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let header = |line: &'static str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value));
            let headers = headers.lines().map(|line| header(line).unwrap()).collect();
            Vector { name, method, path, query, headers, body: body.trim_end_matches('\n') }
        })
        .collect()
}

/// The verdict on a request, as far as the suite goes: its service is called `service`, its date long past.
fn accepted(vector: &Vector, secret: &str) -> bool {
    let headers = vector.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let body_sha256 = Sha256::digest(vector.body).into();
    let request = SignedRequest::new(vector.method, vector.path, vector.query, headers);
    let Ok(Some(claim)) = Claim::read(&request) else { return false };
    let Ok(credential) = claim.credential() else { return false };
    let now = AmzDate::parse("20150830T123600Z").unwrap();
    claim.check(&credential, "service", &["us-east-1".to_owned()], now).is_ok()
        && claim.verify(&credential, secret, &request, &body_sha256, &[]).is_ok()
}

#[test]
fn every_vector_is_accepted_with_its_secret_and_with_no_other() {
    let suite = suite();
    assert!(suite.len() >= 40, "{}", suite.len());
    for vector in &suite {
        // Here the token is added to the query after it was signed, as only some services take it.
        let added_later = vector.name == "post-sts-header-after query";
        assert_eq!(accepted(vector, SECRET), !added_later, "{}", vector.name);
        assert!(!accepted(vector, "another"), "{}", vector.name);
    }
}

#[test]
fn every_part_of_every_vector_counts() {
    for mut vector in suite().into_iter().filter(|vector| accepted(vector, SECRET)) {
        let (name, body) = (vector.name, vector.body);
        vector.body = "tampered";
        assert!(!accepted(&vector, SECRET), "{name}: body");
        vector.body = body;
        let query = vector.query;
        vector.query = Box::leak(format!("{query}&a=b").into_boxed_str());
        assert!(!accepted(&vector, SECRET), "{name}: query");
        vector.query = query;
        vector.method = if vector.method == "GET" { "POST" } else { "GET" };
        assert!(!accepted(&vector, SECRET), "{name}: method");
    }
}
