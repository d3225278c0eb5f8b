//! The tests of the seal tree through its public interface, in one program.

mod house;
mod opening;
