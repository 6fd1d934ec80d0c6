use super::*;

const V1: &str = "\
38 28 0:34 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
42 28 0:38 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
46 28 0:42 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids
48 28 0:44 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

fn parents(mountinfo: &str, own: &str) -> Result<Vec<PathBuf>, CgroupError> {
    Ok(Hierarchy::choose(&Mounts::parse(mountinfo, own))?
        .parents()
        .collect())
}

#[test]
fn with_version_1_groups_lie_below_our_own() {
    let own = "8:pids:/\n4:memory:/service/a\n1:cpu,cpuacct:/\n0::/\n";
    let expected = ["memory/service/a/harombe", "pids/harombe", "cpu/harombe"];
    let expected = expected.map(|path| Path::new("/sys/fs/cgroup").join(path));
    assert_eq!(parents(V1, own).unwrap(), expected);
}

#[test]
fn in_a_container_the_mounts_root_is_not_repeated() {
    let inside = V1.replace(" / /sys", " /docker/c /sys");
    let own = "4:memory:/docker/c/service\n8:pids:/docker/c\n1:cpu:/elsewhere\n";
    let expected = ["memory/service/harombe", "pids/harombe", "cpu/harombe"];
    let expected = expected.map(|path| Path::new("/sys/fs/cgroup").join(path));
    assert_eq!(parents(&inside, own).unwrap(), expected);
}

#[test]
fn version_2_alone_is_used_at_its_top() {
    assert_eq!(
        parents(V2, "0::/user.slice\n").unwrap(),
        [Path::new("/sys/fs/cgroup/harombe")]
    );
}

#[test]
fn without_a_controller_nothing_runs() {
    let without_pids: String = V1
        .lines()
        .filter(|l| !l.contains("pids"))
        .map(|l| format!("{l}\n"))
        .collect();
    assert!(matches!(
        parents(&without_pids, ""),
        Err(CgroupError::NoController("pids"))
    ));
    assert!(matches!(
        parents("", ""),
        Err(CgroupError::NoController("memory"))
    ));
}

/// The files of a version 2 group, as a kernel would show them.
fn fake_v2(group: &Path, controllers: &str) {
    fs::create_dir_all(group).unwrap();
    fs::write(group.join("cgroup.controllers"), controllers).unwrap();
    fs::write(group.join("cgroup.subtree_control"), "cpu").unwrap();
}

#[test]
fn version_2_hands_down_what_is_missing() {
    let tree = tempfile::tempdir().unwrap();
    fake_v2(tree.path(), "cpuset cpu io memory pids");
    fake_v2(&tree.path().join(PARENT), "cpu memory pids");
    let hierarchy = v2::Hierarchy {
        mount: tree.path().to_owned(),
    };
    hierarchy.prepare().unwrap();
    // The last write is left in a plain file.
    assert_eq!(
        fs::read_to_string(tree.path().join("cgroup.subtree_control")).unwrap(),
        "+pids"
    );
}

#[test]
fn version_2_without_the_memory_controller_is_refused() {
    let tree = tempfile::tempdir().unwrap();
    fake_v2(tree.path(), "cpu pids");
    let hierarchy = v2::Hierarchy {
        mount: tree.path().to_owned(),
    };
    assert!(matches!(
        hierarchy.prepare(),
        Err(CgroupError::NoController("memory"))
    ));
}

#[test]
fn version_2_limits() {
    let group = tempfile::tempdir().unwrap();
    for known in ["memory.swap.max", "memory.oom.group"] {
        fs::write(group.path().join(known), "").unwrap();
    }
    v2::limit(group.path(), &HostLimits::from(&Limits::DEFAULT)).unwrap();
    let read = |name: &str| fs::read_to_string(group.path().join(name)).unwrap();
    assert_eq!(
        read("memory.max"),
        (Limits::DEFAULT.memory + MEMORY_ALLOWANCE).to_string()
    );
    assert_eq!(read("memory.swap.max"), "0");
    assert_eq!(read("memory.oom.group"), "1");
    assert_eq!(read("pids.max"), "576");
    assert_eq!(read("cpu.max"), "100000 100000");
}

#[test]
fn out_of_memory_kills_are_counted_in_both_versions() {
    assert_eq!(
        oom_kills("low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 1\n"),
        1
    );
    assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), 3);
    assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\n"), 0);
}

#[test]
fn only_our_own_groups_are_read_back() {
    let paths = Paths(vec!["/sys/fs/cgroup/harombe/x".into()]);
    assert_eq!(Paths::parse(&paths.to_text()), paths);
    assert_eq!(
        Paths::parse("/sys/fs/cgroup\nharombe/x\n\n/sys/fs/cgroup/harombe\n"),
        Paths(vec![])
    );
}

#[test]
fn a_real_group_is_entered_killed_and_removed() {
    let cgroups = Cgroups::detect().expect("this test needs root and control groups");
    let id = format!("test-{}", uuid::Uuid::now_v7());
    let group = cgroups.create(cgroups.paths(&id), &Limits::DEFAULT).unwrap();
    let procs = group
        .paths
        .0
        .iter()
        .map(|p| p.join("cgroup.procs").display().to_string());
    let enter: String = procs.map(|file| format!("echo $$ > {file};")).collect();
    let mut child = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("{enter} echo in; sleep 1000 & exec sleep 1000")])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 3];
    io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    assert!(!group.ran_out_of_memory());
    group.kill();
    assert!(!child.wait().unwrap().success());
    let paths = group.paths.clone();
    paths.destroy().unwrap();
    assert!(paths.0.iter().all(|path| !path.exists()));
}

/// Version 2 is mounted on nearly every machine, if only without controllers: killing a group at once works there too.
#[test]
fn a_group_of_version_2_is_killed_at_once() {
    let read = |path: &str| fs::read_to_string(path).unwrap();
    let mounts = Mounts::parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
    let Some(mount) = mounts.v2 else { return };
    let group = mount.join(PARENT).join(format!("test-{}", uuid::Uuid::now_v7()));
    fs::create_dir_all(&group).unwrap();
    let enter = format!(
        "echo $$ > {}; echo in; sleep 1000 & exec sleep 1000",
        group.join("cgroup.procs").display()
    );
    let mut child = std::process::Command::new("/bin/sh")
        .args(["-c", &enter])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 3];
    io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    fs::write(group.join("cgroup.kill"), "1").unwrap();
    assert!(!child.wait().unwrap().success());
    Paths(vec![group.clone()]).destroy().unwrap();
    assert!(!group.exists());
}
