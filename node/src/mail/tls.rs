//! How is a mailbox-server recognised? TLS that remembers nothing from one connection to the next.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        client::Resumption,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, pem::PemObject},
        version::TLS13,
    },
};

/// Recognises servers by the authorities that Mozilla trusts, and those of a file.
///
/// # Errors
/// If the file holds no certificate of an authority.
pub(super) fn connector(more_roots: Option<&Path>) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = more_roots {
        let named = || {
            format!(
                "{} cannot be read: name a PEM file with a root certificate (--mailbox-ca)",
                file.display()
            )
        };
        let found = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(named)?;
        anyhow::ensure!(
            !found.is_empty(),
            "{} holds no certificate: name a PEM file with the root certificate of your mailbox \
             (--mailbox-ca)",
            file.display()
        );
        for certificate in found {
            roots.add(certificate).with_context(named)?;
        }
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A ticket would tell the server which connections are of one node.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
