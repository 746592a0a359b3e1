//! Means: node, workspace, task runner and owner; their policies, sweeps and providers.
