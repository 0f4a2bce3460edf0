//! The transport process: it has the network and the store's credentials, and no key.

mod answers;
mod attributes;
mod azure;
mod azure_settings;
mod client;
mod complete;
mod copy;
mod counter;
mod credentials;
mod google;
mod http;
mod list;
mod list_uploads;
mod no_credentials;
mod pace;
mod repeats;
mod serve;
mod settings;
mod signed;
mod store;
mod trace;
mod translate;
mod web;

use std::fs::File;
use std::io;
use std::net::ToSocketAddrs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use cryptstream_engine::program::{Profile, SandboxedTask, restrict_process};
use cryptstream_engine::{ObjectErrorKind, SandboxLevel, SandboxMode};
use cryptstream_shm::Channel;
use tokio::runtime;

use crate::protocol::{Answer, Begin, NumberedAnswer, NumberedRequest, Request, VERSION};
use counter::Counter;
use serve::Server;
use settings::Settings;
use trace::traced;

/// What resolving names reads.
const RESOLVER_FILES: [&str; 8] = [
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/run/systemd/resolve",
];
/// How often the transport says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The threads that sign, encrypt for TLS, and copy, besides the one that waits for requests.
const THREADS: usize = 2;

/// The main function of a process that was started with
/// [`TRANSPORT_ARGUMENT`](crate::TRANSPORT_ARGUMENT).
#[must_use]
pub fn transport_main() -> ExitCode {
    // The other side notices that the process ends, and starts another one.
    if run().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Serves requests until the process that has started this one ends.
fn run() -> io::Result<()> {
    let SandboxedTask { bytes, stream, .. } = SandboxedTask::receive()?;
    let begin: Begin = serde_json::from_slice(&bytes)?;
    let channel = Arc::new(Channel::from(OwnedFd::from(stream)));
    let counter = Arc::new(Counter::default());
    let answers = Arc::new(Answers {
        channel: Arc::clone(&channel),
        counter: Arc::clone(&counter),
        turn: Mutex::default(),
    });
    let settings = check_version(&begin.version).and_then(|()| Settings::read(begin.settings));
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("transport")
        .enable_all()
        .build()?;
    // Certificates are read here, and the resolver loads its libraries.
    let server = settings.and_then(|settings| {
        let _guard = runtime.enter();
        Server::new(settings, &counter)
    });
    let _ = ("localhost", 0).to_socket_addrs();

    // Everything is open; from here on the process is sandboxed.
    let mode = SandboxMode::from_byte(begin.sandbox).ok_or(io::ErrorKind::InvalidData)?;
    let mut readable: Vec<PathBuf> = RESOLVER_FILES.iter().map(PathBuf::from).collect();
    readable.extend(server.iter().filter_map(Server::token_folder));
    let level = restrict_process(mode, Profile::Transport(&readable));
    answers.send(0, Answer::Ready(level as u8))?;
    if mode == SandboxMode::Require && level != SandboxLevel::Full {
        return Ok(());
    }
    let server = server.map(Arc::new);
    let beat = Arc::clone(&answers);
    thread::Builder::new().name("heartbeat".to_owned()).spawn(move || {
        loop {
            thread::sleep(HEARTBEAT);
            if beat.send(0, Answer::Alive).is_err() {
                return;
            }
        }
    })?;
    while let Some(message) = channel.receive()? {
        let NumberedRequest { number, request } =
            serde_json::from_slice::<NumberedRequest<Request>>(&message.bytes)?;
        let file = message.fds.into_iter().next().map(File::from);
        let answers = Arc::clone(&answers);
        match (&server, request) {
            (Ok(server), Request::Parts { upload, first, parts }) => {
                server.take_parts(upload, first, parts);
            }
            (Ok(server), Request::Renew { values }) => server.renew(values),
            (Ok(server), request) => {
                let upload = match &request {
                    Request::PutPart { upload, .. } | Request::CopyPart { upload, .. } => {
                        Some(upload.clone())
                    }
                    Request::Abort { upload, .. } => {
                        server.stop_parts(upload);
                        None
                    }
                    _ => None,
                };
                let serving = Arc::clone(server);
                let task = runtime.spawn(async move {
                    let (answer, failed) = traced(serving.answer(request, file)).await;
                    answer.about(failed)
                });
                if let Some(upload) = upload {
                    server.keep_task(upload, task.abort_handle());
                }
                runtime.spawn(async move {
                    let answer = match task.await {
                        Ok(answer) => answer,
                        // Of an upload that is given up, nobody waits for the parts.
                        Err(error) if error.is_cancelled() => return,
                        // Also what has panicked is answered, or main would wait for ever.
                        Err(error) => {
                            let message = format!("the request failed: {error}");
                            Answer::failed(ObjectErrorKind::Other, message)
                        }
                    };
                    // Whoever has asked is gone.
                    let _ = answers.send(number, answer);
                });
            }
            (Err((_, _)), Request::Parts { .. } | Request::Renew { .. }) => {}
            (Err((kind, message)), _) => answers.send(number, Answer::failed(*kind, message))?,
        }
    }
    Ok(())
}

/// Whether the process that has started this one is of the same version.
fn check_version(other: &str) -> Result<(), (ObjectErrorKind, String)> {
    if other == VERSION {
        return Ok(());
    }
    let message = format!(
        "the installed programs do not belong together: cryptstream is of version {other}, \
         cryptstream-transport of version {VERSION}; install both again"
    );
    Err((ObjectErrorKind::Settings, message))
}

/// Where answers go. Several threads send some.
struct Answers {
    channel: Arc<Channel>,
    counter: Arc<Counter>,
    turn: Mutex<()>,
}

impl Answers {
    fn send(&self, number: u64, answer: Answer) -> io::Result<()> {
        let answer = answer.shortened();
        let _turn = self.turn.lock();
        // Within the turn, or the count would go back.
        let traffic = self.counter.traffic();
        let mut bytes = serde_json::to_vec(&NumberedAnswer { number, answer, traffic })?;
        if bytes.len() > Channel::MAX_LEN {
            // Main must not wait for ever.
            let answer = Answer::failed(ObjectErrorKind::Other, "the store's answer is too long");
            bytes = serde_json::to_vec(&NumberedAnswer { number, answer, traffic })?;
        }
        self.channel.send(&bytes, &[])
    }
}
