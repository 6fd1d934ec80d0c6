//! Where clients come in.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use harombe_rpc::Server;
use tokio::net::UnixListener;

use super::{DataDir, StartError};

/// Listens on the socket of the data directory, for its owner alone. Whoever holds the directory's lock may replace a socket
/// that a dead process left behind.
pub(super) fn listen_unix(data: &DataDir, gateway: &Server) -> Result<(), StartError> {
    let path = data.socket();
    let listener = bind(&path).map_err(|source| StartError::Listen {
        path: path.clone(),
        source,
    })?;
    let (server, tasks) = (gateway.clone(), gateway.tasks());
    let stop = tasks.token();
    tasks.spawn(async move {
        server.serve_unix(listener, stop).await;
    });
    Ok(())
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    // The directory is 0700 already; peer credentials are checked at every call.
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}
