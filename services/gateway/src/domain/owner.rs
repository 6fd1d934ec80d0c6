//! The embedded profile's one rule: the socket is its owner's.

/// Whether a process of user `peer` may act as the owner `owner` of the socket. Root could become the owner anyway. A
/// peer that cannot be established is nobody.
pub(crate) fn admits(owner: u32, peer: Option<u32>) -> bool {
    peer.is_some_and(|peer| peer == owner || peer == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_and_root_come_in() {
        assert!(admits(1000, Some(1000)));
        assert!(admits(1000, Some(0)));
        assert!(!admits(1000, Some(1001)));
        assert!(!admits(0, Some(1000)));
        assert!(!admits(1000, None));
        assert!(!admits(0, None));
    }
}
