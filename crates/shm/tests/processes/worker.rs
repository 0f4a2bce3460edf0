//! The code of the child processes.

use std::io::stdin;
use std::os::fd::AsFd;
use std::time::Duration;

use cryptstream_shm::{Channel, Consumer, RegionWords, WorkerId};

use crate::shared_memory::{BUFFER_LEN, Kind, LIMIT, SharedMemory};

/// Receives the hello on standard input and does what it says.
pub(crate) fn serve() {
    std::thread::spawn(|| {
        std::thread::sleep(LIMIT);
        std::process::exit(99);
    });
    let channel = Channel::from(stdin().as_fd().try_clone_to_owned().unwrap());
    let Ok(Some(hello)) = channel.receive() else { return };
    let words = String::from_utf8(hello.bytes).unwrap();
    let [kind, id, role] = words.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
    let kind = if kind == "Pipes" { Kind::Pipes } else { Kind::Futexes };
    let worker = Worker {
        id: WorkerId::new(id.parse().unwrap()),
        memory: SharedMemory::attach(kind, hello.fds),
        channel,
    };
    match role {
        "echo" => worker.echo(),
        "sleep" => worker.sleep(),
        stop_at => worker.work(stop_at),
    }
}

struct Worker {
    id: WorkerId,
    memory: SharedMemory,
    channel: Channel,
}

impl Worker {
    /// Works on tasks until it is killed. At the point `stop_at` it reports that and stops. With
    /// `slowly` it leaves time to be killed.
    fn work(&self, stop_at: &str) {
        let reached = |point: &str| {
            if point == stop_at {
                self.stop(point);
            } else if stop_at == "slowly" {
                std::thread::sleep(Duration::from_micros(20));
            }
        };
        let consumer: Consumer<RegionWords> =
            Consumer::new(self.memory.words(), SharedMemory::layout(), self.id).unwrap();
        reached("start");
        loop {
            self.memory.work.wait(None).unwrap();
            reached("token");
            let Some(mut claim) = consumer.claim() else { continue };
            reached("claimed");
            let buffer = SharedMemory::buffer(claim.slot());
            if !claim.is_loaded() {
                // "Reading": each worker reads different bytes.
                let bytes = [self.id.get() as u8; BUFFER_LEN];
                self.memory.region.copy_in(buffer, &bytes[..BUFFER_LEN / 2]);
                reached("half loaded");
                self.memory.region.copy_in(buffer + BUFFER_LEN / 2, &bytes[..BUFFER_LEN / 2]);
            }
            claim.mark_loaded().unwrap();
            reached("loaded");
            let mut bytes = [0; BUFFER_LEN];
            self.memory.region.copy_out(buffer, &mut bytes);
            let sum = bytes.iter().map(|&byte| u64::from(byte)).sum();
            let result = [claim.task()[0], sum, u64::from(bytes[0]), u64::from(self.id.get())];
            claim.complete(&result).unwrap();
            reached("done");
            self.memory.news.post(1).unwrap();
            reached("told");
        }
    }

    /// Answers each token.
    fn echo(&self) {
        loop {
            self.memory.work.wait(None).unwrap();
            self.memory.news.post(1).unwrap();
        }
    }

    /// Waits for a token that does not come.
    fn sleep(&self) {
        self.channel.send(b"asleep soon", &[]).unwrap();
        self.memory.work.wait(None).unwrap();
        self.channel.send(b"awake", &[]).unwrap();
    }

    /// Reports that it is at `point` and stays there until it is killed.
    fn stop(&self, point: &str) {
        self.channel.send(point.as_bytes(), &[]).unwrap();
        // Also ends when main is dead.
        let _ = self.channel.receive();
        std::process::exit(0);
    }
}
