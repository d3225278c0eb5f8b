//! The conformance suite on SoftHSM 2.

strongroom_hw_tests::conformance!(strongroom_hw_tests::Kind::SoftHsm);
