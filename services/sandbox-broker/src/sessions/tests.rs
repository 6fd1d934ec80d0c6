use harombe_types::SystemClock;

use super::*;

fn owner(tenant: &str) -> Owner {
    Owner {
        tenant: tenant.parse().unwrap(),
        subject: "ann".parse().unwrap(),
        session: SessionId::generate(&SystemClock),
    }
}

fn sessions(data: &Path) -> Arc<Sessions> {
    Arc::new(Sessions::open(data, 3, Arc::new(SystemClock)).unwrap())
}

#[tokio::test]
async fn a_session_keeps_its_workspace_over_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let owner = owner("t");
    let id = sessions(data.path())
        .open_workspace(&owner, None)
        .unwrap()
        .to_string();
    let again = sessions(data.path());
    assert_eq!(again.open_workspace(&owner, None).unwrap().to_string(), id);
    assert_eq!(again.open_workspace(&owner, Some(&id)).unwrap().to_string(), id);
    again.enter(&owner, &id).unwrap();
}

#[tokio::test]
async fn another_session_does_not_find_it() {
    let data = tempfile::tempdir().unwrap();
    let (mine, other) = (owner("t"), owner("t"));
    let foreign = Owner {
        tenant: "u".parse().unwrap(),
        ..mine.clone()
    };
    let mallory = Owner {
        subject: "mallory".parse().unwrap(),
        ..mine.clone()
    };
    let sessions = sessions(data.path());
    let id = sessions.open_workspace(&mine, None).unwrap().to_string();
    for stranger in [other, foreign, mallory] {
        assert!(matches!(sessions.enter(&stranger, &id), Err(Error::NoWorkspace)));
        assert!(matches!(
            sessions.open_workspace(&stranger, Some(&id)),
            Err(Error::NoWorkspace)
        ));
        assert!(matches!(
            sessions.delete(&stranger, &id).await,
            Err(Error::NoWorkspace)
        ));
    }
    sessions.enter(&mine, &id).unwrap();
}

#[tokio::test]
async fn one_person_has_so_many_workspaces_and_gets_another_for_one_that_is_deleted() {
    let data = tempfile::tempdir().unwrap();
    let first = owner("t");
    let of_first = || Owner {
        session: SessionId::generate(&SystemClock),
        ..first.clone()
    };
    let sessions = sessions(data.path());
    let id = sessions.open_workspace(&first, None).unwrap().to_string();
    for _ in 0..2 {
        sessions.open_workspace(&of_first(), None).unwrap();
    }
    let refused = sessions.open_workspace(&of_first(), None).unwrap_err();
    assert!(matches!(refused, Error::ManyWorkspaces(3)), "{refused}");
    sessions.open_workspace(&first, None).unwrap();
    sessions.open_workspace(&owner("u"), None).unwrap();
    sessions.delete(&first, &id).await.unwrap();
    sessions.open_workspace(&of_first(), None).unwrap();
}

#[tokio::test]
async fn elsewhere_and_lost_are_told_apart() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let owner = owner("t");
    let id = sessions(there.path())
        .open_workspace(&owner, None)
        .unwrap()
        .to_string();
    let sessions_here = sessions(here.path());
    assert!(matches!(
        sessions_here.enter(&owner, &id),
        Err(Error::WorkspaceElsewhere(_))
    ));
    let id = sessions_here.open_workspace(&owner, None).unwrap();
    fs::remove_dir_all(here.path().join("workspaces").join(id.id.to_string())).unwrap();
    let id = id.to_string();
    assert!(matches!(
        sessions_here.enter(&owner, &id),
        Err(Error::WorkspaceLost)
    ));
    assert!(matches!(
        sessions_here.open_workspace(&owner, Some(&id)),
        Err(Error::WorkspaceLost)
    ));
    assert!(matches!(
        sessions_here.enter(&owner, "x"),
        Err(Error::WorkspaceId)
    ));
}

#[tokio::test]
async fn a_deleted_workspace_is_gone_and_the_session_may_have_a_new_one() {
    let data = tempfile::tempdir().unwrap();
    let owner = owner("t");
    let sessions = sessions(data.path());
    let id = sessions.open_workspace(&owner, None).unwrap();
    let text = id.to_string();
    let in_use = sessions.enter(&owner, &text).unwrap();
    let deleting = tokio::spawn({
        let (sessions, owner, text) = (Arc::clone(&sessions), owner.clone(), text.clone());
        async move { sessions.delete(&owner, &text).await }
    });
    in_use.deleted().await;
    assert!(in_use.workspace.path().exists());
    drop(in_use);
    deleting.await.unwrap().unwrap();
    assert!(!data.path().join("workspaces").join(id.id.to_string()).exists());
    sessions.delete(&owner, &text).await.unwrap();
    assert!(matches!(sessions.enter(&owner, &text), Err(Error::WorkspaceLost)));
    assert_ne!(sessions.open_workspace(&owner, None).unwrap(), id);
}

#[test]
fn a_workspace_that_could_not_be_made_leaves_no_owner() {
    let data = tempfile::tempdir().unwrap();
    let owner = owner("t");
    let sessions = sessions(data.path());
    let workspaces = data.path().join("workspaces");
    fs::remove_dir_all(&workspaces).unwrap();
    fs::write(&workspaces, "in the way").unwrap();
    assert!(matches!(
        sessions.open_workspace(&owner, None),
        Err(Error::Store { .. })
    ));
    fs::remove_file(&workspaces).unwrap();
    assert_eq!(fs::read_dir(data.path().join("owners")).unwrap().count(), 0);
    fs::create_dir(&workspaces).unwrap();
    sessions.open_workspace(&owner, None).unwrap();
}

#[test]
fn an_owner_whose_workspace_was_never_made_shadows_none() {
    let data = tempfile::tempdir().unwrap();
    let owner = owner("t");
    let real = sessions(data.path()).open_workspace(&owner, None).unwrap();
    let owners = data.path().join("owners");
    let text = fs::read(owners.join(real.id.to_string())).unwrap();
    for never_made in [Uuid::from_u128(1), Uuid::now_v7(), Uuid::from_u128(u128::MAX)] {
        fs::write(owners.join(never_made.to_string()), &text).unwrap();
    }
    assert_eq!(sessions(data.path()).open_workspace(&owner, None).unwrap(), real);
    assert_eq!(fs::read_dir(&owners).unwrap().count(), 1);
}

#[test]
fn of_two_workspaces_the_older_is_the_sessions() {
    let data = tempfile::tempdir().unwrap();
    let owner = owner("t");
    let real = sessions(data.path()).open_workspace(&owner, None).unwrap();
    let owners = data.path().join("owners");
    let text = fs::read(owners.join(real.id.to_string())).unwrap();
    for n in 1..=8 {
        let younger = Uuid::from_u128(u128::MAX - n).to_string();
        fs::write(owners.join(&younger), &text).unwrap();
        fs::create_dir(data.path().join("workspaces").join(&younger)).unwrap();
    }
    assert_eq!(sessions(data.path()).open_workspace(&owner, None).unwrap(), real);
}

#[test]
fn a_lost_workspace_stays_lost_over_a_restart_and_never_comes_back_empty() {
    let data = tempfile::tempdir().unwrap();
    let owner = owner("t");
    let lost = sessions(data.path()).open_workspace(&owner, None).unwrap();
    fs::remove_dir(data.path().join("workspaces").join(lost.id.to_string())).unwrap();
    let again = sessions(data.path());
    for _ in 0..2 {
        assert!(matches!(
            again.open_workspace(&owner, Some(&lost.to_string())),
            Err(Error::WorkspaceLost)
        ));
        assert!(matches!(
            again.enter(&owner, &lost.to_string()),
            Err(Error::WorkspaceLost)
        ));
        assert_ne!(again.open_workspace(&owner, None).unwrap(), lost);
    }
}

#[test]
fn what_workspaces_hold_is_told_together() {
    let data = tempfile::tempdir().unwrap();
    let sessions = sessions(data.path());
    assert_eq!(sessions.holdings(|| false), Holdings::default());
    for owner in [owner("t"), owner("u")] {
        let id = sessions.open_workspace(&owner, None).unwrap().to_string();
        let in_use = sessions.enter(&owner, &id).unwrap();
        fs::write(in_use.workspace.path().join("file"), vec![7; 1 << 20]).unwrap();
    }
    let holdings = sessions.holdings(|| false);
    assert_eq!(holdings.workspaces, 2);
    assert!((2 << 20..3 << 20).contains(&holdings.bytes), "{holdings:?}");
    assert_eq!(sessions.holdings(|| true), Holdings::default());
    assert!(sessions.room().unwrap() > 0);
}
