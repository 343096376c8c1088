//! Damage to what clients send, for tests that nothing panics, grows or is left behind.

/// How many inputs a test tries: `FUZZ_ROUNDS` of the environment, else `otherwise`.
pub fn rounds(otherwise: usize) -> usize {
    let asked = std::env::var("FUZZ_ROUNDS").ok();
    asked.map_or(otherwise, |rounds| rounds.parse().unwrap())
}

/// Xorshift with the usual multiplier.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// The next 48 bits.
    pub fn next_bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number from 0 to `bound` - 1.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next_bits() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// One of these.
    pub fn choice<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// What a client sent over one connection, in units such as frames or packets, none of them empty.
pub type Conversation = Vec<Vec<u8>>;

/// Removes, repeats, inserts or exchanges units, or has `unit` damage one of them. `other` is a unit of another conversation.
pub fn damage(
    conversation: &mut Conversation,
    other: &[u8],
    random: &mut Random,
    unit: impl FnOnce(&mut Vec<u8>, &mut Random),
) {
    let at = random.below(conversation.len());
    match random.below(8) {
        0 => drop(conversation.remove(at)),
        1 => conversation.insert(at, other.to_vec()),
        2 => {
            let again = conversation[at].clone();
            conversation.insert(at, again);
        }
        3 => conversation.swap(at, random.below(at + 1)),
        _ => unit(&mut conversation[at], random),
    }
    if conversation.is_empty() {
        conversation.push(other.to_vec());
    }
}

/// Changes bytes of a unit from `from` on. `telling` are bytes that mean something in the protocol.
pub fn damage_bytes(
    unit: &mut Vec<u8>,
    from: usize,
    other: &[u8],
    telling: &[u8],
    random: &mut Random,
) {
    let at = from + random.below(unit.len() - from);
    match random.below(6) {
        0 => unit[at] ^= 1 << random.below(8),
        1 => unit[at] = random.next_bits().to_be_bytes()[7],
        2 => unit.truncate(at.max(1)),
        3 => {
            let part = &other[random.below(other.len())..];
            unit.splice(at..at, part.iter().copied());
        }
        4 => {
            let end = (at + 1 + random.below(8)).min(unit.len());
            unit.drain(at..end);
            if unit.is_empty() {
                unit.push(0);
            }
        }
        _ => unit[at] = *random.choice(telling),
    }
}
