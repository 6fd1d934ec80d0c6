//! What a program can neither see, nor do, nor leave behind for others to fall over.

use super::*;

#[tokio::test]
async fn the_isolation_is_proven_from_inside() {
    let f = fixture();
    let proof = f.gvisor.prove().await.unwrap();
    assert_eq!(proof.judge(SANDBOX_USER), Ok(()), "{proof:#?}");
    f.nothing_left();
}

#[tokio::test]
async fn a_sandbox_sees_neither_network_nor_host() {
    let f = fixture();
    let ran = f
        .python(
            "import os, socket\n\
             for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):\n\
             \x20   try: socket.socket(socket.AF_INET, kind).connect(('192.0.2.1', 53)); print('connected')\n\
             \x20   except OSError as e: print(e.strerror)\n\
             try: socket.create_connection(('example.com', 80), 2); print('connected')\n\
             except OSError as e: print(type(e).__name__)\n\
             print(sorted(os.listdir('/')))\n\
             print([p for p in ('/etc/shadow','/root','/home','/var','/work','/etc/resolv.conf') if os.path.exists(p)])\n\
             print(sorted(os.environ))\n\
             print(os.getuid(), os.getgid(), os.getgroups(), os.getcwd(), os.uname().nodename)\n",
        )
        .await;
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(
        lines[..3],
        ["No route to host", "No route to host", "gaierror"],
        "{ran:?}"
    );
    assert_eq!(lines[4], "[]");
    assert!(
        !lines[5].contains("CARGO") && lines[5].contains("PYTHONPATH"),
        "{ran:?}"
    );
    assert_eq!(lines[6], "65532 65532 [] /workspace sandbox");
}

#[tokio::test]
async fn forbidden_calls_are_refused_and_the_rest_of_the_root_is_read_only() {
    let f = fixture();
    let ran = f
        .python(
            "import ctypes, os, socket\n\
             libc = ctypes.CDLL(None, use_errno=True)\n\
             def call(*a):\n\
             \x20   ctypes.set_errno(0); r = libc.syscall(*a); return os.strerror(ctypes.get_errno()) if r < 0 else 'done'\n\
             for n in (101, 272, 165, 250, 321, 323, 175): print(n, call(n, 0, 0, 0, 0, 0))\n\
             print('io_uring', call(425, 1, 0), 'clone3', call(435, 0, 0))\n\
             for family, kind in ((17, 3), (2, 3), (40, 1)):\n\
             \x20   try: socket.socket(family, kind); print('socket')\n\
             \x20   except PermissionError: print('refused')\n\
             for path in ('/x', '/usr/x', '/etc/x', '/harombe-guest', '/run/x'):\n\
             \x20   try: open(path, 'w'); print('wrote', path)\n\
             \x20   except OSError: print('no', path)\n\
             try: print('guest', os.listdir('/proc/1/fd'), os.readlink('/proc/1/fd/3'))\n\
             except OSError as e: print('guest', e.strerror)\n",
        )
        .await;
    let refused = "Operation not permitted";
    for call in ["101", "272", "165", "250", "321", "323", "175"] {
        assert!(ran.out.contains(&format!("{call} {refused}")), "{call}: {ran:?}");
    }
    assert!(
        ran.out
            .contains("io_uring Function not implemented clone3 Function not implemented"),
        "{ran:?}"
    );
    assert_eq!(ran.out.matches("refused").count(), 3, "{ran:?}");
    assert!(!ran.out.contains("wrote"), "{ran:?}");
}

#[tokio::test]
async fn an_x32_call_kills() {
    let f = fixture();
    let ran = f
        .python("import ctypes; print('before'); ctypes.CDLL(None).syscall(0x40000000 | 39); print('after')")
        .await;
    assert_eq!(ran.out, "before\n");
    assert!(matches!(ran.ending, Ending::Signaled(_)), "{ran:?}");
}

#[tokio::test]
async fn a_program_that_kills_process_1_only_ends_itself() {
    let f = fixture();
    let ran = f.shell("kill -9 1; echo survived; sleep 1000").await;
    assert_eq!(ran.ending, Ending::Signaled(9), "{ran:?}");
    f.nothing_left();
}

#[tokio::test]
async fn a_program_that_forges_its_end_only_ends_itself() {
    let f = fixture();
    let ran = f
        .python(
            "import os, glob\n\
             for fd in glob.glob('/proc/*/fd/*'):\n\
             \x20   try:\n\
             \x20       if 'pipe' in os.readlink(fd) or 'host' in os.readlink(fd): os.write(os.open(fd, os.O_WRONLY | os.O_NONBLOCK), b'\\x05\\0\\0\\0\\x82\\x63\\0\\0\\0')\n\
             \x20   except OSError: pass\n\
             print(os.listdir('/proc/self/fd'))\n\
             raise SystemExit(7)\n",
        )
        .await;
    // gVisor lets it reach the status pipe, so it may lie about its exit code. It gains nothing by it.
    assert!(matches!(ran.ending, Ending::Exited(7 | 99)), "{ran:?}");
    f.nothing_left();
}

#[tokio::test]
async fn what_a_program_plants_is_not_followed_by_the_broker() {
    let f = fixture();
    let path = |text: &str| crate::workspace::WorkspacePath::parse(text).unwrap();
    let ran = f
        .shell("ln -s /etc/shadow link; mkfifo pipe; ln -s / root; mkdir d; chmod 000 d")
        .await;
    assert_eq!(ran.ending, Ending::Exited(0), "{ran:?}");
    for name in ["link", "pipe", "root/etc/shadow"] {
        assert!(f.workspace.read(&path(name), 100).is_err(), "{name}");
    }
    let listed = f.workspace.list(&path(""), 10).unwrap().entries;
    let others = listed
        .iter()
        .filter(|entry| entry.kind == crate::workspace::EntryKind::Other);
    assert!(others.count() >= 2, "{listed:?}");
}

#[tokio::test]
async fn a_module_in_the_workspace_is_importable_and_stands_in_for_none() {
    let f = fixture();
    let plant = |name: &str, text: &str| fs::write(f.workspace.path().join(name), text).unwrap();
    for planted in ["json", "os", "sitecustomize", "usercustomize", "multiprocessing"] {
        plant(&format!("{planted}.py"), "print('planted')\n");
    }
    plant("helper.py", "WORD = 'helped'\n");
    plant("orders.csv", "1,2\n");
    let ran = f
        .python(
            "import json, os, multiprocessing, helper\n\
             print(json.dumps([helper.WORD, open('orders.csv').read()]))\n",
        )
        .await;
    assert_eq!((&*ran.out, &*ran.err), ("[\"helped\", \"1,2\\n\"]\n", ""));
}
