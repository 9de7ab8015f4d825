//! Pages of a listing and the tokens between them.
//!
//! A token is the place where the listing goes on and, in front of it, the beginning of an HMAC-SHA256 over that place and the listing:
//! its operation, account, collection and filters. A token that was altered, or that belongs to another listing, is refused. The key
//! lies in the store, so that any server on it takes the tokens of any other.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::limits::{DEFAULT_ITEMS, MAX_ITEMS};
use crate::domain::{AccountId, Fault, Operation};

/// A tag's bytes: half of the HMAC, as NIST SP 800-107 allows and as fits into 255 characters with a long place.
const TAG: usize = 16;

/// Which page of a listing.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// Items wanted, at most [`MAX_ITEMS`]; absent or zero is [`DEFAULT_ITEMS`].
    pub max_results: Option<u32>,
    /// The token that the page before gave out.
    pub next_token: Option<String>,
}

impl PageRequest {
    /// Items wanted.
    pub fn size(&self) -> usize {
        self.max_results.filter(|n| *n > 0).unwrap_or(DEFAULT_ITEMS).min(MAX_ITEMS) as usize
    }
}

/// The key that tokens are made with.
pub struct TokenKey(Hmac<Sha256>);

impl TokenKey {
    /// A key of these bytes.
    pub fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes a key of any length"))
    }

    /// A listing: what `operation` lists for `account`; `filters` says of what collection, and which of its items.
    pub fn listing(&self, operation: Operation, account: &AccountId, filters: &str) -> Listing {
        let mut mac = self.0.clone();
        for part in [operation.name(), account.as_str(), filters] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        Listing(mac)
    }
}

/// One listing, whose tokens no other takes.
pub struct Listing(Hmac<Sha256>);

impl Listing {
    /// The place where a page begins, if its token came from this listing; `None` for the first page.
    pub fn place(&self, request: &PageRequest) -> Result<Option<Vec<u8>>, Fault> {
        let Some(token) = &request.next_token else { return Ok(None) };
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token).map_err(|_| Fault::InvalidPaginationToken)?;
        let (tag, place) = bytes.split_at_checked(TAG).ok_or(Fault::InvalidPaginationToken)?;
        // In constant time.
        let genuine = self.0.clone().chain_update(place).verify_truncated_left(tag);
        genuine.map(|()| Some(place.to_vec())).map_err(|_| Fault::InvalidPaginationToken)
    }

    /// Cuts a listing that was read one item further than `size` to its page; the token of the next page, if there is one, whose place
    /// is behind the last item.
    pub fn cut<T>(&self, items: &mut Vec<T>, size: usize, place_behind: impl Fn(&T) -> Vec<u8>) -> Option<String> {
        let more = items.len() > size;
        items.truncate(size);
        items.last().filter(|_| more).map(|last| self.token(&place_behind(last)))
    }

    /// The token for the page that begins at `place`.
    fn token(&self, place: &[u8]) -> String {
        let mac = self.0.clone().chain_update(place).finalize().into_bytes();
        base64_simd::URL_SAFE_NO_PAD.encode_to_string([&mac[..TAG], place].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(key: &[u8], operation: Operation, account: &str, filters: &str) -> Listing {
        TokenKey::new(key).listing(operation, &account.repeat(12).parse().unwrap(), filters)
    }

    fn faces() -> Listing {
        listing(b"key", Operation::ListFaces, "1", "7")
    }

    fn page(token: &str) -> PageRequest {
        PageRequest { max_results: None, next_token: Some(token.to_owned()) }
    }

    #[test]
    fn a_token_leads_back_to_its_place_in_its_own_listing_only() {
        let token = faces().token(b"place");
        assert_eq!(faces().place(&page(&token)).unwrap(), Some(b"place".to_vec()));
        assert_eq!(faces().place(&PageRequest::default()).unwrap(), None);
        for other in [
            listing(b"kez", Operation::ListFaces, "1", "7"),
            listing(b"key", Operation::ListUsers, "1", "7"),
            listing(b"key", Operation::ListFaces, "2", "7"),
            listing(b"key", Operation::ListFaces, "1", "8"),
        ] {
            assert!(other.place(&page(&token)).is_err());
        }
        for bad in ["", "bm9wZQ", "not base64!"] {
            assert!(faces().place(&page(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_page_has_a_next_one_when_more_was_read() {
        let mut items = vec![1u8, 2, 3];
        assert_eq!(faces().cut(&mut items, 2, |last| vec![*last]), Some(faces().token(&[2])));
        assert_eq!(items, [1, 2]);
        assert_eq!(faces().cut(&mut items, 2, |last| vec![*last]), None);
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
        fn no_made_up_token_is_taken(text in ".{0,80}", bytes in proptest::collection::vec(0u8.., 0..120)) {
            proptest::prop_assert!(faces().place(&page(&text)).is_err());
            let token = base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
            proptest::prop_assert!(faces().place(&page(&token)).is_err());
        }

        #[test]
        fn an_altered_token_is_refused(place in proptest::collection::vec(0u8.., 0..160), at in 0usize..400, bit in 0u8..8) {
            let mut bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(faces().token(&place)).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let token = base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
            proptest::prop_assert!(faces().place(&page(&token)).is_err());
        }

        #[test]
        fn a_token_fits_its_member(place in proptest::collection::vec(0u8.., 0..=170)) {
            proptest::prop_assert!(faces().token(&place).len() <= 255);
        }
    }
}
