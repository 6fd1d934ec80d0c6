//! What a person does with tools themselves, without a model: one call, an upload, a download. Classified, granted and
//! recorded like a model's call, but in no journal: it ends when the person goes away.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::BoxStream;
use harombe_canonical::{CallParts, CanonicalCall};
use harombe_error::{Failure, Reason};
use harombe_proto::memory::v1::BuildContextRequest;
use harombe_proto::sandbox::v1::ReadFileResponse;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunEvent, ToolCallProposed};
use harombe_types::{CallId, Clock, RunId, RunPrincipal};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Node, Parts};
use crate::domain::calls::{Calls, Finished, Workspace};
use crate::domain::events::{Entry, Events, Stop};
use crate::domain::journal::stamped;
use crate::domain::model::Call;
use crate::domain::state::OpenCall;
use crate::error::Error;
use crate::peers::{Decision, Permission};

/// Longest file that can be uploaded, in bytes.
pub(crate) const MAX_UPLOAD: u64 = 64 << 20;

/// Longest path of a transfer, in bytes: what the broker takes.
const MAX_PATH: usize = 1024;

/// Events that wait for a slow reader.
const EVENTS: usize = 256;

/// A file that is about to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    /// Relative to the workspace.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
}

impl Node {
    /// Performs one call and tells every step; dropping the receiver breaks it off.
    ///
    /// # Errors
    /// The session cannot be read.
    pub(crate) async fn call_tool(
        &self,
        principal: RunPrincipal,
        token: String,
        tool: String,
        arguments: String,
    ) -> Result<mpsc::Receiver<RunEvent>, Error> {
        let calls = self.personal(principal.clone(), token).await?;
        let (events, receiver) = mpsc::channel(EVENTS);
        let clock = Arc::clone(&self.parts().clock);
        let id = CallId::generate(clock.as_ref());
        let open = OpenCall::new(Call {
            id,
            provider_id: String::new(),
            tool,
            arguments,
        });
        let told = Told {
            events,
            run: principal.run,
            clock,
        };
        let (now, driven) = (self.parts().drain.now().clone(), self.parts().drain.driving());
        self.parts().tasks.spawn(async move {
            let work = async {
                let Call {
                    id, tool, arguments, ..
                } = open.call.clone();
                let proposed = ToolCallProposed {
                    call_id: id.to_string(),
                    tool,
                    arguments,
                };
                told.record(vec![Event::ToolCallProposed(proposed).into()])
                    .await?;
                calls.perform(&open, &told).await
            };
            tokio::select! {
                biased;
                () = told.events.closed() => {}
                // it may have had its effect
                () = now.cancelled() => {
                    let _ = calls.refuse(&open, Finished::unknown(Reason::Unavailable), &told).await;
                }
                // its last event has told what there is to tell
                _ = work => {}
            }
            drop(driven);
        });
        Ok(receiver)
    }

    /// Writes a file into the session's workspace; answers with its size.
    ///
    /// # Errors
    /// The file is too large, not allowed, or could not be written; then nothing of it is there.
    pub(crate) async fn upload(
        &self,
        principal: RunPrincipal,
        token: String,
        upload: Upload,
        content: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<u64, Error> {
        let Upload { path, size, sha256 } = upload;
        if size > MAX_UPLOAD {
            return Err(Error::UploadTooLarge { most: MAX_UPLOAD });
        }
        check_path(&path)?;
        let calls = self.personal(principal, token).await?;
        let arguments = json!({ "path": path, "size": size, "sha256": hex(&sha256) });
        let permission = permission(&calls, "file_write", &arguments).await?;
        let workspace = calls.workspace().await?;
        Ok(self
            .peers()
            .sandbox
            .write_file(&permission, workspace, content)
            .await?)
    }

    /// A file of the session's workspace, byte for byte.
    ///
    /// # Errors
    /// There is no such file, or reading it is not allowed.
    pub(crate) async fn download(
        &self,
        principal: RunPrincipal,
        token: String,
        path: String,
    ) -> Result<BoxStream<'static, Result<ReadFileResponse, Failure>>, Error> {
        check_path(&path)?;
        let calls = self.personal(principal, token).await?;
        let permission = permission(&calls, "file_read", &json!({ "path": path, "raw": true })).await?;
        let workspace = calls.workspace().await?;
        Ok(self.peers().sandbox.read_file(&permission, workspace).await?)
    }

    async fn personal(&self, principal: RunPrincipal, token: String) -> Result<Calls, Error> {
        let Parts {
            peers,
            tools,
            clock,
            numbers,
            result_limit,
            ..
        } = self.parts();
        // only the session's workspace is wanted: no turns, no memories
        let past = peers.memory.past(&token, BuildContextRequest::default()).await?;
        Ok(Calls::new(
            peers.clone(),
            (principal, token.into()),
            tools.tools().to_vec(),
            *result_limit,
            (Arc::clone(clock), Arc::clone(numbers)),
            Workspace::new(past.workspace),
        ))
    }
}

/// What leads out of the workspace is refused here: hitl would keep a request for it that nobody waits for.
fn check_path(path: &str) -> Result<(), Error> {
    let fault = if path.is_empty() || path.ends_with(['/', '\\']) {
        "must name a file"
    } else if path.len() > MAX_PATH {
        "must have at most 1024 bytes"
    } else if path.contains('\0') {
        "must not contain NUL"
    } else if matches!(
        path.trim_start().as_bytes(),
        [b'/' | b'\\' | b'~', ..] | [b'a'..=b'z' | b'A'..=b'Z', b':', ..]
    ) {
        "must be relative to the workspace"
    } else if path.split(['/', '\\']).any(|name| name == "..") {
        "must not contain .."
    } else {
        return Ok(());
    };
    Err(Error::Path(fault))
}

/// Permission for a file transfer, which does not wait for a person.
async fn permission(calls: &Calls, tool: &str, args: &Value) -> Result<Permission, Error> {
    let RunPrincipal {
        tenant, agent, run, ..
    } = &calls.principal;
    let call = CanonicalCall::new(CallParts {
        tenant: tenant.as_str(),
        agent: agent.as_str(),
        run: &run.to_string(),
        call: &CallId::generate(calls.clock.as_ref()).to_string(),
        tool,
        args,
    })
    .map_err(Error::Call)?;
    let authorization = calls
        .peers
        .hitl
        .authorize(&calls.token, call.bytes(), calls.clock.now())
        .await?;
    let Decision::Granted(grant) = authorization.decision else {
        return Err(Error::NeedsApproval);
    };
    Ok(Permission {
        token: calls.token.clone(),
        grant,
        call: call.bytes().to_vec().into(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Tells a person what happens to their call.
struct Told {
    events: mpsc::Sender<RunEvent>,
    run: RunId,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Events for Told {
    async fn record(&self, entries: Vec<Entry>) -> Result<(), Stop> {
        for event in entries.into_iter().filter_map(|entry| entry.event) {
            let event = stamped(self.run, 0, self.clock.as_ref(), event);
            self.events.send(event).await.map_err(|_| Stop::Leave)?;
        }
        Ok(())
    }

    fn pass(&self, event: Event) {
        // a reader that is behind gets the whole output with the last event
        let _ = self
            .events
            .try_send(stamped(self.run, 0, self.clock.as_ref(), event));
    }
}
