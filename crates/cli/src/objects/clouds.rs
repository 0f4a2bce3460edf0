//! The settings of Google Cloud Storage and of Azure Blob Storage. Only those of a store that is
//! used are given away.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use cryptstream_remote::Scheme;

static USES_GOOGLE: AtomicBool = AtomicBool::new(false);
static USES_AZURE: AtomicBool = AtomicBool::new(false);

const GOOGLE_PREFIX: &str = "GOOGLE_";
/// Other variables that programs for Google Cloud Storage know: an emulator, and a token.
const GOOGLE_VARIABLES: [&str; 2] = ["STORAGE_EMULATOR_HOST", "CLOUDSDK_AUTH_ACCESS_TOKEN"];
const AZURE_PREFIX: &str = "AZURE_";
const AZURE_VARIABLES: [&str; 1] = ["AZURITE_BLOB_STORAGE_URL"];
/// The file that `gcloud auth application-default login` writes, in the folder of its settings.
const GOOGLE_LOGIN: &str = "application_default_credentials.json";
/// How the transport is told of it.
const GOOGLE_LOGIN_SETTING: &str = "GOOGLE_DEFAULT_CREDENTIALS";

/// Takes note of a URL with this scheme.
pub(super) fn note(scheme: Scheme) {
    match scheme {
        Scheme::Gs => USES_GOOGLE.store(true, Ordering::Relaxed),
        scheme if scheme.is_azure() => USES_AZURE.store(true, Ordering::Relaxed),
        _ => {}
    }
}

/// The settings of the stores that are used, as names and values.
pub(super) fn settings() -> Vec<(String, String)> {
    let (google, azure) = (USES_GOOGLE.load(Ordering::Relaxed), USES_AZURE.load(Ordering::Relaxed));
    let is_wanted = |name: &str| {
        google && (name.starts_with(GOOGLE_PREFIX) || GOOGLE_VARIABLES.contains(&name))
            || azure && (name.starts_with(AZURE_PREFIX) || AZURE_VARIABLES.contains(&name))
    };
    let mut settings: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, value)| is_wanted(name) && !value.is_empty())
        .collect();
    if google
        && let Some(file) = google_login().and_then(|file| file.into_os_string().into_string().ok())
    {
        settings.push((GOOGLE_LOGIN_SETTING.to_owned(), file));
    }
    settings
}

/// The file that gcloud has written, if there is one.
fn google_login() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = variable("CLOUDSDK_CONFIG")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config/gcloud")))?;
    Some(folder.join(GOOGLE_LOGIN)).filter(|file| file.is_file())
}
