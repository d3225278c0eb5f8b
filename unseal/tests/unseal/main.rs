//! The tests of the seal tree through its public interface, in one program.

mod artefacts;
mod entry;
mod expression;
mod house;
mod loss;
mod opening;
mod recovery;
mod rotation;
mod secrecy;
mod tamper;
mod vectors;
