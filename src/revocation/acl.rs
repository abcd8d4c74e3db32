//! The rights that this process needs in Redis.

/// The commands that it sends, or that its scripts run. In a cluster it also asks for the slots.
const COMMANDS: [&str; 34] = [
    "cluster|slots",
    "del",
    "echo",
    "evalsha",
    "exists",
    "get",
    "getdel",
    "getrange",
    "hdel",
    "hmget",
    "hset",
    "hstrlen",
    "info",
    "pexpire",
    "ping",
    "pttl",
    "publish",
    "rename",
    "role",
    "script|load",
    "select",
    "set",
    "strlen",
    "subscribe",
    "time",
    "type",
    "unlink",
    "zadd",
    "zcard",
    "zcount",
    "zmscore",
    "zrangebyscore",
    "zrem",
    "zscore",
];

/// The rules of a user who may do what this process does and nothing else, as `ACL SETUSER` takes them after the user's name.
pub fn acl(password: &str) -> String {
    let commands: Vec<String> = COMMANDS.iter().map(|command| format!("+{command}")).collect();
    format!("reset on >{password} ~carnet:* &carnet:* -@all {}", commands.join(" "))
}
