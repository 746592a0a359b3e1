//! What a new machine is told: its node, the platform's keys, and how its agent calls back.
//!
//! It is told once, as user data, and the provider of the cloud keeps it. Whoever makes his own
//! takes a [`Boot`] and returns a text; [`cloud_config`] is what is taken otherwise.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::token::Token;

/// Where what the agent needs lies on a machine.
const DIRECTORY: &str = "/var/lib/sexton";

/// What a machine needs to know.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The name of its node.
    pub node: String,
    /// Which of the node's lives it is.
    pub epoch: u32,
    /// Whose tokens its agent takes.
    pub issuer: String,
    /// The platform's public keys, as the agent reads them from a file.
    pub keys: String,
    /// By which the agent of this life calls back.
    pub token: Token,
    /// Where it calls back.
    pub callbacks: String,
    /// How often it says that it lives.
    pub heartbeat: Duration,
    /// The agent: a program of the image, and the arguments before its own.
    pub agent: Vec<String>,
    /// Where the agent listens, on every address.
    pub port: u16,
}

/// Makes a machine's user data. It has a secret in it, and is printed nowhere.
#[derive(Clone)]
pub struct UserData(Arc<dyn Fn(&Boot) -> String + Send + Sync>);

impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserData(..)")
    }
}

impl Default for UserData {
    fn default() -> Self {
        Self::new(cloud_config)
    }
}

impl UserData {
    /// User data of one's own.
    ///
    /// # Example
    ///
    /// ```
    /// use sexton_providers::hetzner::{UserData, cloud_config};
    ///
    /// let made = UserData::new(|boot| cloud_config(boot).replace("/var/lib", "/srv"));
    /// assert_eq!(format!("{made:?}"), "UserData(..)");
    /// ```
    pub fn new(make: impl Fn(&Boot) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(super) fn make(&self, boot: &Boot) -> String {
        (self.0)(boot)
    }
}

/// A text as one word of a shell.
fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Cloud-init's user data for an image that has the agent and systemd.
///
/// It writes the keys, the token and a script that becomes the agent, and a unit that keeps it
/// running; all of them are their user's alone. JSON is YAML, so nothing a node is called can end
/// a text early.
pub fn cloud_config(boot: &Boot) -> String {
    let mut words: Vec<String> = boot.agent.iter().map(|it| word(it)).collect();
    words.push("serve".to_owned());
    let heartbeat = format!("{}ms", boot.heartbeat.as_millis());
    for (name, value) in [
        ("listen", format!("0.0.0.0:{}", boot.port).as_str()),
        ("root", &format!("{DIRECTORY}/disk")),
        ("node", &boot.node),
        ("epoch", &boot.epoch.to_string()),
        ("issuer", &boot.issuer),
        ("keys", &format!("{DIRECTORY}/keys.json")),
        ("callbacks", &boot.callbacks),
        ("callback-token", &format!("{DIRECTORY}/token")),
        ("heartbeat", &heartbeat),
    ] {
        words.push(format!("{}={}", word(&format!("--{name}")), word(value)));
    }
    let script = format!("#!/bin/sh\nmkdir -p {DIRECTORY}/disk\nexec {}\n", words.join(" "));
    let unit = format!(
        "[Unit]\nDescription=Sexton's agent\nAfter=network-online.target\n\
         Wants=network-online.target\n\n[Service]\nExecStart=/bin/sh {DIRECTORY}/run\n\
         Restart=always\nRestartSec=1\nKillMode=process\n\n[Install]\nWantedBy=multi-user.target\n"
    );
    let file = |path: &str, permissions: &str, content: &str| json!({ "path": path, "permissions": permissions, "content": content });
    let config = json!({
        "write_files": [
            file(&format!("{DIRECTORY}/keys.json"), "0600", &boot.keys),
            file(&format!("{DIRECTORY}/token"), "0600", boot.token.reveal()),
            file(&format!("{DIRECTORY}/run"), "0700", &script),
            file("/etc/systemd/system/sexton-agent.service", "0644", &unit),
        ],
        "runcmd": [["systemctl", "daemon-reload"], ["systemctl", "enable", "--now", "sexton-agent"]],
    });
    format!("#cloud-config\n{config}\n")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn boot(node: &str) -> Boot {
        Boot {
            node: node.to_owned(),
            epoch: 3,
            issuer: "sexton".to_owned(),
            keys: "{\"keys\": []}".to_owned(),
            token: Token::new("s3cret").unwrap(),
            callbacks: "https://control.example/callbacks".to_owned(),
            heartbeat: Duration::from_secs(30),
            agent: vec!["/usr/local/bin/sexton-agent".to_owned()],
            port: 8080,
        }
    }

    // Seen to fail when words are not quoted: the shell runs what the node is called.
    #[test]
    fn whatever_a_node_is_called_is_one_argument_of_its_agent() {
        for node in ["n-1", "-n", "it's; touch x", "$(touch x)", "a\\'b \"c\"", "\u{e9}", "${X}%h"]
        {
            let config = cloud_config(&boot(node));
            let json: Value =
                serde_json::from_str(config.strip_prefix("#cloud-config\n").unwrap()).unwrap();
            let script = json["write_files"][2]["content"].as_str().unwrap();
            let (_, command) = script.split_once("exec ").unwrap();
            let shown = std::process::Command::new("sh")
                .args([
                    "-c",
                    &command.replacen("'/usr/local/bin/sexton-agent'", "printf '%s\\n'", 1),
                ])
                .output()
                .unwrap();
            let shown = String::from_utf8(shown.stdout).unwrap();
            let words: Vec<&str> = shown.lines().collect();
            assert!(words.contains(&format!("--node={node}").as_str()), "{words:?}");
            assert_eq!((words.len(), words[0]), (10, "serve"));
        }
    }

    // Seen to fail when `Boot` shows its token.
    #[test]
    fn the_token_is_its_users_alone_and_in_no_debug_text() {
        let boot = boot("n-1");
        assert!(!format!("{boot:?}").contains("s3cret"));
        let config = cloud_config(&boot);
        assert_eq!(config.matches("s3cret").count(), 1);
        let of_token =
            r#"{"content":"s3cret","path":"/var/lib/sexton/token","permissions":"0600"}"#;
        assert!(config.contains(of_token), "{config}");
    }
}
