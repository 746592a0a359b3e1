//! Package of the workspace's examples.
