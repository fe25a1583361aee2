//! `plot`, `completions` and `man`, run as a user runs them: what the picture holds, what is refused, what is named.

#![cfg(feature = "cli")]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use clap_complete::Shell;
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;

fn layerbench() -> Command {
    Command::cargo_bin("layerbench").expect("it was built")
}

/// A folder with a cost file of that content, and its path.
fn cost_file(content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.csv");
    fs::write(&path, content).expect("written");
    (folder, path)
}

/// Costs 1/(1 + i): they fall all the way.
fn falling(iterations: usize) -> String {
    let lines = (0..iterations).map(|i| format!("{i},{}\n", 1.0 / (1.0 + i as f64)));
    std::iter::once("iteration,cost\n".to_owned()).chain(lines).collect()
}

/// What training on the cat pictures must give, as a cost file named after the model.
fn reference_costs(folder: &Path, model: &str) -> PathBuf {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cat_costs.json");
    let fixture: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(fixture).expect("it is there")).expect("JSON");
    let costs = fixture[model]["costs"].as_array().expect("a list");
    let lines = costs.iter().enumerate().map(|(i, cost)| format!("{i},{cost}\n"));
    let path = folder.join(model).with_extension("csv");
    fs::write(&path, std::iter::once("iteration,cost\n".to_owned()).chain(lines).collect::<String>()).expect("written");
    path
}

/// The points of all polylines of that colour, in units of the picture's view box; y grows downwards.
fn points(svg: &str, colour: &str) -> Vec<Vec<(i32, i32)>> {
    let number = |text: &str| text.parse::<i32>().expect("a whole number");
    svg.lines()
        .filter(|line| line.starts_with("<polyline") && line.contains(colour))
        .map(|line| {
            let list = line.split("points=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("points");
            let pair = |pair: &str| pair.split_once(',').map(|(x, y)| (number(x), number(y))).expect("a pair");
            list.split_whitespace().map(pair).collect()
        })
        .collect()
}

const BLUE: &str = "#0072B2";
const VERMILION: &str = "#D55E00";

#[test]
fn an_svg_holds_labels_names_and_the_curves_in_their_places() {
    let (folder, falling) = cost_file(&falling(50));
    let second = folder.path().join("second.csv");
    fs::write(&second, "iteration,cost\n10,0.25\n20,0.5\n30,0.75\n").expect("written");
    let picture = folder.path().join("cost.svg");
    layerbench()
        .args(["plot", "--title", "Fish & chips", "--output"])
        .args([&picture, &falling, &second])
        .assert()
        .code(0)
        .stdout(contains("2 curves"));
    let svg = fs::read_to_string(&picture).expect("it was written");
    for text in ["iteration", "cost", "mine", "second", "Fish &amp; chips", "0.2", "0.4", "0.8", "10", "40"] {
        assert!(svg.lines().any(|line| line == text), "{text} is missing in {svg}");
    }
    assert!(svg.trim_end().ends_with("</svg>"));

    // The first polyline of a colour is the legend's sample.
    let [_, falling] = &points(&svg, BLUE)[..] else { panic!("a sample and a curve expected") };
    let [_, rising] = &points(&svg, VERMILION)[..] else { panic!("a sample and a curve expected") };
    assert_eq!((falling.len(), rising.len()), (50, 3));
    assert!(falling.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{falling:?}");
    assert!(rising.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1), "{rising:?}");
    // Iterations 10 and 30 lie where the other curve has them; a cost of 0.5 lies where the other has 0.5.
    assert_eq!((rising[0].0, rising[2].0), (falling[10].0, falling[30].0));
    assert_eq!(rising[1].1, falling[1].1);
    // Distances are in proportion: the step from 0.5 to 1 is twice that from 0.25 to 0.5.
    let height = |from: usize, to: usize| f64::from(falling[from].1 - falling[to].1);
    assert!((height(1, 0) / height(3, 1) - 2.0).abs() < 0.02, "{falling:?}");
}

#[test]
fn a_logarithmic_axis_makes_equal_ratios_equal_distances() {
    let (folder, costs) = cost_file("iteration,cost\n0,1\n1,0.1\n2,0\n3,0.01\n4,0.001\n");
    let picture = folder.path().join("log.SVG");
    layerbench()
        .args(["plot", "--log", "--name", "mine own", "--output"])
        .args([&picture, &costs])
        .assert()
        .code(0)
        .stderr(contains("`mine own` has gaps: 1 of 5 costs are NaN, infinite, or not positive"));
    let svg = fs::read_to_string(&picture).expect("it was written");
    assert!(svg.contains("\nmine own\n") && svg.contains("\n0.01\n"), "{svg}");
    // The cost of 0 splits the curve in two.
    let [_, before, after] = &points(&svg, BLUE)[..] else { panic!("a sample and two runs expected") };
    let falls = [before[1].1 - before[0].1, after[0].1 - before[1].1, after[1].1 - after[0].1];
    assert!(falls.iter().all(|fall| (fall - falls[0]).abs() <= 1), "{falls:?}");
}

#[test]
fn curves_that_coincide_are_all_seen() {
    let (folder, first) = cost_file(&falling(300));
    let second = folder.path().join("second.csv");
    fs::copy(&first, &second).expect("copied");
    let picture = folder.path().join("cost.svg");
    layerbench().args(["plot", "--output"]).args([&picture, &first, &second]).assert().code(0);
    let svg = fs::read_to_string(&picture).expect("it was written");
    let length = |colour: &str| {
        let between = |pair: &[(i32, i32)]| f64::from(pair[0].0 - pair[1].0).hypot(f64::from(pair[0].1 - pair[1].1));
        points(&svg, colour)[1..].iter().flat_map(|line| line.windows(2)).map(between).sum::<f64>()
    };
    let share = length(VERMILION) / length(BLUE);
    assert!((0.4..0.6).contains(&share), "the upper curve covers {share} of the lower");
}

#[test]
fn the_costs_of_a_real_run_are_drawn_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let (costs, picture) = (folder.path().join("costs.csv"), folder.path().join("costs.svg"));
    layerbench()
        .args(["train", "--backend", "ndarray", "--arch", "12288,2,1", "--iterations", "40", "--costs"])
        .arg(&costs)
        .assert()
        .code(0);
    layerbench().args(["plot", "--output"]).args([&picture, &costs]).assert().code(0);
    let svg = fs::read_to_string(&picture).expect("it was written");
    assert_eq!(points(&svg, BLUE)[1].len(), 40);
}

/// A PNG's width, height and RGB pixels, row by row.
fn decoded(path: &Path) -> (usize, usize, Vec<[u8; 3]>) {
    let file = fs::File::open(path).expect("it was written");
    let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("it has a size")];
    let info = reader.next_frame(&mut bytes).expect("a whole picture");
    let pixels = bytes.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    (info.width as usize, info.height as usize, pixels)
}

#[test]
fn a_png_has_its_size_and_its_colours() {
    let (folder, costs) = cost_file(&falling(1000));
    let picture = folder.path().join("cost.png");
    layerbench().args(["plot", "--output"]).args([&picture, &costs]).assert().code(0);
    let (width, height, pixels) = decoded(&picture);
    assert_eq!((width, height), (1600, 960));
    assert_eq!((pixels[0], pixels[pixels.len() - 1]), ([255; 3], [255; 3]));
    let blue = pixels.iter().filter(|&&pixel| pixel == [0x00, 0x72, 0xB2]).count();
    assert!((1000..100_000).contains(&blue), "{blue} pixels of a curve");
}

#[test]
fn a_noisy_curve_reaches_as_far_in_a_png_as_in_an_svg() {
    // Up and down by different amounts: a mitred line shoots far beyond such costs.
    let folder = tempfile::tempdir().expect("a folder");
    let costs = reference_costs(folder.path(), "l-layer");
    let [svg, png] = ["cost.svg", "cost.png"].map(|name| folder.path().join(name));
    for picture in [&svg, &png] {
        layerbench().args(["plot", "--output"]).args([picture, &costs]).assert().code(0);
    }
    let svg = fs::read_to_string(&svg).expect("it was written");
    // Where it is noisiest, and what overshoots is lower than all. A pixel is two units of the view box each way.
    let noisiest = 300..600;
    let pixel = |(x, y): (i32, i32)| (x as usize / 2, y as usize / 2);
    let places = || points(&svg, BLUE)[1].clone().into_iter().map(pixel).filter(|(x, _)| noisiest.contains(x));
    let heights = || places().map(|(_, y)| y);
    let expected = (heights().min().expect("points"), heights().max().expect("points"));
    let (width, height, pixels) = decoded(&png);
    let is_bluish = |[red, _, blue]: [u8; 3]| blue > red.saturating_add(12);
    // Below the legend.
    let rows: Vec<usize> =
        (70..height).filter(|&y| noisiest.clone().any(|x| is_bluish(pixels[width * y + x]))).collect();
    let found = (rows[0], *rows.last().expect("a curve"));
    assert!(found.0.abs_diff(expected.0) <= 3 && found.1.abs_diff(expected.1) <= 3, "{found:?}, not {expected:?}");
}

#[test]
fn what_cannot_be_drawn_is_exit_code_2_and_leaves_what_was_there() {
    let (folder, good) = cost_file(&falling(3));
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("written");
        path
    };
    let nine = vec![good.clone(); 9];
    let table: Vec<(Vec<PathBuf>, &str, &str)> = vec![
        (vec![folder.path().join("absent.csv")], "cost.svg", "absent.csv: No such file"),
        (vec![folder.path().to_owned()], "cost.svg", "cannot read"),
        (vec![file("empty.csv", "")], "cost.svg", "empty.csv, line 1: expected the header"),
        (vec![file("header.csv", "step,loss\n0,1\n")], "cost.svg", "header.csv, line 1: expected the header"),
        (vec![file("line.csv", "iteration,cost\n0,1\n1,x\n")], "cost.svg", "line.csv, line 3: expected a whole number"),
        (
            vec![file("nan.csv", "iteration,cost\n0,NaN\n")],
            "cost.svg",
            "`nan` has nothing to draw; expected at least one finite cost",
        ),
        (nine, "cost.svg", "9 curves; expected 1 to 8"),
        (vec![good.clone()], "cost.jpg", "expected one that ends in .svg or .png"),
        (vec![good.clone()], "cost", "expected one that ends in .svg or .png"),
        (vec![good.clone()], "no/such/folder/cost.svg", "cannot write to"),
    ];
    for (inputs, output, message) in table {
        let output = folder.path().join(output);
        let before = "what was there";
        let had_a_place = fs::write(&output, before).is_ok();
        let mut command = layerbench();
        command.args(["plot", "--output"]).arg(&output).args(&inputs);
        command.assert().code(2).stdout("").stderr(contains(message));
        assert!(!had_a_place || fs::read_to_string(&output).expect("it is there") == before, "{message}");
    }
    let picture = folder.path().join("cost.svg");
    layerbench()
        .args(["plot", "--name", "a", "--name", "b", "--output"])
        .args([&picture, &good])
        .assert()
        .code(2)
        .stderr(contains("--name is given 2 times for 1 files"));
    layerbench().arg("plot").arg(&good).assert().code(2).stderr(contains("--output"));
}

const VERBS: [&str; 8] = ["list", "doctor", "verify", "train", "predict", "plot", "completions", "man"];

#[test]
fn every_shell_has_completions_that_name_the_verbs() {
    use clap::ValueEnum;
    for shell in Shell::value_variants() {
        let mut named = contains("--iterations").or(contains("iterations")).boxed();
        for verb in VERBS {
            named = named.and(contains(verb)).boxed();
        }
        layerbench().args(["completions", &shell.to_string()]).assert().code(0).stdout(named);
    }
    layerbench().args(["completions", "tcsh"]).assert().code(2).stderr(contains("bash"));
}

/// The long options that `--help` of a verb lists.
fn options(verb: &str) -> Vec<String> {
    let output = layerbench().args([verb, "--help"]).output().expect("it ran");
    let help = String::from_utf8(output.stdout).expect("text");
    let first = |line: &str| line.trim_start().trim_start_matches("-h, ").trim_start_matches("-o, ").to_owned();
    let option =
        |line: String| line.strip_prefix("--").map(|rest| rest.split([' ', '=']).next().unwrap_or("").to_owned());
    help.lines().map(first).filter_map(option).collect()
}

#[test]
fn the_manual_names_every_verb_and_option() {
    let folder = tempfile::tempdir().expect("a folder");
    layerbench().args(["man", "--dir"]).arg(folder.path()).assert().code(0).stdout(contains("layerbench-train.1"));
    let page = |name: &str| fs::read_to_string(folder.path().join(name)).expect("it was written");
    let main = page("layerbench.1");
    for verb in VERBS {
        assert!(main.contains(&format!("layerbench\\-{verb}")), "{verb} is missing in {main}");
        let page = page(&format!("layerbench-{verb}.1"));
        let options = options(verb);
        assert!(options.contains(&"help".to_owned()), "{options:?}");
        for option in options {
            assert!(page.contains(&format!("\\-\\-{}", option.replace('-', "\\-"))), "--{option} is missing in {page}");
        }
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1 + visible_verbs(), "a page each");
    // To standard output: the same pages, one after the other.
    let all = layerbench().arg("man").output().expect("it ran").stdout;
    assert!(String::from_utf8(all).expect("text").starts_with(&main));
    layerbench().args(["man", "--dir", "/no/such/folder"]).assert().code(2).stderr(contains("cannot write to"));
}

/// The verbs that `--help` lists, without `help` itself.
fn visible_verbs() -> usize {
    let output = layerbench().arg("--help").output().expect("it ran");
    let help = String::from_utf8(output.stdout).expect("text");
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   ") && !line.starts_with("  help"));
    let count = names.count();
    assert!(count >= VERBS.len(), "{help}");
    count
}

#[test]
fn the_shipped_picture_is_what_the_program_draws() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a folder");
    let picture = folder.path().join("cost.svg");
    layerbench()
        .args(["plot", "--output"])
        .args([&picture, &reference_costs(folder.path(), "two-layer"), &reference_costs(folder.path(), "l-layer")])
        .assert()
        .code(0);
    let drawn = fs::read_to_string(&picture).expect("it was written");
    assert!(
        drawn == fs::read_to_string(root.join("docs/cost.svg")).expect("it is there"),
        "docs/cost.svg is out of date"
    );
}
