//! What a worker encrypts if the input has changed since its predecessor died. Only here can that
//! be observed: from outside such a run just fails at the end. And how many workers there are on
//! slow storage, which is not to depend on how busy the machine is.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::time::{Duration, Instant};

use cryptstream_format::payload::SEGMENT_LEN;
use cryptstream_format::{FileKey, Format, Layout, PayloadCipher};

use super::*;
use crate::job::Output;
use crate::{Processes, SandboxMode};

/// Encrypts one segment with a worker that dies at `plan`. As soon as it has exited, the input
/// becomes `new`. Returns the plaintext of the result.
fn sealed_after_a_death(plan: &str, old: &[u8], new: &[u8]) -> Vec<u8> {
    // On the file system of the build, where the worker's program is.
    let tests = std::env::current_exe().unwrap();
    let built = tests.ancestors().nth(2).unwrap();
    let dir = tempfile::tempdir_in(built).unwrap();
    let program = dir.path().join(plan);
    fs::hard_link(built.join("faulty_worker"), &program)
        .expect("`cargo test -p cryptstream-engine` builds the worker, `--lib` alone does not");

    let (input, output) = (dir.path().join("input"), dir.path().join("output"));
    fs::write(&input, old).unwrap();
    let cipher = PayloadCipher::generate(Format::Native, &FileKey::generate().unwrap())
        .unwrap()
        .into_chunks();
    let layout = Layout::of_plaintext(Format::Native, old.len() as u64).unwrap();
    let segment = layout.segment(0).unwrap();
    let job = || Job {
        operation: Operation::Encrypt,
        layout: Some(layout),
        payload_start: 0,
        cipher: cryptstream_format::ChunkCipher::from_secret(
            Format::Native,
            (*cipher.expose_secret()).into(),
        ),
        input: Some(File::open(&input).unwrap().into()),
        output: Output::File(
            File::options()
                .create(true)
                .append(false)
                .write(true)
                .truncate(false)
                .open(&output)
                .unwrap()
                .into(),
        ),
    };

    let processes = Processes::Exactly(1);
    let options = EngineOptions {
        processes,
        sandbox: SandboxMode::Auto,
        program: Some(program.into()),
        ..EngineOptions::default()
    };
    let mut coordinator = Coordinator::new(&options, 1).unwrap();
    coordinator.warm_up(1).unwrap();
    let number = coordinator.add(job());
    let slot = coordinator.free_slot().unwrap();
    coordinator.publish(slot, number, &segment, Bytes::Absent);
    let start = Instant::now();
    while !coordinator.pool.has_zombie() {
        assert!(start.elapsed() < Duration::from_secs(60), "the worker does not die");
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut file = File::options().write(true).open(&input).unwrap();
    file.rewind().unwrap();
    file.write_all(new).unwrap();

    let finished = loop {
        assert!(start.elapsed() < Duration::from_secs(60), "nobody takes over");
        coordinator.step(0, 0, CHECK_INTERVAL).unwrap();
        if let Some(finished) = coordinator.finished(false).unwrap() {
            break finished;
        }
    };
    assert_eq!(finished.result, Ok(()));
    assert_eq!(coordinator.take_stats().redone, 1);

    let sealed = fs::read(&output).unwrap();
    let mut opened = vec![0; segment.plaintext_len()];
    let from = job().output_of(&segment).0 as usize;
    cipher.open(&segment, &sealed[from..from + segment.sealed_len()], &mut opened).unwrap();
    opened
}

#[test]
fn what_may_have_been_sealed_is_sealed_again_and_nothing_else() {
    let (old, new) = (vec![b'o'; SEGMENT_LEN + 5], vec![b'n'; SEGMENT_LEN + 5]);
    let mixed = |loaded: usize| [&old[..loaded], &new[loaded..SEGMENT_LEN]].concat();
    // It died before anything was loaded, so all of it is read again.
    assert!(sealed_after_a_death("die.1.Claimed.1", &old, &new) == mixed(0));
    // Loaded in parts of 64 KiB, the last of which may not have been encrypted.
    assert!(sealed_after_a_death("die.1.Loaded.1", &old, &new) == mixed(64 << 10));
    assert!(sealed_after_a_death("die.1.Loaded.3", &old, &new) == mixed(192 << 10));
    assert!(sealed_after_a_death("die.1.Writing.1", &old, &new) != mixed(0));
    // All of it was loaded, and perhaps written.
    assert!(sealed_after_a_death("die.1.Loaded.16", &old, &new) == mixed(SEGMENT_LEN));
    assert!(sealed_after_a_death("die.1.Written.1", &old, &new) == mixed(SEGMENT_LEN));
}

#[test]
fn slow_storage_gets_more_workers_than_cores_while_there_is_work_for_them() {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("faulty_worker");
    for (processes, expected) in [(Processes::Auto, 4), (Processes::Exactly(2), 2)] {
        let program = Some(program.clone().into());
        let options = EngineOptions { processes, program, ..EngineOptions::default() };
        let mut coordinator = Coordinator::new(&options, 2).unwrap();
        assert_eq!(coordinator.capacity(), Coordinator::slots(2));
        coordinator.warm_up(2).unwrap();
        let mut busy = Duration::ZERO;
        for _ in 0..3 {
            (0..8).for_each(|_| coordinator.scaling.count());
            busy += Duration::from_millis(1);
            coordinator.scaling.update(2, true, || Some(busy));
            std::thread::sleep(crate::scaling::MIN_INTERVAL);
        }
        coordinator.step(3 * SEGMENT_LEN as u64, 2, CHECK_INTERVAL).unwrap();
        assert_eq!(coordinator.pool.len(), expected.min(3));
        coordinator.step(1 << 30, 2, CHECK_INTERVAL).unwrap();
        assert_eq!(coordinator.pool.len(), expected);
        assert_eq!(coordinator.capacity(), Coordinator::slots(expected));
    }
}
