//! Whose client certificates are taken.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Those of the CAs that the operator names, and the server's own. The health check beside the server has no other, and who has the
/// server's key has no need to pretend to be its client.
#[derive(Debug)]
pub struct OursOrTheirs {
    /// The server's own certificate.
    pub ours: CertificateDer<'static>,
    /// What knows the CAs.
    pub theirs: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for OursOrTheirs {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.theirs.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // That its sender has the key as well is proven by the signatures below.
        if *certificate == self.ours {
            return Ok(ClientCertVerified::assertion());
        }
        self.theirs.verify_client_cert(certificate, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.theirs.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.theirs.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.theirs.supported_verify_schemes()
    }
}
