use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::domain::driver::Stream;
use crate::domain::language::{Interpreters, Language};
use crate::domain::limits::Limits;
use crate::domain::proof::Proof;

/// A sandbox that plays what it is given; with `hangs` its program never ends.
struct Played {
    chunks: VecDeque<&'static [u8]>,
    end: End,
    hangs: bool,
    killed: Arc<AtomicBool>,
}

#[async_trait]
impl Sandbox for Played {
    async fn next(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.pop_front();
        if chunk.is_none() && self.hangs {
            std::future::pending::<()>().await;
        }
        chunk.map(|bytes| Chunk {
            stream: Stream::Out,
            bytes: Bytes::from_static(bytes),
        })
    }

    async fn finish(&mut self) -> Result<End, DriverError> {
        Ok(self.end)
    }

    async fn kill(&mut self) -> Result<(), DriverError> {
        self.killed.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[derive(Default)]
struct Player {
    chunks: Vec<&'static [u8]>,
    hangs: bool,
    out_of_memory: bool,
    killed: Arc<AtomicBool>,
    interpreters: Interpreters,
}

#[async_trait]
impl Driver for Player {
    fn interpreters(&self) -> &Interpreters {
        &self.interpreters
    }

    async fn start(&self, _: &SandboxSpec) -> Result<Box<dyn Sandbox>, DriverError> {
        Ok(Box::new(Played {
            chunks: self.chunks.iter().copied().collect(),
            end: if self.out_of_memory {
                End::OutOfMemory
            } else {
                End::Exited(7)
            },
            hangs: self.hangs,
            killed: Arc::clone(&self.killed),
        }))
    }

    async fn prove(&self) -> Result<Proof, DriverError> {
        Ok(Proof::from_facts(""))
    }
}

fn spec() -> SandboxSpec {
    SandboxSpec {
        language: Language::Shell,
        program: Vec::new(),
        env: Vec::new(),
        workspace: PathBuf::new(),
        limits: Limits {
            output: 10,
            ..Limits::DEFAULT
        },
    }
}

/// Plays a sandbox and returns how it ended, what was passed on and whether it was killed.
async fn play(player: Player, over_quota: bool) -> (Ending, Vec<u8>, bool) {
    let (sender, mut receiver) = mpsc::channel(64);
    let killed = Arc::clone(&player.killed);
    let finished = execute(&player, &spec(), Arc::new(move || over_quota), &sender)
        .await
        .unwrap();
    drop(sender);
    let mut passed_on = Vec::new();
    while let Some(chunk) = receiver.recv().await {
        passed_on.extend_from_slice(&chunk.bytes);
    }
    assert_eq!(finished.output_bytes, passed_on.len() as u64);
    (finished.ending, passed_on, killed.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn output_up_to_the_limit_is_passed_on_whole() {
    let player = Player {
        chunks: vec![b"01234", b"56789"],
        ..Default::default()
    };
    assert_eq!(
        play(player, false).await,
        (Ending::Exited(7), b"0123456789".to_vec(), false)
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_byte_beyond_the_limit_stops_the_program() {
    let player = Player {
        chunks: vec![b"01234", b"567890", b"never"],
        ..Default::default()
    };
    assert_eq!(
        play(player, false).await,
        (Ending::OutputLimit, b"0123456789".to_vec(), true)
    );
}

#[tokio::test(start_paused = true)]
async fn a_program_that_hangs_is_killed_at_its_time_limit() {
    let player = Player {
        chunks: vec![b"hi"],
        hangs: true,
        ..Default::default()
    };
    assert_eq!(
        play(player, false).await,
        (Ending::TimeLimit, b"hi".to_vec(), true)
    );
}

#[tokio::test(start_paused = true)]
async fn a_workspace_that_grows_too_large_stops_the_program() {
    let player = Player {
        hangs: true,
        ..Default::default()
    };
    assert_eq!(
        play(player, true).await,
        (Ending::WorkspaceLimit, Vec::new(), true)
    );
}

#[tokio::test(start_paused = true)]
async fn an_out_of_memory_kill_is_told_apart_from_other_ends() {
    let player = Player {
        out_of_memory: true,
        ..Default::default()
    };
    assert_eq!(play(player, false).await.0, Ending::MemoryLimit);
}

#[tokio::test(start_paused = true)]
async fn a_program_nobody_listens_to_is_killed() {
    let player = Player {
        hangs: true,
        ..Default::default()
    };
    let killed = Arc::clone(&player.killed);
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    let finished = execute(&player, &spec(), Arc::new(|| false), &sender)
        .await
        .unwrap();
    assert_eq!(finished.ending, Ending::Abandoned);
    assert!(killed.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_does_not_stop_the_clock() {
    let player = Player {
        chunks: vec![b"0", b"1", b"2"],
        ..Default::default()
    };
    let (sender, _stalled) = mpsc::channel(1);
    let finished = execute(&player, &spec(), Arc::new(|| false), &sender)
        .await
        .unwrap();
    assert_eq!(finished.ending, Ending::TimeLimit);
}
