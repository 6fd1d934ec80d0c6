//! A call that waits for a person, and the person's answer.

use harombe_proto::hitl::v1::Approval;
use harombe_proto::types::v1::Decision;
use tonic::{Code, Status};

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

/// What came of asking.
enum Asked {
    /// There is nothing more to ask.
    Settled,
    /// Something else comes first.
    Open,
    /// Nobody knows whether the answer came through.
    Lost,
}

impl Chat {
    /// Sees to it that a pending approval is answered. Until it is, whatever else is heard of the run comes first, and it is
    /// asked again.
    pub(super) async fn answer(&mut self, talk: &mut Talk, at: usize) -> Result<(), Error> {
        let Some(pending) = talk.pending.get_mut(at) else {
            return Ok(());
        };
        let is_new = !pending.is_announced;
        let approval_id = pending.required.approval_id.clone();
        let approval = match self.client.approval(&approval_id).await {
            Ok(approval) => approval,
            Err(status) if status.code() == Code::PermissionDenied => {
                pending.is_answered = true;
                return Ok(self
                    .view
                    .aside("somebody who may approve has to decide; you may not")?);
            }
            Err(status) if passes(&status) => {
                if pending.postpone() {
                    let why = Error::from(status).report();
                    self.view.warn(&format!(
                        "who is asked cannot be reached now; trying again: {why}"
                    ))?;
                    self.view.is_doing("waiting for an approval");
                }
                return Ok(());
            }
            Err(status) => {
                pending.is_answered = true;
                return Ok(self.view.error(&Error::from(status).report())?);
            }
        };
        pending.is_announced = true;
        pending.is_out_of_reach = false;
        let is_here = self.console.keyboard().is_some();
        if approval.decision != Decision::Unspecified as i32 || !is_new && !is_here {
            pending.is_answered = true;
            return Ok(());
        }
        let mut shown = self.as_held(talk, &approval)?;
        if let Some(minutes) = minutes_left(&approval).filter(|_| is_new) {
            self.view
                .aside(&format!("denied unless somebody approves within {minutes} min"))?;
        }
        let mut asked = Asked::Settled;
        if is_here {
            asked = self.ask(talk, &approval, &mut shown).await?;
            self.console.hide()?;
        } else {
            let command = format!("approvals approve {approval_id}");
            let line = format!("answer with: {}", self.place.command(&command));
            self.view.note(&line)?;
        }
        if let Some(proposed) = talk.proposed.get_mut(&approval.call_id) {
            proposed.is_whole = shown.is_whole && same_json(&proposed.call.arguments, &approval.arguments);
        }
        // Until something else is printed, the call is what stands there.
        talk.last.is_printed(&approval.call_id, self.view.printed());
        if let Some(pending) = talk.pending.get_mut(at) {
            match asked {
                Asked::Settled => pending.is_answered = true,
                Asked::Open => {}
                Asked::Lost => {
                    pending.postpone();
                }
            }
        }
        self.view.is_doing("waiting for an approval");
        Ok(())
    }

    /// What will run is what hitl holds, not what the model's event said; and nothing else stands between it and the question.
    fn as_held(&mut self, talk: &Talk, approval: &Approval) -> Result<Proposed, Error> {
        let known = talk.proposed.get(&approval.call_id);
        let known = known.filter(|shown| same_json(&shown.call.arguments, &approval.arguments));
        let stands_there = talk.last.is(&approval.call_id, self.view.printed());
        if let Some(known) = known.filter(|_| stands_there) {
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
        Ok(Proposed { call, is_whole })
    }

    /// Asks until it is answered, or need not be.
    async fn ask(
        &mut self,
        talk: &mut Talk,
        approval: &Approval,
        shown: &mut Proposed,
    ) -> Result<Asked, Error> {
        let mut comment = String::new();
        loop {
            let question = if shown.is_whole {
                "run exactly this? [y]es [n]o [c]omment"
            } else {
                "run all of this? [y]es [n]o [c]omment [v]iew whole"
            };
            let answer = match self.typed(talk, approval, question).await? {
                Typed::Line(line) => line.to_lowercase(),
                Typed::End => "n".to_owned(),
                Typed::Withdrawn => return Ok(Asked::Open),
                Typed::Cancelled => return Ok(Asked::Settled),
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
                    comment = match self.typed(talk, approval, "comment:").await? {
                        Typed::Line(line) => line,
                        Typed::End => String::new(),
                        Typed::Withdrawn => return Ok(Asked::Open),
                        Typed::Cancelled => return Ok(Asked::Settled),
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
                Err(status) if is_settled(&status) => {}
                Err(status) if passes(&status) => {
                    let why = Error::from(status).report();
                    self.view
                        .warn(&format!("nobody knows whether the answer came through: {why}"))?;
                    self.view.aside("unless it did, it is asked again")?;
                    return Ok(Asked::Lost);
                }
                Err(status) => {
                    self.view.error(&Error::from(status).report())?;
                    self.view
                        .aside("somebody else has to decide; the run waits for them")?;
                }
            }
            return Ok(Asked::Settled);
        }
    }

    /// A line, while which is typed nothing else is shown.
    async fn typed(&mut self, talk: &mut Talk, approval: &Approval, question: &str) -> Result<Typed, Error> {
        let Some(keyboard) = self.console.keyboard() else {
            return Ok(Typed::Withdrawn);
        };
        keyboard.expect()?;
        self.view.ask(question)?;
        let line = tokio::select! {
            line = keyboard.line() => line?,
            () = talk.course.hold(approval) => {
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

/// Whether what failed may go well the next time.
fn passes(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Cancelled
    )
}

fn minutes_left(approval: &Approval) -> Option<i64> {
    let deadline = approval.deadline?.seconds;
    let left = deadline.saturating_sub(jiff::Timestamp::now().as_second());
    Some((left.max(0) + 59) / 60)
}
