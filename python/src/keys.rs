//! Identities, recipients and passphrases.

use std::sync::Arc;

use cryptstream_engine::program::SecretScope;
use cryptstream_format::argon2id::{Cost, PassphraseIdentity, PassphraseRecipient, ReadLimit};
use cryptstream_format::x25519::SecretKey;
use cryptstream_format::{Format, Identity as Unwraps, Recipient as Wraps};
use cryptstream_keys::{
    AnyIdentity, AnyRecipient, Callbacks, DEFAULT_LOG_N, NoAnswer, NoCallbacks, Passphrase,
    ScryptIdentity, ScryptRecipient, SharedCallbacks, parse_identities, parse_recipient,
    parse_recipients, post_quantum, prepare_recipients, write_identity,
};
use pyo3::prelude::*;
use zeroize::Zeroizing;

use crate::errors::Failure;

/// The identities of a file or of a text.
#[pyclass(frozen, module = "cryptstream")]
pub(crate) struct Identity {
    all: Arc<Vec<AnyIdentity>>,
    text: Zeroizing<String>,
}

/// A recipient.
#[pyclass(frozen, module = "cryptstream")]
pub(crate) struct Recipient {
    one: AnyRecipient,
}

#[pymethods]
impl Identity {
    /// Parses the content of an identity file. `ask` is called with a question, and returns the
    /// answer as text, or None.
    #[staticmethod]
    fn parse(
        content: Vec<u8>,
        name: &str,
        passphrase: Option<Vec<u8>>,
        ask: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let content = Zeroizing::new(content);
        let callbacks = callbacks(passphrase.map(Zeroizing::new), ask);
        let all = parse_identities(&content, name, &callbacks, None)
            .map_err(|error| Failure::Key(format!("{name}: {error}")))?;
        let text = Zeroizing::new(String::from_utf8_lossy(&content).into_owned());
        Ok(Self { all: Arc::new(all), text })
    }

    #[staticmethod]
    fn generate(post_quantum: bool, created: &str) -> PyResult<Self> {
        let random = |_| Failure::Named("InternalError", "the system has no random numbers".into());
        let text = if post_quantum {
            let key = post_quantum::SecretKey::generate().map_err(|_| random(()))?;
            write_identity(&key.expose_text(), &key.to_public(), created)
        } else {
            let key = SecretKey::generate().map_err(|_| random(()))?;
            write_identity(&key.expose_text(), &key.to_public(), created)
        };
        Self::parse(text.as_bytes().to_vec(), "identity", None, None)
    }

    /// The recipients of these identities. A protected file asks for its passphrase.
    fn recipients(&self, py: Python<'_>) -> PyResult<Vec<Recipient>> {
        let all = Arc::clone(&self.all);
        let found = py.detach(move || recipients_of(&all));
        Ok(found?.into_iter().map(|one| Recipient { one }).collect())
    }

    /// The text that it was made from.
    fn expose(&self) -> &str {
        &self.text
    }
}

#[pymethods]
impl Recipient {
    #[new]
    fn new(text: &str) -> PyResult<Self> {
        let one = parse_recipient(text).map_err(|error| Failure::Key(error.to_string()))?;
        Ok(Self { one })
    }

    /// The recipients in the content of a file, and the numbers of the lines that were left out.
    #[staticmethod]
    fn parse(content: &[u8], name: &str) -> PyResult<(Vec<Self>, Vec<usize>)> {
        let file =
            parse_recipients(content).map_err(|error| Failure::Key(format!("{name}: {error}")))?;
        let left_out = file.passed_over.iter().map(|left| left.line).collect();
        Ok((file.recipients.into_iter().map(|one| Self { one }).collect(), left_out))
    }

    fn __str__(&self) -> String {
        self.one.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<cryptstream.Recipient {}>", self.one)
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.one.to_string() == other.one.to_string()
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.one.to_string().hash(&mut hasher);
        hasher.finish()
    }
}

fn recipients_of(identities: &[AnyIdentity]) -> Result<Vec<AnyRecipient>, Failure> {
    let _secrets = SecretScope::open();
    let mut all = Vec::new();
    for identity in identities {
        all.extend(identity.recipients()?);
    }
    Ok(all)
}

/// Who can decrypt an output. It can be sent to another thread.
pub(crate) struct RecipientList {
    recipients: Vec<AnyRecipient>,
    /// Whose own recipients are meant.
    identities: Vec<Arc<Vec<AnyIdentity>>>,
    passphrase: Option<Zeroizing<Vec<u8>>>,
}

impl RecipientList {
    pub(crate) fn new(
        py: Python<'_>,
        recipients: &[Py<Recipient>],
        identities: &[Py<Identity>],
        passphrase: Option<Vec<u8>>,
    ) -> PyResult<Self> {
        Ok(Self {
            recipients: recipients.iter().map(|one| one.borrow(py).one.clone()).collect(),
            identities: identities.iter().map(|one| Arc::clone(&one.borrow(py).all)).collect(),
            passphrase: passphrase.map(checked).transpose()?,
        })
    }

    /// Prepares them for a file of this format.
    pub(crate) fn prepare(self, format: Format) -> Result<Vec<Box<dyn Wraps + Sync>>, Failure> {
        let mut all = self.recipients;
        for identities in &self.identities {
            all.extend(recipients_of(identities)?);
        }
        let callbacks: SharedCallbacks = Arc::new(NoCallbacks);
        let mut ready = prepare_recipients(all, &callbacks, None);
        match (self.passphrase, format) {
            (None, _) => {}
            (Some(passphrase), Format::Native) => {
                let recipient = PassphraseRecipient::new(passphrase, Cost::DEFAULT);
                ready.push(Box::new(recipient.map_err(cryptstream_engine::Error::from)?));
            }
            (Some(passphrase), Format::Age) => {
                ready.push(Box::new(ScryptRecipient::new(passphrase, DEFAULT_LOG_N)));
            }
        }
        Ok(ready)
    }
}

/// What a file may be decrypted with. It can be sent to another thread.
pub(crate) struct IdentityList {
    identities: Vec<Arc<Vec<AnyIdentity>>>,
    passphrase: Option<Zeroizing<Vec<u8>>>,
}

impl IdentityList {
    pub(crate) fn new(
        py: Python<'_>,
        identities: &[Py<Identity>],
        passphrase: Option<Vec<u8>>,
    ) -> PyResult<Self> {
        Ok(Self {
            identities: identities.iter().map(|one| Arc::clone(&one.borrow(py).all)).collect(),
            passphrase: passphrase.map(checked).transpose()?,
        })
    }

    /// Calls `run` with the identities, those that cost little to try first.
    pub(crate) fn with<T>(self, run: impl FnOnce(&[&dyn Unwraps]) -> T) -> T {
        let mut all: Vec<_> = self.identities.iter().flat_map(|some| some.iter()).collect();
        all.sort_by_key(|identity| identity.effort());
        let passphrase = self.passphrase.unwrap_or_default();
        let native = PassphraseIdentity::new(passphrase.clone(), ReadLimit::DEFAULT);
        let age = ScryptIdentity::new(passphrase.clone());
        let mut tried: Vec<&dyn Unwraps> = all.iter().map(|one| *one as &dyn Unwraps).collect();
        if !passphrase.is_empty() {
            tried.extend([&native as &dyn Unwraps, &age]);
        }
        run(&tried)
    }
}

fn checked(passphrase: Vec<u8>) -> PyResult<Zeroizing<Vec<u8>>> {
    let checked = Passphrase::new(Zeroizing::new(passphrase));
    Ok(checked.map_err(|error| Failure::Key(error.to_string()))?.into_bytes())
}

/// How keys reach a user.
struct PythonCallbacks {
    passphrase: Option<Zeroizing<Vec<u8>>>,
    ask: Option<Py<PyAny>>,
}

fn callbacks(passphrase: Option<Zeroizing<Vec<u8>>>, ask: Option<Py<PyAny>>) -> SharedCallbacks {
    match (&passphrase, &ask) {
        (None, None) => Arc::new(NoCallbacks),
        _ => Arc::new(PythonCallbacks { passphrase, ask }),
    }
}

impl PythonCallbacks {
    /// The answer to a question. An exception is shown by Python's hook for those that nobody can
    /// catch, and means that there is no answer.
    fn answer(&self, message: &str) -> Option<Zeroizing<String>> {
        let ask = self.ask.as_ref()?;
        Python::try_attach(|py| {
            let answer = ask.call1(py, (message,)).and_then(|answer| answer.extract(py));
            let answer: PyResult<Option<String>> = answer;
            answer.unwrap_or_else(|error| {
                error.write_unraisable(py, None);
                None
            })
        })
        .flatten()
        .map(Zeroizing::new)
    }
}

impl Callbacks for PythonCallbacks {
    fn say(&self, message: &str) {
        let _ = self.answer(message);
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let question = match no {
            Some(no) => format!("{message} [{yes}/{no}] "),
            None => format!("{message} [{yes}] "),
        };
        let answer = self.answer(&question)?;
        Some(answer.as_str() == yes)
    }

    fn ask(&self, message: &str) -> Option<String> {
        self.answer(message).map(|answer| (*answer).clone())
    }

    fn ask_secret(&self, message: &str) -> Result<Zeroizing<Vec<u8>>, NoAnswer> {
        let reason =
            if self.ask.is_none() { NoAnswer::NoTerminal } else { NoAnswer::NothingEntered };
        let answer = self.answer(message).ok_or(reason)?;
        Ok(Zeroizing::new(answer.as_bytes().to_vec()))
    }

    fn key_passphrase(&self) -> Option<&[u8]> {
        self.passphrase.as_ref().map(|passphrase| passphrase.as_slice())
    }
}
