//! What the queue, a wake-up and a copy cost on this machine:
//! `cargo bench -p cryptstream-shm`.
//!
//! Prints the median of seven runs, and the range. `docs/queue.md` keeps the
//! numbers of one machine.

use std::error::Error;
use std::hint::black_box;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cryptstream_shm::queue::{RESULT_WORDS, TASK_WORDS};
use cryptstream_shm::{
    Bytes, Channel, Consumer, FutexSemaphore, HeapWords, Memory, PipeSemaphore, Producer,
    QueueLayout, Region, RegionWords, Semaphore, WorkerId,
};

/// Slots: a few more than there are workers on a large machine.
const CAPACITY: usize = 64;
/// After the queue: the semaphores, 64 bytes apart, then 16 KiB for the copy.
const TOKENS: usize = 16 * 1024;
const COPY: usize = TOKENS + 4096;
const COPY_LEN: usize = 16 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("worker") => work(),
        _ => measure(),
    }
}

fn measure() -> Result<(), Box<dyn Error>> {
    let layout = QueueLayout::new(CAPACITY)?;
    let heap = Arc::new(HeapWords::new(layout.words()));
    per_task("publish, claim, load, complete, retire; heap", &heap, layout)?;
    let region = Arc::new(Region::create(COPY + COPY_LEN)?);
    let words = RegionWords::new(region.clone(), 0, layout.words());
    per_task("publish, claim, load, complete, retire; region", &words, layout)?;

    let region = Arc::new(Region::create(COPY + COPY_LEN)?);
    let futexes = [TOKENS, TOKENS + 64].map(|at| FutexSemaphore::new(region.clone(), at));
    let [work, news] = futexes;
    between_processes("futex", &region, &[], &work?, &news?)?;
    let region = Arc::new(Region::create(COPY + COPY_LEN)?);
    let (work, news) = (PipeSemaphore::new()?, PipeSemaphore::new()?);
    let ends = [work.reader(), news.writer()].map(|end| end.expect("both ends are here"));
    between_processes("pipe", &region, &ends, &work, &news)?;

    copies(&region);
    Ok(())
}

/// One process does everything by itself.
fn per_task<M: Memory + Clone>(
    name: &str,
    words: &M,
    layout: QueueLayout,
) -> Result<(), Box<dyn Error>> {
    let mut producer = Producer::new(words.clone(), layout)?;
    let consumer = Consumer::new(words.clone(), layout, WorkerId::new(1))?;
    report(name, 200_000, || {
        let slot = producer.free_slot().expect("one task at a time");
        producer.publish(slot, &[1; TASK_WORDS], Bytes::Absent);
        let mut claim = consumer.claim().expect("it was published");
        claim.mark_loaded().expect("nobody takes it back");
        claim.complete(&[2; RESULT_WORDS]).expect("nobody takes it back");
        let completed = producer.first_done().expect("nobody scribbles").expect("it is done");
        producer.retire(completed);
    });
    Ok(())
}

/// Empty tasks through a worker process: one at a time, which is two wake-ups
/// for each, and as many as the queue holds.
fn between_processes(
    name: &str,
    region: &Arc<Region>,
    ends: &[std::os::fd::BorrowedFd<'_>],
    work: &dyn Semaphore,
    news: &dyn Semaphore,
) -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = Channel::pair()?;
    let mut worker = Command::new(std::env::current_exe()?)
        .arg("worker")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    let mut fds = vec![region.as_fd()];
    fds.extend(ends);
    ours.send(b"work", &fds)?;

    let layout = QueueLayout::new(CAPACITY)?;
    let words = RegionWords::new(region.clone(), 0, layout.words());
    let mut producer = Producer::new(words, layout)?;
    let mut round = |width: usize| {
        for _ in 0..width {
            let slot = producer.free_slot().expect("at most as many as there are slots");
            producer.publish(slot, &[1; TASK_WORDS], Bytes::Absent);
            work.post(1).expect("the semaphore works");
        }
        let mut done = 0;
        while done < width {
            news.wait(None).expect("the semaphore works");
            while let Some(completed) = producer.first_done().expect("nobody scribbles") {
                producer.retire(completed);
                done += 1;
            }
        }
    };
    report(&format!("one task there and back, {name}"), 5_000, || round(1));
    report(&format!("{CAPACITY} tasks there and back, {name}"), 1_000, || round(CAPACITY));
    worker.kill()?;
    worker.wait()?;
    Ok(())
}

/// The worker process.
fn work() -> Result<(), Box<dyn Error>> {
    let channel = Channel::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut fds = channel.receive()?.ok_or("main is gone")?.fds.into_iter();
    let region = Arc::new(Region::attach(fds.next().ok_or("no region")?)?);
    let (work, news): (Box<dyn Semaphore>, Box<dyn Semaphore>) = match (fds.next(), fds.next()) {
        (Some(reader), Some(writer)) => (
            Box::new(PipeSemaphore::from_ends(Some(reader), None)),
            Box::new(PipeSemaphore::from_ends(None, Some(writer))),
        ),
        _ => (
            Box::new(FutexSemaphore::new(region.clone(), TOKENS)?),
            Box::new(FutexSemaphore::new(region.clone(), TOKENS + 64)?),
        ),
    };
    let layout = QueueLayout::new(CAPACITY)?;
    let words = RegionWords::new(region, 0, layout.words());
    let consumer = Consumer::new(words, layout, WorkerId::new(1))?;
    loop {
        work.wait(None)?;
        let Some(mut claim) = consumer.claim() else { continue };
        claim.mark_loaded()?;
        claim.complete(&[2; RESULT_WORDS])?;
        news.post(1)?;
    }
}

/// The region's copy against `memcpy` and against a loop of relaxed atomics.
fn copies(region: &Region) {
    let mut private = vec![7_u8; COPY_LEN];
    let source = vec![8_u8; COPY_LEN];
    report("16 KiB, memcpy", 50_000, || {
        private.copy_from_slice(black_box(&source));
        black_box(&mut private);
    });
    report("16 KiB, copy_out", 50_000, || {
        region.copy_out(COPY, &mut private);
        black_box(&mut private);
    });
    report("16 KiB, copy_in", 50_000, || region.copy_in(COPY, black_box(&private)));
    let words: Vec<_> = (0..COPY_LEN as u64 / 8).map(AtomicU64::new).collect();
    let mut to = vec![0_u64; words.len()];
    report("16 KiB, relaxed atomics", 50_000, || {
        for (to, from) in to.iter_mut().zip(black_box(&words)) {
            *to = from.load(Ordering::Relaxed);
        }
        black_box(&mut to);
    });
}

/// Runs `step` `count` times, seven times over; prints nanoseconds for each.
fn report(name: &str, count: u32, mut step: impl FnMut()) {
    let mut runs: Vec<f64> = (0..7)
        .map(|_| {
            let begin = Instant::now();
            for _ in 0..count {
                step();
            }
            begin.elapsed().as_nanos() as f64 / f64::from(count)
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    println!("{name:50} {:9.0} ns  ({:.0} to {:.0})", runs[3], runs[0], runs[6]);
}
