//! Parses `Content-Type`, in the same way for every route (RFC 9110 sections 8.3.1 and 5.6.6).

use axum::http::{HeaderMap, header};

/// True if the request has one `Content-Type`, it is `wanted`, and its charset is absent or UTF-8.
///
/// Case does not matter: `charset=utf-8` and `Charset="UTF-8"` are the same, and an empty parameter is ignored. Any other
/// parameter is refused, since it may say that the body has to be read in another way.
pub fn is(headers: &HeaderMap, wanted: &str) -> bool {
    let mut fields = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (fields.next(), fields.next()) else { return false };
    only.to_str().is_ok_and(|text| is_media(text, wanted))
}

fn is_media(text: &str, wanted: &str) -> bool {
    let blanks = [' ', '\t'];
    let (kind, mut rest) = text.split_once(';').unwrap_or((text, ""));
    if !kind.trim_matches(blanks).eq_ignore_ascii_case(wanted) {
        return false;
    }
    let mut has_charset = false;
    loop {
        rest = rest.trim_start_matches(blanks);
        if rest.is_empty() {
            return true;
        }
        if let Some(after) = rest.strip_prefix(';') {
            rest = after;
            continue;
        }
        // No blanks around the equals sign.
        let Some(after) = rest.split_at_checked(8).filter(|(name, _)| name.eq_ignore_ascii_case("charset=")) else {
            return false;
        };
        let Some(after) = utf_8(after.1).filter(|_| !has_charset) else { return false };
        has_charset = true;
        rest = after.trim_start_matches(blanks);
        if !rest.is_empty() && !rest.starts_with(';') {
            return false;
        }
    }
}

/// The text after `utf-8` or `"utf-8"`.
fn utf_8(text: &str) -> Option<&str> {
    let (text, is_quoted) = text.strip_prefix('"').map_or((text, false), |text| (text, true));
    let (charset, rest) = text.split_at_checked(5)?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    if is_quoted { rest.strip_prefix('"') } else { Some(rest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_08_one_media_type_has_many_spellings() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json;",
            "application/json ; ",
            "application/json;;charset=utf-8;",
            "application/json;charset=utf-8",
            "application/json; charset=\"utf-8\"",
            "application/json;\tCHARSET=\"UTF-8\" ;",
            " application/json ",
        ] {
            assert!(is_media(good, "application/json"), "{good}");
        }
        for bad in [
            "",
            ";",
            "application/jsonx",
            "application/json, application/json",
            "application/json; charset",
            "application/json; charset=",
            "application/json; charset =utf-8",
            "application/json; charset= utf-8",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8x",
            "application/json; charset=\"utf-8",
            "application/json; charset='utf-8'",
            "application/json; charset=utf-8; charset=utf-8",
            "application/json; boundary=x",
            "application/json; charset=utf-8 x",
            "text/json",
        ] {
            assert!(!is_media(bad, "application/json"), "{bad}");
        }
        let mut headers = HeaderMap::new();
        assert!(!is(&headers, "application/json"));
        headers.append(header::CONTENT_TYPE, "application/json".parse().expect("a value"));
        assert!(is(&headers, "application/json"));
        headers.append(header::CONTENT_TYPE, "application/json".parse().expect("a value"));
        assert!(!is(&headers, "application/json"), "two are none");
    }
}
