//! Unsettled deliveries, in the order of their ids.

use std::collections::VecDeque;

/// Entries by delivery id, in ascending serial order (RFC 1982). Settlement may come in any order, so that settled
/// entries leave holes, which go when they reach an end or outnumber the rest.
#[derive(Debug)]
pub(super) struct Unsettled<T> {
    entries: VecDeque<(u32, Option<T>)>,
    holes: u32,
}

impl<T> Unsettled<T> {
    pub(super) const fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            holes: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.holes as usize
    }

    /// Adds an id that a peer chose: nearly in order, since messages of several links may overtake each other. False
    /// when it is there already or too far from the others to compare with them.
    pub(super) fn insert(&mut self, id: u32, value: T) -> bool {
        let comparable = |end: Option<&(u32, Option<T>)>| {
            end.is_none_or(|(other, _)| distance(id, *other) <= MAX_SPAN)
        };
        if !comparable(self.entries.front()) || !comparable(self.entries.back()) {
            return false;
        }
        let position = self.lower_bound(id);
        match self.entries.get_mut(position) {
            Some((other, Some(_))) if *other == id => return false,
            Some((other, hole)) if *other == id => {
                *hole = Some(value);
                self.holes -= 1;
            }
            _ => self.entries.insert(position, (id, Some(value))),
        }
        true
    }

    /// Adds the newest id.
    pub(super) fn push(&mut self, id: u32, value: T) {
        self.entries.push_back((id, Some(value)));
    }

    pub(super) fn get(&self, id: u32) -> Option<&T> {
        self.entries.get(self.position(id)?)?.1.as_ref()
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<T> {
        let position = self.position(id)?;
        let value = self.entries.get_mut(position)?.1.take()?;
        self.holes += 1;
        self.tidy();
        Some(value)
    }

    /// Unsettled ids in `first..=last`. The cost is bounded by the stored entries, not by the range that a peer announces.
    pub(super) fn ids(&self, first: u32, last: u32) -> Vec<u32> {
        let start = self.lower_bound(first);
        self.entries
            .range(start..)
            .take_while(|(id, _)| serial_le(*id, last))
            .filter(|(_, value)| value.is_some())
            .map(|(id, _)| *id)
            .collect()
    }

    /// Forgets the entries for which `keep` is false.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.entries
            .retain(|(_, value)| value.as_ref().is_some_and(&mut keep));
        self.holes = 0;
    }

    fn position(&self, id: u32) -> Option<usize> {
        let position = self.lower_bound(id);
        (self.entries.get(position)?.0 == id).then_some(position)
    }

    /// First position whose id is not before `id`.
    fn lower_bound(&self, id: u32) -> usize {
        self.entries
            .partition_point(|(entry, _)| !serial_le(id, *entry))
    }

    fn tidy(&mut self) {
        while self
            .entries
            .front()
            .is_some_and(|(_, value)| value.is_none())
        {
            self.entries.pop_front();
            self.holes -= 1;
        }
        while self
            .entries
            .back()
            .is_some_and(|(_, value)| value.is_none())
        {
            self.entries.pop_back();
            self.holes -= 1;
        }
        if self.holes as usize > 32 + self.entries.len() / 2 {
            self.entries.retain(|(_, value)| value.is_some());
            self.holes = 0;
        }
    }
}

/// Ids further apart than this are not kept together: all that are kept must compare with each other.
const MAX_SPAN: u32 = 1 << 30;

fn distance(a: u32, b: u32) -> u32 {
    a.wrapping_sub(b).cast_signed().unsigned_abs()
}

/// Serial number comparison (RFC 1982): `a` is not after `b`.
fn serial_le(a: u32, b: u32) -> bool {
    b.wrapping_sub(a) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settles_in_any_order_and_forgets() {
        let mut unsettled = Unsettled::new();
        for id in 0..100u32 {
            unsettled.push(u32::MAX.wrapping_sub(49).wrapping_add(id), id);
        }
        assert_eq!(unsettled.len(), 100);
        assert_eq!(unsettled.ids(u32::MAX, 3), vec![u32::MAX, 0, 1, 2, 3]);
        for id in (0..100u32).rev() {
            let wire = u32::MAX.wrapping_sub(49).wrapping_add(id);
            assert_eq!(unsettled.get(wire), Some(&id));
            assert_eq!(unsettled.remove(wire), Some(id));
            assert_eq!(unsettled.remove(wire), None);
        }
        assert_eq!(unsettled.len(), 0);
        assert!(unsettled.entries.is_empty());
    }

    #[test]
    fn one_old_entry_does_not_keep_thousands_of_holes() {
        let mut unsettled = Unsettled::new();
        unsettled.push(0, 0);
        for id in 1..100_000u32 {
            unsettled.push(id, id);
            unsettled.push(id + 1_000_000, 0);
            unsettled.remove(id + 1_000_000);
            unsettled.remove(id);
            assert!(unsettled.entries.len() < 100);
        }
    }

    #[test]
    fn ids_of_a_peer_may_overtake_but_not_repeat() {
        let mut unsettled = Unsettled::new();
        for id in [3, u32::MAX, 1, 2, 0, 7] {
            assert!(unsettled.insert(id, id));
            assert!(!unsettled.insert(id, id));
        }
        assert_eq!(unsettled.ids(u32::MAX, 7), vec![u32::MAX, 0, 1, 2, 3, 7]);
        assert!(!unsettled.insert(1 << 31, 0));
        assert_eq!(unsettled.remove(2), Some(2));
        assert!(unsettled.insert(2, 20));
        assert_eq!(unsettled.remove(2), Some(20));
        assert_eq!(unsettled.len(), 5);
    }

    #[test]
    fn a_huge_announced_range_costs_only_what_is_stored() {
        let mut unsettled = Unsettled::new();
        unsettled.push(5, ());
        assert_eq!(unsettled.ids(0, u32::MAX >> 1), vec![5]);
        assert_eq!(unsettled.ids(6, 7), Vec::<u32>::new());
    }
}
