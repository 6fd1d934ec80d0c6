//! A resolver that answers from a script, and the plumbing that the tests share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use harombe_egress_proxy::domain::decision::{Allowed, Decider, Request};
use harombe_egress_proxy::domain::denial::Denial;
use harombe_egress_proxy::domain::host::DnsName;
use harombe_egress_proxy::domain::policy::Policy;
use harombe_egress_proxy::domain::resolver::{Answer, ResolveError, Resolver};

/// What a name answers, look-up by look-up; the last answer repeats.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    Lookups(Vec<Vec<IpAddr>>),
    Cname(String),
    Fails,
}

#[derive(Debug, Default)]
pub(crate) struct ScriptedResolver {
    names: HashMap<String, Script>,
    asked: Mutex<Vec<String>>,
}

impl ScriptedResolver {
    pub(crate) fn new(names: impl IntoIterator<Item = (String, Script)>) -> Arc<Self> {
        Arc::new(Self {
            names: names.into_iter().collect(),
            asked: Mutex::default(),
        })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a lock").clone()
    }

    fn follow(&self, name: &str, lookup: usize) -> Result<Answer, ResolveError> {
        let none = ResolveError::NoAddress { ttl: Duration::ZERO };
        match self.names.get(name).ok_or(none.clone())? {
            Script::Lookups(answers) => {
                let addresses = answers.get(lookup).or(answers.last()).ok_or(none)?;
                Ok(Answer {
                    addresses: addresses.as_slice().into(),
                    ttl: Duration::ZERO,
                })
            }
            Script::Cname(to) => self.follow(to, lookup),
            Script::Fails => Err(ResolveError::Failed("scripted".into())),
        }
    }
}

#[async_trait]
impl Resolver for ScriptedResolver {
    async fn resolve(&self, name: &DnsName) -> Result<Answer, ResolveError> {
        let lookup = {
            let mut asked = self.asked.lock().expect("a lock");
            let before = asked.iter().filter(|known| *known == name.as_str()).count();
            asked.push(name.to_string());
            before
        };
        self.follow(name.as_str(), lookup)
    }
}

/// Decides over `url` as agent `default`, under a policy and with given answers.
pub(crate) async fn decide(
    policy: &str,
    resolver: Arc<ScriptedResolver>,
    method: &str,
    url: &str,
) -> Result<Allowed, Denial> {
    let decider = Decider::new(Policy::parse(policy), resolver);
    let agent = "default".parse().expect("an agent");
    decider
        .decide(Request {
            agent: &agent,
            method,
            url,
        })
        .await
}
