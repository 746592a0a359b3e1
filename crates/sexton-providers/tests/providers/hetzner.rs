//! `Hetzner` against a stand-in of the API: its duties, and every trouble that a network, an API
//! and other people can make.
//!
//! Method: a server on this machine answers as the API's public documentation says, holds what it
//! is sent against that, and spoils the requests that a test names. What a test proves is read
//! off the stand-in: its servers, and the requests that came.

mod world;
mod machines;
mod cloud;
mod duties;
mod orders;
mod limits;
mod ends;
mod pages;
mod secrets;
mod fleet;
