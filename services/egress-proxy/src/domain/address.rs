//! Which addresses may be dialled at all: global unicast, and nothing that hides another address inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Ranges no rule can open, from the IANA IPv4 special-purpose address registry (RFC 6890 and its
/// updates), multicast (RFC 5771), and the one public address that a cloud answers as its own control plane.
const SPECIAL_V4: &[([u8; 4], u8, &str)] = &[
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "shared address space"),
    ([127, 0, 0, 0], 8, "loopback"),
    ([168, 63, 129, 16], 32, "cloud control plane"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "protocol assignments"),
    ([192, 0, 2, 0], 24, "documentation"),
    ([192, 31, 196, 0], 24, "as112"),
    ([192, 52, 193, 0], 24, "multicast tunnelling"),
    ([192, 88, 99, 0], 24, "6to4 relay"),
    ([192, 168, 0, 0], 16, "private"),
    ([192, 175, 48, 0], 24, "as112"),
    ([198, 18, 0, 0], 15, "benchmarking"),
    ([198, 51, 100, 0], 24, "documentation"),
    ([203, 0, 113, 0], 24, "documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved"),
];

/// The same for IPv6, inside 2000::/3 (RFC 4291 §2.4; IANA IPv6 special-purpose address registry).
const SPECIAL_V6: &[([u16; 8], u8, &str)] = &[
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "protocol assignments"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation"),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "6to4"),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, "as112"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation"),
];

/// 2000::/3, the only block from which global unicast addresses are allocated.
const GLOBAL_UNICAST_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// An address that was classified and may be dialled. There is no other way to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CheckedAddress(IpAddr);

impl CheckedAddress {
    /// # Errors
    /// The name of the special range that `address` lies in.
    pub fn check(address: IpAddr) -> Result<Self, &'static str> {
        let special = match address {
            IpAddr::V4(v4) => special_v4(v4),
            IpAddr::V6(v6) => special_v6(v6),
        };
        special.map_or(Ok(Self(address)), Err)
    }

    /// The address to dial.
    pub fn get(self) -> IpAddr {
        self.0
    }
}

/// Does this IPv6 address carry an IPv4 address (mapped, translated, compatible, NAT64, 6to4, Teredo,
/// ISATAP)? Loopback and unspecified are addresses of their own.
pub fn embeds_ipv4(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, ..] = address.segments();
    let compatible = [a, b, c, d, e, f] == [0; 6];
    let mapped = [a, b, c, d, e] == [0; 5] && f == 0xffff;
    let translated = [a, b, c, d] == [0; 4] && e == 0xffff && f == 0;
    let nat64 = a == 0x64 && b == 0xff9b && (c == 1 || [c, d, e, f] == [0; 4]);
    let six_to_four = a == 0x2002;
    let teredo = a == 0x2001 && b == 0;
    let isatap = e & 0xfdff == 0 && f == 0x5efe;
    let own = address.is_loopback() || address.is_unspecified();
    (compatible || mapped || translated || nat64 || six_to_four || teredo || isatap) && !own
}

/// Does the network touch anything that may never be dialled? Then no rule may name it.
pub fn overlaps_special(net: IpNet) -> Option<&'static str> {
    match net {
        IpNet::V4(net) => SPECIAL_V4.iter().find_map(|&(base, length, name)| {
            share_prefix_v4(net.network(), Ipv4Addr::from(base), length.min(net.prefix_len())).then_some(name)
        }),
        IpNet::V6(net) => {
            let (global, length) = GLOBAL_UNICAST_V6;
            if net.prefix_len() < length || !share_prefix_v6(net.network(), global, length) {
                return Some("outside 2000::/3");
            }
            SPECIAL_V6.iter().find_map(|&(base, length, name)| {
                share_prefix_v6(net.network(), Ipv6Addr::from(base), length.min(net.prefix_len()))
                    .then_some(name)
            })
        }
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    SPECIAL_V4.iter().find_map(|&(base, length, name)| {
        share_prefix_v4(address, Ipv4Addr::from(base), length).then_some(name)
    })
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    if embeds_ipv4(address) {
        return Some("ipv4 embedded in ipv6");
    }
    let (global, length) = GLOBAL_UNICAST_V6;
    if !share_prefix_v6(address, global, length) {
        return Some("outside 2000::/3");
    }
    SPECIAL_V6.iter().find_map(|&(base, length, name)| {
        share_prefix_v6(address, Ipv6Addr::from(base), length).then_some(name)
    })
}

fn share_prefix_v4(a: Ipv4Addr, b: Ipv4Addr, length: u8) -> bool {
    let difference = u32::from(a) ^ u32::from(b);
    difference
        .checked_shr(32 - u32::from(length.min(32)))
        .unwrap_or(0)
        == 0
}

fn share_prefix_v6(a: Ipv6Addr, b: Ipv6Addr, length: u8) -> bool {
    let difference = u128::from(a) ^ u128::from(b);
    difference
        .checked_shr(128 - u32::from(length.min(128)))
        .unwrap_or(0)
        == 0
}

#[cfg(test)]
mod tests;
