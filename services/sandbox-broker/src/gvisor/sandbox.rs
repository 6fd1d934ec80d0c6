//! One sandbox, from the bundle to the grave.

use std::fs;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use harombe_guest::protocol::{FrameError, Reply, Request};
use rustix::pipe::PipeFlags;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStderr, ChildStdout};

use super::bundle::Bundle;
use super::cgroup::{Cgroup, Cgroups};
use super::launch::{Launch, Launcher};
use super::status::StatusReader;
use super::undertaker::{GROUPS, Remains, Undertaker};
use crate::domain::driver::{Chunk, DriverError, End, Sandbox, Stream};

/// How long a sandbox may take until its program runs. It takes a tenth of a second on an idle machine.
const BIRTH: Duration = Duration::from_secs(30);
/// How much is read from a program's output at once.
const CHUNK: usize = 16 << 10;
/// How much of runsc's complaint is kept.
const COMPLAINT: u64 = 2 << 10;

/// A sandbox whose program runs.
#[derive(Debug)]
pub(super) struct GvisorSandbox {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    status: StatusReader,
    ended: Option<Result<End, String>>,
    child: Child,
    /// Closing it ends the guest, even if everything else here fails to.
    _lifeline: pipe::Sender,
    body: Body,
}

/// A sandbox on its way.
#[derive(Debug)]
pub(super) struct Birth {
    sandbox: GvisorSandbox,
}

/// What is there of a sandbox on the host. Dropping it has it killed and taken away.
#[derive(Debug)]
struct Body {
    group: Option<Cgroup>,
    remains: Option<Remains>,
    undertaker: Arc<Undertaker>,
}

impl GvisorSandbox {
    /// Creates a sandbox and sends its guest the request.
    pub(super) async fn create(
        bundle: &Bundle<'_>,
        cgroups: &Cgroups,
        launcher: &Launcher,
        undertaker: &Arc<Undertaker>,
        request: &Request,
    ) -> Result<Birth, DriverError> {
        let failed = DriverError::host::<std::io::Error>;
        let body = Body::create(bundle, cgroups, undertaker)?;
        let entrances = match &body.group {
            Some(group) => group
                .entrances()
                .map_err(failed("could not open the control group"))?,
            None => Vec::new(),
        };
        let (request_reader, request_writer) = pipe()?;
        let (status_reader, status_writer) = pipe()?;
        let launch = Launch {
            id: bundle.id.to_owned(),
            bundle: bundle.directory.clone(),
            state: bundle.state(),
            entrances,
            request: request_reader,
            status: status_writer,
        };
        let mut child = launcher
            .launch(launch)
            .await
            .map_err(failed("could not start runsc"))?;
        let mut lifeline =
            pipe::Sender::from_owned_fd(request_writer).map_err(failed("could not open the request pipe"))?;
        let status = StatusReader::new(status_reader).map_err(failed("could not open the status pipe"))?;
        // A sandbox that is dead already says why on its other pipes, which are looked at next.
        let _ = tokio::time::timeout(BIRTH, lifeline.write_all(&request.encode())).await;
        let sandbox = Self {
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            status,
            ended: None,
            child,
            _lifeline: lifeline,
            body,
        };
        Ok(Birth { sandbox })
    }

    /// Takes in what the guest reports. Its last report ends the sandbox: all output of the program is in
    /// the pipes by then, and whatever it left running is not waited for.
    fn hear(&mut self, reply: Result<Reply, FrameError>) {
        let ended = match reply {
            Ok(Reply::Exited(code)) => Ok(End::Exited(code)),
            Ok(Reply::Signaled(signal)) => Ok(End::Signaled(signal)),
            Ok(Reply::Failed(why)) => Err(why),
            Ok(Reply::Started | Reply::Facts(_)) => Err("unexpected reply from the guest".to_owned()),
            Err(FrameError::Truncated) => {
                // Process 1 is gone: runsc knows why and is about to end by itself.
                self.ended = Some(Err("process 1 ended without a word".to_owned()));
                return;
            }
            Err(error) => Err(format!("the guest broke the protocol: {error}")),
        };
        self.ended = Some(ended);
        self.body.kill();
    }

    /// What runsc, or the guest, wrote to standard error.
    async fn complaint(&mut self) -> String {
        self.body.kill();
        let mut text = Vec::new();
        if let Some(stderr) = self.stderr.take() {
            // Everything that could write is dead or dying, so this ends.
            let _ = tokio::time::timeout(BIRTH, stderr.take(COMPLAINT).read_to_end(&mut text)).await;
        }
        String::from_utf8_lossy(&text).trim().to_owned()
    }
}

impl Birth {
    /// The sandbox, once its program runs.
    pub(super) async fn running(mut self) -> Result<GvisorSandbox, DriverError> {
        match self.first_reply().await? {
            Reply::Started => Ok(self.sandbox),
            Reply::Failed(why) => Err(DriverError::Start(why)),
            _ => Err(DriverError::Start("unexpected reply from the guest".to_owned())),
        }
    }

    /// What a probe observed.
    pub(super) async fn facts(mut self) -> Result<String, DriverError> {
        match self.first_reply().await? {
            Reply::Facts(facts) => Ok(facts),
            Reply::Failed(why) => Err(DriverError::Start(why)),
            _ => Err(DriverError::Start("unexpected reply from the guest".to_owned())),
        }
    }

    async fn first_reply(&mut self) -> Result<Reply, DriverError> {
        let sandbox = &mut self.sandbox;
        match tokio::time::timeout(BIRTH, sandbox.status.next()).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => {
                let complaint = sandbox.complaint().await;
                Err(DriverError::Start(format!("{error}: {complaint}")))
            }
            Err(_) => Err(DriverError::Start(format!(
                "nothing happened for {} s",
                BIRTH.as_secs()
            ))),
        }
    }
}

#[async_trait]
impl Sandbox for GvisorSandbox {
    async fn next(&mut self) -> Option<Chunk> {
        loop {
            if self.stdout.is_none() && self.stderr.is_none() {
                return None;
            }
            let chunk = tokio::select! {
                chunk = read(&mut self.stdout, Stream::Out), if self.stdout.is_some() => chunk,
                chunk = read(&mut self.stderr, Stream::Err), if self.stderr.is_some() => chunk,
                reply = self.status.next(), if self.ended.is_none() => {
                    self.hear(reply);
                    None
                }
            };
            if chunk.is_some() {
                return chunk;
            }
        }
    }

    async fn finish(&mut self) -> Result<End, DriverError> {
        if self.ended.is_none() {
            let reply = self.status.next().await;
            self.hear(reply);
        }
        let status = self
            .child
            .wait()
            .await
            .map_err(DriverError::host("could not wait for runsc"))?;
        // Asked before everything else: what the kernel killed cannot have ended well.
        if self.body.ran_out_of_memory() {
            return Ok(End::OutOfMemory);
        }
        match self.ended.take() {
            Some(Ok(end)) => Ok(end),
            Some(Err(why)) => match signal_of(status) {
                // A program may kill process 1, which runs as the same user; that is its own end.
                Some(signal) => Ok(End::Signaled(signal)),
                None => Err(DriverError::Broken(format!("{why} (runsc: {status})"))),
            },
            None => Err(DriverError::Broken(status.to_string())),
        }
    }

    async fn kill(&mut self) -> Result<(), DriverError> {
        self.body.kill();
        self.child
            .wait()
            .await
            .map_err(DriverError::host("could not wait for runsc"))?;
        self.body.bury().await
    }
}

/// The signal that killed process 1, which runsc passes on as shells do.
fn signal_of(runsc: ExitStatus) -> Option<i32> {
    runsc
        .code()
        .map(|code| code - 128)
        .filter(|signal| (1..=64).contains(signal))
}

/// The next output of a stream; closes it at its end.
async fn read<R: AsyncRead + Unpin>(from: &mut Option<R>, stream: Stream) -> Option<Chunk> {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    let reader = from.as_mut()?;
    match reader.read_buf(&mut buffer).await {
        Ok(count) if count > 0 => Some(Chunk {
            stream,
            bytes: buffer.freeze(),
        }),
        // Nothing more, or nothing more that can be read.
        _ => {
            *from = None;
            None
        }
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), DriverError> {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(DriverError::host("could not make a pipe"))
}

impl Body {
    /// Makes directory and control groups. The groups are written down first, so that what a killed broker
    /// made can be found.
    fn create(
        bundle: &Bundle<'_>,
        cgroups: &Cgroups,
        undertaker: &Arc<Undertaker>,
    ) -> Result<Self, DriverError> {
        let failed = DriverError::host::<std::io::Error>;
        let groups = cgroups.paths(bundle.id);
        bundle
            .make_directory()
            .map_err(failed("could not make the sandbox's directory"))?;
        let remains = Remains {
            directory: bundle.directory.clone(),
            groups: groups.clone(),
        };
        let mut body = Self {
            group: None,
            remains: Some(remains),
            undertaker: Arc::clone(undertaker),
        };
        fs::write(bundle.directory.join(GROUPS), groups.to_text())
            .map_err(failed("could not write the sandbox's state"))?;
        bundle.write().map_err(failed("could not write the bundle"))?;
        let group = cgroups.create(groups, bundle.limits);
        body.group = Some(group.map_err(|error| DriverError::Start(error.to_string()))?);
        Ok(body)
    }

    fn kill(&self) {
        if let Some(group) = &self.group {
            group.kill();
        }
    }

    fn ran_out_of_memory(&self) -> bool {
        self.group.as_ref().is_some_and(Cgroup::ran_out_of_memory)
    }

    /// Has everything taken away, and waits for it.
    async fn bury(&mut self) -> Result<(), DriverError> {
        self.group = None;
        let Some(remains) = self.remains.take() else {
            return Ok(());
        };
        match self.undertaker.bury(remains).await {
            Ok(buried) => buried.map_err(DriverError::host("could not remove the sandbox")),
            // The queue was full; it is in the log.
            Err(_) => Ok(()),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(remains) = self.remains.take() {
            drop(self.undertaker.bury(remains));
        }
    }
}
