//! Between the wire's types and ours.

use harombe_proto::sandbox::v1 as proto;
use harombe_proto::sandbox::v1::execute_response::Frame as ResponseFrame;
use harombe_proto::types::v1::OutputStream;

use crate::authority::Shown;
use crate::broker::{Frame, ISOLATION, Report, exit_code, limit_reason};
use crate::domain::driver::Stream;
use crate::error::Error;
use crate::workspace::{EntryKind, Listing, WorkspacePath};

pub(super) fn shown(permission: Option<proto::Permission>) -> Result<Shown, Error> {
    let proto::Permission { grant, call } = permission.ok_or(Error::NoPermission)?;
    Ok(Shown {
        grant,
        call: call.into(),
    })
}

pub(super) fn execution_started() -> proto::ExecuteResponse {
    let started = proto::ExecutionStarted {
        isolation: ISOLATION.to_owned(),
    };
    proto::ExecuteResponse {
        frame: Some(ResponseFrame::Started(started)),
    }
}

pub(super) fn execution_output(frame: Frame) -> proto::ExecuteResponse {
    let stream = match frame.stream {
        Stream::Out => OutputStream::Stdout,
        Stream::Err => OutputStream::Stderr,
    };
    let output = proto::ExecutionOutput {
        stream: stream.into(),
        data: frame.data,
    };
    proto::ExecuteResponse {
        frame: Some(ResponseFrame::Output(output)),
    }
}

pub(super) fn finished(report: Report) -> proto::ExecuteResponse {
    let ending = report.finished.ending;
    let finished = proto::ExecutionFinished {
        exit_code: exit_code(ending),
        limit_reason: limit_reason(ending)
            .map(|reason| reason.as_str().to_owned())
            .unwrap_or_default(),
        duration_ms: u64::try_from(report.finished.duration.as_millis()).unwrap_or(u64::MAX),
        redactions: report.redactions,
    };
    proto::ExecuteResponse {
        frame: Some(ResponseFrame::Finished(finished)),
    }
}

/// Files and directories; whatever else a program left there is of no use to anyone.
pub(super) fn file_entries(directory: &WorkspacePath, listing: Listing) -> proto::ListFilesResponse {
    let prefix = match directory.as_str() {
        "." => String::new(),
        path => format!("{path}/"),
    };
    let files = listing
        .entries
        .into_iter()
        .filter(|entry| entry.kind != EntryKind::Other)
        .map(|entry| proto::FileEntry {
            path: format!("{prefix}{}", entry.name),
            size: entry.size,
            directory: entry.kind == EntryKind::Directory,
        })
        .collect();
    proto::ListFilesResponse {
        files,
        truncated: listing.truncated,
    }
}
