//! Registries that are down, refuse for now, or send what they should not.

use hyper::StatusCode;
use longshore_core::{Advice, ErrorKind, ImageSource};
use longshore_testkit::{
    proxy::{Answer, Fault, FaultProxy},
    suite::Test,
    tests,
};
use std::net::SocketAddr;

use crate::{
    image::{
        digest::Digest,
        testing::{LayerArchive, TestImage},
    },
    shelf::{Shelf, content, pull},
};

pub(crate) const TESTS: &[Test] = &tests![
    a_registry_that_is_down_is_temporary,
    a_registry_that_refuses_for_now_is_temporary,
    a_registry_that_fails_is_temporary,
    content_that_its_digest_does_not_promise_is_refused,
    a_layer_that_is_cut_short_is_fetched_again_without_the_others,
];

/// The registry through a proxy that breaks what it is told to.
async fn proxied(shelf: &Shelf) -> (FaultProxy, ImageSource) {
    let proxy = FaultProxy::to_tcp(shelf.registry.address).listen_tcp().await.unwrap();
    let address: SocketAddr = proxy.uri().trim_start_matches("tcp://").parse().unwrap();
    (proxy, shelf.named(address, "1"))
}

async fn a_registry_that_is_down_is_temporary() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let shelf = Shelf::new(false).await;
    let error = pull(&shelf.store(), &shelf.named(nobody, "1")).await.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Unavailable, Advice::Temporary), "{error:?}");
    assert!(error.message().contains("can't be reached") && error.to_string().contains(&nobody.to_string()));
}

async fn a_registry_that_refuses_for_now_is_temporary() {
    let shelf = Shelf::new(false).await;
    shelf.push("1", &TestImage::of_file("x")).await;
    for path in ["/v2/**", "/v2/team/tool/blobs/**"] {
        let (proxy, source) = proxied(&shelf).await;
        let refusal = Answer::new(StatusCode::TOO_MANY_REQUESTS)
            .body(r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#);
        proxy.inject(Fault::on_any_method(path).always().answer_before(refusal));
        let error = pull(&shelf.store(), &source).await.unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::RateLimited, Advice::Temporary), "{path}: {error:?}");
        assert!(error.message().contains("slow down"), "{error:?}");
    }
}

async fn a_registry_that_fails_is_temporary() {
    let shelf = Shelf::new(false).await;
    shelf.push("1", &TestImage::of_file("x")).await;
    let (proxy, source) = proxied(&shelf).await;
    proxy.inject(Fault::on_any_method("/v2/team/**").always().answer_before(Answer::html(StatusCode::BAD_GATEWAY)));
    let error = pull(&shelf.store(), &source).await.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Unavailable, Advice::Temporary), "{error:?}");
}

async fn content_that_its_digest_does_not_promise_is_refused() {
    let shelf = Shelf::new(false).await;
    let image = TestImage::of_file("right");
    shelf.push("1", &image).await;
    let wrong = TestImage::of_file("wrong");
    let blob = |bytes: &[u8]| format!("/v2/team/tool/blobs/{}", Digest::of(bytes));
    let mut longer = image.blobs[0].clone();
    longer.extend([0; 100]);
    let cases = [
        (blob(&image.blobs[0]), wrong.blobs[0].clone()),
        (blob(&image.blobs[0]), longer),
        (blob(&image.blobs[0]), Vec::new()),
        (blob(&image.config_text()), wrong.config_text()),
        (blob(&image.config_text()), vec![b' '; 100_000]),
        (format!("/v2/team/tool/manifests/{}", Digest::of(&image.manifest())), wrong.manifest()),
    ];
    for (path, body) in cases {
        let (proxy, source) = proxied(&shelf).await;
        let source = if path.contains("manifests") {
            let name = source.to_string();
            format!("{}@{}", name.strip_suffix(":1").unwrap(), Digest::of(&image.manifest())).parse().unwrap()
        } else {
            source
        };
        let fault =
            proxy.inject(Fault::on_any_method(&path).always().answer_before(Answer::new(StatusCode::OK).body(body)));
        let error = pull(&shelf.store(), &source).await.unwrap_err();
        assert!(fault.hits() > 0, "{path}");
        assert_eq!(
            (error.kind(), error.advice()),
            (ErrorKind::ImageUnavailable, Advice::Permanent),
            "{path}: {error:?}"
        );
        assert!(error.message().contains("does not promise"), "{path}: {error:?}");
        assert_eq!(std::fs::read_dir(shelf.path("store/layers")).unwrap().count(), 0, "{path}");
        assert_eq!(std::fs::read_dir(shelf.path("store/tmp")).unwrap().count(), 0, "{path}");
    }
}

async fn a_layer_that_is_cut_short_is_fetched_again_without_the_others() {
    let shelf = Shelf::new(false).await;
    let noise: String =
        (0..200_000_u32).map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 26)).collect();
    let low = LayerArchive::new().file("low", "low").finish();
    let image = TestImage::new(vec![low, LayerArchive::new().file("file", &noise).finish()]);
    shelf.push("1", &image).await;
    let (proxy, source) = proxied(&shelf).await;
    let (small, large) =
        (format!("/v2/team/tool/blobs/{}", image.named[0]), format!("/v2/team/tool/blobs/{}", image.named[1]));
    proxy.inject(Fault::on_any_method(&large).times(1).cut_body_after(1000));
    let error = pull(&shelf.store(), &source).await.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Unavailable, Advice::Temporary), "{error:?}");
    assert_eq!(content(&pull(&shelf.store(), &source).await.unwrap()), noise);
    assert!(proxy.count(hyper::Method::GET, &small) <= 2 && proxy.count(hyper::Method::GET, &large) == 2);
}
