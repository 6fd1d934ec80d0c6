//! Sessions: which there are, what was said in one, going on with one, and forgetting it.

use harombe_proto::agent::v1::{DeleteSessionRequest, GetSessionRequest, ListSessionsRequest, Session};
use harombe_proto::memory::v1::{ListMemoriesRequest, Memory, MemoryFilter, MemoryKind, TrustLabel};
use tonic::Status;

use super::super::Error;
use super::super::moments::{of_memories, since};
use super::Chat;
use super::command::TURNS;
use crate::terminal::rows;

/// Sessions that are listed.
const LISTED: u32 = 20;
/// Sessions among which an id is looked for by its beginning.
const SEARCHED: u32 = 1_000;
/// Pieces of turns that are asked for at once.
const PIECES: u32 = 1_000;
/// Characters of an id that tell it from others in most cases: the moment in which it was made.
const SHORT: usize = 13;
/// Fewer would find too many.
const SHORTEST: usize = 4;

/// One message and its answer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Turn {
    run: String,
    said: String,
    answered: String,
}

impl Chat {
    /// The newest sessions.
    pub(super) async fn recent_sessions(&mut self) -> Result<Vec<Session>, Status> {
        let request = ListSessionsRequest {
            limit: LISTED,
            ..ListSessionsRequest::default()
        };
        let sessions = self
            .client
            .agent
            .list_sessions(request)
            .await?
            .into_inner()
            .sessions;
        self.sessions = sessions
            .iter()
            .map(|session| session.session_id.clone())
            .collect();
        Ok(sessions)
    }

    pub(super) async fn list_sessions(&mut self) -> Result<(), Error> {
        let sessions = self.recent_sessions().await?;
        if sessions.is_empty() {
            return Ok(self.view.note("there is no session yet; a message begins one")?);
        }
        let first_words = self.first_words().await;
        let length = distinct(&self.sessions);
        let lines: Vec<_> = sessions
            .iter()
            .map(|session| {
                let id = session.session_id.as_str();
                let here = self.session.as_deref() == Some(id);
                let id = id.get(..length).unwrap_or(id);
                [
                    format!("{id}{}", if here { " ◂" } else { "" }),
                    since(session.updated_at.as_ref().map(|time| time.seconds)),
                    session.turns.to_string(),
                    session.agent.clone(),
                    first_words(&session.session_id),
                ]
            })
            .collect();
        let names = ["id", "updated", "turns", "agent", "first words"];
        let lines = rows(names, &lines, self.view.room(), self.view.style());
        Ok(self.view.lines(lines)?)
    }

    /// How each of the newest sessions began, as far as that is remembered.
    async fn first_words(&mut self) -> impl Fn(&str) -> String + use<> {
        let filter = MemoryFilter {
            session_ids: self.sessions.clone(),
            kinds: vec![MemoryKind::Turn as i32],
            labels: vec![TrustLabel::Person as i32],
            ..MemoryFilter::default()
        };
        let request = ListMemoriesRequest {
            filter: Some(filter),
            limit: PIECES,
            ..ListMemoriesRequest::default()
        };
        // A list without them is better than none.
        let listed = self.client.memories.list_memories(request).await;
        let mut memories = listed
            .map(|listed| listed.into_inner().memories)
            .unwrap_or_default();
        memories.sort_by_key(ordinal);
        move |session: &str| {
            let mut of_session = memories.iter().filter(|memory| {
                let provenance = memory.provenance.as_ref();
                provenance.is_some_and(|provenance| provenance.session_id == session)
            });
            of_session
                .next()
                .map_or_else(String::new, |memory| memory.text.clone())
        }
    }

    /// Goes on with a session.
    pub(super) async fn load(&mut self, beginning: &str) -> Result<(), Error> {
        let session_id = self.session_that_begins(beginning).await?;
        let request = GetSessionRequest { session_id };
        let got = self.client.agent.get_session(request).await?.into_inner();
        let session = got.session.unwrap_or_default();
        let updated = since(session.updated_at.as_ref().map(|time| time.seconds));
        self.view.title(&format!("session {}", session.session_id))?;
        let line = format!(
            "{} · {} turns · {updated}",
            self.agent_line(&session.agent),
            session.turns
        );
        self.view.aside(&line)?;
        self.session = Some(session.session_id);
        if session.turns > 0 {
            self.history(TURNS).await?;
        }
        if !session.active_run_id.is_empty() {
            self.view.note("a run goes on in it:")?;
            self.join(&session.active_run_id).await?;
        }
        Ok(())
    }

    async fn session_that_begins(&mut self, beginning: &str) -> Result<String, Error> {
        if beginning.len() < SHORTEST {
            return Err(Error::Usage(format!(
                "say at least {SHORTEST} characters of the session's id; /sessions has them"
            )));
        }
        let request = ListSessionsRequest {
            limit: SEARCHED,
            ..ListSessionsRequest::default()
        };
        let listed = self.client.agent.list_sessions(request).await?.into_inner();
        let ids = listed.sessions.into_iter().map(|session| session.session_id);
        let mut fitting: Vec<_> = ids.filter(|id| id.starts_with(beginning)).collect();
        match (fitting.pop(), fitting.len()) {
            (Some(id), 0) => Ok(id),
            (Some(_), others) => Err(Error::Usage(format!(
                "{} sessions begin with {beginning}; say more of the id",
                others + 1
            ))),
            // One that is too old to be listed can be named in full.
            (None, _) => Ok(beginning.to_owned()),
        }
    }

    /// Shows the last turns of this session, as they are remembered.
    pub(super) async fn history(&mut self, turns: u32) -> Result<(), Error> {
        let Some(session) = self.session.clone() else {
            return Ok(self
                .view
                .note("nothing was said yet; /load ID goes on with a session")?);
        };
        let filter = MemoryFilter {
            session_ids: vec![session],
            kinds: vec![MemoryKind::Turn as i32],
            ..MemoryFilter::default()
        };
        let request = ListMemoriesRequest {
            filter: Some(filter),
            limit: PIECES,
            ..ListMemoriesRequest::default()
        };
        let listed = match self.client.memories.list_memories(request).await {
            Ok(listed) => listed.into_inner(),
            Err(status) => {
                return Ok(self.view.aside(&of_memories(status).report())?);
            }
        };
        let all = turns_of(listed.memories);
        if all.is_empty() {
            return Ok(self.view.aside("nothing is remembered of this session yet")?);
        }
        let skipped = all
            .len()
            .saturating_sub(usize::try_from(turns).unwrap_or(usize::MAX));
        for turn in all.iter().skip(skipped) {
            self.view.said(&turn.said)?;
            self.view.answered(&turn.answered)?;
        }
        Ok(())
    }

    pub(super) async fn forget_session(&mut self) -> Result<(), Error> {
        let Some(session_id) = self.session.clone() else {
            return Ok(self
                .view
                .note("there is no session to forget; /load ID takes one up")?);
        };
        self.view
            .note(&format!("This erases session {session_id} for good:"))?;
        self.view.note("its messages and runs, the files of its workspace, and what is remembered of it. The log keeps that it took place.")?;
        if self.typed_before.exists() {
            let kept = self.typed_before.display();
            let line = format!("What was typed here stays in {kept}, which you may remove.");
            self.view.note(&line)?;
        }
        if !self.confirm("erase it? [y/N]").await? {
            return Ok(self.view.note("it stays")?);
        }
        let request = DeleteSessionRequest {
            session_id: session_id.clone(),
        };
        self.client.agent.delete_session(request).await?;
        self.sessions.retain(|id| *id != session_id);
        self.session = None;
        Ok(self.view.note("erased; the next message begins a session")?)
    }
}

fn ordinal(memory: &Memory) -> u32 {
    memory
        .provenance
        .as_ref()
        .map_or(0, |provenance| provenance.ordinal)
}

/// Turns in their order, put together from what is remembered of them.
fn turns_of(mut memories: Vec<Memory>) -> Vec<Turn> {
    memories.sort_by_key(ordinal);
    let mut turns: Vec<Turn> = Vec::new();
    for memory in memories {
        let provenance = memory.provenance.unwrap_or_default();
        // Of what was brought along, the speaker tells who said it.
        let is_brought = provenance.label == TrustLabel::Imported as i32;
        let is_said =
            provenance.label == TrustLabel::Person as i32 || is_brought && memory.speaker != provenance.agent;
        let goes_on = turns
            .last()
            .is_some_and(|turn| turn.run == provenance.run_id && (!is_said || turn.answered.is_empty()));
        if !goes_on {
            turns.push(Turn {
                run: provenance.run_id,
                ..Turn::default()
            });
        }
        if let Some(turn) = turns.last_mut() {
            let text = if is_said {
                &mut turn.said
            } else {
                &mut turn.answered
            };
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(&memory.text);
        }
    }
    turns
}

/// How many characters of the ids tell them from each other.
fn distinct(ids: &[String]) -> usize {
    let mut sorted: Vec<_> = ids.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let shared = sorted.windows(2).map(|pair| match pair {
        [a, b] => a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count(),
        _ => 0,
    });
    shared.max().map_or(SHORT, |shared| SHORT.max(shared + 1))
}

#[cfg(test)]
mod tests {
    use harombe_proto::memory::v1::Provenance;

    use super::*;

    fn piece(run: &str, ordinal: u32, label: TrustLabel, text: &str) -> Memory {
        Memory {
            text: text.to_owned(),
            provenance: Some(Provenance {
                run_id: run.to_owned(),
                ordinal,
                label: label as i32,
                ..Provenance::default()
            }),
            ..Memory::default()
        }
    }

    #[test]
    fn turns_are_put_together_from_their_pieces() {
        let pieces = vec![
            piece("b", 4, TrustLabel::Person, "and now?"),
            piece("a", 2, TrustLabel::Model, "one"),
            piece("a", 1, TrustLabel::Person, "hello"),
            piece("a", 3, TrustLabel::Tool, "two"),
        ];
        let turn = |run: &str, said: &str, answered: &str| Turn {
            run: run.to_owned(),
            said: said.to_owned(),
            answered: answered.to_owned(),
        };
        assert_eq!(
            turns_of(pieces),
            [turn("a", "hello", "one\n\ntwo"), turn("b", "and now?", "")]
        );
    }

    #[test]
    fn what_a_client_brought_along_is_told_by_its_speaker() {
        let brought = |ordinal: u32, speaker: &str, text: &str| {
            let mut memory = piece("", ordinal, TrustLabel::Imported, text);
            memory.speaker = speaker.to_owned();
            if let Some(provenance) = &mut memory.provenance {
                provenance.agent = "default".to_owned();
            }
            memory
        };
        let pieces = vec![
            brought(1, "ann", "hello"),
            brought(2, "default", "good morning"),
            brought(3, "ann", "and now?"),
            piece("a", 4, TrustLabel::Person, "go on"),
        ];
        let turns: Vec<_> = turns_of(pieces)
            .into_iter()
            .map(|turn| (turn.said, turn.answered))
            .collect();
        let turn = |said: &str, answered: &str| (said.to_owned(), answered.to_owned());
        assert_eq!(
            turns,
            [
                turn("hello", "good morning"),
                turn("and now?", ""),
                turn("go on", "")
            ]
        );
    }

    #[test]
    fn ids_are_as_long_as_it_takes_to_tell_them_from_each_other() {
        let ids = |ids: &[&str]| distinct(&ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        assert_eq!(ids(&[]), SHORT);
        assert_eq!(ids(&["0192f3a1-7c4d-7000", "0193f3a1-7c4d-7000"]), SHORT);
        assert_eq!(ids(&["0192f3a1-7c4d-7000", "0192f3a1-7c4d-7001"]), 18);
    }
}
