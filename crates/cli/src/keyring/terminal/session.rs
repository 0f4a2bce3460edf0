//! Questions on the terminal.
//!
//! The terminal stays in canonical mode with signals, so that Ctrl-C, Ctrl-\ and Ctrl-Z reach
//! every process of the foreground group as usual; only the echo is turned off. Signals are held
//! back from before the echo is turned off until it is on again (see [`defer_interrupts`]), so
//! the settings are always restored; only SIGKILL leaves the terminal without echo.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use cryptstream_engine::program::{InterruptGuard, SecretScope, defer_interrupts};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{
    Action, InputModes, LocalModes, OptionalActions, Termios, tcflow, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use super::lock::Lock;

/// The longest line that the kernel keeps in canonical mode, with the newline. It drops the rest
/// of a longer line.
const MAX_LINE_LEN: usize = 4096;

/// The terminal's original settings, for [`restore`].
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// What the user entered.
pub(in crate::keyring) enum Answer {
    /// A line, without the newline.
    Line(Zeroizing<Vec<u8>>),
    /// The end of the input (Ctrl-D) without any text.
    End,
}

/// The terminal, locked for questions that belong together. No other process that takes the lock
/// can ask meanwhile.
pub(in crate::keyring) struct Session {
    // Fields are dropped in this order, so held interruptions are delivered last.
    changed: Mutex<Option<Termios>>,
    lock: Mutex<Option<Lock>>,
    terminal: OwnedFd,
    guard: InterruptGuard,
}

impl Session {
    /// Opens and locks the terminal. Waits while another process asks.
    pub(in crate::keyring) fn open() -> io::Result<Self> {
        let terminal = open_terminal()?;
        let guard = defer_interrupts()?;
        let session = Self { changed: Mutex::new(None), lock: Mutex::new(None), terminal, guard };
        session.take()?;
        Ok(session)
    }

    /// Asks with echo.
    pub(in crate::keyring) fn ask_shown(&self, prompt: &str) -> io::Result<Answer> {
        self.ask(prompt, true)
    }

    /// Asks without echo.
    pub(in crate::keyring) fn ask_hidden(&self, prompt: &str) -> io::Result<Answer> {
        self.ask(prompt, false)
    }

    /// Writes text to the terminal.
    pub(in crate::keyring) fn show(&self, mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            match rustix::io::write(&self.terminal, text) {
                Ok(len) => text = &text[len..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.wait(PollFlags::OUT)?;
                    if self.guard.take_interrupts().is_terminating {
                        return Err(interrupted());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn ask(&self, prompt: &str, is_shown: bool) -> io::Result<Answer> {
        let _secrets = SecretScope::open();
        let mut line = Zeroizing::new(vec![0; MAX_LINE_LEN]);
        let answer = loop {
            self.prepare_question(is_shown)?;
            // Overwrites a progress line.
            self.show(format!("\r\x1b[K{prompt}").as_bytes())?;
            match self.read_line(&mut line) {
                Ok(Some(answer)) => break answer,
                // The process was stopped and continued, and the text typed before is lost.
                Ok(None) => {}
                Err(error) => {
                    self.restore_settings();
                    let _ = self.show(b"\n");
                    return Err(error);
                }
            }
        };
        if !is_shown || matches!(answer, Answer::End) {
            self.show(b"\n")?;
        }
        Ok(answer)
    }

    /// Reads a line. Returns `None` if the question must be asked again.
    fn read_line(&self, line: &mut Zeroizing<Vec<u8>>) -> io::Result<Option<Answer>> {
        let mut len = 0;
        loop {
            self.wait(PollFlags::IN)?;
            let interrupts = self.guard.take_interrupts();
            if interrupts.is_terminating {
                return Err(interrupted());
            }
            if interrupts.is_stop_requested {
                self.restore_settings();
                self.release();
                self.guard.stop();
                self.take()?;
                // Clears the record of having been continued.
                return if self.guard.take_interrupts().is_terminating {
                    Err(interrupted())
                } else {
                    Ok(None)
                };
            }
            if interrupts.is_continued {
                return Ok(None);
            }
            match rustix::io::read(&self.terminal, &mut line[len..]) {
                Ok(0) if len == 0 => return Ok(Some(Answer::End)),
                Ok(0) => break,
                Ok(more) => {
                    len += more;
                    if line[len - 1] == b'\n' {
                        len -= 1;
                        break;
                    }
                }
                // Another program has read the line.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if len == line.len() {
                return Err(too_long());
            }
        }
        // The kernel may have dropped the rest.
        if len == MAX_LINE_LEN - 1 {
            return Err(too_long());
        }
        Ok(Some(Answer::Line(Zeroizing::new(line[..len].to_vec()))))
    }

    /// Waits for the terminal or a signal.
    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        let mut fds = [
            PollFd::from_borrowed_fd(self.terminal.as_fd(), flags),
            PollFd::from_borrowed_fd(self.guard.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until this process is in the foreground and holds the lock.
    fn take(&self) -> io::Result<()> {
        let lock = loop {
            // Includes signals that arrived before the descriptor could report them.
            let interrupts = self.guard.take_interrupts();
            if interrupts.is_terminating {
                return Err(interrupted());
            }
            if interrupts.is_stop_requested {
                self.guard.stop();
            }
            // Stops a background process, which must not hold the lock while one in the
            // foreground needs it. Unlike tcsetattr, this changes no settings, so it cannot undo
            // a change that another process makes at the same time.
            tcflow(&self.terminal, Action::OOn)?;
            if let Some(lock) = Lock::take(&self.guard) {
                break lock;
            }
        };
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
        Ok(())
    }

    fn release(&self) {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Sets the terminal up for a question. Before the first hidden one, it discards what was
    /// typed already: that was echoed, so it cannot be the answer.
    fn prepare_question(&self, is_shown: bool) -> io::Result<()> {
        let now = tcgetattr(&self.terminal)?;
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = changed.is_none();
        let before = changed.get_or_insert_with(|| now.clone()).clone();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before.clone());
        let mut wanted = before;
        wanted.local_modes |= LocalModes::ICANON | LocalModes::ISIG;
        wanted.local_modes.set(LocalModes::ECHO, is_shown);
        wanted.local_modes.remove(LocalModes::ECHONL);
        // Enter must end the line, and bytes must arrive as they were typed.
        wanted.input_modes |= InputModes::ICRNL;
        wanted.input_modes.remove(InputModes::INLCR | InputModes::IGNCR | InputModes::ISTRIP);
        let when =
            if is_first && !is_shown { OptionalActions::Flush } else { OptionalActions::Now };
        tcsetattr(&self.terminal, when, &wanted)?;
        Ok(())
    }

    /// Restores the original settings.
    fn restore_settings(&self) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = changed.take() {
            // The terminal may be gone.
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &before);
            *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.restore_settings();
    }
}

/// Opens the controlling terminal in non-blocking mode, so that a signal can interrupt a read.
pub(super) fn open_terminal() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/dev/tty", flags, Mode::empty())?)
}

/// Restores the terminal's settings when an internal error ends the process during a question.
pub(crate) fn restore() {
    if let Ok(mut before) = BEFORE.try_lock()
        && let Some(before) = before.take()
        && let Ok(terminal) = open_terminal()
    {
        let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
    }
}

fn interrupted() -> io::Error {
    io::Error::from(io::ErrorKind::Interrupted)
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the line is longer than the terminal can take")
}
