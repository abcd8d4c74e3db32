//! Tables as CSV (RFC 4180), which no spreadsheet takes for formulas (ABUSE A-22).
//!
//! A cell is a text of somebody: a partner chooses the name of a static secret. Spreadsheets run a cell that begins with one of a few
//! characters, so an apostrophe goes before it, by which they take the rest for text. Every cell stands in quotes, so none ends early
//! where another separator counts.

/// Characters that make a spreadsheet run a cell: also the wide forms, which some take for the others, and what they skip before one.
const RUN: [char; 12] = ['=', '+', '-', '@', '\t', '\r', '\n', '\0', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// The headings and rows, each with CRLF at its end.
pub fn csv(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    line(&mut text, headings.iter().copied());
    for row in rows {
        line(&mut text, row.iter().map(String::as_str));
    }
    text
}

fn line<'c>(text: &mut String, cells: impl Iterator<Item = &'c str>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push('"');
        if cell.trim_start().starts_with(RUN) || cell.starts_with(RUN) {
            text.push('\'');
        }
        text.push_str(&cell.replace('"', "\"\""));
        text.push('"');
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_22_no_cell_of_a_csv_is_a_formula() {
        for formula in [
            "=cmd|' /C calc'!A0",
            "+1+1",
            "-2+3",
            "@SUM(1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "\tx",
            "\0=1",
            "  =1",
            "\u{ff1d}1",
            "\u{a0}=1",
        ] {
            let text = csv(&["A"], &[vec![formula.to_owned()]]);
            assert!(text.starts_with("\"A\"\r\n\"'") && text.ends_with("\"\r\n"), "{formula:?}: {text:?}");
        }
        for plain in ["globex", "a=b", "2026-12-01", "", "'quoted"] {
            assert_eq!(csv(&["A"], &[vec![plain.to_owned()]]), format!("\"A\"\r\n\"{plain}\"\r\n"));
        }
    }

    #[test]
    fn a_22_separators_quotes_and_line_ends_stay_in_their_cell() {
        let row = ["a,b", "say \"hi\"", "two\r\nlines", "a;=1", "x\",\"=1"].map(str::to_owned).to_vec();
        let text = csv(&["A", "B", "C", "D", "E"], &[row]);
        let wanted = "\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\",\"a;=1\",\"x\"\",\"\"=1\"\r\n";
        assert_eq!(text.strip_prefix("\"A\",\"B\",\"C\",\"D\",\"E\"\r\n"), Some(wanted));
    }
}
