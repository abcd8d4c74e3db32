//! The addresses of the console's pages.

/// The page on which a visit begins.
pub const QUEUE: &str = "/console/approvals";

/// The address of one approval's page.
pub fn address(origin: &str, approval: &str) -> String {
    format!("{origin}{QUEUE}/{approval}")
}

/// `to`, if it is a path of plain characters below `/console/` (ABUSE A-06); otherwise the queue.
pub fn ours(to: Option<&str>) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte);
    let is_ours = |to: &&str| to.starts_with("/console/") && !to.contains("//") && to.len() <= 200 && to.bytes().all(plain);
    to.filter(is_ours).unwrap_or(QUEUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_06_a_visit_goes_on_to_a_page_of_ours_alone() {
        for good in ["/console/approvals", "/console/approvals/AbC_1-2", "/console/passkeys"] {
            assert_eq!(ours(Some(good)), good);
        }
        for bad in [
            "//e.example",
            "/\\e.example",
            "https:e.example",
            "https://e.example/console/",
            "%2f%2fe.example",
            "@e.example",
            "/console//e.example",
            "/console/../v1",
            "/console/a\r\nSet-Cookie: x=y",
            "/console/a?b=c",
            "/console/\u{202e}",
            "/v1/approvals",
            "",
        ] {
            assert_eq!(ours(Some(bad)), QUEUE, "{bad}");
        }
        assert_eq!(ours(None), QUEUE);
    }
}
