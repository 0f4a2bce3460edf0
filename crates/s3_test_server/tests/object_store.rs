//! The client that the program uses understands the server, and is understood.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cryptstream_s3_test_server::{ErrorCode, Fault, Faults, Operation, Options, Rule, Server};
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{
    Attribute, AttributeValue, Attributes, BackoffConfig, Error, GetOptions, ObjectStore,
    ObjectStoreExt, PutMode, PutOptions, RetryConfig,
};

fn server() -> Server {
    let server = Server::start(Options { min_part_size: 10, max_keys: 3, ..Options::default() });
    server.create_bucket("b");
    server
}

fn client(server: &Server) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(server.endpoint())
        .with_allow_http(true)
        .with_bucket_name("b")
        .with_region("us-east-1")
        .with_access_key_id("id")
        .with_secret_access_key("secret")
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(1),
                max_backoff: Duration::from_millis(2),
                base: 2.0,
            },
            ..RetryConfig::default()
        })
        .build()
        .unwrap()
}

#[tokio::test]
async fn objects_are_written_read_and_deleted() {
    let server = server();
    let store = client(&server);
    let key = Path::parse("a folder/ä+&").unwrap();
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, "text/plain".into());
    attributes.insert(Attribute::Metadata("mtime".into()), AttributeValue::from("1.5"));
    let options = PutOptions { attributes: attributes.clone(), ..PutOptions::default() };
    let put = store.put_opts(&key, "0123456789".into(), options).await.unwrap();

    let stored = server.get("b", "a folder/ä+&").unwrap();
    assert_eq!(*stored.bytes, b"0123456789");
    assert_eq!(stored.content_type, "text/plain");
    assert_eq!(stored.metadata["mtime"], "1.5");
    assert_eq!(put.e_tag.as_deref(), Some(stored.etag.as_str()));

    let head = store.head(&key).await.unwrap();
    assert_eq!((head.size, head.e_tag), (10, put.e_tag.clone()));
    let got = store.get(&key).await.unwrap();
    assert_eq!(got.attributes, attributes);
    assert_eq!(got.bytes().await.unwrap(), "0123456789");
    assert_eq!(store.get_range(&key, 2..5).await.unwrap(), "234");

    let pinned = GetOptions { if_match: put.e_tag, ..GetOptions::default() };
    store.get_opts(&key, pinned.clone()).await.unwrap();
    server.put("b", "a folder/ä+&", "replaced");
    let refused = store.get_opts(&key, pinned).await;
    assert!(matches!(refused, Err(Error::Precondition { .. })), "{refused:?}");

    store.delete(&key).await.unwrap();
    let missing = store.head(&key).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    let range = server.requests().into_iter().find(|request| request.range().is_some()).unwrap();
    assert_eq!((range.operation, range.status), (Operation::GetObject, Some(206)));
    assert_eq!((range.range(), range.body_sent), (Some("bytes=2-4"), 3));
}

#[tokio::test]
async fn puts_may_be_conditional() {
    let server = server();
    let store = client(&server);
    let key = Path::from("key");
    let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    let first = store.put_opts(&key, "first".into(), create()).await.unwrap();
    let refused = store.put_opts(&key, "second".into(), create()).await;
    assert!(matches!(refused, Err(Error::AlreadyExists { .. })), "{refused:?}");
    store
        .put_opts(&key, "second".into(), PutMode::Update(first.clone().into()).into())
        .await
        .unwrap();
    let refused = store.put_opts(&key, "third".into(), PutMode::Update(first.into()).into()).await;
    assert!(matches!(refused, Err(Error::Precondition { .. })), "{refused:?}");
    assert_eq!(*server.get("b", "key").unwrap().bytes, b"second");
}

#[tokio::test]
async fn parts_are_written_in_any_order() {
    let server = server();
    let store = client(&server);
    let key = Path::from("folder/key");
    let parts = ["first part", "second part", "last"];
    let id = store.create_multipart(&key).await.unwrap();
    let mut ids = Vec::new();
    for index in [2, 0, 1] {
        ids.push((index, store.put_part(&key, &id, index, parts[index].into()).await.unwrap()));
    }
    assert_eq!(server.get("b", "folder/key").map(|object| object.etag), None);
    assert_eq!(server.uploads()[0].parts.len(), 3);
    ids.sort_by_key(|(index, _)| *index);
    let ids: Vec<_> = ids.into_iter().map(|(_, id)| id).collect();
    let done = store.complete_multipart(&key, &id, ids.clone()).await.unwrap();
    let object = server.get("b", "folder/key").unwrap();
    assert_eq!(*object.bytes, parts.concat().as_bytes());
    assert!(object.etag.ends_with("-3\""), "{}", object.etag);
    assert_eq!(done.e_tag, Some(object.etag));
    assert!(server.uploads().is_empty());
    let again = store.complete_multipart(&key, &id, ids).await;
    assert!(matches!(again, Err(Error::NotFound { .. })), "{again:?}");

    let id = store.create_multipart(&key).await.unwrap();
    store.put_part(&key, &id, 0, "abandoned".into()).await.unwrap();
    store.abort_multipart(&key, &id).await.unwrap();
    assert!(server.uploads().is_empty());
    assert!(store.abort_multipart(&key, &id).await.is_err());
}

#[tokio::test]
async fn listings_have_pages_and_prefixes() {
    let server = server();
    let store = client(&server);
    let keys = ["a", "d/1", "d/2", "d/e/3", "f/4", "g", "h & <i>"];
    for key in keys {
        server.put("b", key, key);
    }
    let all: Vec<_> = store.list(None).try_collect().await.unwrap();
    let names: Vec<_> = all.iter().map(|object| object.location.as_ref()).collect();
    assert_eq!(names, keys);
    assert_eq!(server.requests().len(), 3);
    assert_eq!(all[1].size, 3);
    assert_eq!(all[1].e_tag, server.get("b", "d/1").map(|object| object.etag));

    let folder = store.list_with_delimiter(Some(&Path::from("d"))).await.unwrap();
    assert_eq!(folder.objects.len(), 2);
    assert_eq!(folder.common_prefixes, [Path::from("d/e")]);
    let root = store.list_with_delimiter(None).await.unwrap();
    assert_eq!(root.objects.len(), 3);
    assert_eq!(root.common_prefixes, [Path::from("d"), Path::from("f")]);

    let options = PaginatedListOptions { max_keys: Some(2), ..PaginatedListOptions::default() };
    let page = store.list_paginated(Some("d/"), options).await.unwrap();
    assert_eq!(page.result.objects.len(), 2);
    assert!(page.page_token.is_some());
}

#[tokio::test]
async fn large_objects_pass_through() {
    let server = Server::start(Options::default());
    server.create_bucket("b");
    let store = Arc::new(client(&server));
    let key = Path::from("large");
    let part = Bytes::from(vec![7; 8 << 20]);
    let id = store.create_multipart(&key).await.unwrap();
    let mut ids = Vec::new();
    for index in 0..2 {
        ids.push(store.put_part(&key, &id, index, part.clone().into()).await.unwrap());
    }
    store.complete_multipart(&key, &id, ids).await.unwrap();
    let object = server.get("b", "large").unwrap();
    assert_eq!(object.bytes.len(), 16 << 20);
    assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), *object.bytes);
}

#[tokio::test]
async fn a_client_that_retries_gets_past_faults_at_random() {
    let server = server();
    let store = client(&server);
    server.set_faults(
        Faults::seeded(1)
            .rule(Rule::random(0.1, Fault::Error(ErrorCode::InternalError)))
            .rule(Rule::random(0.1, Fault::SlowDown { retry_after: 0 }))
            .rule(Rule::random(0.1, Fault::Reset))
            .rule(Rule::random(0.1, Fault::CutBody { after: 5 }).on(Operation::GetObject))
            .rule(Rule::random(0.1, Fault::ResetBody { after: 500 }).on(Operation::GetObject))
            .rule(Rule::random(0.1, Fault::LoseAnswer).on(Operation::PutObject)),
    );
    for number in 0..50_usize {
        let key = Path::from(number.to_string());
        let content = number.to_string().repeat(number * 10);
        store.put(&key, content.clone().into()).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), content);
    }
    assert_eq!(server.keys("b").len(), 50);
    assert!(server.requests().iter().filter(|request| !request.faults.is_empty()).count() > 20);
}

#[tokio::test]
async fn a_lost_answer_to_a_completion_leaves_no_upload() {
    let server = server();
    let store = client(&server);
    let key = Path::from("key");
    let id = store.create_multipart(&key).await.unwrap();
    let part = store.put_part(&key, &id, 0, "content".into()).await.unwrap();
    let complete = Operation::CompleteMultipartUpload;
    server.set_faults(Rule::first(1, Fault::LoseAnswer).on(complete));
    let done = store.complete_multipart(&key, &id, vec![part]).await;
    assert!(matches!(done, Err(Error::NotFound { .. })), "{done:?}");
    assert_eq!(*server.get("b", "key").unwrap().bytes, b"content");
    assert!(server.uploads().is_empty());
    let tries = server.requests().iter().filter(|request| request.operation == complete).count();
    assert_eq!(tries, 2);
}
