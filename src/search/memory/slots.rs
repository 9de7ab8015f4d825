//! Where in a gallery each member is: many small hash tables, so that a change copies little of what galleries share.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Members of a table on average, before there is one more. A table of hashbrown's with 4,096 places is grown at 3,584, which is seven
/// standard deviations more.
const MOST: usize = 3200;

/// The slot of each member. Tables are copied when they change and somebody else has them too.
///
/// There is one table more whenever they have become full on average; it takes its members from one other. That is linear hashing (Litwin,
/// 1980): no change ever moves all members.
#[derive(Clone, Debug)]
pub struct Slots {
    tables: Vec<Arc<HashTable<u32>>>,
    hasher: RandomState,
    len: usize,
}

impl Slots {
    /// With as many tables as so many members will need.
    pub fn for_members(count: usize) -> Self {
        let tables = count.div_ceil(MOST).max(1);
        Self { tables: (0..tables).map(|_| Arc::default()).collect(), hasher: RandomState::new(), len: 0 }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// What the tables take in memory.
    pub fn bytes(&self) -> usize {
        self.tables.iter().map(|table| size_of_val(table) + size_of_val(&**table) + table.allocation_size()).sum()
    }

    /// The slot of a member; `id_at` tells whose a slot is.
    pub fn find<Id: Eq + Hash>(&self, id: &Id, id_at: impl Fn(u32) -> Id) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        self.tables[self.table_of(hash)].find(hash, |slot| id_at(*slot) == *id).copied()
    }

    /// Takes a member out; where it was.
    pub fn remove<Id: Eq + Hash>(&mut self, id: &Id, id_at: impl Fn(u32) -> Id) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        let number = self.table_of(hash);
        let is_it = |slot: &u32| id_at(*slot) == *id;
        // A table is not copied for nothing.
        self.tables[number].find(hash, is_it)?;
        let entry = Arc::make_mut(&mut self.tables[number]).find_entry(hash, is_it).ok()?;
        self.len -= 1;
        Some(entry.remove().0)
    }

    /// Notes the slot of a member; the one that it had.
    pub fn put<Id: Eq + Hash>(&mut self, id: &Id, slot: u32, id_at: impl Fn(u32) -> Id) -> Option<u32> {
        let hash_of = |slot: &u32| self.hasher.hash_one(id_at(*slot));
        if self.len >= self.tables.len() * MOST {
            let new = self.tables.len();
            let split = new - (1 << new.ilog2());
            self.tables.push(Arc::default());
            let mut tables = [HashTable::new(), HashTable::new()];
            for slot in self.tables[split].iter() {
                let hash = hash_of(slot);
                let goes = usize::from(table_of(hash, new + 1) == new);
                tables[goes].insert_unique(hash, *slot, hash_of);
            }
            [self.tables[split], self.tables[new]] = tables.map(Arc::new);
        }
        let hash = self.hasher.hash_one(id);
        let number = table_of(hash, self.tables.len());
        match Arc::make_mut(&mut self.tables[number]).entry(hash, |slot| id_at(*slot) == *id, hash_of) {
            Entry::Occupied(mut there) => Some(std::mem::replace(there.get_mut(), slot)),
            Entry::Vacant(free) => {
                free.insert(slot);
                self.len += 1;
                None
            }
        }
    }

    fn table_of(&self, hash: u64) -> usize {
        table_of(hash, self.tables.len())
    }
}

/// Which of so many tables a hash belongs to. A table uses other bits of it.
fn table_of(hash: u64, tables: usize) -> usize {
    let (hash, all) = ((hash >> 32) as usize, tables.next_power_of_two());
    let number = hash & (all - 1);
    if number < tables { number } else { hash & (all / 2 - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_while_tables_are_split() {
        let id_at = |slot: u32| u64::from(slot) * 7919;
        let mut slots = Slots::for_members(0);
        let before = slots.clone();
        let count = 9 * MOST as u32;
        for slot in 0..count {
            assert_eq!(slots.put(&id_at(slot), slot, id_at), None);
        }
        assert_eq!(slots.tables.len(), 9);
        assert!((0..count).all(|slot| slots.find(&id_at(slot), id_at) == Some(slot)));
        assert!(slots.tables.iter().all(|table| table.len() < 3 * MOST));
        assert_eq!(slots.put(&id_at(4), 4, id_at), Some(4));
        assert_eq!(slots.remove(&id_at(5), id_at), Some(5));
        assert_eq!(slots.remove(&id_at(5), id_at), None);
        assert_eq!(slots.find(&id_at(5), id_at), None);
        assert_eq!(before.find(&id_at(6), id_at), None);
    }
}
