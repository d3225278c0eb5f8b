//! SHA-256 (FIPS 180-4).

/// SHA-256 over the parts, one after the other.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    // SHA-256 has 32 bytes of output.
    context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes")
}
