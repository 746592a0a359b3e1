//! Package of the workspace's tests.
