//! The service from outside: through its channel, on the real runsc.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod execute;
#[cfg(test)]
mod files;
#[cfg(test)]
mod numbers;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod transfers;
