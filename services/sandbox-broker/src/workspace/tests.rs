use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;

use proptest::prelude::*;

use super::*;

const QUOTA: u64 = 1 << 20;

struct Fixture {
    directory: tempfile::TempDir,
    workspace: Workspace,
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("secret"), "the host's").unwrap();
    let owner = fs::metadata(directory.path()).unwrap().uid();
    let workspaces = Workspaces::open(&directory.path().join("workspaces"), owner).unwrap();
    let workspace = workspaces.create(Uuid::from_u128(7)).unwrap();
    Fixture { directory, workspace }
}

impl Fixture {
    fn secret(&self) -> PathBuf {
        self.directory.path().join("secret")
    }

    /// A path as a program inside would have made it.
    fn planted(&self, name: &str) -> PathBuf {
        self.workspace.path().join(name)
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn path(text: &str) -> WorkspacePath {
    WorkspacePath::parse(text).unwrap()
}

#[test]
fn what_is_written_is_read_back_and_listed() {
    let f = fixture();
    f.workspace.write(&path("a/b/data.csv"), b"1,2", QUOTA).unwrap();
    f.workspace.write(&path("a/b/data.csv"), b"1,2,3", QUOTA).unwrap();
    assert_eq!(
        f.workspace.read(&path("/workspace/a/b/data.csv"), 5).unwrap(),
        b"1,2,3"
    );
    let listing = f.workspace.list(&path("a/b"), 10).unwrap();
    let entry = Entry {
        name: "data.csv".into(),
        kind: EntryKind::File,
        size: 5,
    };
    assert_eq!(
        listing,
        Listing {
            entries: vec![entry],
            truncated: false
        }
    );
    assert_eq!(
        f.workspace.list(&path(""), 10).unwrap().entries[0].kind,
        EntryKind::Directory
    );
}

#[test]
fn nothing_is_left_beside_a_written_file() {
    let f = fixture();
    f.workspace.write(&path("x"), b"1", QUOTA).unwrap();
    fs::create_dir(f.planted("taken")).unwrap();
    assert!(matches!(
        f.workspace.write(&path("taken"), b"1", QUOTA),
        Err(FileError::IsDirectory(_))
    ));
    let names: Vec<_> = f
        .workspace
        .list(&path(""), 10)
        .unwrap()
        .entries
        .into_iter()
        .map(|e| e.name)
        .collect();
    assert_eq!(names, ["taken", "x"]);
}

#[test]
fn a_symlink_to_a_file_outside_is_neither_read_nor_written() {
    let f = fixture();
    symlink(f.secret(), f.planted("link")).unwrap();
    assert!(matches!(
        f.workspace.read(&path("link"), 100),
        Err(FileError::NotPlain(_))
    ));
    assert!(matches!(
        f.workspace.write(&path("link"), b"x", QUOTA),
        Err(FileError::NotPlain(_))
    ));
    assert_eq!(fs::read(f.secret()).unwrap(), b"the host's");
}

#[test]
fn a_symlink_to_a_directory_outside_is_not_entered() {
    let f = fixture();
    symlink(f.directory.path(), f.planted("out")).unwrap();
    symlink("/proc/self/root", f.planted("magic")).unwrap();
    assert!(matches!(
        f.workspace.read(&path("out/secret"), 100),
        Err(FileError::NotPlain(_))
    ));
    assert!(matches!(
        f.workspace.read(&path("magic/etc/hostname"), 100),
        Err(FileError::NotPlain(_))
    ));
    assert!(f.workspace.write(&path("out/new"), b"x", QUOTA).is_err());
    assert!(f.workspace.write(&path("out/deep/new"), b"x", QUOTA).is_err());
    assert!(f.workspace.list(&path("out"), 10).is_err());
    assert!(!f.directory.path().join("new").exists());
    assert!(!f.directory.path().join("deep").exists());
}

#[test]
fn a_hard_link_to_a_file_outside_is_neither_read_nor_changed() {
    let f = fixture();
    fs::hard_link(f.secret(), f.planted("hard")).unwrap();
    assert!(matches!(
        f.workspace.read(&path("hard"), 100),
        Err(FileError::NotPlain(_))
    ));
    assert!(f.workspace.write(&path("hard"), b"x", QUOTA).is_err());
    assert_eq!(fs::read(f.secret()).unwrap(), b"the host's");
}

#[test]
fn pipes_and_sockets_are_refused_at_once() {
    let f = fixture();
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        f.planted("pipe"),
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    let _listener = UnixListener::bind(f.planted("socket")).unwrap();
    for name in ["pipe", "socket"] {
        assert!(
            matches!(f.workspace.read(&path(name), 100), Err(FileError::NotPlain(_))),
            "{name}"
        );
        assert!(f.workspace.write(&path(name), b"x", QUOTA).is_err(), "{name}");
    }
    let listing = f.workspace.list(&path(""), 10).unwrap();
    assert!(listing.entries.iter().all(|entry| entry.kind == EntryKind::Other));
}

#[test]
fn a_device_is_refused() {
    if !rustix::process::geteuid().is_root() {
        panic!("run this test as root: the broker is root, and only root can plant a device");
    }
    let f = fixture();
    let device = rustix::fs::makedev(1, 5);
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        f.planted("zero"),
        rustix::fs::FileType::CharacterDevice,
        mode,
        device,
    )
    .unwrap();
    assert!(matches!(
        f.workspace.read(&path("zero"), 100),
        Err(FileError::NotPlain(_))
    ));
}

#[test]
fn directories_and_missing_files_are_told_apart() {
    let f = fixture();
    f.workspace.write(&path("d/f"), b"x", QUOTA).unwrap();
    assert!(matches!(
        f.workspace.read(&path("d"), 9),
        Err(FileError::IsDirectory(_))
    ));
    assert!(matches!(
        f.workspace.read(&path("no"), 9),
        Err(FileError::NotFound(_))
    ));
    assert!(matches!(
        f.workspace.read(&path("d/f/g"), 9),
        Err(FileError::NotDirectory(_))
    ));
    assert!(matches!(
        f.workspace.list(&path("d/f"), 9),
        Err(FileError::NotDirectory(_))
    ));
    assert!(matches!(
        f.workspace.list(&path("no"), 9),
        Err(FileError::NotFound(_))
    ));
}

#[test]
fn a_file_larger_than_the_limit_is_refused_with_its_size() {
    let f = fixture();
    f.workspace.write(&path("f"), &[0; 11], QUOTA).unwrap();
    let refused = f.workspace.read(&path("f"), 10).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "f has 11 bytes, more than the 10 that can be read at once"
    );
    assert_eq!(f.workspace.read(&path("f"), 11).unwrap().len(), 11);
}

#[test]
fn a_full_workspace_takes_no_more() {
    let f = fixture();
    f.workspace.write(&path("f"), &vec![1; 900_000], QUOTA).unwrap();
    assert!(matches!(
        f.workspace.write(&path("g"), &vec![1; 200_000], QUOTA),
        Err(FileError::Full { limit: QUOTA })
    ));
    assert!(f.workspace.usage().exceeds(800_000));
    assert!(!f.workspace.usage().exceeds(QUOTA));
}

#[test]
fn a_file_larger_than_the_whole_quota_is_refused_by_an_empty_workspace_too() {
    let f = fixture();
    assert!(matches!(
        f.workspace.write(&path("f"), &vec![1; 2 << 20], QUOTA),
        Err(FileError::Full { limit: QUOTA })
    ));
    assert_eq!(f.workspace.usage(), Usage::default());
}

#[test]
fn what_is_being_received_is_in_no_workspace_and_gone_when_it_is_given_up() {
    let f = fixture();
    let incoming = f.directory.path().join("workspaces/.incoming");
    let mut first = f.workspace.incoming().unwrap();
    first.write(b"1,2").unwrap();
    let second = f.workspace.incoming().unwrap();
    assert_eq!((names(&incoming).len(), f.workspace.usage().entries), (2, 0));
    f.workspace.place(&path("d/f"), &first, QUOTA).unwrap();
    drop((first, second));
    assert!(names(&incoming).is_empty());
    assert_eq!(f.workspace.read(&path("d/f"), 9).unwrap(), b"1,2");
}

#[test]
fn what_a_killed_broker_was_receiving_is_removed_when_the_next_one_starts() {
    let f = fixture();
    let mut received = f.workspace.incoming().unwrap();
    received.write(b"half").unwrap();
    std::mem::forget(received);
    let root = f.directory.path().join("workspaces");
    Workspaces::open(&root, f.workspace.owner).unwrap();
    assert!(names(&root.join(".incoming")).is_empty());
    assert!(f.workspace.path().exists());
}

#[test]
fn a_large_file_is_read_part_by_part_and_one_that_grows_meanwhile_not_beyond_its_limit() {
    let f = fixture();
    let contents: Vec<u8> = (0..600_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    f.workspace.write(&path("f"), &contents, QUOTA).unwrap();
    let mut file = f.workspace.open_file(&path("f"), 700_000).unwrap();
    let mut read = Vec::new();
    while let Some(part) = file.next_part().unwrap() {
        assert!(part.len() <= 256 << 10);
        read.extend_from_slice(&part);
    }
    assert_eq!(read, contents);
    let mut file = f.workspace.open_file(&path("f"), 700_000).unwrap();
    fs::OpenOptions::new()
        .append(true)
        .open(f.planted("f"))
        .unwrap()
        .set_len(900_000)
        .unwrap();
    let end = std::iter::from_fn(|| file.next_part().transpose()).find_map(Result::err);
    assert!(
        matches!(end, Some(FileError::TooLarge { limit: 700_000, .. })),
        "{end:?}"
    );
}

#[test]
fn directories_nested_without_end_count_as_full() {
    let f = fixture();
    let deep = f.planted(&vec!["d"; 80].join("/"));
    fs::create_dir_all(deep).unwrap();
    assert!(f.workspace.usage().exceeds(u64::MAX));
}

#[test]
fn a_symlink_loop_is_not_followed_when_measuring() {
    let f = fixture();
    symlink(".", f.planted("self")).unwrap();
    symlink("/usr", f.planted("usr")).unwrap();
    let usage = f.workspace.usage();
    assert_eq!((usage.entries, usage.uncounted), (2, false));
}

#[test]
fn a_long_listing_is_cut_and_says_so() {
    let f = fixture();
    for i in 0..5 {
        f.workspace.write(&path(&format!("f{i}")), b"", QUOTA).unwrap();
    }
    let listing = f.workspace.list(&path(""), 3).unwrap();
    assert_eq!((listing.entries.len(), listing.truncated), (3, true));
    assert!(!f.workspace.list(&path(""), 5).unwrap().truncated);
}

#[test]
fn workspaces_are_closed_to_others_and_removed_whole() {
    let f = fixture();
    let root = f.directory.path().join("workspaces");
    assert_eq!(fs::metadata(&root).unwrap().mode() & 0o777, 0o700);
    symlink(f.directory.path(), f.planted("out")).unwrap();
    let workspaces = Workspaces::open(&root, 0).unwrap();
    workspaces.remove(Uuid::from_u128(7)).unwrap();
    workspaces.remove(Uuid::from_u128(7)).unwrap();
    assert!(workspaces.get(Uuid::from_u128(7)).unwrap().is_none());
    assert!(f.secret().exists());
}

proptest! {
    #[test]
    fn no_text_leads_outside(text in "[a./\\\\\u{0}~ -]{0,24}") {
        if let Ok(parsed) = WorkspacePath::parse(&text) {
            prop_assert!(!parsed.as_str().starts_with('/'));
            prop_assert!(parsed.as_str().split('/').all(|name| name != ".."));
        }
    }
}

/// Names too deep for any path: made as a program makes them, each relative to the one above.
fn nest(top: &Path, depth: u32) {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let mut directory = rustix::fs::open(top, flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&directory, "d", Mode::RWXU).unwrap();
        directory = rustix::fs::openat(&directory, "d", flags, Mode::empty()).unwrap();
    }
    rustix::fs::symlinkat("/usr", &directory, "usr").unwrap();
}

#[test]
fn a_tree_of_any_depth_is_measured_and_removed() {
    let f = fixture();
    nest(f.workspace.path(), 20_000);
    assert!(f.workspace.usage().exceeds(u64::MAX));
    let root = f.workspace.path().parent().unwrap();
    let workspaces = Workspaces::open(root, f.workspace.owner).unwrap();
    // Neither this thread's stack nor the process's descriptors would do for a recursion.
    workspaces.remove(Uuid::from_u128(7)).unwrap();
    assert_eq!(names(root), [".incoming"]);
    assert!(Path::new("/usr/bin").exists());
}

#[test]
fn a_wide_tree_that_is_closed_and_leads_outside_is_removed_alone() {
    let f = fixture();
    let outside = f.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), "").unwrap();
    for i in 0..3_000 {
        let directory = f.planted(&format!("{i}/below"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("file"), "").unwrap();
        symlink(&outside, directory.join("link")).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o000)).unwrap();
    }
    symlink(&outside, f.planted("link")).unwrap();
    let root = f.workspace.path().parent().unwrap();
    let workspaces = Workspaces::open(root, f.workspace.owner).unwrap();
    workspaces.remove(Uuid::from_u128(7)).unwrap();
    workspaces.remove(Uuid::from_u128(7)).unwrap();
    assert_eq!(names(root), [".incoming"]);
    assert!(outside.join("kept").exists());
}
