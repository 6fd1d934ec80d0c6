//! What tests of every service need: certificates, people, an audit log that they can read and break, a Postgres
//! that they can stop and kill, and a disk that they can fill.

mod disk;
mod files;
mod loopback;
pub mod openbao;
mod pki;
pub mod postgres;
mod sink;

use std::sync::Arc;

use harombe_types::{
    Clock, ManualClock, Person, Role, RunId, RunPrincipal, SessionId, Subject, Tenant, Timestamp,
};

pub use disk::Disk;
pub use files::{files_under, holding};
pub use loopback::loopback;
pub use pki::TestPki;
pub use sink::{AuditSink, Fault};

/// Where the clocks of tests start.
pub const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// The tenant of people and runs that tests do not name otherwise.
pub const TENANT: &str = "local";

/// A clock at [`NOW`] that the test moves.
#[must_use]
pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

#[must_use]
#[expect(clippy::unwrap_used, reason = "a test that names a bad tenant fails")]
pub fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

#[must_use]
#[expect(clippy::unwrap_used, reason = "a test that names a bad subject fails")]
pub fn subject(name: &str) -> Subject {
    name.parse().unwrap()
}

/// A person of [`TENANT`] with every role, who may not approve their own runs.
#[must_use]
pub fn person(name: &str) -> Person {
    Person {
        tenant: tenant(TENANT),
        subject: subject(name),
        roles: Role::ALL.into(),
        allow_self: false,
    }
}

/// A run of the agent `default` for `name` of [`TENANT`], with new ids.
#[must_use]
#[expect(clippy::unwrap_used, reason = "a constant that parses")]
pub fn run(name: &str, clock: &dyn Clock) -> RunPrincipal {
    RunPrincipal {
        tenant: tenant(TENANT),
        subject: subject(name),
        agent: "default".parse().unwrap(),
        session: SessionId::generate(clock),
        run: RunId::generate(clock),
    }
}
