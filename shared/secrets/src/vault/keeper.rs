//! Keeps one token of Vault alive: logs in when somebody needs a token, renews at two thirds of its life, and logs in again
//! when it cannot be renewed or was taken back.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use vaultrs::api::AuthInfo;
use zeroize::Zeroizing;

use super::link::{Fault, Link};

/// Callers that wait for a token; more wait for their turn to wait.
const WAITING: usize = 256;

/// How long a failed login answers for the next ones, so that a crowd does not knock at the rate of its calls.
const REST: Duration = Duration::from_millis(500);

/// The shortest wait before a renewal, and before it is tried again.
const SOONEST: Duration = Duration::from_millis(200);

/// A token as Vault gave it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    text: Arc<Zeroizing<String>>,
}

impl Token {
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

enum Ask {
    Token(oneshot::Sender<Result<Token, Fault>>),
    Lost(Token),
}

/// Hands out the one token. Its task begins with the first question and ends with the keeper.
pub(super) struct Keeper {
    link: Arc<Link>,
    asks: OnceLock<mpsc::Sender<Ask>>,
}

impl Keeper {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            asks: OnceLock::new(),
        }
    }

    /// A token that Vault honoured when it was last asked.
    pub(super) async fn token(&self) -> Result<Token, Fault> {
        let (reply, answer) = oneshot::channel();
        self.tell(Ask::Token(reply)).await;
        answer.await.unwrap_or(Err(Fault::Unreachable))
    }

    /// Vault no longer honours this token.
    pub(super) async fn lost(&self, token: &Token) {
        self.tell(Ask::Lost(token.clone())).await;
    }

    async fn tell(&self, ask: Ask) {
        let asks = self.asks.get_or_init(|| {
            let (asks, asked) = mpsc::channel(WAITING);
            tokio::spawn(Keeping::new(Arc::clone(&self.link)).run(asked));
            asks
        });
        // The task ends with its runtime only; whoever asks then hears that there is no answer.
        let _ = asks.send(ask).await;
    }
}

struct Session {
    token: Token,
    /// `None` for one that never ends.
    life: Option<Life>,
}

#[derive(Clone, Copy)]
struct Life {
    /// What Vault gave at the login.
    whole: Duration,
    renew: Instant,
    ends: Instant,
    renewable: bool,
}

struct Keeping {
    link: Arc<Link>,
    session: Option<Session>,
    refused: Option<(Fault, Instant)>,
    random: RandomState,
    drawn: u64,
}

impl Keeping {
    fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            session: None,
            refused: None,
            random: RandomState::new(),
            drawn: 0,
        }
    }

    async fn run(mut self, mut asked: mpsc::Receiver<Ask>) {
        loop {
            let life = self.session.as_ref().and_then(|session| session.life);
            let due = life.map(|life| life.renew);
            tokio::select! {
                ask = asked.recv() => match ask {
                    None => return,
                    Some(Ask::Lost(token)) => self.forget(&token),
                    // Whoever gave up waiting costs no login.
                    Some(Ask::Token(reply)) if reply.is_closed() => {}
                    Some(Ask::Token(reply)) => {
                        let _ = reply.send(self.token().await);
                    }
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.renew().await,
            }
        }
    }

    async fn token(&mut self) -> Result<Token, Fault> {
        let now = Instant::now();
        match &self.session {
            Some(Session { life: Some(life), .. }) if life.ends <= now => self.session = None,
            Some(session) => return Ok(session.token.clone()),
            None => {}
        }
        if let Some((fault, until)) = self.refused
            && now < until
        {
            return Err(fault);
        }
        self.login().await
    }

    fn forget(&mut self, token: &Token) {
        let same = |session: &Session| Arc::ptr_eq(&session.token.text, &token.text);
        if self.session.as_ref().is_some_and(same) {
            self.session = None;
        }
    }

    async fn login(&mut self) -> Result<Token, Fault> {
        let asked = Instant::now();
        match self.link.login().await {
            Ok(info) => {
                self.refused = None;
                let whole = Duration::from_secs(info.lease_duration);
                Ok(self.keep(info, whole, asked))
            }
            Err(fault) => {
                tracing::warn!(%fault, "no login at vault");
                self.refused = Some((fault, Instant::now() + REST));
                Err(fault)
            }
        }
    }

    /// A token that Vault renews for less than half its first life is near the end of all renewals.
    async fn renew(&mut self) {
        let Some(Session {
            token,
            life: Some(life),
        }) = &self.session
        else {
            return;
        };
        let (token, life, asked) = (token.clone(), *life, Instant::now());
        if life.renewable && asked < life.ends {
            match self.link.renew(token.text()).await {
                Ok(info) if Duration::from_secs(info.lease_duration) * 2 >= life.whole => {
                    self.keep(info, life.whole, asked);
                    return;
                }
                Ok(_) => {}
                Err(Fault::Forbidden) => self.forget(&token),
                Err(fault) => tracing::warn!(%fault, "vault did not renew the token"),
            }
        }
        if self.login().await.is_err() {
            self.wait_for_another_try();
        }
    }

    /// The old token is good for as long as Vault said; then there is none.
    fn wait_for_another_try(&mut self) {
        let now = Instant::now();
        let jitter = self.jitter();
        let ended = match &mut self.session {
            Some(Session { life: Some(life), .. }) if now < life.ends => {
                let left = life.ends - now;
                life.renew = now + (left / 3).mul_f64(jitter).max(SOONEST);
                false
            }
            _ => true,
        };
        if ended {
            self.session = None;
        }
    }

    /// The life counts from before the question: Vault's own count began later.
    fn keep(&mut self, info: AuthInfo, whole: Duration, asked: Instant) -> Token {
        let lease = Duration::from_secs(info.lease_duration);
        let wait = (lease * 2 / 3).mul_f64(self.jitter()).max(SOONEST);
        let life = (!lease.is_zero()).then(|| Life {
            whole,
            renew: asked + wait,
            ends: asked + lease,
            renewable: info.renewable,
        });
        let token = Token {
            text: Arc::new(Zeroizing::new(info.client_token)),
        };
        self.session = Some(Session {
            token: token.clone(),
            life,
        });
        token
    }

    /// From 0.9 to 1: instances that began together do not renew together.
    fn jitter(&mut self) -> f64 {
        self.drawn = self.drawn.wrapping_add(1);
        let drawn = u32::try_from(self.random.hash_one(self.drawn) >> 32).unwrap_or(0);
        1.0 - 0.1 * f64::from(drawn) / f64::from(u32::MAX)
    }
}
