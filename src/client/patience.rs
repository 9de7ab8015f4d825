//! How long to wait before a call is made again.

use std::time::Duration;

/// Times that a call is made, at most. The waits between them come to half a minute or more.
pub const ATTEMPTS: u32 = 10;
/// Times that a call is made to somebody who has never answered: the address may be wrong, and its owner should hear so soon.
pub const ATTEMPTS_AT_FIRST: u32 = 4;

/// The first wait, at most; each further one may be twice as long.
const FIRST: Duration = Duration::from_millis(100);
/// No wait is longer, unless the server asks for it.
const LONGEST: Duration = Duration::from_secs(20);
/// Nor is one that the server asks for.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// The wait after so many failed attempts. Half of it is chance, so that callers who failed together do not come back together.
/// `asked` is what the server wants at least.
pub fn wait(failed: u32, asked: Option<Duration>) -> Duration {
    let most = FIRST.saturating_mul(2u32.saturating_pow(failed.saturating_sub(1))).min(LONGEST);
    most.mul_f64(0.5 + fastrand::f64() / 2.0).max(asked.unwrap_or_default().min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_have_an_end() {
        for (failed, most) in [(1, 100), (2, 200), (5, 1600), (9, 20_000), (ATTEMPTS, 20_000), (u32::MAX, 20_000)] {
            let most = Duration::from_millis(most);
            for _ in 0..100 {
                let wait = wait(failed, None);
                assert!(most / 2 <= wait && wait <= most, "{failed}: {wait:?}");
            }
        }
    }

    #[test]
    fn what_the_server_asks_for_is_waited_but_not_for_ever() {
        assert_eq!(wait(1, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(wait(1, Some(Duration::MAX)), LONGEST_ASKED);
    }
}
