//! Black-box tests: the published bypass cases, real exchanges with a real TLS server, and the whole service.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod check;
#[cfg(test)]
mod fetch;
#[cfg(test)]
mod hitl;
mod metrics;
#[cfg(test)]
mod model;
#[cfg(test)]
mod real_hitl;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod search;
#[cfg(test)]
mod server;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tunnel;
#[cfg(test)]
mod upstream;
#[cfg(test)]
mod world;
