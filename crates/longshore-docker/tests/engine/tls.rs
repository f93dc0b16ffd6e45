//! An engine on TCP, with certificates on both sides: the real engine behind a door that speaks TLS.

use longshore_core::{
    Advice, Clock, ContainerExecutor, ContainerJob, Error, ErrorKind, JobStatus, JobTemplate, SystemClock, run,
};
use longshore_testkit::{suite::Test, tests};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::json;
use std::{net::SocketAddr, path::Path, sync::Arc};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, UnixStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
        server::WebPkiClientVerifier,
    },
};

use crate::{local, support};

pub(crate) const TESTS: &[Test] = &tests![
    a_job_runs_through_tls_with_a_client_certificate,
    a_client_certificate_of_somebody_else_is_refused_for_good,
    an_engine_with_a_certificate_of_somebody_else_is_not_talked_to,
];

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes what a client needs, under the names that Docker gives the files: a certificate that `signer` has signed,
/// and the authority that the engine's is checked against.
fn client_files(folder: &Path, signer: &Authority, trusted: &Authority) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, signer).unwrap();
    std::fs::write(folder.join("ca.pem"), trusted.pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

/// A door that lets in whoever has a certificate of the authority, to the engine's socket. It closes with its owner.
struct Door {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Door {
    async fn open(authority: &Authority) -> Self {
        let acceptor = acceptor(authority);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut outside = acceptor.accept(stream).await?;
                    let mut inside = UnixStream::connect(local::socket()).await?;
                    tokio::io::copy_bidirectional(&mut outside, &mut inside).await
                });
            }
        });
        Self { address, task }
    }

    fn executor(&self, folder: &Path) -> Arc<dyn ContainerExecutor> {
        let file = |name: &str| folder.join(name);
        let tls = json!({ "ca": file("ca.pem"), "cert": file("cert.pem"), "key": file("key.pem") });
        support::executor(&format!("tcp://{}", self.address), json!({ "tls": tls }), &file("state")).unwrap()
    }
}

fn acceptor(authority: &Authority) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn job() -> ContainerJob {
    let mut template: JobTemplate = support::probe();
    template.args = vec!["print sealed".to_owned()];
    ContainerJob::new(template, SystemClock.now())
}

async fn a_job_runs_through_tls_with_a_client_certificate() {
    let (authority, folder) = (authority(), TempDir::new().unwrap());
    client_files(folder.path(), &authority, &authority);
    let door = Door::open(&authority).await;
    let (outcome, logs) = run(door.executor(folder.path()), &job()).await.unwrap();
    assert_eq!((outcome.status, logs.stdout()), (JobStatus::Completed, "sealed\n".into()));
}

async fn a_client_certificate_of_somebody_else_is_refused_for_good() {
    let (engines, folder) = (authority(), TempDir::new().unwrap());
    client_files(folder.path(), &authority(), &engines);
    let door = Door::open(&engines).await;
    assert_distrust(&run(door.executor(folder.path()), &job()).await.unwrap_err());
}

async fn an_engine_with_a_certificate_of_somebody_else_is_not_talked_to() {
    let (engines, ours, folder) = (authority(), authority(), TempDir::new().unwrap());
    client_files(folder.path(), &engines, &ours);
    let door = Door::open(&engines).await;
    assert_distrust(&run(door.executor(folder.path()), &job()).await.unwrap_err());
}

fn assert_distrust(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{}", error.chain());
    assert!(error.message().contains("DOCKER_CERT_PATH"), "{error}");
    assert_eq!(error.advice(), Advice::Permanent, "{error}");
}
