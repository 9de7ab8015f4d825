//! Workers that have nothing to do help one whose photo shows many faces.
//!
//! Whoever has several like pieces of work offers them to the others. Only a worker that waits for work at that moment takes the offer, so
//! nobody helps while photos wait, and a helper stops when one comes. Whoever does a piece, the outcome is the same: all workers have the
//! same nets.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::task;
use crate::telemetry::Stages;

/// Work for a worker `W`.
pub type Job<W> = Box<dyn FnOnce(&mut W) + Send>;

/// How a worker asks the others.
pub struct Help<W> {
    /// Without room: an offer is taken at once or not at all.
    offers: Sender<Job<W>>,
    /// The photos that wait.
    waiting: Receiver<Job<W>>,
    /// So many others there are.
    others: usize,
}

// Not derived: W need not be Clone.
impl<W> Clone for Help<W> {
    fn clone(&self) -> Self {
        Self { offers: self.offers.clone(), waiting: self.waiting.clone(), others: self.others }
    }
}

impl<W: 'static> Help<W> {
    /// Among so many workers, for whom these photos wait; and where they look for offers.
    pub fn among(workers: usize, waiting: Receiver<Job<W>>) -> (Self, Receiver<Job<W>>) {
        let (offers, taken) = bounded(0);
        (Self { offers, waiting, others: workers.saturating_sub(1) }, taken)
    }

    /// Does `count` pieces of work, with whoever has nothing else to do. `work` gets a worker, the piece's number and the stopwatch that its
    /// time belongs to. The outcomes, in the order of the pieces.
    pub fn share<T: Send + 'static>(
        &self,
        own: &mut W,
        count: usize,
        stages: &Stages,
        work: impl Fn(&mut W, usize, &Stages) -> T + Send + Sync + 'static,
    ) -> Vec<T> {
        let pieces = Arc::new(Pieces { next: AtomicUsize::new(0), work, done: Mutex::default() });
        task::lock(&pieces.done).resize_with(count, || None);
        // Helpers hold the one end until they have finished; nothing is ever sent.
        let (helping, finished) = bounded::<()>(0);
        for _ in 0..self.others.min(count.saturating_sub(1)) {
            let (pieces, helping, waiting) = (pieces.clone(), helping.clone(), self.waiting.clone());
            let job: Job<W> = Box::new(move |worker| {
                // Two threads at a time would count one moment twice.
                let aside = Stages::default();
                // A panic in here must not cost a worker. The piece is then missing, and whoever offered it meets the same panic.
                let helped = || pieces.take(worker, count, &aside, || waiting.is_empty());
                let _ = catch_unwind(AssertUnwindSafe(helped));
                drop(helping);
            });
            if self.offers.try_send(job).is_err() {
                break;
            }
        }
        drop(helping);
        pieces.take(own, count, stages, || true);
        let _ = finished.recv();
        let done = std::mem::take(&mut *task::lock(&pieces.done));
        let mut own_work = |number| (pieces.work)(own, number, stages);
        done.into_iter().enumerate().map(|(number, outcome)| outcome.unwrap_or_else(|| own_work(number))).collect()
    }
}

/// Pieces of work that several workers take from.
struct Pieces<T, F> {
    next: AtomicUsize,
    work: F,
    done: Mutex<Vec<Option<T>>>,
}

impl<T, F> Pieces<T, F> {
    /// Takes pieces until there are none, or something else is to be done.
    fn take<W>(&self, worker: &mut W, count: usize, stages: &Stages, go_on: impl Fn() -> bool)
    where
        F: Fn(&mut W, usize, &Stages) -> T,
    {
        while go_on() {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            let outcome = (self.work)(worker, number, stages);
            task::lock(&self.done)[number] = Some(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// A worker that counts what it did.
    fn shared(
        others: usize,
        count: usize,
        work: impl Fn(usize) -> usize + Send + Sync + 'static,
    ) -> (Vec<usize>, usize) {
        let (_photos, waiting) = bounded::<Job<usize>>(1);
        let (help, offers) = Help::among(others + 1, waiting);
        thread::scope(|scope| {
            for _ in 0..others {
                let offers = offers.clone();
                scope.spawn(move || offers.iter().for_each(|job| job(&mut 0)));
            }
            // Until they wait for offers.
            thread::sleep(Duration::from_millis(50));
            let mut own = 0;
            let outcomes = help.share(&mut own, count, &Stages::default(), move |done: &mut usize, number, _| {
                *done += 1;
                thread::sleep(Duration::from_millis(2));
                work(number)
            });
            drop(help);
            (outcomes, own)
        })
    }

    #[test]
    fn pieces_are_shared_and_come_out_in_order() {
        for others in 0..3 {
            let (outcomes, own) = shared(others, 20, |number| number * number);
            assert_eq!(outcomes, (0..20).map(|number| number * number).collect::<Vec<_>>());
            assert!(
                if others == 0 { own == 20 } else { own < 20 },
                "{others} others, {own} of 20 done by the own worker"
            );
        }
        assert!(shared(1, 0, |number| number).0.is_empty());
    }

    #[test]
    fn nobody_is_waited_for_who_is_busy() {
        let (_photos, waiting) = bounded::<Job<()>>(1);
        let (help, _offers) = Help::among(2, waiting);
        assert_eq!(help.share(&mut (), 3, &Stages::default(), |_, number, _| number), [0, 1, 2]);
    }

    #[test]
    fn a_helper_leaves_when_a_photo_waits() {
        let (photos, waiting) = bounded::<Job<usize>>(1);
        let (help, offers) = Help::among(2, waiting);
        photos.send(Box::new(|_| {})).unwrap();
        thread::scope(|scope| {
            let helper = scope.spawn(move || {
                let mut done = 0;
                offers.iter().for_each(|job| job(&mut done));
                done
            });
            thread::sleep(Duration::from_millis(50));
            let work = |done: &mut usize, number, _: &Stages| {
                *done += 1;
                number
            };
            assert_eq!(help.share(&mut 0, 5, &Stages::default(), work), [0, 1, 2, 3, 4]);
            drop(help);
            assert_eq!(helper.join().unwrap(), 0);
        });
    }

    #[test]
    fn a_helper_outlives_a_panic_and_the_piece_is_done_by_its_owner() {
        let owner = thread::current().id();
        let (outcomes, _) = shared(1, 10, move |number| {
            assert!(thread::current().id() == owner || number == 0, "a panic that this test wants");
            number
        });
        assert_eq!(outcomes, (0..10).collect::<Vec<_>>());
    }
}
