//! Addresses that are not public, according to the registries of special-purpose addresses (RFC 6890).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialPurpose {
    /// The machine itself.
    Loopback,
    /// A private network.
    Private,
    /// Link-local, or where a cloud tells its machines their secrets.
    Metadata,
    /// Multicast, documentation, and what else no receiver has.
    Reserved,
}

impl SpecialPurpose {
    /// In words, as in a sentence about an address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "a loopback address",
            Self::Private => "an address of a private network",
            Self::Metadata => "a link-local or metadata address",
            Self::Reserved => "a reserved address",
        }
    }

    /// Whether somebody's receivers may well be there.
    #[must_use]
    pub const fn is_private(self) -> bool {
        matches!(self, Self::Loopback | Self::Private)
    }
}

/// IPv4: first address, bits of the prefix, what it is. The first match counts.
const V4: &[(Ipv4Addr, u32, SpecialPurpose)] = &[
    (Ipv4Addr::new(169, 254, 0, 0), 16, SpecialPurpose::Metadata),
    // Azure's own agent, Alibaba's and Oracle's metadata.
    (
        Ipv4Addr::new(168, 63, 129, 16),
        32,
        SpecialPurpose::Metadata,
    ),
    (
        Ipv4Addr::new(100, 100, 100, 200),
        32,
        SpecialPurpose::Metadata,
    ),
    (Ipv4Addr::new(192, 0, 0, 192), 32, SpecialPurpose::Metadata),
    (Ipv4Addr::new(127, 0, 0, 0), 8, SpecialPurpose::Loopback),
    (Ipv4Addr::new(10, 0, 0, 0), 8, SpecialPurpose::Private),
    (Ipv4Addr::new(172, 16, 0, 0), 12, SpecialPurpose::Private),
    (Ipv4Addr::new(192, 168, 0, 0), 16, SpecialPurpose::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, SpecialPurpose::Private),
    // To connect there is to connect to this machine, on many systems.
    (Ipv4Addr::new(0, 0, 0, 0), 8, SpecialPurpose::Reserved),
    (Ipv4Addr::new(192, 0, 0, 0), 24, SpecialPurpose::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, SpecialPurpose::Reserved),
    (Ipv4Addr::new(192, 88, 99, 0), 24, SpecialPurpose::Reserved),
    (Ipv4Addr::new(198, 18, 0, 0), 15, SpecialPurpose::Reserved),
    (Ipv4Addr::new(198, 51, 100, 0), 24, SpecialPurpose::Reserved),
    (Ipv4Addr::new(203, 0, 113, 0), 24, SpecialPurpose::Reserved),
    // Multicast, the future, broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3, SpecialPurpose::Reserved),
];

/// IPv6, the same way. Beyond 2000::/3 everything is special.
const V6: &[(Ipv6Addr, u32, SpecialPurpose)] = &[
    (Ipv6Addr::LOCALHOST, 128, SpecialPurpose::Loopback),
    // Metadata of AWS and of Google.
    v6([0xfd00, 0xec2, 0], 0x254, 128, SpecialPurpose::Metadata),
    v6([0xfd20, 0xce, 0], 0x254, 128, SpecialPurpose::Metadata),
    v6([0xfe80, 0, 0], 0, 10, SpecialPurpose::Metadata),
    v6([0xfc00, 0, 0], 0, 7, SpecialPurpose::Private),
    // Protocol assignments, Teredo and benchmarks among them.
    v6([0x2001, 0, 0], 0, 23, SpecialPurpose::Reserved),
    v6([0x2001, 0xdb8, 0], 0, 32, SpecialPurpose::Reserved),
    // 6to4.
    v6([0x2002, 0, 0], 0, 16, SpecialPurpose::Reserved),
    v6([0x3fff, 0, 0], 0, 20, SpecialPurpose::Reserved),
];

/// A range of IPv6 addresses: the first three groups and the last one of its base address, and the length of its prefix.
const fn v6(
    [a, b, c]: [u16; 3],
    last: u16,
    bits: u32,
    purpose: SpecialPurpose,
) -> (Ipv6Addr, u32, SpecialPurpose) {
    (Ipv6Addr::new(a, b, c, 0, 0, 0, 0, last), bits, purpose)
}

/// The special purpose of an address; `None` for a public one.
#[must_use]
pub fn special_purpose(address: IpAddr) -> Option<SpecialPurpose> {
    let address = match address {
        IpAddr::V4(address) => return special_v4(address),
        IpAddr::V6(address) => address,
    };
    if let Some(address) = translated(address) {
        return special_v4(address);
    }
    if embedded(address).any(|address| special_v4(address) == Some(SpecialPurpose::Metadata)) {
        return Some(SpecialPurpose::Metadata);
    }
    let listed = V6.iter().find(|(first, bits, _)| {
        let mask = u128::MAX << (128 - bits);
        address.to_bits() & mask == first.to_bits()
    });
    let is_public = address.segments()[0] & 0xe000 == 0x2000;
    listed
        .map(|(_, _, special)| *special)
        .or((!is_public).then_some(SpecialPurpose::Reserved))
}

fn special_v4(address: Ipv4Addr) -> Option<SpecialPurpose> {
    let listed = V4.iter().find(|(first, bits, _)| {
        let mask = u32::MAX << (32 - bits);
        address.to_bits() & mask == first.to_bits()
    });
    listed.map(|(_, _, special)| *special)
}

/// The IPv4 address of which this is only another way to write it: mapped, or behind the well-known NAT64 prefix (RFC 6052). It reaches that
/// and nothing else.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(v4(high, low))
        }
        _ => None,
    }
}

/// The IPv4 addresses that may be in one that something on the way takes apart: compatible, SIIT, 6to4, Teredo, ISATAP, and NAT64 with a
/// prefix of the network's own (RFC 8215), whose length is not known.
fn embedded(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let segments = address.segments();
    let [_, _, _, fourth, fifth, sixth, high, low] = segments;
    let at_the_end = match segments {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Some(v4(high, low)),
        // RFC 5214, section 6.1, with the universal bit set or not.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => Some(v4(high, low)),
        // The client's address stands inverted (RFC 4380).
        [0x2001, 0, ..] => Some(v4(!high, !low)),
        _ => None,
    };
    let in_front = match segments {
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    };
    let local = matches!(segments, [0x64, 0xff9b, 1, ..]);
    // RFC 6052, section 2.2: prefixes of 48, 56, 64 and 96 bits; the octet from bit 64 on is left out.
    let [_, _, _, _, _, _, a, b, _, c, d, e, f, ..] = address.octets();
    let local = local.then_some([
        Ipv4Addr::new(a, b, c, d),
        Ipv4Addr::new(b, c, d, e),
        Ipv4Addr::new(c, d, e, f),
        v4(high, low),
        // For encoders that do not leave that octet out.
        v4(fourth, fifth),
        v4(fifth, sixth),
    ]);
    let once = at_the_end.into_iter().chain(in_front);
    once.chain(local.into_iter().flatten())
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low))
}

/// The IPv4 address that such an address stands for, else itself.
pub(super) fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => translated(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}
