//! The server as tests see it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::connection::serve;
use crate::faults::{FaultState, Faults};
use crate::options::Options;
use crate::request_log::LoggedRequest;
use crate::shared::Shared;
use crate::store::{Attributes, Bucket, Object, Upload};

/// A server on a port of its own on 127.0.0.1. It stops when it is dropped.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server without buckets.
    ///
    /// # Panics
    ///
    /// If no port can be opened.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let shared = Arc::new(Shared::new(options));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port can be opened");
        let address = listener.local_addr().expect("the listener has an address");
        let acceptor = Some(accept_in_background(listener, &shared));
        Self { shared, address, acceptor }
    }

    /// Closes all connections and the port, as if the server was killed. What is stored stays.
    pub fn stop(&mut self) {
        self.shared.connections.stop();
        if let Some(acceptor) = self.acceptor.take() {
            // Wakes the thread, which waits for a connection.
            let _ = TcpStream::connect(self.address);
            let _ = acceptor.join();
        }
    }

    /// Opens the same port again.
    ///
    /// # Panics
    ///
    /// If it was taken meanwhile.
    pub fn restart(&mut self) {
        self.stop();
        let listener = TcpListener::bind(self.address).expect("the port is still free");
        self.shared.connections.allow();
        self.acceptor = Some(accept_in_background(listener, &self.shared));
    }

    /// The URL to give to clients: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address behind it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Creates a bucket, or leaves one that exists.
    pub fn create_bucket(&self, name: &str) {
        self.shared.store().buckets.entry(name.to_owned()).or_default();
    }

    /// Stores an object, in a new bucket if need be, and returns its ETag.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl Into<Vec<u8>>) -> String {
        self.put_object(bucket, key, Object::from(bytes.into()))
    }

    /// Stores an object with these attributes: one that [`get`](Self::get) returned, or
    /// `Object { metadata, ..Object::from(bytes) }`.
    pub fn put_object(&self, bucket: &str, key: &str, object: Object) -> String {
        let etag = object.etag.clone();
        self.shared.put(bucket, key, object);
        etag
    }

    /// An object, if there is one.
    #[must_use]
    pub fn get(&self, bucket: &str, key: &str) -> Option<Object> {
        self.shared.store().buckets.get(bucket)?.get(key).cloned()
    }

    /// Deletes an object, and returns it.
    pub fn delete(&self, bucket: &str, key: &str) -> Option<Object> {
        self.shared.store().buckets.get_mut(bucket)?.remove(key)
    }

    /// All keys of a bucket, sorted by their bytes.
    #[must_use]
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let keys = |bucket: &Bucket| bucket.keys().cloned().collect();
        self.shared.store().buckets.get(bucket).map(keys).unwrap_or_default()
    }

    /// Begins a multipart upload, as another client would, and returns its identifier.
    ///
    /// # Panics
    ///
    /// If there is no such bucket.
    pub fn begin_upload(&self, bucket: &str, key: &str) -> String {
        let created = self.shared.store().create_upload(bucket, key, Attributes::default());
        created.expect("the bucket exists")
    }

    /// The multipart uploads that are neither completed nor aborted, in order of creation.
    #[must_use]
    pub fn uploads(&self) -> Vec<Upload> {
        self.shared.store().uploads.values().cloned().collect()
    }

    /// Sets what goes wrong from now on, in place of what was set before. Requests are counted anew.
    /// [`Faults::default`] is none.
    pub fn set_faults(&self, faults: impl Into<Faults>) {
        *self.shared.faults() = FaultState::new(faults.into());
    }

    /// All requests so far, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.shared.log.all()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Accepts connections in a thread that ends when the server has stopped and all connections are
/// closed.
fn accept_in_background(listener: TcpListener, shared: &Arc<Shared>) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        std::thread::scope(|scope| {
            for stream in listener.incoming() {
                if shared.connections.is_stopped() {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let Some(number) = shared.connections.open(&stream) else { break };
                let shared = &shared;
                scope.spawn(move || {
                    serve(stream, shared);
                    shared.connections.close(number);
                });
            }
            drop(listener);
        });
    })
}
