//! Bounds a text before Cedar reads it.
//!
//! Attack: Cedar's readers walk an expression by recursion, so a text of a few kilobytes of brackets or operators would end the process
//! with its stack (ABUSE D-04). The number of bytes is bounded by the reader of records.

use super::flaw::Flaw;

/// The most policies of one guardrail.
pub(super) const MOST_POLICIES: usize = 16;

/// The most brackets within each other.
const MOST_BRACKETS: usize = 24;

/// The most conditions of one guardrail. Cedar joins those of a policy, each within the next.
const MOST_CONDITIONS: usize = 64;

/// The most operators of one guardrail. Each may be one level of an expression.
const MOST_OPERATORS: usize = 256;

/// Refuses a text that is nested too deeply.
pub(super) fn check(text: &str) -> Result<(), Flaw> {
    let (mut line, mut brackets, mut operators, mut conditions) = (1_u32, 0_usize, 0_usize, 0_usize);
    let mut chars = text.chars().peekable();
    let mut word = String::new();
    while let Some(c) = chars.next() {
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        match std::mem::take(&mut word).as_str() {
            "if" | "then" | "else" | "has" | "like" | "is" | "in" => operators += 1,
            "when" | "unless" => conditions += 1,
            _ => {}
        }
        match c {
            '\n' => line += 1,
            '"' => {
                // A text ends with the first quotation mark that no backslash precedes.
                while let Some(inner) = chars.next() {
                    match inner {
                        '\\' => drop(chars.next()),
                        '\n' => line += 1,
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|next| *next != '\n').is_some() {},
            '(' | '[' | '{' => brackets += 1,
            ')' | ']' | '}' => brackets = brackets.saturating_sub(1),
            '&' | '|' | '=' | '<' | '>' | '!' | '.' | '+' | '-' | '*' | '%' | '/' => {
                let doubles = matches!(c, '&' | '|' | '=');
                chars.next_if(|next| (doubles && *next == c) || (matches!(c, '<' | '>' | '!') && *next == '='));
                operators += 1;
            }
            _ => {}
        }
        let flaw = |message: String| Err(Flaw { line, message });
        if brackets > MOST_BRACKETS {
            return flaw(format!("expected at most {MOST_BRACKETS} brackets within each other"));
        }
        if conditions > MOST_CONDITIONS {
            return flaw(format!("expected at most {MOST_CONDITIONS} conditions; write several guardrails instead"));
        }
        if operators > MOST_OPERATORS {
            return flaw(format!("expected at most {MOST_OPERATORS} operators; write several guardrails instead"));
        }
    }
    Ok(())
}
