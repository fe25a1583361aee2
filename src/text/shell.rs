//! Words as a POSIX shell reads them.

use std::ffi::OsStr;
use std::fmt::Write;

use super::escape::is_hidden;

/// ` --option word`; with an equals sign where the word begins with a dash and would be taken for an option itself.
pub(crate) fn shell_option(option: &str, word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref();
    let between = if word.as_encoded_bytes().starts_with(b"-") && word != "-" { '=' } else { ' ' };
    format!(" --{option}{between}{}", shell_word(word))
}

/// One word, whatever bytes are in it, that shows none of what could harm a screen.
pub(crate) fn shell_word(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref();
    let bytes = word.as_encoded_bytes();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./#+,:@%".contains(c);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) && !text.starts_with('#') => text.into(),
        Some(text) if !text.chars().any(is_hidden) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => printed(bytes),
    }
}

/// `"$(printf '..')"`: the only way of POSIX to write a byte by its number. It drops line breaks at the end, which are added behind.
fn printed(bytes: &[u8]) -> String {
    let body = &bytes[..bytes.iter().rposition(|&byte| byte != b'\n').map_or(0, |last| last + 1)];
    let mut format = String::new();
    for chunk in body.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' => format += r"'\''",
                '%' => format += "%%",
                '\\' => format += r"\\",
                // Some shells would take it for an option of `printf`.
                '-' if format.is_empty() => octal(&mut format, b"-"),
                c if is_hidden(c) => octal(&mut format, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => format.push(c),
            }
        }
        octal(&mut format, chunk.invalid());
    }
    let breaks = "\n".repeat(bytes.len() - body.len());
    format!("\"$(printf '{format}'){breaks}\"")
}

fn octal(format: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(format, "\\{byte:03o}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    #[test]
    fn a_shell_gives_every_word_back() {
        let words: [&[u8]; 21] = [
            b"plain-0.1_x/y.json",
            b"",
            b"my case.json",
            b"it's",
            b"a\"b\\c$HOME`id`",
            b"#1",
            b"-x",
            b"--",
            b"-",
            b"*?[a]~&;|<>(){}!",
            b"a\x1b[31m'%s\\n",
            b"a\nb",
            b"ends\n\n",
            b"\n",
            "\u{202e}é漢".as_bytes(),
            b"\xff\xfe",
            b"100%",
            b"-\x1bx",
            b"--\n",
            b"-v\xff",
            "a\u{fffe}\u{ffff}b".as_bytes(),
        ];
        for word in words {
            let quoted = shell_word(OsStr::from_bytes(word));
            let script = format!("printf %s {quoted}");
            let script = if word.starts_with(b"-") { format!("printf %s -- {quoted} | tail -c +3") } else { script };
            let output = Command::new("sh").args(["-c", &script]).output().expect("there is a shell");
            assert_eq!(output.stdout, word, "{script}");
            let shown = quoted.trim_end_matches(['\n', '"']);
            assert!(!shown.chars().any(is_hidden), "{quoted:?}");
        }
    }

    #[test]
    fn a_word_is_never_taken_for_an_option() {
        assert_eq!(shell_option("check", "t0_forward"), " --check t0_forward");
        assert_eq!(shell_option("check", "-x y"), " --check='-x y'");
        assert_eq!(shell_option("fixtures", "-"), " --fixtures -");
        assert_eq!(shell_option("check", ""), " --check ''");
    }
}
