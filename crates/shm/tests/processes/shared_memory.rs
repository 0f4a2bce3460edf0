//! The state that main and the children share, and how children are started and watched.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use cryptstream_shm::region::Backing;
use cryptstream_shm::{
    Channel, FutexSemaphore, PipeSemaphore, Producer, QueueLayout, Region, RegionWords, Semaphore,
    WorkerId,
};

/// Set in the environment of children.
pub(crate) const CHILD: &str = "CRYPTSTREAM_SHM_TEST_CHILD";

/// A test that takes longer has hung.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// Slots of the queue.
pub(crate) const CAPACITY: usize = 4;

/// Bytes of each slot's buffer.
pub(crate) const BUFFER_LEN: usize = 16 * 1024;

// Offsets in the region.
const WORK: usize = 4096 - 256;
const NEWS: usize = WORK + 64;
const BUFFERS: usize = 4096;
const LEN: usize = BUFFERS + CAPACITY * BUFFER_LEN;

/// The kinds of semaphore and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Futexes,
    Pipes,
}

pub(crate) const KINDS: [Kind; 2] = [Kind::Futexes, Kind::Pipes];

impl Kind {
    fn backing(self) -> Backing {
        match self {
            Self::Futexes => Backing::Native,
            Self::Pipes => Backing::Portable,
        }
    }
}

/// The shared memory, and the semaphores in it or beside it.
pub(crate) struct SharedMemory {
    pub(crate) kind: Kind,
    pub(crate) region: Arc<Region>,
    /// For workers: there is a task.
    pub(crate) work: Box<dyn Semaphore>,
    /// For main: a task is done.
    pub(crate) news: Box<dyn Semaphore>,
    /// Descriptors of the semaphores, for children.
    pipes: Vec<OwnedFd>,
}

impl SharedMemory {
    pub(crate) fn new(kind: Kind) -> Self {
        let region = Region::create_on(kind.backing(), LEN).unwrap();
        let pipes = match kind {
            Kind::Futexes => vec![],
            Kind::Pipes => {
                let (work, news) =
                    (PipeSemaphore::new().unwrap(), PipeSemaphore::portable().unwrap());
                let ends = [work.reader(), work.writer(), news.reader(), news.writer()];
                ends.map(|end| end.unwrap().try_clone_to_owned().unwrap()).into()
            }
        };
        Self::with(kind, region, pipes)
    }

    /// In a child: attaches to what it was sent.
    pub(crate) fn attach(kind: Kind, mut fds: Vec<OwnedFd>) -> Self {
        let region = Region::attach_on(kind.backing(), fds.remove(0)).unwrap();
        Self::with(kind, region, fds)
    }

    fn with(kind: Kind, region: Region, pipes: Vec<OwnedFd>) -> Self {
        let region = Arc::new(region);
        let tokens = |offset, ends: usize| -> Box<dyn Semaphore> {
            match kind {
                Kind::Futexes => Box::new(FutexSemaphore::new(region.clone(), offset).unwrap()),
                Kind::Pipes => {
                    let end = |index: usize| Some(pipes[ends + index].try_clone().unwrap());
                    Box::new(PipeSemaphore::from_ends(end(0), end(1)))
                }
            }
        };
        let (work, news) = (tokens(WORK, 0), tokens(NEWS, 2));
        Self { kind, region, work, news, pipes }
    }

    pub(crate) fn layout() -> QueueLayout {
        QueueLayout::new(CAPACITY).unwrap()
    }

    pub(crate) fn words(&self) -> RegionWords {
        assert!(Self::layout().words() * 8 <= WORK);
        RegionWords::new(self.region.clone(), 0, Self::layout().words())
    }

    pub(crate) fn producer(&self) -> Producer<RegionWords> {
        Producer::new(self.words(), Self::layout()).unwrap()
    }

    pub(crate) fn buffer(slot: usize) -> usize {
        BUFFERS + slot * BUFFER_LEN
    }

    /// Starts a process with id `id` that does what `role` says.
    pub(crate) fn start(&self, id: u16, role: &str) -> Process {
        let (ours, theirs) = Channel::pair().unwrap();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let hello = format!("{:?} {id} {role}", self.kind);
        let mut fds = vec![self.region.as_fd()];
        fds.extend(self.pipes.iter().map(AsFd::as_fd));
        ours.send(hello.as_bytes(), &fds).unwrap();
        Process { id: WorkerId::new(id), process, channel: ours }
    }
}

/// A child. Killed and awaited when dropped.
pub(crate) struct Process {
    pub(crate) id: WorkerId,
    process: Child,
    pub(crate) channel: Channel,
}

impl Process {
    /// Waits until the child says `word`.
    pub(crate) fn expect(&self, word: &str) {
        let message = self.channel.receive().unwrap().expect("the child lives");
        assert_eq!(String::from_utf8(message.bytes).unwrap(), word);
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.id() as i32
    }

    /// Sends SIGKILL and waits until it is certainly dead.
    pub(crate) fn kill(mut self) -> WorkerId {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.id
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a test, and ends the program if it hangs.
pub(crate) fn watched(test: impl FnOnce() + Send + 'static) {
    let (ended, end) = channel();
    let test = std::thread::spawn(move || {
        test();
        let _ = ended.send(());
    });
    if end.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
        eprintln!("{}: hung", std::thread::current().name().unwrap_or("a test"));
        std::process::abort();
    }
    if let Err(cause) = test.join() {
        std::panic::resume_unwind(cause);
    }
}
