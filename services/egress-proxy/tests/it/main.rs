//! Black-box tests: the published bypass cases, and real exchanges with a real TLS server.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod fetch;
#[cfg(test)]
mod server;
#[cfg(test)]
mod support;
