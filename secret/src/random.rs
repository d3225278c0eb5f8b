//! The one random generator: the module's DRBG.

/// The random generator failed; nothing may be made from what it left behind.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the random generator failed")]
pub struct RandomError;

/// Fills `bytes` from the module's DRBG, or says that it could not; never partly.
pub fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| RandomError)
}

/// `N` random bytes that are not secret: an identifier, a salt.
pub fn array<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}
