//! Runs a shell script on a pseudo-terminal. The test acts as the user.

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
use super::{CHEAP, Dir, TIMEOUT, test_bytes, wait_status};

/// A terminal of 80 columns, and the script that runs on it. Dropping it hangs up the terminal.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Screen>,
    /// The thread that reads the screen. Closing the socket ends it.
    reader: Option<(UnixStream, JoinHandle<()>)>,
    seen: usize,
    /// The settings before the script started.
    before: String,
}

/// The output on the terminal.
#[derive(Default)]
struct Screen {
    shown: Mutex<Output>,
    has_changed: Condvar,
}

#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    /// Whether all processes have closed the terminal.
    is_over: bool,
}

impl Terminal {
    /// Starts a script in bash, as the leader of a session with this controlling terminal.
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

    /// Sets the number of columns.
    pub fn resize(&self, columns: u16) {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.keyboard, size).unwrap();
    }

    /// All output so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen.shown.lock().unwrap().bytes).into_owned()
    }

    /// Waits until this text appears, after the text of the previous wait.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        self.wait_for_one_of(&[text]);
    }

    /// Waits until one of these texts appears, and returns its index.
    #[track_caller]
    pub fn wait_for_one_of(&mut self, texts: &[&str]) -> usize {
        let which = self.wait_up_to(texts, TIMEOUT);
        which.unwrap_or_else(|| panic!("none of {texts:?} in {:?}", self.text()))
    }

    fn wait_up_to(&mut self, texts: &[&str], timeout: Duration) -> Option<usize> {
        let deadline = Instant::now() + timeout;
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

    /// Answers a question that is asked without echo.
    #[track_caller]
    pub fn answer(&mut self, keys: impl AsRef<[u8]>) {
        // The program discards what was typed earlier.
        wait_until("the echo is off", || self.is_hidden());
        self.press(keys);
    }

    /// Types keys.
    pub fn press(&mut self, keys: impl AsRef<[u8]>) {
        self.keyboard.write_all(keys.as_ref()).unwrap();
    }

    /// Whether the echo is off and keys such as Ctrl-C still send signals.
    pub fn is_hidden(&self) -> bool {
        let signals = LocalModes::ICANON | LocalModes::ISIG;
        let modes = tcgetattr(&self.keyboard).unwrap().local_modes;
        modes & (LocalModes::ECHO | signals) == signals
    }

    /// Whether the terminal has its original settings.
    pub fn is_as_before(&self) -> bool {
        settings(&self.keyboard) == self.before
    }

    /// Waits for the end of the script, and returns its exit status and all output.
    #[track_caller]
    pub fn end(self) -> (i32, String) {
        let (code, bytes) = self.end_in_bytes();
        (code, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Like [`Self::end`], with the output as bytes.
    #[track_caller]
    pub fn end_in_bytes(mut self) -> (i32, Vec<u8>) {
        let status = wait_status(&mut self.child);
        let shown = self.screen.shown.lock().unwrap();
        let wait = self.screen.has_changed.wait_timeout_while(shown, TIMEOUT, |it| !it.is_over);
        let (shown, timed_out) = wait.unwrap();
        assert!(!timed_out.timed_out(), "a process has kept the terminal");
        let bytes = shown.bytes.clone();
        drop(shown);
        let code = status.code();
        (code.unwrap_or_else(|| panic!("{status}: {}", String::from_utf8_lossy(&bytes))), bytes)
    }

    /// Hangs up the terminal, and waits until its shell exits.
    #[track_caller]
    pub fn hang_up(mut self) {
        self.stop_reader();
        let null = File::options().write(true).open("/dev/null").unwrap();
        drop(std::mem::replace(&mut self.keyboard, null));
        wait_status(&mut self.child);
    }

    fn stop_reader(&mut self) {
        if let Some((stop, reader)) = self.reader.take() {
            drop(stop);
            reader.join().unwrap();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.stop_reader();
    }
}

impl Screen {
    /// Records the output until the other end of `stopped` is closed.
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
            // An error means the end: no process has the terminal open.
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

/// All settings of a terminal.
fn settings(terminal: impl AsFd) -> String {
    format!("{:?}", tcgetattr(terminal).unwrap())
}

fn end_of(text: &[u8], within: &[u8]) -> Option<usize> {
    within.windows(text.len()).position(|window| window == text).map(|at| at + text.len())
}

/// Runs a script and gives each answer when its question appears. Returns the script's exit status
/// and the output.
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

/// Runs a script that asks nothing. Returns its exit status and the output.
#[track_caller]
pub fn shown(dir: &Dir, script: &str) -> (i32, String) {
    Terminal::start(dir, script).end()
}

/// A named pipe `feed` in the folder, through which a test gives a program input step by step.
/// Dropping it ends the input.
pub struct PipeFeeder {
    pipe: File,
    content: Vec<u8>,
    at: usize,
}

impl PipeFeeder {
    pub fn new(dir: &Dir) -> Self {
        let path = dir.path("feed");
        if !path.exists() {
            dir.shell("mkfifo feed").run().ok();
        }
        // Opening for reading and writing does not wait for a reader.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = rustix::fs::open(&path, flags, Mode::empty()).unwrap().into();
        Self { pipe, content: test_bytes(1 << 20), at: 0 }
    }

    /// Writes more and more input until this text appears on the terminal.
    #[track_caller]
    pub fn until(&mut self, terminal: &mut Terminal, text: &str) {
        let start = Instant::now();
        while terminal.wait_up_to(&[text], Duration::from_millis(5)).is_none() {
            assert!(start.elapsed() < TIMEOUT, "no {text:?} in {:?}", terminal.text());
            self.more();
        }
    }

    /// Writes more and more input until the output meets a condition.
    #[track_caller]
    pub fn until_shown(&mut self, terminal: &mut Terminal, is_so: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !is_so(&terminal.text()) {
            assert!(start.elapsed() < TIMEOUT, "never as wanted: {:?}", terminal.text());
            self.more();
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Writes a little input if the program has read what was written before.
    pub fn more(&mut self) {
        let rest = &self.content[self.at..(self.at + (16 << 10)).min(self.content.len())];
        if let Ok(len) = self.pipe.write(rest) {
            self.at = (self.at + len) % self.content.len();
        }
    }
}
