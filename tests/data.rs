//! The data module from outside: the synthetic set's bytes, the shapes of X and Y, and what is refused of an HDF5 file.
//! Training on the pictures is tested elsewhere.

#![cfg(feature = "cli")]

mod common;

use layerbench::Error;
use layerbench::data::{PictureSet, Sha256, Split};
use ndarray::Array2;

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    Sha256::of(bytes).to_string()
}

fn pixel_bytes(set: &PictureSet) -> &[u8] {
    set.pixels.as_slice().expect("pictures lie one behind the other")
}

/// Right answers of the best rule "class 1 where the value is at least t" or its opposite.
fn best_threshold(values: impl Iterator<Item = u64>, labels: &[u8]) -> usize {
    let mut pairs: Vec<_> = values.zip(labels).collect();
    pairs.sort_unstable();
    // Above every value, the rule says class 0 to all.
    let mut right = labels.iter().filter(|&&label| label == 0).count();
    let mut best = right.max(labels.len() - right);
    for chunk in pairs.chunk_by(|a, b| a.0 == b.0).rev() {
        let ones = chunk.iter().filter(|pair| *pair.1 == 1).count();
        right = right + ones - (chunk.len() - ones);
        best = best.max(right).max(labels.len() - right);
    }
    best
}

#[test]
fn the_synthetic_bytes_are_the_same_everywhere() {
    for (split, count, upright, pixels, labels) in [
        (
            Split::Train,
            209,
            75,
            "f258fee13043f7901911b8d2f2a605facebb2b7b459f9f50cdc1ff7e95f530e0",
            "78eb4e81676ad1da8b8f8209207b9b5244564c11d54812ee4df3d4bf80012e6d",
        ),
        (
            Split::Test,
            50,
            30,
            "5e41f97a0d8b55b9352dc49e755e039e8be079c11be0749c59ecbe30e6a3b7c9",
            "e008ef633dd4fd3e64195dc7f35e3b97a8de0bcaee08da56c65cfd8094e70850",
        ),
    ] {
        let set = PictureSet::synthetic(split);
        assert_eq!((set.source.as_str(), &set.classes), ("synthetic", &["lying".into(), "upright".into()]));
        assert_eq!((set.len(), set.features(), set.is_empty()), (count, 64 * 64 * 3, false));
        assert_eq!(set.pixels.dim(), (count, 12288));
        assert_eq!(set.labels.iter().filter(|&&label| label == 1).count(), upright);
        assert!(set.labels.iter().all(|&label| label <= 1));
        assert_eq!(sha256(pixel_bytes(&set)), pixels, "{split:?}");
        assert_eq!(sha256(&set.labels), labels, "{split:?}");
    }
}

#[test]
fn neither_mean_brightness_nor_one_pixel_gives_the_class_away() {
    for (split, majority, by_brightness, by_pixel) in [(Split::Train, 134, 136, 152), (Split::Test, 30, 33, 41)] {
        let set = PictureSet::synthetic(split);
        let sums = set.pixels.rows().into_iter().map(|picture| picture.iter().map(|&byte| u64::from(byte)).sum());
        assert_eq!(best_threshold(std::iter::repeat_n(0, set.len()), &set.labels), majority);
        assert_eq!(best_threshold(sums, &set.labels), by_brightness);
        // The luckiest of all 12288, picked with the answers in hand.
        let numbers = set.pixels.columns().into_iter();
        let best = numbers.map(|number| best_threshold(number.iter().map(|&byte| byte.into()), &set.labels)).max();
        assert_eq!(best, Some(by_pixel));
    }
}

#[test]
fn no_picture_occurs_twice() {
    let pictures = [Split::Train, Split::Test].map(|split| PictureSet::synthetic(split).pixels);
    let distinct: std::collections::HashSet<_> = pictures.iter().flat_map(|set| set.rows()).collect();
    assert_eq!(distinct.len(), 259);
}

#[test]
fn x_has_a_picture_per_column_and_y_a_label() {
    let set = PictureSet {
        source: "here".into(),
        // Two pictures of 1 row and 2 columns.
        pixels: ndarray::array![[0, 1, 2, 3, 4, 5], [250, 251, 252, 253, 254, 255]],
        labels: vec![1, 0],
        classes: ["no".into(), "yes".into()],
    };
    let x = set.x::<f64>();
    assert_eq!(x, Array2::from_shape_fn((6, 2), |(i, j)| (250 * j + i) as f64 / 255.0));
    assert!(x.is_standard_layout());
    assert_eq!(set.x::<f32>(), x.mapv(|value| value as f32));
    assert_eq!(set.y::<f64>(), ndarray::array![[1.0, 0.0]]);

    let set = PictureSet::synthetic(Split::Train);
    let (x, y) = (set.x::<f64>(), set.y::<f64>());
    assert_eq!((x.dim(), y.dim()), ((12288, 209), (1, 209)));
    // Row, column, channel: the number at (row 40, column 3, channel 2) of picture 17.
    let (feature, picture) = ((40 * 64 + 3) * 3 + 2, 17);
    assert_eq!(x[[feature, picture]], f64::from(pixel_bytes(&set)[picture * 12288 + feature]) / 255.0);
    assert!(y.iter().zip(&set.labels).all(|(&y, &label)| y == f64::from(label)));
}

#[test]
fn a_network_of_other_inputs_is_refused_with_both_sizes() {
    let set = PictureSet::synthetic(Split::Test);
    set.expect_features(12288).expect("that is its size");
    let error = set.expect_features(5).expect_err("too few");
    assert!(matches!(error, Error::Mismatch { .. }));
    let message = error.to_string();
    assert!(message.contains("12288") && message.contains("has 5"), "{message}");
}

#[cfg(not(feature = "hdf5"))]
#[test]
fn a_build_without_hdf5_says_how_to_get_it() {
    let error = PictureSet::read_hdf5("some.h5".as_ref(), Split::Train).expect_err("it cannot");
    assert!(matches!(error, Error::Data { .. }) && error.to_string().contains("`hdf5` feature"), "{error}");
}

#[cfg(feature = "hdf5")]
mod files {
    use std::path::Path;
    use std::process::Command;

    use common::sets::*;
    use hdf5::types::VarLenUnicode;
    use layerbench::data::guard;
    use ndarray::{Array4, arr1, arr2};

    use super::*;

    #[test]
    fn the_courses_files() {
        let Some(dir) = common::cat_dir() else { return };
        let read = |name, split| PictureSet::read_hdf5(&dir.join(name), split).expect("a good file");
        let train = read("train_catvnoncat.h5", Split::Train);
        let test = read("test_catvnoncat.h5", Split::Test);
        for (set, count, cats, sum, sha) in [
            (&train, 209, 72, 264_542_077, "5a22f47625d19c47045c085a17fdb1a263bae0fa9c67020fd40112e19dadc2c3"),
            (&test, 50, 33, 65_969_547, "c23d288e4a7ad7ab5b8b8e69e1aaefc683de77cbd020598fd6b4acdccbebabf3"),
        ] {
            assert_eq!(set.pixels.dim(), (count, 12288));
            assert_eq!(set.classes, ["non-cat", "cat"]);
            assert_eq!(set.labels.iter().map(|&label| usize::from(label)).sum::<usize>(), cats);
            assert_eq!(pixel_bytes(set).iter().map(|&byte| u64::from(byte)).sum::<u64>(), sum);
            assert_eq!(sha256(pixel_bytes(set)), sha);
        }
        // The course's own leak: a test picture that is also a training picture.
        assert_eq!(test.pixels.row(17), train.pixels.row(146));
        assert_eq!((test.labels[17], train.labels[146]), (1, 1));
    }

    // These tests take turns: libhdf5 locks what it writes, and the lock lives on for a moment in children that another test
    // starts meanwhile.

    /// By the program's own guarded child.
    fn read_guarded(path: &Path, split: Split) -> Result<PictureSet, Error> {
        let mut reader = Command::new(env!("CARGO_BIN_EXE_layerbench"));
        reader.args(["__read-pictures", split.name()]);
        guard::read(path, None, reader)
    }

    /// The error must be [`Error::Data`], and name the file and the expectation; the guarded reader says the same.
    fn assert_refused(path: &Path, split: Split, expectation: &str) {
        let error = PictureSet::read_hdf5(path, split).expect_err(expectation);
        assert!(matches!(&error, Error::Data { path: named, .. } if named == path), "{expectation}: {error:?}");
        let message = error.to_string();
        assert!(message.starts_with(&path.display().to_string()), "{message}");
        assert!(message.contains(expectation), "{message}\nlacks: {expectation}");
        let guarded = read_guarded(path, split).expect_err(expectation);
        assert!(matches!(&guarded, Error::Data { path: named, .. } if named == path), "{expectation}: {guarded:?}");
        // libhdf5 names the file that it was given.
        assert_eq!(guarded.to_string().replace("/dev/fd/0", &path.display().to_string()), message);
    }

    fn assert_all_refused(replaced: &str, bad: &[(Write, &str)]) {
        let (_turn, dir) = (common::alone(), tempfile::tempdir().expect("a folder"));
        for (i, (writer, expectation)) in bad.iter().enumerate() {
            let path = dir.path().join(format!("{i}.h5"));
            write(&path, replaced, *writer);
            assert_refused(&path, Split::Train, expectation);
        }
    }

    #[test]
    fn good_files_of_all_kinds_of_labels_and_names() {
        let (_turn, dir) = (common::alone(), tempfile::tempdir().expect("a folder"));
        for (i, (replaced, writer)) in GOOD.iter().enumerate() {
            for (kind, write) in [("", write as fn(&Path, &str, Write)), ("latest", write_latest)] {
                let path = dir.path().join(format!("{i}{kind}.h5"));
                write(&path, replaced, *writer);
                let set = PictureSet::read_hdf5(&path, Split::Train).expect("a good file");
                assert_eq!(read_guarded(&path, Split::Train).expect("a good file"), set);
                assert_eq!(set.source, path.display().to_string());
                assert_eq!(set.pixels, pixels().into_shape_with_order((4, 30)).expect("2 * 5 * 3"));
                assert_eq!((set.labels, set.classes), (LABELS.map(|y| y as u8).into(), CLASSES.map(String::from)));
                assert_refused(&path, Split::Test, "no data set `test_set_x`; the file has: ");
            }
        }
    }

    /// Made by tests/data/make.py.
    fn made(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
    }

    fn assert_usual(path: &Path) {
        let set = PictureSet::read_hdf5(path, Split::Train).expect("a good file");
        assert_eq!(read_guarded(path, Split::Train).expect("a good file"), set);
        assert_eq!(set.pixels, pixels().into_shape_with_order((4, 30)).expect("2 * 5 * 3"), "{}", path.display());
        assert_eq!((set.labels, set.classes), (LABELS.map(|y| y as u8).into(), CLASSES.map(String::from)));
    }

    #[test]
    fn files_of_other_writers_are_read_or_called_what_they_are() {
        let _turn = common::alone();
        for name in ["big_endian.h5", "for_older_readers.h5"] {
            assert_usual(&made(name));
        }
        for (name, expectation) in [
            (
                "float16.h5",
                "/train_set_x holds 16-bit floating-point numbers, expected unsigned bytes; in NumPy `x.astype",
            ),
            ("bfloat16.h5", "/train_set_x holds 16-bit floating-point numbers, expected unsigned bytes"),
            ("packed_twice.h5", "stored bytes that unpack to 6144000, more than 1100 to one"),
        ] {
            assert_refused(&made(name), Split::Train, expectation);
        }
        if !hdf5::filters::lzf_available() {
            assert_refused(
                &made("lzf.h5"),
                Split::Train,
                "is packed by the filter LZF (32000), which this program's libhdf5",
            );
        }
        // They need HDF5 2.0.
        let (major, minor, patch) = hdf5::library_version();
        if major < 2 {
            for name in ["newer.h5", "newer_virtual.h5"] {
                assert_refused(
                    &made(name),
                    Split::Train,
                    &format!("is in a newer format than this program's libhdf5 {major}.{minor}.{patch}"),
                );
                assert_refused(&made(name), Split::Train, "libver=('earliest', 'v108')");
            }
        } else {
            assert_usual(&made("newer.h5"));
        }
    }

    #[test]
    fn a_user_block_is_skipped() {
        let (_turn, dir) = (common::alone(), tempfile::tempdir().expect("a folder"));
        for size in [512, 2048] {
            let path = dir.path().join(format!("{size}.h5"));
            write_behind(&path, size);
            assert_usual(&path);
            // The block is its owner's, whatever is in it.
            let mut bytes = std::fs::read(&path).expect("just written");
            bytes[..size as usize].fill(b'#');
            std::fs::write(&path, &bytes).expect("writable");
            assert_usual(&path);
            std::fs::write(&path, &bytes[1..]).expect("writable");
            assert_refused(&path, Split::Train, "not an HDF5 file (its first bytes are others)");
        }
    }

    #[test]
    fn what_packs_well_is_read() {
        let (_turn, dir) = (common::alone(), tempfile::tempdir().expect("a folder"));
        let path = dir.path().join("blank.h5");
        write(&path, "train_set_x", |f| {
            let ones = Array4::<u8>::ones((1000, 64, 64, 3));
            let set = f.new_dataset_builder().with_data(&ones);
            set.chunk((200, 64, 64, 3)).deflate(9).create("train_set_x").expect("libhdf5 writes it");
        });
        assert_refused(&path, Split::Train, "/train_set_y has shape [4], expected (1000,), one label per picture");
        let file = hdf5::File::open_rw(&path).expect("just written");
        file.unlink("train_set_y").expect("it is there");
        y(&file, &[1_u8; 1000]);
        file.close().expect("it is ours");
        assert!(std::fs::metadata(&path).expect("written").len() < 1000 * 64 * 64 * 3 / 200);
        let set = read_guarded(&path, Split::Train).expect("a good file");
        assert!(set.pixels.dim() == (1000, 12288) && set.pixels.iter().all(|&byte| byte == 1));
    }

    #[test]
    fn what_is_no_hdf5_file() {
        let (_turn, dir) = (common::alone(), tempfile::tempdir().expect("a folder"));
        let path = dir.path().join("set.h5");
        let error = PictureSet::read_hdf5(&path, Split::Train).expect_err("there is none");
        assert!(matches!(&error, Error::Io { action: "read", path: named, .. } if *named == path), "{error:?}");
        assert!(error.to_string().starts_with(&format!("cannot read {}", path.display())), "{error}");

        assert_refused(dir.path(), Split::Train, "expected an HDF5 file, found a folder");
        write(&path, "", |_| ());
        let good = std::fs::read(&path).expect("just written");
        let mut damaged = good.clone();
        damaged[8..100].fill(0xff);
        for (bytes, expectation) in [
            (&b""[..], "not an HDF5 file: it has only 0 bytes"),
            (b"\x89HDF", "not an HDF5 file: it has only 4 bytes"),
            (b"These are words, not pictures.", "not an HDF5 file (its first bytes are others)"),
            (&good[..8], "libhdf5 cannot open it"),
            (&good[..good.len() / 2], "libhdf5 cannot open it"),
            (&good[..good.len() - 1], "libhdf5 cannot open it"),
            (&damaged, "unless it is damaged (H5Fopen(): unable to open file: bad superblock version number)"),
        ] {
            std::fs::write(&path, bytes).expect("writable");
            assert_refused(&path, Split::Train, expectation);
        }
    }

    #[test]
    fn bad_pixels() {
        const SHAPE: &str = "expected (pictures, height, width, 3)";
        assert_all_refused(
            "train_set_x",
            &[
                (|f| put(f, "x", pixels()), "no data set `train_set_x`; the file has: list_classes, train_set_y, x"),
                (|f| x(f, Array2::<u8>::zeros((4, 30))), "/train_set_x has shape [4, 30]"),
                (|f| x(f, Array2::<u8>::zeros((4, 30))), SHAPE),
                (|f| x(f, Array4::<u8>::zeros((4, 2, 2, 4))), "/train_set_x has shape [4, 2, 2, 4]"),
                (|f| x(f, Array4::<u8>::zeros((4, 2, 2, 4))), SHAPE),
                (|f| x(f, pixels().mapv(f32::from)), "holds floating-point numbers, expected unsigned bytes"),
                (|f| x(f, pixels().mapv(f64::from)), "holds floating-point numbers, expected unsigned bytes"),
                (|f| x(f, pixels().mapv(i32::from)), "expected unsigned bytes"),
                (|f| x(f, pixels().mapv(|byte| byte as i8)), "expected unsigned bytes"),
                (|f| x(f, Array4::<u8>::zeros((0, 2, 2, 3))), "has shape [0, 2, 2, 3]: there is no picture in it"),
                (|f| x(f, Array4::<u8>::zeros((4, 0, 2, 3))), "has shape [4, 0, 2, 3]: there is no picture in it"),
                (claim_3_tib, "more than the limit of 1073741824 bytes"),
                (claim_804_mib, "has shape [65536, 64, 64, 3], 65536 chunks, of which 0 were written"),
                (a_chunk_is_missing, "has shape [4, 2, 5, 3], 4 chunks, of which 3 were written"),
                (nothing_written, "has shape [4, 2, 5, 3], 120 bytes, of which 0 were written"),
                (soft_link, "`train_set_x` is a soft link, expected the data set itself"),
                (soft_circle, "`train_set_x` is a soft link"),
                (external_link, "`train_set_x` is a link to another file"),
                (external_storage, "/train_set_x keeps its values in another file"),
                (virtual_set, "/train_set_x is put together from other data sets"),
                (group, "`train_set_x` is a group, expected a data set"),
                (named_type, "`train_set_x` is a type, expected a data set"),
            ],
        );
    }

    #[test]
    fn a_damaged_data_set_is_not_called_missing() {
        let (_turn, dir) = (common::alone(), tempfile::tempdir().expect("a folder"));
        let path = dir.path().join("set.h5");
        // Only the newest format has signatures and checksums in the headers of data sets.
        write_latest(&path, "", |_| ());
        let good = std::fs::read(&path).expect("just written");
        let headers: Vec<usize> = (0..good.len() - 4).filter(|&i| &good[i..i + 4] == b"OHDR").collect();
        assert_eq!(headers.len(), 4, "the root group's and three data sets'");
        let mut damaged = good.clone();
        damaged[headers[1] + 8] ^= 1;
        std::fs::write(&path, damaged).expect("writable");
        assert_refused(&path, Split::Train, "`train_set_x` is damaged: ");
    }

    #[test]
    fn names_of_contents_are_escaped_and_cut() {
        let (_turn, dir) = (common::alone(), tempfile::tempdir().expect("a folder"));
        let path = dir.path().join("set.h5");
        write(&path, "train_set_x", |f| {
            put(f, "\u{1b}[31mred", arr1(&[0]));
            (0..20).for_each(|i| put(f, &format!("x{i}"), arr1(&[0])));
        });
        assert_refused(&path, Split::Train, r"the file has: \u{1b}[31mred, list_classes, train_set_y, x0,");
        assert_refused(&path, Split::Train, ", and 13 more");
    }

    #[test]
    fn bad_labels() {
        assert_all_refused(
            "train_set_y",
            &[
                (|_| (), "no data set `train_set_y`; the file has: list_classes, train_set_x"),
                (|f| y(f, &[0, 1, 1]), "/train_set_y has shape [3], expected (4,), one label per picture"),
                (|f| put(f, "train_set_y", arr2(&[[0, 1, 1, 0]])), "has shape [1, 4], expected (4,)"),
                (|f| y(f, &[0_i64, 1, 2, 0]), "/train_set_y[2] is 2; labels must be 0 or 1"),
                (|f| y(f, &[-1_i64, 1, 1, 0]), "/train_set_y[0] is -1; labels must be 0 or 1"),
                (|f| y(f, &[0, 1, 1, u64::MAX]), "labels must be 0 or 1"),
                (|f| y(f, &[0.0, 1.0, 1.0, 0.0]), "holds floating-point numbers, expected integers"),
            ],
        );
    }

    #[test]
    fn bad_class_names() {
        assert_all_refused(
            "list_classes",
            &[
                (|_| (), "no data set `list_classes`; the file has: train_set_x, train_set_y"),
                (
                    |f| ascii::<7>(f, &["cat"]),
                    "/list_classes has shape [1], expected (2,), the names of classes 0 and 1",
                ),
                (|f| ascii::<7>(f, &["cat", "dog", "bird"]), "/list_classes has shape [3], expected (2,)"),
                (|f| put(f, "list_classes", arr1(&[0, 1])), "expected strings of at most 64 bytes"),
                (|f| ascii::<65>(f, &["non-cat", "cat"]), "expected strings of at most 64 bytes"),
                (
                    |f| unicode::<VarLenUnicode>(f, ["cat", &"c".repeat(65)]),
                    "/list_classes[1] has 65 bytes, expected at most 64",
                ),
                (latin_1, "/list_classes[0] is not valid UTF-8"),
                (|f| ascii::<7>(f, &["cat", ""]), "the name of class 1 is empty"),
                (|f| ascii::<7>(f, &[" ", "cat"]), "the name of class 0 is empty"),
                (|f| ascii::<7>(f, &["cat", "cat"]), "both classes are called `cat`"),
                (|f| ascii::<7>(f, &["cat", "\x1b[31m"]), r"the name of class 1 has a control character: `\u{1b}[31m`"),
                (|f| unicode::<VarLenUnicode>(f, ["ca\nt", "dog"]), r"the name of class 0 has a control character"),
            ],
        );
    }
}
