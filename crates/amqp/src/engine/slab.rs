//! Storage with stable small indices and generations, so that a stale key never reaches a new owner.

/// Values by index; a freed index is used again with the next generation.
#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Stores `value` unless `capacity` values are stored already.
    pub(super) fn insert(&mut self, value: T, capacity: usize) -> Option<(u32, u32)> {
        if self.len() >= capacity {
            return None;
        }
        if let Some(index) = self.free.pop() {
            let entry = self.entries.get_mut(index as usize)?;
            entry.value = Some(value);
            return Some((index, entry.generation));
        }
        let index = u32::try_from(self.entries.len()).ok()?;
        self.entries.push(Entry {
            generation: 0,
            value: Some(value),
        });
        Some((index, 0))
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.entries.get(index as usize)?.value.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.entries.get_mut(index as usize)?.value.as_mut()
    }

    /// The generation of a stored value.
    pub(super) fn generation(&self, index: u32) -> Option<u32> {
        let entry = self.entries.get(index as usize)?;
        entry.value.as_ref().map(|_| entry.generation)
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let entry = self.entries.get_mut(index as usize)?;
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(index);
        Some(value)
    }
}
