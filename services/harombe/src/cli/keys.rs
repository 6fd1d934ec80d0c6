//! `harombe keys`: who may come through the public door over the network.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use harombe_config::Span;
use harombe_proto::agent::v1::{CreateKeyRequest, Key, KeyLimits, ListKeysRequest, RevokeKeyRequest};
use harombe_types::{Clock as _, SystemClock, Timestamp};

use super::Error;
use crate::attach::{Client, Place};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key and write it to standard output: the only time that it can be read
    Create(Create),
    /// Show all keys, newest first
    List {
        /// Another tenant than your own, if yours is the operator's
        #[arg(long, default_value = "", hide_default_value = true)]
        tenant: String,
    },
    /// Take a key back, at once and at every gateway
    Revoke {
        /// The key's id: what stands between hrb_ and the next _
        id: String,
        /// Another tenant than your own, if yours is the operator's
        #[arg(long, default_value = "", hide_default_value = true)]
        tenant: String,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// What people call the key
    name: String,
    /// Whom its bearer is taken for [default: the name]
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// user, approver, auditor or admin; may be given more than once
    #[arg(long, default_value = "user")]
    role: Vec<String>,
    /// Only this agent; may be given more than once, for a key whose one role is user
    #[arg(long, value_name = "NAME")]
    agent: Vec<String>,
    /// Its bearer may approve what their own runs ask for
    #[arg(long)]
    allow_self: bool,
    /// How long it is good for, such as 30d [default: until it is revoked]
    #[arg(long, value_name = "TIME")]
    expires: Option<Span>,
    /// Another tenant than your own
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
    #[command(flatten)]
    limits: Limits,
}

/// 0 leaves it to the gateway's configuration.
#[derive(Debug, clap::Args)]
struct Limits {
    /// [default: what the gateway's configuration says, as for the other limits]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    requests_per_second: u32,
    /// Requests that may come at once
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    burst: u32,
    /// Streams open at the same time
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    streams: u32,
    /// New messages a day (UTC)
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    messages_per_day: u32,
}

/// Keys in one answer.
const PAGE: u32 = 1000;

pub(super) async fn run(place: Place, command: Command) -> Result<ExitCode, Error> {
    let mut client = place.attach_to_running().await?;
    match command {
        Command::Create(args) => create(&mut client, args).await?,
        Command::List { tenant } => list(&mut client, &tenant).await?,
        Command::Revoke { id, tenant } => revoke(&mut client, id, tenant).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(client: &mut Client, args: Create) -> Result<(), Error> {
    let expires = args
        .expires
        .map(|span| SystemClock.now().plus(span.as_duration()));
    let request = CreateKeyRequest {
        subject: args.subject.unwrap_or_else(|| args.name.clone()),
        name: args.name,
        roles: args.role,
        agents: args.agent,
        allow_self: args.allow_self,
        limits: Some(KeyLimits {
            requests_per_second: args.limits.requests_per_second,
            burst: args.limits.burst,
            streams: args.limits.streams,
            messages_per_day: args.limits.messages_per_day,
        }),
        expires_at: expires.map(Into::into),
        tenant: args.tenant,
    };
    let created = client.keys.create_key(request).await?.into_inner();
    // The key alone, so that it can go straight into a file.
    writeln!(std::io::stdout(), "{}", created.api_key)?;
    let key = created.key.unwrap_or_default();
    writeln!(
        std::io::stderr(),
        "{}\nKeep it in a file that only its owner can read: it is not shown again.",
        as_line(&key, SystemClock.now())
    )?;
    Ok(())
}

async fn list(client: &mut Client, tenant: &str) -> Result<(), Error> {
    let (mut after_key_id, now) = (String::new(), SystemClock.now());
    let mut out = std::io::stdout();
    loop {
        let request = ListKeysRequest {
            limit: PAGE,
            after_key_id,
            tenant: tenant.to_owned(),
        };
        let keys = client.keys.list_keys(request).await?.into_inner().keys;
        for key in &keys {
            writeln!(out, "{}", as_line(key, now))?;
        }
        match keys.last() {
            Some(last) if keys.len() >= PAGE as usize => after_key_id = last.key_id.clone(),
            _ => return Ok(()),
        }
    }
}

async fn revoke(client: &mut Client, key_id: String, tenant: String) -> Result<(), Error> {
    let request = RevokeKeyRequest { key_id, tenant };
    let revoked = client.keys.revoke_key(request).await?;
    let key = revoked.into_inner().key.unwrap_or_default();
    writeln!(std::io::stdout(), "{}", as_line(&key, SystemClock.now()))?;
    Ok(())
}

/// What is known of a key, in a line.
fn as_line(key: &Key, now: Timestamp) -> String {
    let time = |time: Option<&_>| time.map(Timestamp::from);
    let (expires, revoked) = (time(key.expires_at.as_ref()), time(key.revoked_at.as_ref()));
    let state = match (revoked, expires) {
        (Some(at), _) => format!("revoked {at} by {}", key.revoked_by),
        (None, Some(at)) if at <= now => format!("expired {at}"),
        (None, Some(at)) => format!("until {at}"),
        (None, None) => "until revoked".to_owned(),
    };
    let mut may = key.roles.join(",");
    if key.allow_self {
        may.push_str(",allow-self");
    }
    if !key.agents.is_empty() {
        may.push_str(&format!(" on {}", key.agents.join(",")));
    }
    format!(
        "{}  {}  {}/{}  {may}  {state}",
        key.key_id, key.name, key.tenant, key.subject
    )
}
