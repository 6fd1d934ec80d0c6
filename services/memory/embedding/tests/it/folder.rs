//! Folders that must not be used, and how a folder is filled.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::symlink;
use std::path::Path;

use harombe_embedding::{Error, Known, Local, LocalConfig, Placing, check, known, manifest_source};

use crate::setup;

fn minilm() -> &'static Known {
    known("all-minilm-l6-v2").unwrap()
}

/// Opens and checks a folder that was made from the real one and then changed; both must refuse alike.
fn refused(alter: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    setup::copy(folder.path());
    alter(folder.path());
    let opened = Local::open(folder.path(), &LocalConfig::default()).err().unwrap();
    let checked = check(folder.path(), minilm()).unwrap_err();
    assert_eq!(opened.to_string(), checked.to_string());
    assert!(!opened.is_retryable());
    let text = opened.to_string();
    assert!(text.contains("harombe models pull"), "{text}");
    text.replace(folder.path().to_str().unwrap(), "F")
}

/// Replaces the link by a file of its own.
fn own(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_altered_folder_is_refused() {
    let remove = |name: &'static str| move |folder: &Path| fs::remove_file(folder.join(name)).unwrap();
    assert!(refused(remove("model.safetensors")).starts_with("there is no model.safetensors in F"));
    assert!(refused(remove("tokenizer.json")).starts_with("there is no tokenizer.json in F"));
    let flipped = refused(|folder| {
        let path = folder.join("model.safetensors");
        own(&path);
        let mut file = File::options().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(50_000_000)).unwrap();
        file.write_all(b"flip").unwrap();
    });
    assert!(
        flipped.contains("model.safetensors is not the file that was published"),
        "{flipped}"
    );
    let header = refused(|folder| {
        let path = folder.join("model.safetensors");
        own(&path);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .write_all(&[0xff; 16])
            .unwrap();
    });
    assert!(
        header.contains("model.safetensors is not the file that was published"),
        "{header}"
    );
    let longer = refused(|folder| {
        let path = folder.join("tokenizer.json");
        own(&path);
        File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b" ")
            .unwrap();
    });
    assert!(longer.contains("tokenizer.json has another size"), "{longer}");
    let linked = refused(|folder| {
        let path = folder.join("tokenizer.json");
        fs::remove_file(&path).unwrap();
        symlink(setup::model().join("tokenizer.json"), path).unwrap();
    });
    assert!(
        linked.contains("tokenizer.json is not a regular file"),
        "{linked}"
    );
    let folder = refused(|folder| {
        let path = folder.join("tokenizer.json");
        fs::remove_file(&path).unwrap();
        fs::create_dir(path).unwrap();
    });
    assert!(
        folder.contains("tokenizer.json is not a regular file"),
        "{folder}"
    );
}

#[test]
fn a_folder_that_is_not_there_says_how_to_get_it() {
    let folder = Path::new("/nonexistent/models/all-minilm-l6-v2");
    let error = Local::open(folder, &LocalConfig::default()).err().unwrap();
    assert!(matches!(error, Error::ModelAbsent { .. }));
}

fn place(models: &Path) -> Result<(), Error> {
    let placing = Placing::begin(models, minilm())?;
    for file in &minilm().files {
        let mut last = 0;
        placing.put(
            file,
            File::open(setup::model().join(&file.name)).unwrap(),
            |bytes| last = bytes,
        )?;
        assert_eq!(last, file.bytes);
    }
    let folder = placing.finish("a test")?;
    assert_eq!(folder, models.join("all-minilm-l6-v2"));
    assert_eq!(manifest_source(&folder).as_deref(), Some("a test"));
    check(&folder, minilm())
}

/// What lies in a folder, hidden or not.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_model_is_placed_as_a_whole_and_replaces_what_was_there() {
    let data = tempfile::tempdir().unwrap();
    let models = data.path().join("models");
    place(&models).unwrap();
    fs::write(models.join("all-minilm-l6-v2/tokenizer.json"), "{}").unwrap();
    assert!(matches!(
        check(&models.join("all-minilm-l6-v2"), minilm()),
        Err(Error::ModelAltered { .. })
    ));
    place(&models).unwrap();
    assert_eq!(names(&models), ["all-minilm-l6-v2"]);
}

#[test]
fn a_wrong_file_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let tokenizer = minilm()
        .files
        .iter()
        .find(|file| file.name == "tokenizer.json")
        .unwrap();
    let mut altered = fs::read(setup::model().join("tokenizer.json")).unwrap();
    altered[1000] ^= 1;
    let endless = std::io::repeat(b' ');
    {
        let placing = Placing::begin(data.path(), minilm()).unwrap();
        assert!(matches!(
            placing.put(tokenizer, altered.as_slice(), |_| {}),
            Err(Error::WrongFile { .. })
        ));
        assert!(matches!(
            placing.put(tokenizer, &altered[..5], |_| {}),
            Err(Error::WrongFile { .. })
        ));
        assert!(matches!(
            placing.put(tokenizer, endless, |_| {}),
            Err(Error::WrongFile { .. })
        ));
        assert!(matches!(
            placing.finish("nowhere"),
            Err(Error::ModelAbsent { .. } | Error::ModelAltered { .. })
        ));
    }
    assert!(names(data.path()).is_empty());
}
