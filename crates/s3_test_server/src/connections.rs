//! The open connections of a server, to close them all when it stops.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct Connections {
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Default)]
struct State {
    is_stopped: bool,
    open: HashMap<u64, TcpStream>,
    count: u64,
}

impl Connections {
    /// Registers a connection; nothing if the server has stopped.
    pub(crate) fn open(&self, stream: &TcpStream) -> Option<u64> {
        let stream = stream.try_clone().ok()?;
        let mut state = self.lock();
        if state.is_stopped {
            return None;
        }
        state.count += 1;
        let number = state.count;
        state.open.insert(number, stream);
        Some(number)
    }

    pub(crate) fn close(&self, number: u64) {
        self.lock().open.remove(&number);
    }

    /// Closes all connections and lets no more in.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        for stream in state.open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.stopped.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    pub(crate) fn allow(&self) {
        self.lock().is_stopped = false;
    }

    /// Waits for this time, or until the server stops.
    pub(crate) fn wait(&self, time: Duration) {
        let state = self.lock();
        drop(self.stopped.wait_timeout_while(state, time, |state| !state.is_stopped));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
