//! The store in Vault against a real OpenBao server: what works, and all the ways in which it may not.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod vault;
