//! Every special range is refused at both of its edges, and its neighbours are not.

use super::*;

fn refused(address: &str) -> Option<&'static str> {
    CheckedAddress::check(address.parse().expect("an address")).err()
}

#[test]
fn both_edges_of_every_ipv4_range_are_refused() {
    for &(base, length, name) in SPECIAL_V4 {
        let first = u32::from(Ipv4Addr::from(base));
        let last = first | u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
        for edge in [first, last] {
            let address = IpAddr::V4(Ipv4Addr::from(edge));
            assert_eq!(CheckedAddress::check(address), Err(name), "{address}");
        }
    }
}

#[test]
fn both_edges_of_every_ipv6_range_are_refused() {
    for &(base, length, _) in SPECIAL_V6 {
        let first = u128::from(Ipv6Addr::from(base));
        let last = first | u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
        for edge in [first, last] {
            let address = IpAddr::V6(Ipv6Addr::from(edge));
            assert!(CheckedAddress::check(address).is_err(), "{address}");
        }
    }
}

#[test]
fn neighbours_of_special_ranges_are_public() {
    for address in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "2001:200::",
        "2001:db7:ffff::",
        "2001:db9::",
        "2003::",
        "2606:2800::1",
        "3ffe::",
        "3fff:1000::",
        "2000::",
    ] {
        assert_eq!(refused(address), None, "{address}");
    }
}

#[test]
fn ipv6_forms_that_carry_or_hide_an_address_are_refused() {
    for address in [
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "64:ff9b:1:ffff::1",
        "2002:7f00:1::",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
        "2606:2800:21f:1:0:5efe:a9fe:a9fe",
        "2606:2800:21f:1:200:5efe:808:808",
        "fe80::1",
        "febf::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "100::1",
        "5f00::1",
        "64:ff9c::1",
        "4000::",
        "1fff:ffff::",
    ] {
        assert!(refused(address).is_some(), "{address}");
    }
}

#[test]
fn a_network_that_touches_a_special_range_is_named() {
    let touches = |net: &str| overlaps_special(net.parse().expect("a network"));
    for net in [
        "0.0.0.0/0",
        "126.0.0.0/7",
        "10.1.0.0/16",
        "169.254.169.254/32",
        "::/0",
        "fd00::/8",
        "2000::/3",
        "2001:db8::/48",
        "2000::/15",
    ] {
        assert!(touches(net).is_some(), "{net}");
    }
    for net in ["93.184.215.0/24", "8.8.8.8/32", "2606:2800:21f::/48"] {
        assert_eq!(touches(net), None, "{net}");
    }
}
