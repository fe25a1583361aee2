//! Malformed fixtures: each is refused with the file, the case and the key, never with a panic and never with a pass.

#![cfg(feature = "cli")]

use layerbench::Error;
use layerbench::verify::fixture::{parse, read};

/// A good case of each kind that the mistakes below are made in.
const LINEAR: &str = r#"{"name": "c", "function": "linear_forward",
    "inputs": {"A": [[1, 2], [3, 4]], "W": [[1, 1]], "b": [[0.5]]}, "expected": {"Z": [[4.5, 6.5]]}}"#;
const MODEL: &str = r#"{"name": "c", "function": "L_model_forward",
    "inputs": {"X": [[1, 2]], "parameters": {"W1": [[1], [2]], "b1": [[0], [0]], "W2": [[1, 1]], "b2": [[0]]}},
    "expected": {"caches_len": 2}}"#;
const TRAIN: &str = r#"{"name": "c", "function": "L_layer_model",
    "inputs": {"X": [[1, 2]], "Y": [[0, 1]], "layer_dims": [1, 1], "seed": 1, "init": {"kind": "zeros"},
               "learning_rate": 0.1, "num_iterations": 2},
    "expected": {"parameters": {"W1": [[0.1]]}}}"#;

fn file(case: &str) -> String {
    format!(r#"{{"format": 1, "cases": [{case}]}}"#)
}

#[test]
fn the_good_cases_are_good() {
    for case in [LINEAR, MODEL, TRAIN] {
        assert_eq!(parse("f.json", &file(case)).expect("well-formed").len(), 1);
    }
}

#[test]
fn mistakes_are_named_with_case_and_key() {
    let table = [
        (LINEAR, r#""function": "linear_forward""#, r#""function": "linear_forwards""#, "function", "no function"),
        (LINEAR, r#""function": "linear_forward","#, "", "function", "expected the name"),
        (LINEAR, r#""W": [[1, 1]]"#, r#""W": [[1, 1, 1]]"#, "inputs.W", "3 columns, expected 2"),
        (LINEAR, r#""W": [[1, 1]], "#, "", "inputs.W", "missing"),
        (LINEAR, r#""W": [[1, 1]]"#, r#""W": [[1, "1"]]"#, "inputs.W", "expected a number"),
        (LINEAR, r#""W": [[1, 1]]"#, r#""W": [[1, null]]"#, "inputs.W", "expected a number"),
        (LINEAR, r#""A": [[1, 2], [3, 4]]"#, r#""A": [[1, 2], [3]]"#, "inputs.A", "row 1"),
        (LINEAR, r#""A": [[1, 2], [3, 4]]"#, r#""A": []"#, "inputs.A", "empty"),
        (LINEAR, r#""A": [[1, 2], [3, 4]]"#, r#""A": "x""#, "inputs.A", "list of rows"),
        (LINEAR, r#""b": [[0.5]]"#, r#""b": [[0.5], [1]]"#, "inputs.b", "expected (1, 1)"),
        (LINEAR, r#""b": [[0.5]]"#, r#""b": [[0.5]], "c": 1"#, "inputs.c", "unknown"),
        (LINEAR, r#""Z": [[4.5, 6.5]]"#, r#""Y": [[4.5, 6.5]]"#, "expected.Y", "returns Z"),
        (LINEAR, r#""Z": [[4.5, 6.5]]"#, r#""Z": [[4.5]]"#, "expected.Z", "shape (1, 1)"),
        (LINEAR, r#"{"Z": [[4.5, 6.5]]}"#, "{}", "expected", "nothing would be checked"),
        (LINEAR, r#"{"Z": [[4.5, 6.5]]}"#, r#"{}, "printed": {}"#, "expected", "nothing would be checked"),
        (LINEAR, r#", "expected": {"Z": [[4.5, 6.5]]}"#, "", "expected", "missing"),
        (LINEAR, r#""name": "c""#, r#""name": "c", "tolerance": -1"#, "tolerance", "not negative"),
        (LINEAR, r#""name": "c""#, r#""name": "c", "tolerance": "big""#, "tolerance", "expected a number"),
        (LINEAR, r#""name": "c""#, r#""name": "c", "gradient_names": "x""#, "gradient_names", "mathematical"),
        (LINEAR, r#""name": "c""#, r#""name": "c", "printed": {"o": {"Z": "[[1.0]]"}}"#, "printed.o.Z", "1 numbers"),
        (LINEAR, r#""name": "c""#, r#""name": "c", "printed": {"o": {"Q": "1"}}"#, "printed.o.Q", "returns Z"),
        (LINEAR, r#""name": "c""#, r#""name": "c", "printed": {"o": {"Z": "[1 ... 2]"}}"#, "printed.o.Z", "left out"),
        (LINEAR, r#""name": "c""#, r#""name": "c", "printed": {"o": {"Z": "[a b]"}}"#, "printed.o.Z", "not numbers"),
        (MODEL, r#""b2": [[0]]"#, r#""b2": [[0]], "W4": [[1]]"#, "inputs.parameters.W4", "unknown"),
        (MODEL, r#""W2": [[1, 1]]"#, r#""W2": [[1]]"#, "inputs.parameters.W2", "one per unit below"),
        (MODEL, r#""X": [[1, 2]]"#, r#""X": [[1, 2], [3, 4]]"#, "inputs.parameters.W1", "one per input"),
        (MODEL, r#", "b2": [[0]]"#, "", "inputs.parameters.b2", "missing"),
        (TRAIN, r#""seed": 1"#, r#""seed": -1"#, "inputs.seed", "whole number"),
        (TRAIN, r#""seed": 1"#, r#""seed": 4294967296"#, "inputs.seed", "below 2^32"),
        (TRAIN, r#""layer_dims": [1, 1]"#, r#""layer_dims": [1, 0]"#, "inputs.layer_dims", "zero"),
        (TRAIN, r#""layer_dims": [1, 1]"#, r#""layer_dims": [1.5, 1]"#, "inputs.layer_dims", "whole numbers"),
        (TRAIN, r#""layer_dims": [1, 1]"#, r#""layer_dims": [3, 1]"#, "inputs.X", "expected 3"),
        (TRAIN, r#"{"kind": "zeros"}"#, r#"{"kind": "uniform"}"#, "inputs.init", "normal"),
        (TRAIN, r#"{"kind": "zeros"}"#, r#"{"kind": "normal", "scale": "1/n"}"#, "inputs.init", "1/sqrt(n_prev)"),
        (TRAIN, r#""num_iterations": 2"#, r#""num_iterations": 0"#, "inputs.num_iterations", "from 1"),
        (TRAIN, r#""num_iterations": 2"#, r#""num_iterations": 99999999999"#, "inputs", "multiply-adds"),
        (TRAIN, r#""learning_rate": 0.1"#, r#""learning_rate": 0"#, "inputs.learning_rate", "positive"),
        (TRAIN, r#""Y": [[0, 1]]"#, r#""Y": [[0]]"#, "inputs.Y", "expected (1, 2)"),
        (TRAIN, r#""W1": [[0.1]]"#, r#""W3": [[0.1]]"#, "expected.W3", "returns"),
    ];
    for (good, from, to, key, part) in table {
        assert!(good.contains(from), "{from} is not in the case");
        let text = file(&good.replacen(from, to, 1));
        match parse("f.json", &text).expect_err(&text) {
            Error::Fixture { file, case, key: found, problem } => {
                assert_eq!((file.as_str(), case.as_str()), ("f.json", "c"), "{problem}");
                assert_eq!(found, key, "{problem}");
                assert!(problem.contains(part), "{key}: {problem}");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn mistakes_of_the_whole_file_are_named() {
    for (text, part) in [
        ("", "line 1, column 1: not JSON: it is empty"),
        ("{", "line 1, column 2: not JSON: it ends too early"),
        (&file(&LINEAR.replace("0.5", "NaN")), "line 2, column 61: not JSON: `NaN`"),
        (&file(&LINEAR.replace("[[0.5]]", "[[0.5],]")), "line 2, column 65: not JSON: a comma that nothing follows"),
        (&file(&format!("// mine\n{LINEAR}")), "line 1, column 25: not JSON: it has no comments"),
        (&format!("\u{feff}{}", file(LINEAR)), "line 1, column 1: not JSON: it begins with a byte order mark"),
        ("[]", "an object with"),
        (r#"{"cases": []}"#, "key `format`"),
        (r#"{"format": 2, "cases": []}"#, "key `format`"),
        (r#"{"format": 1}"#, "key `cases`"),
        (r#"{"format": 1, "cases": []}"#, "nothing would be checked"),
        (r#"{"format": 1, "cases": [7]}"#, "case `#1`"),
        (&file(&format!("{LINEAR}, {LINEAR}")), "another case has this name"),
        (&file(&LINEAR.replace("4.5, 6.5", "1e999, 6.5")), "line 2, column 93: not JSON: number out of range"),
        (&"[".repeat(100_000), "not JSON: recursion limit"),
    ] {
        let message = parse("f.json", text).expect_err(text).to_string();
        assert!(message.starts_with("f.json") && message.contains(part) && !message.contains("`-`"), "{message}");
    }
}

#[test]
fn folders_are_read_and_other_json_is_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("notes.txt", "not JSON");
    write("other.json", r#"{"seeds": 1}"#);
    assert!(matches!(read(folder.path()), Err(Error::Fixture { .. })), "a folder without cases");
    write("a.json", &file(LINEAR));
    write("b.json", &file(MODEL));
    let found = read(folder.path()).expect("well-formed");
    assert_eq!(found.cases.len(), 2);
    assert_eq!(found.passed_over, [folder.path().join("other.json")]);
    assert!(matches!(read(&folder.path().join("none.json")), Err(Error::Io { .. })));
    write("broken.json", "{");
    assert!(matches!(read(folder.path()), Err(Error::Syntax { .. })), "a broken file must not be passed over");
    std::fs::write(folder.path().join("broken.json"), b"\xff\xfe{\0").expect("written");
    let message = read(&folder.path().join("broken.json")).expect_err("UTF-16").to_string();
    assert!(message.contains("line 1, column 1: it is UTF-16"), "{message}");
}

#[test]
fn numbers_are_read_exactly() {
    let text = file(&LINEAR.replace("4.5, 6.5", "0.1000000000000000055511151231257827, 2.2250738585072011e-308"));
    let cases = parse("f.json", &text).expect("well-formed");
    let numbers: Vec<_> = cases[0].expected["Z"].iter().map(|z| z.to_bits()).collect();
    assert_eq!(numbers, [0.1_f64.to_bits(), 0x000f_ffff_ffff_ffff]);
}

/// Where only a print is known, it is enough.
#[test]
fn printed_may_stand_for_expected() {
    let printed = LINEAR.replace(r#""expected": {"Z": [[4.5, 6.5]]}"#, r#""printed": {"o": {"Z": "[[4.5 6.5]]"}}"#);
    let cases = parse("f.json", &file(&printed)).expect("well-formed");
    assert!(cases[0].expected.is_empty() && cases[0].printed.len() == 1);
}

/// Of two expectations the last would count, and the case would pass whatever the first says.
#[test]
fn no_key_may_stand_twice() {
    let case = r#""name": "c", "function": "sigmoid", "inputs": {"Z": [[0.0]]}, "expected": {"A": [[0.5]]}"#;
    for text in [
        format!(r#"{{"format": 1, "cases": [{{{case}, "expected": {{"A": [[9]]}}}}]}}"#),
        format!(r#"{{"format": 1, "cases": [], "cases": [{{{case}}}]}}"#),
        format!(
            r#"{{"format": 1, "cases": [{{{}}}]}}"#,
            case.replace(r#"{"A": [[0.5]]}"#, r#"{"A": [[9]], "A": [[0.5]]}"#)
        ),
    ] {
        let error = layerbench::verify::fixture::parse("f.json", &text).expect_err("a key stands twice").to_string();
        assert!(error.contains("stands here twice") && error.contains("f.json, line 1, column "), "{error}");
    }
}
