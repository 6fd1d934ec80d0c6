//! Each limit, run into.

use super::*;

#[tokio::test]
async fn time_runs_out() {
    let f = fixture();
    let mut spec = f.spec(Language::Shell, "echo begun; sleep 1000 & sleep 1000");
    // Enough for its first word on a busy machine.
    spec.limits.time_millis = 3_000;
    let ran = f.run(&spec).await;
    assert_eq!((ran.ending, &*ran.out), (Ending::TimeLimit, "begun\n"));
    f.nothing_left();
}

#[tokio::test]
async fn output_runs_over() {
    let f = fixture();
    let mut spec = f.spec(Language::Shell, "yes");
    spec.limits.output = 100_000;
    let ran = f.run(&spec).await;
    assert_eq!((ran.ending, ran.out.len()), (Ending::OutputLimit, 100_000));
    f.nothing_left();
}

#[tokio::test]
async fn memory_runs_out() {
    let f = fixture();
    for program in [
        "x = [bytearray(1 << 20) for _ in range(1000)]; print('got it')",
        "f = open('/tmp/big', 'wb')\nfor _ in range(1000): f.write(b'x' * (1 << 20))\nprint('got it')",
        "import os\nfor _ in range(4):\n  if os.fork() == 0:\n    x = bytearray(os.urandom(1)) * (200 << 20); os._exit(0)\nfor _ in range(4): os.wait()\nprint('got it')",
    ] {
        let mut spec = f.spec(Language::Python, program);
        spec.limits.memory = 128 * MIB;
        let ran = f.run(&spec).await;
        // A full temporary file system tells the program so; that too is within the limit.
        let told = ran.err.contains("No space left") || ran.err.contains("Cannot allocate");
        assert!(ran.ending == Ending::MemoryLimit || told, "{program}: {ran:?}");
    }
    f.nothing_left();
}

#[tokio::test]
async fn the_least_limits_still_run_a_program() {
    let f = fixture();
    for (language, program) in [(Language::Python, "print(1)"), (Language::Shell, "echo 1")] {
        let mut spec = f.spec(language, program);
        spec.limits = Limits::DEFAULT
            .with(
                LimitsRequest {
                    memory: Some(32 * MIB),
                    processes: Some(8),
                    ..LimitsRequest::default()
                },
                Limits::MAXIMUM,
            )
            .unwrap();
        let ran = f.run(&spec).await;
        assert_eq!(
            (ran.ending, &*ran.out),
            (Ending::Exited(0), "1\n"),
            "{language}: {ran:?}"
        );
    }
}

#[tokio::test]
async fn processes_run_out_and_the_sandbox_survives() {
    let f = fixture();
    let ran = f
        .python(
            "import os, time\nn = 0\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(100)\n    n += 1\n\
             except OSError as e: print(n, e.strerror)",
        )
        .await;
    assert_eq!(ran.ending, Ending::Exited(0), "{ran:?}");
    let count: u32 = ran.out.split(' ').next().unwrap().parse().unwrap();
    assert!((120..=128).contains(&count), "{ran:?}");
    f.nothing_left();
}

#[tokio::test]
async fn a_large_file_and_many_files_run_into_the_workspace_limit() {
    let f = fixture();
    let mut spec = f.spec(
        Language::Python,
        "f = open('f','wb')\nfor _ in range(20): f.write(b'x' * (1 << 20)); f.flush()",
    );
    spec.limits.workspace = 8 * MIB;
    let ran = f.run(&spec).await;
    assert!(ran.err.contains("File too large"), "{ran:?}");
    spec.program = b"import time\nfor i in range(1000):\n  open(f'g{i}','wb').write(b'x' * (1 << 20))\n  if i > 20: time.sleep(1)".to_vec();
    assert_eq!(f.run(&spec).await.ending, Ending::WorkspaceLimit);
}
