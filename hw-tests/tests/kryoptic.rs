//! The conformance suite on kryoptic.

strongroom_hw_tests::conformance!(strongroom_hw_tests::Kind::Kryoptic);
