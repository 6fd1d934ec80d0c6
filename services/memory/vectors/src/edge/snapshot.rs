//! Snapshots: a copy of a collection in a folder that it can be restored from, here or elsewhere.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Edge, Home, folder};
use crate::{Collection, Ensured, Error, check};

const MANIFEST: &str = "snapshot.json";
const SHARD: &str = "shard";
const VERSION: u32 = 1;

/// Written last: a folder without it is no snapshot.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    name: String,
    dimension: u32,
}

impl Edge {
    /// Writes a copy of a collection into `to`, which is made and must not be there. Durable when it returns. Nothing is
    /// written to any collection meanwhile; searches go on.
    ///
    /// # Errors
    /// There is no such collection, or the copy cannot be written.
    pub async fn snapshot(&self, collection: &Collection, to: &Path) -> Result<(), Error> {
        let shard = self.shard(collection)?;
        let _alone = shard.indexing.lock().await;
        let (copied, to) = (Arc::clone(&shard), to.to_owned());
        let copy = move || {
            copied.flush()?;
            fs::create_dir_all(&to).map_err(Error::io("cannot make", &to))?;
            folder::copy(&copied.folder, &to.join(SHARD))?;
            let manifest = Manifest {
                version: VERSION,
                name: copied.collection.name.clone(),
                dimension: copied.collection.dimension,
            };
            write(&to, &manifest)
        };
        self.writer.alone(copy).await
    }

    /// Puts what a snapshot holds in place of the collection, which may not be there.
    ///
    /// # Errors
    /// The folder holds no snapshot of a collection of this name and dimension, or one that cannot be read. What was
    /// there is there still then, unless the snapshot's files are damaged: the collection is empty then.
    pub async fn restore(&self, collection: &Collection, from: &Path) -> Result<(), Error> {
        check::collection(collection)?;
        let known = self.home.shards.read().get(&collection.name).map(Arc::clone);
        let _alone = match &known {
            Some(shard) => Some(shard.indexing.lock().await),
            None => None,
        };
        let (home, collection, from) = (Arc::clone(&self.home), collection.clone(), from.to_owned());
        self.writer.alone(move || home.restore(&collection, &from)).await
    }
}

impl Home {
    fn restore(&self, collection: &Collection, from: &Path) -> Result<(), Error> {
        let manifest = read(from)?;
        if manifest.version != VERSION || manifest.name != collection.name {
            return Err(Error::Invalid(format!(
                "{} holds a snapshot of {}, version {}",
                from.display(),
                manifest.name,
                manifest.version
            )));
        }
        if manifest.dimension != collection.dimension {
            return Err(Error::Dimension {
                name: manifest.name,
                there: manifest.dimension,
                asked: collection.dimension,
            });
        }
        let name = &collection.name;
        let arriving = folder::passing(&self.folder, &format!("in-{name}"));
        folder::remove_all(&arriving)?;
        folder::copy(&from.join(SHARD), &arriving)?;
        self.drop_collection(name)?;
        folder::rename(&arriving, &self.path(name))?;
        match self.open(collection)? {
            Ensured::Rebuilt { reason } => Err(Error::Damaged {
                name: name.clone(),
                reason,
            }),
            Ensured::Existing | Ensured::Created => Ok(()),
        }
    }
}

fn write(folder: &Path, manifest: &Manifest) -> Result<(), Error> {
    let path = folder.join(MANIFEST);
    let written = serde_json::to_vec(manifest)
        .map_err(std::io::Error::from)
        .and_then(|text| fs::write(&path, text))
        .and_then(|()| fs::File::open(&path)?.sync_all());
    written.map_err(Error::io("cannot write", &path))
}

fn read(folder: &Path) -> Result<Manifest, Error> {
    let path = folder.join(MANIFEST);
    let text = fs::read(&path).map_err(Error::io("there is no snapshot:", &path))?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::Invalid(format!("{} is no snapshot: {error}", path.display())))
}
