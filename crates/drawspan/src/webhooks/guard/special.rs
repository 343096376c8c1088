//! Addresses that are not the public internet, after the registries of special-purpose addresses (RFC 6890).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// The machine itself.
    Loopback,
    /// A private network.
    Private,
    /// Link-local, or where a cloud tells its machines their secrets.
    Metadata,
    /// Multicast, documentation, and what else no receiver has.
    Reserved,
}

impl Special {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "a loopback address",
            Self::Private => "an address of a private network",
            Self::Metadata => "a link-local or metadata address",
            Self::Reserved => "a reserved address",
        }
    }

    /// Whether somebody's receivers may well be there.
    pub(super) const fn is_private(self) -> bool {
        matches!(self, Self::Loopback | Self::Private)
    }
}

/// IPv4: first address, bits of the prefix, what it is. The first match counts.
const V4: &[(Ipv4Addr, u32, Special)] = &[
    (Ipv4Addr::new(169, 254, 0, 0), 16, Special::Metadata),
    // Azure's own agent, Alibaba's and Oracle's metadata.
    (Ipv4Addr::new(168, 63, 129, 16), 32, Special::Metadata),
    (Ipv4Addr::new(100, 100, 100, 200), 32, Special::Metadata),
    (Ipv4Addr::new(192, 0, 0, 192), 32, Special::Metadata),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Special::Loopback),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Special::Private),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Special::Private),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Special::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Special::Private),
    // To connect there is to connect to this machine, on many systems.
    (Ipv4Addr::new(0, 0, 0, 0), 8, Special::Reserved),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Special::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Special::Reserved),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Special::Reserved),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Special::Reserved),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Special::Reserved),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Special::Reserved),
    // Multicast, the future, broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3, Special::Reserved),
];

/// IPv6, the same way. Beyond 2000::/3 everything is special.
const V6: &[(Ipv6Addr, u32, Special)] = &[
    (Ipv6Addr::LOCALHOST, 128, Special::Loopback),
    // Metadata of AWS and of Google.
    (
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        128,
        Special::Metadata,
    ),
    (
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
        128,
        Special::Metadata,
    ),
    (
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
        10,
        Special::Metadata,
    ),
    (
        Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0),
        7,
        Special::Private,
    ),
    // Protocol assignments, Teredo and benchmarks among them.
    (
        Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),
        23,
        Special::Reserved,
    ),
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        Special::Reserved,
    ),
    // 6to4.
    (
        Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0),
        16,
        Special::Reserved,
    ),
    (
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        Special::Reserved,
    ),
];

/// What is special about an address; `None` of a public one.
pub(super) fn special(address: IpAddr) -> Option<Special> {
    let address = match address {
        IpAddr::V4(address) => return special_v4(address),
        IpAddr::V6(address) => address,
    };
    let embedded = embedded(address).map(special_v4);
    match embedded {
        // These reach the IPv4 address and nothing else.
        Some(special) if is_translated(address) => return special,
        Some(Some(Special::Metadata)) => return Some(Special::Metadata),
        _ => {}
    }
    let listed = V6.iter().find(|(first, bits, _)| {
        let mask = u128::MAX << (128 - bits);
        address.to_bits() & mask == first.to_bits()
    });
    let is_public = address.segments()[0] & 0xe000 == 0x2000;
    listed
        .map(|(_, _, special)| *special)
        .or((!is_public).then_some(Special::Reserved))
}

fn special_v4(address: Ipv4Addr) -> Option<Special> {
    let listed = V4.iter().find(|(first, bits, _)| {
        let mask = u32::MAX << (32 - bits);
        address.to_bits() & mask == first.to_bits()
    });
    listed.map(|(_, _, special)| *special)
}

/// The IPv4 address in a mapped, translated (NAT64, RFC 6052), compatible, 6to4 or Teredo one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low));
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        // The client's address stands inverted at the end (RFC 4380).
        [0x2001, 0, _, _, _, _, high, low] => Some(v4(!high, !low)),
        _ => None,
    }
}

/// Whether it is only another way to write an IPv4 address: mapped, or behind the well-known NAT64 prefix.
const fn is_translated(address: Ipv6Addr) -> bool {
    matches!(
        address.segments(),
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _]
    )
}

/// The IPv4 address that such an address stands for, else itself.
pub(super) fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if is_translated(v6) => embedded(v6).map_or(address, IpAddr::V4),
        _ => address,
    }
}
