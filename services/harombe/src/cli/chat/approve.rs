//! A call that waits for a person, and the person's answer.

use harombe_proto::hitl::v1::Approval;
use harombe_proto::types::v1::Decision;
use tonic::Code;

use super::super::Error;
use super::super::following::{is_settled, same_json};
use super::Chat;
use super::talk::{Proposed, Talk};
use crate::terminal::{Call, Extent};

/// What was typed at the question.
enum Typed {
    Line(String),
    /// The end of input.
    End,
    /// Somebody else decided, or time did, or the connection broke off.
    Withdrawn,
    /// The run is cancelled.
    Cancelled,
}

impl Chat {
    /// Sees to it that a pending approval is answered. Until it is, whatever else is heard of the run comes first, and it is
    /// asked again.
    pub(super) async fn answer(&mut self, talk: &mut Talk, at: usize) -> Result<(), Error> {
        let Some(pending) = talk.pending.get_mut(at) else {
            return Ok(());
        };
        let is_new = !std::mem::replace(&mut pending.is_announced, true);
        let approval_id = pending.required.approval_id.clone();
        let approval = match self.client.approval(&approval_id).await {
            Ok(approval) => approval,
            Err(status) if status.code() == Code::PermissionDenied => {
                pending.is_answered = true;
                return Ok(self
                    .view
                    .aside("somebody who may approve has to decide; you may not")?);
            }
            Err(status) if status.code() == Code::Unavailable => {
                // What broke off here breaks off there too, and the question comes again.
                pending.is_answered = true;
                return Ok(());
            }
            Err(status) => {
                pending.is_answered = true;
                return Ok(self.view.error(&Error::from(status).report())?);
            }
        };
        if approval.decision != Decision::Unspecified as i32 {
            pending.is_answered = true;
            return Ok(());
        }
        let mut shown = self.as_held(talk, &approval)?;
        if let Some(minutes) = minutes_left(&approval).filter(|_| is_new) {
            self.view
                .aside(&format!("denied unless somebody approves within {minutes} min"))?;
        }
        let mut is_answered = true;
        if self.console.keyboard().is_none() && is_new {
            let command = format!("approvals approve {approval_id}");
            let line = format!("answer with: {}", self.place.command(&command));
            self.view.note(&line)?;
        } else if self.console.keyboard().is_some() {
            is_answered = self.ask(talk, &approval, &mut shown).await?;
            self.console.hide()?;
        }
        if let Some(proposed) = talk.proposed.get_mut(&approval.call_id) {
            proposed.is_whole |= shown.is_whole && same_json(&proposed.call.arguments, &approval.arguments);
        }
        if let Some(pending) = talk.pending.get_mut(at) {
            pending.is_answered = is_answered;
        }
        self.view.is_doing("waiting for an approval");
        Ok(())
    }

    /// What will run is what hitl holds, not what the model's event said; and nothing else stands between it and the question.
    fn as_held(&mut self, talk: &mut Talk, approval: &Approval) -> Result<Proposed, Error> {
        let known = talk.proposed.get(&approval.call_id);
        let known = known.filter(|shown| same_json(&shown.call.arguments, &approval.arguments));
        if let Some(known) = known.filter(|_| talk.shown_last == approval.call_id) {
            return Ok(Proposed {
                call: known.call.clone(),
                is_whole: known.is_whole,
            });
        }
        let call = Call {
            tool: approval.tool.clone(),
            arguments: approval.arguments.clone(),
            before: known.and_then(|known| known.call.before.clone()),
        };
        let is_whole = self.view.call(&call, Extent::Compact)?;
        talk.shown_last.clone_from(&approval.call_id);
        Ok(Proposed { call, is_whole })
    }

    /// Answers whether there is nothing more to ask.
    async fn ask(
        &mut self,
        talk: &mut Talk,
        approval: &Approval,
        shown: &mut Proposed,
    ) -> Result<bool, Error> {
        let mut comment = String::new();
        loop {
            let question = if shown.is_whole {
                "run exactly this? [y]es [n]o [c]omment"
            } else {
                "run all of this? [y]es [n]o [c]omment [v]iew whole"
            };
            let answer = match self.typed(talk, question).await? {
                Typed::Line(line) => line.to_lowercase(),
                Typed::End => "n".to_owned(),
                Typed::Withdrawn => return Ok(false),
                Typed::Cancelled => return Ok(true),
            };
            let decision = match answer.as_str() {
                "y" | "yes" if shown.is_whole => Decision::Approved,
                "n" | "no" => Decision::Denied,
                // Nobody says yes to what they have not been shown.
                "y" | "yes" | "v" | "view" => {
                    self.view.call(&shown.call, Extent::Whole)?;
                    shown.is_whole = true;
                    continue;
                }
                "c" | "comment" => {
                    comment = match self.typed(talk, "comment:").await? {
                        Typed::Line(line) => line,
                        Typed::End => String::new(),
                        Typed::Withdrawn => return Ok(false),
                        Typed::Cancelled => return Ok(true),
                    };
                    continue;
                }
                _ => continue,
            };
            let decided = self
                .client
                .decide(&approval.approval_id, decision, false, &comment)
                .await;
            match decided {
                Ok(()) => {}
                // Somebody was faster, or the deadline was: the next event says so.
                Err(status) if is_settled(&status) || status.code() == Code::Unavailable => {}
                Err(status) => {
                    self.view.error(&Error::from(status).report())?;
                    self.view
                        .aside("somebody else has to decide; the run waits for them")?;
                }
            }
            return Ok(true);
        }
    }

    async fn typed(&mut self, talk: &mut Talk, question: &str) -> Result<Typed, Error> {
        let Some(keyboard) = self.console.keyboard() else {
            return Ok(Typed::Withdrawn);
        };
        keyboard.expect()?;
        self.view.ask(question)?;
        let line = tokio::select! {
            line = keyboard.line() => line?,
            () = talk.following.heard() => {
                self.view.rests()?;
                return Ok(Typed::Withdrawn);
            }
            _ = self.interrupt.recv() => {
                self.cancel(talk).await?;
                return Ok(Typed::Cancelled);
            }
        };
        match line {
            Some(line) => {
                self.view.was_answered();
                Ok(Typed::Line(line))
            }
            None => {
                self.view.rests()?;
                Ok(Typed::End)
            }
        }
    }

    /// Asks something else; only `y` and `yes` are a yes.
    pub(super) async fn confirm(&mut self, question: &str) -> Result<bool, Error> {
        let answer = match self.console.keyboard() {
            Some(keyboard) => {
                keyboard.expect()?;
                self.view.ask(question)?;
                tokio::select! {
                    line = keyboard.line() => line?,
                    _ = self.interrupt.recv() => None,
                }
            }
            None => {
                self.view.note(question)?;
                match self.console.line(&mut self.interrupt).await? {
                    crate::terminal::Entered::Text(line) => Some(line),
                    _ => None,
                }
            }
        };
        self.view.was_answered();
        Ok(answer.is_some_and(|line| matches!(line.trim().to_lowercase().as_str(), "y" | "yes")))
    }
}

fn minutes_left(approval: &Approval) -> Option<i64> {
    let deadline = approval.deadline?.seconds;
    let left = deadline.saturating_sub(jiff::Timestamp::now().as_second());
    Some((left.max(0) + 59) / 60)
}
