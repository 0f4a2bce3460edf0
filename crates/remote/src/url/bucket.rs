//! Buckets with several names.

use super::ObjectUrl;
use super::azure::Container;

/// Whether both may be in one bucket. A container of Azure may be named with or without its account.
pub fn may_share_bucket(one: &ObjectUrl, other: &ObjectUrl) -> bool {
    if !(one.scheme().is_azure() && other.scheme().is_azure()) {
        return (one.scheme(), one.bucket()) == (other.scheme(), other.bucket());
    }
    match (Container::parse(one.bucket()), Container::parse(other.bucket())) {
        (Some(one), Some(other)) => {
            let is_unknown = one.account.is_none() || other.account.is_none();
            one.name == other.name && (is_unknown || one.account == other.account)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_container_has_several_names() {
        let url = |text: &str| ObjectUrl::parse(text.as_ref()).unwrap();
        let account = url("abfss://c@acc1.dfs.core.windows.net/k");
        for (other, may_be) in [
            ("az://c/x", true),
            ("abfs://c@acc1.blob.core.windows.net/x", true),
            ("abfs://c@acc2.dfs.core.windows.net/x", false),
            ("az://d/x", false),
            ("gs://c/x", false),
        ] {
            assert_eq!(may_share_bucket(&account, &url(other)), may_be, "{other}");
        }
        assert!(may_share_bucket(&url("gs://c/k"), &url("gs://c/x")));
        assert!(!may_share_bucket(&url("gs://c/k"), &url("s3://c/x")));
    }
}
