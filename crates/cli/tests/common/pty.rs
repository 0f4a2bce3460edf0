//! A pseudo-terminal on which a shell script runs. The test plays the user.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::group::wait_until;
use super::{CHEAP, Dir, PATIENCE, paint, wait_status};

/// A terminal of 80 columns, and the script that runs on it. When this is dropped, the
/// terminal hangs up.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Screen>,
    /// Ends the thread that reads the screen, which has the terminal open too.
    reader: Option<(UnixStream, JoinHandle<()>)>,
    seen: usize,
    /// Its settings when the script was started.
    before: String,
}

/// What the terminal has shown.
#[derive(Default)]
struct Screen {
    shown: Mutex<Shown>,
    has_changed: Condvar,
}

#[derive(Default)]
struct Shown {
    bytes: Vec<u8>,
    /// Whether no process has the terminal open any more.
    is_over: bool,
}

impl Terminal {
    /// Starts a script in bash, as the first process of a session that has the terminal.
    pub fn start(dir: &Dir, script: &str) -> Self {
        let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&main).unwrap();
        unlockpt(&main).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let name = ptsname(&main, Vec::new()).unwrap();
        let stream = rustix::fs::open(&*name, flags, Mode::empty()).unwrap();
        let before = settings(&main);
        let mut run = dir
            .shell(r#"exec setsid --ctty bash -c "$SCRIPT""#)
            .env("SCRIPT", script)
            .env("CHEAP", CHEAP)
            .env("TERM", "xterm");
        let clone = || Stdio::from(stream.try_clone().unwrap());
        run.command.stdin(clone()).stdout(clone()).stderr(clone());
        let child = run.command.spawn().unwrap();
        let screen = Arc::new(Screen::default());
        let (stop, stopped) = UnixStream::pair().unwrap();
        let reader = thread::spawn({
            let (main, screen) = (main.try_clone().unwrap(), Arc::clone(&screen));
            move || screen.follow(main, &stopped)
        });
        let reader = Some((stop, reader));
        let terminal = Self { child, keyboard: main.into(), screen, reader, seen: 0, before };
        terminal.resize(80);
        terminal
    }

    /// Gives it so many columns.
    pub fn resize(&self, columns: u16) {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.keyboard, size).unwrap();
    }

    /// All that was shown.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen.shown.lock().unwrap().bytes).into_owned()
    }

    /// Waits until this text has appeared after the last one.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        self.wait_for_one_of(&[text]);
    }

    /// Waits until one of these has appeared, and says which.
    #[track_caller]
    pub fn wait_for_one_of(&mut self, texts: &[&str]) -> usize {
        let which = self.appears(texts, PATIENCE);
        which.unwrap_or_else(|| panic!("none of {texts:?} in {:?}", self.text()))
    }

    fn appears(&mut self, texts: &[&str], patience: Duration) -> Option<usize> {
        let deadline = Instant::now() + patience;
        let mut shown = self.screen.shown.lock().unwrap();
        loop {
            let new = &shown.bytes[self.seen..];
            let ends = texts.iter().map(|text| end_of(text.as_bytes(), new)).enumerate();
            if let Some((end, which)) = ends.filter_map(|(i, end)| Some((end?, i))).min() {
                self.seen += end;
                return Some(which);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || shown.is_over {
                return None;
            }
            shown = self.screen.has_changed.wait_timeout(shown, left).unwrap().0;
        }
    }

    /// Answers a question whose answer is not shown.
    #[track_caller]
    pub fn answer(&mut self, keys: impl AsRef<[u8]>) {
        // What is typed before does not count.
        wait_until("the echo is off", || self.is_hidden());
        self.press(keys);
    }

    /// Types something.
    pub fn press(&mut self, keys: impl AsRef<[u8]>) {
        self.keyboard.write_all(keys.as_ref()).unwrap();
    }

    /// Whether the terminal does not show what is typed, and still takes Ctrl-C and the
    /// like for signals.
    pub fn is_hidden(&self) -> bool {
        let signals = LocalModes::ICANON | LocalModes::ISIG;
        let modes = tcgetattr(&self.keyboard).unwrap().local_modes;
        modes & (LocalModes::ECHO | signals) == signals
    }

    /// Whether the terminal has all the settings that it had at first.
    pub fn is_as_before(&self) -> bool {
        settings(&self.keyboard) == self.before
    }

    /// Waits for the end of the script, and gives its exit status and all that was shown.
    #[track_caller]
    pub fn end(self) -> (i32, String) {
        let (code, bytes) = self.end_in_bytes();
        (code, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The same, with the bytes that were shown.
    #[track_caller]
    pub fn end_in_bytes(mut self) -> (i32, Vec<u8>) {
        let status = wait_status(&mut self.child);
        let shown = self.screen.shown.lock().unwrap();
        let wait = self.screen.has_changed.wait_timeout_while(shown, PATIENCE, |it| !it.is_over);
        let (shown, timed_out) = wait.unwrap();
        assert!(!timed_out.timed_out(), "a process has kept the terminal");
        let bytes = shown.bytes.clone();
        drop(shown);
        let code = status.code();
        (code.unwrap_or_else(|| panic!("{status}: {}", String::from_utf8_lossy(&bytes))), bytes)
    }

    /// Takes the terminal away, and waits for the end of its shell.
    #[track_caller]
    pub fn hang_up(mut self) {
        self.let_go();
        let null = File::options().write(true).open("/dev/null").unwrap();
        drop(std::mem::replace(&mut self.keyboard, null));
        wait_status(&mut self.child);
    }

    fn let_go(&mut self) {
        if let Some((stop, reader)) = self.reader.take() {
            drop(stop);
            reader.join().unwrap();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Screen {
    /// Keeps what is shown, until the other end of `stopped` is closed.
    fn follow(&self, main: OwnedFd, stopped: &UnixStream) {
        let mut main = File::from(main);
        let mut bytes = [0; 4096];
        loop {
            let mut fds = [
                PollFd::new(&main, PollFlags::IN),
                PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN),
            ];
            let _ = poll(&mut fds, None);
            if !fds[1].revents().is_empty() {
                return;
            }
            // An error is the end: nobody has it open.
            let len = main.read(&mut bytes).unwrap_or(0);
            let mut shown = self.shown.lock().unwrap();
            shown.bytes.extend_from_slice(&bytes[..len]);
            shown.is_over = len == 0;
            self.has_changed.notify_all();
            if shown.is_over {
                return;
            }
        }
    }
}

/// Every setting of a terminal.
fn settings(terminal: impl AsFd) -> String {
    format!("{:?}", tcgetattr(terminal).unwrap())
}

fn end_of(text: &[u8], within: &[u8]) -> Option<usize> {
    within.windows(text.len()).position(|window| window == text).map(|at| at + text.len())
}

/// Runs a script and gives these answers, each once its question has appeared. Gives the
/// script's exit status and what the terminal has shown.
#[track_caller]
pub fn on_terminal<K: AsRef<[u8]>>(
    dir: &Dir,
    script: &str,
    dialogue: &[(&str, K)],
) -> (i32, String) {
    let mut terminal = Terminal::start(dir, script);
    for (question, keys) in dialogue {
        terminal.wait_for(question);
        terminal.answer(keys);
    }
    terminal.end()
}

/// The same where nothing is asked.
#[track_caller]
pub fn shown(dir: &Dir, script: &str) -> (i32, String) {
    Terminal::start(dir, script).end()
}

/// A named pipe `feed` in the folder, which gives a program as much input as a test wants it
/// to have. It ends when this is dropped.
pub struct Feed {
    pipe: File,
    content: Vec<u8>,
    at: usize,
}

impl Feed {
    pub fn new(dir: &Dir) -> Self {
        let path = dir.path("feed");
        if !path.exists() {
            dir.shell("mkfifo feed").run().ok();
        }
        // Opened for reading as well, it need not wait for a reader.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = rustix::fs::open(&path, flags, Mode::empty()).unwrap().into();
        Self { pipe, content: paint(1 << 20), at: 0 }
    }

    /// Gives the program more and more, until the terminal shows this.
    #[track_caller]
    pub fn until(&mut self, terminal: &mut Terminal, text: &str) {
        let start = Instant::now();
        while terminal.appears(&[text], Duration::from_millis(5)).is_none() {
            assert!(start.elapsed() < PATIENCE, "no {text:?} in {:?}", terminal.text());
            self.more();
        }
    }

    /// The same until all that was shown is as it should be.
    #[track_caller]
    pub fn until_shown(&mut self, terminal: &mut Terminal, is_so: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !is_so(&terminal.text()) {
            assert!(start.elapsed() < PATIENCE, "never as wanted: {:?}", terminal.text());
            self.more();
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Gives the program a little, if it has taken what it had.
    pub fn more(&mut self) {
        let rest = &self.content[self.at..(self.at + (16 << 10)).min(self.content.len())];
        if let Ok(len) = self.pipe.write(rest) {
            self.at = (self.at + len) % self.content.len();
        }
    }
}
