//! Questions on the terminal.
//!
//! The terminal stays in canonical mode with signals, so that Ctrl-C, Ctrl-\
//! and Ctrl-Z reach every process of the foreground group, as everywhere else;
//! only the echo is turned off. The terminal gets its settings back on every
//! end. Signals are put off from before the echo is turned off until it is on
//! again, see [`defer_interrupts`]; only SIGKILL leaves the terminal without.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use cryptstream_engine::{InterruptGuard, SecretScope, defer_interrupts};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{
    Action, InputModes, LocalModes, OptionalActions, Termios, tcflow, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use super::lock::Lock;

/// As much as the kernel keeps of a line in canonical mode, with its end. Of a
/// longer line it drops what is too much.
const MAX_LINE_LEN: usize = 4096;

/// The settings of the terminal before it was changed, for [`restore`].
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// What the user has entered.
pub(in crate::keyring) enum Answer {
    /// A line, without its end.
    Line(Zeroizing<Vec<u8>>),
    /// The end of the input (Ctrl-D), and nothing before it.
    End,
}

/// The terminal, while it is used for questions that belong together. No other
/// process that asks in this way has it meanwhile.
pub(in crate::keyring) struct Session {
    // In the order in which they are given back: an interruption comes last.
    changed: Mutex<Option<Termios>>,
    lock: Mutex<Option<Lock>>,
    terminal: OwnedFd,
    guard: InterruptGuard,
}

impl Session {
    /// Waits until no other process asks on this terminal.
    pub(in crate::keyring) fn open() -> io::Result<Self> {
        let terminal = open_terminal()?;
        let guard = defer_interrupts()?;
        let session = Self { changed: Mutex::new(None), lock: Mutex::new(None), terminal, guard };
        session.take()?;
        Ok(session)
    }

    /// Asks for what is shown while it is typed.
    pub(in crate::keyring) fn ask_shown(&self, prompt: &str) -> io::Result<Answer> {
        self.ask(prompt, true)
    }

    /// Asks for what is not shown.
    pub(in crate::keyring) fn ask_hidden(&self, prompt: &str) -> io::Result<Answer> {
        self.ask(prompt, false)
    }

    /// Shows something.
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
            self.set(is_shown)?;
            // A line of progress may stand there.
            self.show(format!("\r\x1b[K{prompt}").as_bytes())?;
            match self.read_line(&mut line) {
                Ok(Some(answer)) => break answer,
                // Stopped and continued: what was typed before is gone.
                Ok(None) => {}
                Err(error) => {
                    self.reset();
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

    /// Reads a line; `None` when it must be asked for again.
    fn read_line(&self, line: &mut Zeroizing<Vec<u8>>) -> io::Result<Option<Answer>> {
        let mut len = 0;
        loop {
            self.wait(PollFlags::IN)?;
            let interrupts = self.guard.take_interrupts();
            if interrupts.is_terminating {
                return Err(interrupted());
            }
            if interrupts.is_stop_requested {
                self.reset();
                self.release();
                self.guard.stop();
                self.take()?;
                // Continuing has been noted.
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
                // Another program has taken it.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if len == line.len() {
                return Err(too_long());
            }
        }
        // Perhaps the kernel has dropped the rest.
        if len == MAX_LINE_LEN - 1 {
            return Err(too_long());
        }
        Ok(Some(Answer::Line(Zeroizing::new(line[..len].to_vec()))))
    }

    /// Waits for the terminal, or for a signal.
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

    /// Waits until this process is in the foreground, and no other one asks.
    fn take(&self) -> io::Result<()> {
        let lock = loop {
            // Also what has come before its descriptor could say so.
            let interrupts = self.guard.take_interrupts();
            if interrupts.is_terminating {
                return Err(interrupted());
            }
            if interrupts.is_stop_requested {
                self.guard.stop();
            }
            // In the background this stops the process, as it is to be: it must not keep the
            // lock from one in the foreground. It changes nothing, unlike tcsetattr, which
            // could undo what another process does at the same time.
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

    /// Puts the terminal into the state for a question. What was typed before
    /// was shown, so it is no answer to one that is hidden.
    fn set(&self, is_shown: bool) -> io::Result<()> {
        let now = tcgetattr(&self.terminal)?;
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = changed.is_none();
        let before = changed.get_or_insert_with(|| now.clone()).clone();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before.clone());
        let mut wanted = before;
        wanted.local_modes |= LocalModes::ICANON | LocalModes::ISIG;
        wanted.local_modes.set(LocalModes::ECHO, is_shown);
        wanted.local_modes.remove(LocalModes::ECHONL);
        // Enter must end the line, and bytes must come as they were typed.
        wanted.input_modes |= InputModes::ICRNL;
        wanted.input_modes.remove(InputModes::INLCR | InputModes::IGNCR | InputModes::ISTRIP);
        let when =
            if is_first && !is_shown { OptionalActions::Flush } else { OptionalActions::Now };
        tcsetattr(&self.terminal, when, &wanted)?;
        Ok(())
    }

    /// Gives the terminal its settings back.
    fn reset(&self) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = changed.take() {
            // It may be gone.
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &before);
            *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.reset();
    }
}

/// The terminal's own descriptor, which does not wait: reading must not be
/// stuck when a signal comes.
pub(super) fn open_terminal() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/dev/tty", flags, Mode::empty())?)
}

/// Gives the terminal its settings back when the process ends in the middle of
/// a question because of an internal error.
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
