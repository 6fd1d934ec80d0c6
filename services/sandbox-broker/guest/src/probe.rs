//! What process 1 can see and do: the observations from which the broker decides whether this is the
//! isolation it demands. Nothing is judged here; a guest is believed only because the broker started it.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Lines of `name=value`. `none` stands for what could not be read.
pub(crate) fn facts() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap_or("none")
            .to_owned()
    };
    let mut lines = String::new();
    let mut fact = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{name}={}", value.replace('\n', " "));
    };
    fact("kernel", &fs::read_to_string("/proc/version").unwrap_or_default());
    fact("sentry", yes(fs::exists("/proc/sentry-meminfo").unwrap_or(false)));
    fact("uid", &rustix::process::getuid().as_raw().to_string());
    fact("gid", &rustix::process::getgid().as_raw().to_string());
    for capability_set in ["CapInh", "CapPrm", "CapEff", "CapBnd"] {
        fact(capability_set, &field(capability_set));
    }
    fact("seccomp", &field("Seccomp"));
    fact(
        "no_new_privileges",
        yes(rustix::thread::no_new_privs().unwrap_or(false)),
    );
    fact("interfaces", &interfaces());
    fact("shadow", yes(fs::read("/etc/shadow").is_ok()));
    for (name, directory) in [
        ("root", "/"),
        ("usr", "/usr"),
        ("etc", "/etc"),
        ("workspace", "/workspace"),
    ] {
        fact(&format!("{name}_writable"), yes(writable(directory)));
    }
    // 192.0.2.0/24 and 2001:db8::/32 are reserved for documentation (RFC 5737, RFC 3849): an answer from
    // there, or even a time-out instead of an immediate refusal, means that packets leave.
    fact("connect4", &connect(SocketAddr::from(([192, 0, 2, 1], 80))));
    fact(
        "connect6",
        &connect(SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 80))),
    );
    lines
}

fn yes(condition: bool) -> &'static str {
    if condition { "yes" } else { "no" }
}

fn interfaces() -> String {
    let table = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let names: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .filter(|name| !name.is_empty())
        .collect();
    names.join(",")
}

fn writable(directory: &str) -> bool {
    let path = format!("{directory}/.harombe-probe");
    let written = fs::write(&path, b"probe").is_ok();
    // Best effort: what cannot be removed lies in a workspace that is thrown away after the probe.
    let _ = fs::remove_file(&path);
    written
}

fn connect(address: SocketAddr) -> String {
    match TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
        Ok(_) => "connected".to_owned(),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => "unreachable".to_owned(),
            Some(libc::EADDRNOTAVAIL) => "no-address".to_owned(),
            Some(libc::EAFNOSUPPORT) => "no-family".to_owned(),
            _ => format!("other: {error}"),
        },
    }
}
