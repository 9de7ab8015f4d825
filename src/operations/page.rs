//! Pages of a listing and the tokens between them.
//!
//! A token is the place where the listing goes on, in front of it eight bytes of a digest over the listing's scope and that
//! place: a token that was changed, or that belongs to another listing, is told from a good one. It guards no secret.

use sha2::{Digest, Sha256};

use crate::domain::Fault;

/// The most items of a page.
pub const MAX_RESULTS: u32 = 4096;

/// The items of a page unless the caller says otherwise.
pub const DEFAULT_RESULTS: u32 = 1000;

const TAG: usize = 8;

/// Which page of a listing.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// Items wanted, at most [`MAX_RESULTS`]; absent or zero is [`DEFAULT_RESULTS`].
    pub max_results: Option<u32>,
    /// The token that the page before gave out.
    pub next_token: Option<String>,
}

impl PageRequest {
    /// Items wanted.
    pub fn size(&self) -> usize {
        self.max_results.filter(|n| *n > 0).unwrap_or(DEFAULT_RESULTS).min(MAX_RESULTS) as usize
    }

    /// The place where this page begins, if its token came from the same listing.
    pub fn place(&self, scope: &str) -> Result<Option<Vec<u8>>, Fault> {
        let Some(token) = &self.next_token else { return Ok(None) };
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token).map_err(|_| Fault::InvalidPaginationToken)?;
        let (claimed, place) = bytes.split_at_checked(TAG).ok_or(Fault::InvalidPaginationToken)?;
        if claimed == tag(scope, place) { Ok(Some(place.to_vec())) } else { Err(Fault::InvalidPaginationToken) }
    }
}

/// Cuts a listing that was read one item further than `size` to its page; the token of the next page, if there is one, whose place
/// is behind the last item.
pub fn cut<T>(items: &mut Vec<T>, size: usize, scope: &str, place_behind: impl Fn(&T) -> Vec<u8>) -> Option<String> {
    let more = items.len() > size;
    items.truncate(size);
    items.last().filter(|_| more).map(|last| token(scope, &place_behind(last)))
}

/// The token for the page that begins at `place` of the listing `scope`.
fn token(scope: &str, place: &[u8]) -> String {
    let bytes = [&tag(scope, place), place].concat();
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

fn tag(scope: &str, place: &[u8]) -> [u8; TAG] {
    let digest = Sha256::new().chain_update(scope).chain_update([0]).chain_update(place).finalize();
    std::array::from_fn(|i| digest[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(token: &str) -> PageRequest {
        PageRequest { max_results: None, next_token: Some(token.to_owned()) }
    }

    #[test]
    fn a_token_leads_back_to_its_place_in_its_own_listing_only() {
        let good = token("faces of 7", b"place");
        assert_eq!(page(&good).place("faces of 7").unwrap(), Some(b"place".to_vec()));
        assert!(page(&good).place("faces of 8").is_err());
        assert!(page("").place("faces of 7").is_err());
        assert!(page("bm9wZQ").place("faces of 7").is_err());
        assert_eq!(PageRequest::default().place("faces of 7").unwrap(), None);
    }

    #[test]
    fn a_page_has_a_next_one_when_more_was_read() {
        let mut items = vec![1u8, 2, 3];
        assert_eq!(cut(&mut items, 2, "s", |last| vec![*last]), Some(token("s", &[2])));
        assert_eq!(items, [1, 2]);
        assert_eq!(cut(&mut items, 2, "s", |last| vec![*last]), None);
        assert_eq!(items, [1, 2]);
    }

    #[test]
    fn sizes_have_a_default_and_a_ceiling() {
        let size = |max_results| PageRequest { max_results, next_token: None }.size();
        assert_eq!(
            [size(None), size(Some(0)), size(Some(1)), size(Some(4096)), size(Some(9999))],
            [1000, 1000, 1, 4096, 4096]
        );
    }

    proptest::proptest! {
        #[test]
        fn no_token_makes_it_panic(text in ".{0,80}") {
            let _ = page(&text).place("scope");
        }
    }
}
