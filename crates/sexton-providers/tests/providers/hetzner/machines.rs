//! What the stand-in boots: the agent of a server's user data, as a process at an address of its
//! own, with a directory as its disk.
//!
//! A real machine's cloud-init writes the files and starts the unit. Here the files lie below a
//! directory, paths in them too, and the script is run that the unit would run.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use sexton_agent::process::{self, end, members, members_below};

/// The variable by which everything here is found and ended.
const MARK: &str = "SEXTON_MACHINE";

/// Where machines lie and listen; without a directory, none boots.
#[derive(Default)]
pub(crate) struct Machines {
    pub(crate) root: Option<PathBuf>,
    /// The stand-in's port: what is below 127 is its own as long as it has that.
    port: u16,
    running: BTreeMap<u64, Child>,
}

impl Machines {
    pub(crate) fn new(root: Option<PathBuf>, port: u16) -> Self {
        Self { root, port, running: BTreeMap::new() }
    }

    /// The address of a server: of this machine, and of no other server of any test.
    pub(crate) fn address(&self, id: u64) -> String {
        let [high, low] = self.port.to_be_bytes();
        format!("127.{high}.{low}.{}", id % 250 + 1)
    }

    fn directory(&self, id: u64) -> Option<PathBuf> {
        Some(self.root.as_ref()?.join(format!("server-{id}")))
    }

    /// Does what the user data says.
    pub(crate) fn boot(&mut self, id: u64, user_data: &str) {
        let Some(directory) = self.directory(id) else { return };
        let text = user_data.strip_prefix("#cloud-config\n").expect("it is a cloud-config");
        let config: Value = serde_json::from_str(text).expect("JSON is YAML");
        for file in config["write_files"].as_array().expect("it has files") {
            let text = |field: &str| file[field].as_str().expect("it is a text");
            let path = directory.join(text("path").trim_start_matches('/'));
            fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
            let lib = directory.join("var/lib/sexton").display().to_string();
            let content = text("content").replace("/var/lib/sexton", &lib);
            let content = content.replace("0.0.0.0", &self.address(id));
            fs::write(path, content).expect("there is room");
        }
        let log = fs::File::create(directory.join("log")).expect("there is room");
        let mut script = Command::new("sh");
        script.arg(directory.join("var/lib/sexton/run")).env_clear();
        script.env("PATH", "/usr/local/bin:/usr/bin:/bin").env(MARK, &directory);
        let log_too = log.try_clone().expect("it is open");
        let script = script.stdin(Stdio::null()).stdout(log).stderr(log_too).spawn();
        self.running.insert(id, script.expect("there is a shell"));
    }

    /// Ends what runs on a machine, with its disk.
    pub(crate) fn end(&mut self, id: u64) {
        let Some(directory) = self.directory(id).filter(|it| it.exists()) else { return };
        let ended = end(|| members((MARK, directory.as_os_str()), None));
        ended.expect("what was booted can be ended");
        let ended = end(|| members_below(process::MARK, &directory));
        ended.expect("what ran there can be ended");
        // It was waited for where it was ended.
        drop(self.running.remove(&id));
        fs::remove_dir_all(&directory).expect("it can be removed");
    }
}
