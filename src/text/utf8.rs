//! Text files are UTF-8.

use super::Mistake;

/// The text of a file's bytes.
pub(crate) fn utf8(bytes: Vec<u8>) -> Result<String, Mistake> {
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let (bytes, at) = (error.as_bytes(), error.utf8_error().valid_up_to());
    let problem = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it is UTF-16; save it as UTF-8".into(),
        _ => format!("not UTF-8: the byte {:#04x} begins no character; save it as UTF-8", bytes[at]),
    };
    Err(Mistake::at(&String::from_utf8_lossy(&bytes[..at]), at, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_bytes_have_a_place() {
        assert_eq!(utf8("é\n".into()), Ok("é\n".into()));
        let mistake = utf8(b"a\n\xc3\xa9b\xff".to_vec()).expect_err("not UTF-8");
        assert_eq!((mistake.line, mistake.column), (2, 3));
        assert!(mistake.problem.contains("0xff"), "{}", mistake.problem);
        let mistake = utf8(b"\xff\xfe{\0".to_vec()).expect_err("not UTF-8");
        assert!(mistake.problem.contains("UTF-16"), "{}", mistake.problem);
    }
}
